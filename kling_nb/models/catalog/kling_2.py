"""Kling 2.6, 2.5 turbo and 2.1. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.parameters import Text
from kling_nb.models.prices import Price
from kling_nb.models.spec import ModelSpec

from .shared_parameters import (
    ASPECT_RATIO,
    CFG_SCALE,
    FIRST_FRAME,
    FRAME_ADVISORY,
    LAST_FRAME_ADVISORY,
    LAST_PICTURE,
    NEGATIVE_PROMPT,
    ONE_PICTURE,
    PAGE,
    PROMPT,
    SHORT_PROMPT,
    SOUND,
    TWO_LENGTHS,
    USUAL_S,
    price_list,
)

_SOUND = replace(SOUND, help="a clip with sound; costs twice as much")
_PRICES = price_list(
    Price(55, {"duration": "5", "sound": False}),
    Price(110, {"duration": "10", "sound": False}),
    Price(110, {"duration": "5", "sound": True}),
    Price(220, {"duration": "10", "sound": True}),
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


_TURBO_PRICES = price_list(Price(42, {"duration": "5"}), Price(84, {"duration": "10"}))

TURBO_IMAGE = ModelSpec(
    name="kling/v2-5-turbo-image-to-video-pro",
    title="Kling 2.5 turbo pro, image to video",
    parameters=(PROMPT, ONE_PICTURE, LAST_PICTURE, TWO_LENGTHS, NEGATIVE_PROMPT, CFG_SCALE),
    prices=_TURBO_PRICES,
    advisories=(FRAME_ADVISORY, LAST_FRAME_ADVISORY),
    usual_s=USUAL_S,
    source=PAGE,
)
TURBO_TEXT = ModelSpec(
    name="kling/v2-5-turbo-text-to-video-pro",
    title="Kling 2.5 turbo pro, text to video",
    parameters=(PROMPT, TWO_LENGTHS, ASPECT_RATIO, NEGATIVE_PROMPT, CFG_SCALE),
    prices=_TURBO_PRICES,
    usual_s=USUAL_S,
    source=f"{PAGE}; it lists no aspect ratios, so those of 2.6 are used",
)


_LONG_PROMPT = replace(PROMPT, kind=Text(max_chars=5000))
_FROM_PICTURE = (_LONG_PROMPT, ONE_PICTURE, TWO_LENGTHS, NEGATIVE_PROMPT, CFG_SCALE)
_PRICES_MASTER = price_list(Price(160, {"duration": "5"}), Price(320, {"duration": "10"}))

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
    parameters=(_LONG_PROMPT, ONE_PICTURE, LAST_PICTURE, TWO_LENGTHS, NEGATIVE_PROMPT, CFG_SCALE),
    prices=price_list(Price(50, {"duration": "5"}), Price(100, {"duration": "10"})),
    advisories=(FRAME_ADVISORY, LAST_FRAME_ADVISORY),
    usual_s=USUAL_S,
    source=PAGE,
)
STANDARD = ModelSpec(
    name="kling/v2-1-standard",
    title="Kling 2.1 standard, image to video",
    parameters=_FROM_PICTURE,
    prices=price_list(Price(25, {"duration": "5"}), Price(50, {"duration": "10"})),
    advisories=(FRAME_ADVISORY,),
    usual_s=USUAL_S,
    source=PAGE,
)
