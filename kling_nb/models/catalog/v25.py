"""Kling 2.5 turbo. Data only."""

from __future__ import annotations

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

__all__ = ["TURBO_IMAGE", "TURBO_TEXT"]

_PRICES = PriceList(
    lines=(Price(42, {"duration": "5"}), Price(84, {"duration": "10"})),
    as_of=AS_OF,
    source=PRICE_PAGES,
)

TURBO_IMAGE = ModelSpec(
    name="kling/v2-5-turbo-image-to-video-pro",
    title="Kling 2.5 turbo pro, image to video",
    parameters=(PROMPT, ONE_PICTURE, LAST_PICTURE, TWO_LENGTHS, NEGATIVE_PROMPT, CFG_SCALE),
    prices=_PRICES,
    advisories=(FRAME_ADVISORY, LAST_FRAME_ADVISORY),
    usual_s=USUAL_S,
    source=PAGE,
)
TURBO_TEXT = ModelSpec(
    name="kling/v2-5-turbo-text-to-video-pro",
    title="Kling 2.5 turbo pro, text to video",
    parameters=(PROMPT, TWO_LENGTHS, ASPECT_RATIO, NEGATIVE_PROMPT, CFG_SCALE),
    prices=_PRICES,
    usual_s=USUAL_S,
    source=f"{PAGE}; it lists no shapes: those of 2.6",
)
