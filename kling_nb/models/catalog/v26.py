"""Kling 2.6, from a picture and from words alone. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.prices import Price, PriceList
from kling_nb.models.spec import ModelSpec

from .shared_parameters import (
    AS_OF,
    ASPECT_RATIO,
    FIRST_FRAME,
    FRAME_ADVISORY,
    PAGE,
    SHORT_PROMPT,
    SOUND,
    TWO_LENGTHS,
    USUAL_S,
)

__all__ = ["IMAGE_TO_VIDEO", "TEXT_TO_VIDEO"]

_SOUND = replace(SOUND, help="a clip with sound; costs twice as much")
_PRICES = PriceList(
    lines=(
        Price(55, {"duration": "5", "sound": False}),
        Price(110, {"duration": "10", "sound": False}),
        Price(110, {"duration": "5", "sound": True}),
        Price(220, {"duration": "10", "sound": True}),
    ),
    as_of=AS_OF,
    source="three independent captures of the price page, 2026-03 to 2026-10",
)

IMAGE_TO_VIDEO = ModelSpec(
    name="kling-2.6/image-to-video",
    title="Kling 2.6, image to video",
    parameters=(SHORT_PROMPT, FIRST_FRAME, TWO_LENGTHS, _SOUND),
    prices=_PRICES,
    advisories=(FRAME_ADVISORY,),
    usual_s=USUAL_S,
    source="the specification this project was asked to implement (prompt of at most 1000 "
    "characters; a newer copy of the page says 2500)",
)
TEXT_TO_VIDEO = ModelSpec(
    name="kling-2.6/text-to-video",
    title="Kling 2.6, text to video",
    parameters=(SHORT_PROMPT, TWO_LENGTHS, _SOUND, ASPECT_RATIO),
    prices=_PRICES,
    usual_s=USUAL_S,
    source=PAGE,
)
