"""Avatars: a picture that speaks what is said. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.advisories import LengthAdvisory
from kling_nb.models.kinds import Media, Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.spec import ModelSpec, Parameter

from .shared_parameters import (
    AS_OF,
    AUDIO_FORMATS,
    FRAME_ADVISORY,
    ONE_PICTURE,
    PAGE,
    PRICE_PAGES,
    PROMPT,
    USUAL_S,
)

__all__ = ["PRO", "STANDARD"]

_PARAMETERS = (
    replace(PROMPT, kind=Text(max_chars=5000), help="how the person looks, speaks and moves"),
    replace(ONE_PICTURE, help="who speaks: path, URL, or the name of a variable"),
    Parameter(
        name="audio",
        sent_as="audio_url",
        kind=Media(
            AUDIO_FORMATS,
            max_bytes=100_000_000,
            as_list=False,
            length_s=(0, 300),
        ),
        help="what is said: path, URL, or the name of a variable; each of its seconds is paid",
        flag="a",
    ),
)

_ADVISORIES = (
    LengthAdvisory(
        "audio",
        15,
        # Source: price pages, and published documentation, both 2026-08 to 2026-10.
        "The price pages allow up to 15 s per clip, the documentation 5 minutes",
    ),
    FRAME_ADVISORY,
)

STANDARD = ModelSpec(
    name="kling/ai-avatar-standard",
    title="Kling avatar, standard",
    parameters=_PARAMETERS,
    prices=PriceList(lines=(Price(8, per_s_of="audio"),), as_of=AS_OF, source=PRICE_PAGES),
    advisories=_ADVISORIES,
    usual_s=USUAL_S,
    source=PAGE,
)
PRO = ModelSpec(
    name="kling/ai-avatar-pro",
    title="Kling avatar, pro",
    parameters=_PARAMETERS,
    prices=PriceList(lines=(Price(16, per_s_of="audio"),), as_of=AS_OF, source=PRICE_PAGES),
    advisories=_ADVISORIES,
    usual_s=USUAL_S,
    source=PAGE,
)
