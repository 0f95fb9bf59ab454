"""Kling 3.0 and its turbo. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.conditions import When
from kling_nb.models.implied import Filled, Summed, Told
from kling_nb.models.kinds import Choice, Media
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.rules import AtMost, NeededWithout, SumOf
from kling_nb.models.spec import ModelSpec, Parameter

from .shared_parameters import (
    AS_OF,
    ASPECT_RATIO,
    ELEMENTS,
    FIRST_FRAME,
    FRAME_ADVISORY,
    JPEG_OR_PNG,
    LENGTH,
    PAGE,
    PICTURE_FORMATS,
    PRICE_PAGES,
    PROMPT,
    RESOLUTION,
    SHOTS,
    SOUND,
    USUAL_S,
)

__all__ = ["TURBO_IMAGE", "TURBO_TEXT", "VIDEO"]

VIDEO = ModelSpec(
    name="kling-3.0/video",
    title="Kling 3.0",
    parameters=(
        replace(PROMPT, required=False),
        Parameter(
            name="image",
            sent_as="image_urls",
            kind=Media(PICTURE_FORMATS, max_bytes=10_000_000, max_count=2),
            help="the first frame, or first and last: path, URL, or the name of a variable",
            required=False,
            flag="i",
        ),
        LENGTH,
        SOUND,
        replace(
            ASPECT_RATIO,
            help="shape of the picture; an image has its own, and without one it is 16:9",
            default=None,
            required=False,
        ),
        Parameter(
            name="mode",
            kind=Choice(("std", "pro", "4K")),
            help="how fine the picture is; pro costs more, 4K much more",
            default="std",
        ),
        SHOTS,
        ELEMENTS,
    ),
    rules=(
        NeededWithout("prompt", "shots"),
        SumOf("duration", "shots", "duration"),
        AtMost("image", 1, When(given=("shots",))),
    ),
    implied=(
        Filled("aspect_ratio", "16:9", without="image"),
        Summed("duration", "shots", "duration"),
        Told("multi_shots", "shots"),
    ),
    prices=PriceList(
        lines=(
            Price(67, {"mode": "4K"}, per_s_of="duration"),
            Price(14, {"mode": "std", "sound": False}, per_s_of="duration"),
            Price(18, {"mode": "pro", "sound": False}, per_s_of="duration"),
            Price(20, {"mode": "std", "sound": True}, per_s_of="duration"),
            Price(27, {"mode": "pro", "sound": True}, per_s_of="duration"),
        ),
        as_of=AS_OF,
        source=f"{PRICE_PAGES}; they name 720p, 1080p and 4K, read as std, pro and 4K",
    ),
    advisories=(FRAME_ADVISORY,),
    # Recorded for 5 s: 127 to 188.
    usual_s=158.0,
    source=f"{PAGE}; it names no limit of the prompt: that of the other 3.0 models. Which length "
    "counts where duration and shots differ is not told: such a request is not sent",
    sureness="recorded",
)

_TURBO_FRAME = replace(FIRST_FRAME, kind=Media(JPEG_OR_PNG, max_bytes=10_000_000))
_PRICES_TURBO = PriceList(
    lines=(
        Price(18, {"resolution": "720p"}, per_s_of="duration"),
        Price(22.5, {"resolution": "1080p"}, per_s_of="duration"),
    ),
    as_of=AS_OF,
    source=PRICE_PAGES,
)
TURBO_IMAGE = ModelSpec(
    name="kling/v3-turbo-image-to-video",
    title="Kling 3.0 turbo, image to video",
    parameters=(PROMPT, _TURBO_FRAME, LENGTH, RESOLUTION),
    prices=_PRICES_TURBO,
    advisories=(FRAME_ADVISORY,),
    usual_s=USUAL_S,
    source=PAGE,
)
TURBO_TEXT = ModelSpec(
    name="kling/v3-turbo-text-to-video",
    title="Kling 3.0 turbo, text to video",
    parameters=(PROMPT, LENGTH, ASPECT_RATIO, RESOLUTION),
    prices=_PRICES_TURBO,
    usual_s=USUAL_S,
    source=PAGE,
)
