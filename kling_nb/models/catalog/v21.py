"""Kling 2.1 in its three grades. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.kinds import Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.spec import ModelSpec

from .shared_parameters import (
    AS_OF,
    ASPECT_RATIO,
    CFG_SCALE,
    FRAME_ADVISORY,
    LAST_FRAME_ADVISORY,
    LAST_PICTURE,
    NEGATIVE_PROMPT,
    ONE_PICTURE,
    PAGE,
    PRICE_PAGES,
    PROMPT,
    TWO_LENGTHS,
    USUAL_S,
)

__all__ = ["MASTER_IMAGE", "MASTER_TEXT", "PRO", "STANDARD"]

_LONG_PROMPT = replace(PROMPT, kind=Text(max_chars=5000))
_FROM_PICTURE = (_LONG_PROMPT, ONE_PICTURE, TWO_LENGTHS, NEGATIVE_PROMPT, CFG_SCALE)
_PRICES_MASTER = PriceList(
    lines=(Price(160, {"duration": "5"}), Price(320, {"duration": "10"})),
    as_of=AS_OF,
    source=PRICE_PAGES,
)

MASTER_IMAGE = ModelSpec(
    name="kling/v2-1-master-image-to-video",
    title="Kling 2.1 master, image to video",
    parameters=_FROM_PICTURE,
    prices=_PRICES_MASTER,
    advisories=(FRAME_ADVISORY,),
    usual_s=USUAL_S,
    source=PAGE,
)
MASTER_TEXT = ModelSpec(
    name="kling/v2-1-master-text-to-video",
    title="Kling 2.1 master, text to video",
    parameters=(_LONG_PROMPT, TWO_LENGTHS, ASPECT_RATIO, NEGATIVE_PROMPT, CFG_SCALE),
    prices=_PRICES_MASTER,
    usual_s=USUAL_S,
    source=PAGE,
)
PRO = ModelSpec(
    name="kling/v2-1-pro",
    title="Kling 2.1 pro, image to video",
    parameters=(
        _LONG_PROMPT,
        ONE_PICTURE,
        LAST_PICTURE,
        TWO_LENGTHS,
        NEGATIVE_PROMPT,
        CFG_SCALE,
    ),
    prices=PriceList(
        lines=(Price(50, {"duration": "5"}), Price(100, {"duration": "10"})),
        as_of=AS_OF,
        source=PRICE_PAGES,
    ),
    advisories=(FRAME_ADVISORY, LAST_FRAME_ADVISORY),
    usual_s=USUAL_S,
    source=PAGE,
)
STANDARD = ModelSpec(
    name="kling/v2-1-standard",
    title="Kling 2.1 standard, image to video",
    parameters=_FROM_PICTURE,
    prices=PriceList(
        lines=(Price(25, {"duration": "5"}), Price(50, {"duration": "10"})),
        as_of=AS_OF,
        source=PRICE_PAGES,
    ),
    advisories=(FRAME_ADVISORY,),
    usual_s=USUAL_S,
    source=PAGE,
)
