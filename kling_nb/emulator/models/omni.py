"""Kling 3.0 omni. Source: documentation (D), crawl of 2026-08; three of the four less sure.

`customize_multi_shots` is true where it is not sent (D), and asks for `multi_prompt` then; the
prompt is required either way (D). Prices: three independent captures (C), 2026-03 to 2026-10, for
a second.
"""

from __future__ import annotations

from kling_nb.emulator.fields import (
    Addresses,
    Choice,
    Flag,
    Footage,
    Integer,
    Kind,
    NeededWhen,
    Picture,
    Text,
)
from kling_nb.emulator.models.hosted import HostedModel, Price
from kling_nb.emulator.models.kling3 import SHOTS

__all__ = ["OMNI"]

FRAME = Picture(max_bytes=50 * 1024 * 1024)
OPEN_SHAPE = Choice(("auto", "16:9", "9:16", "1:1"))
PROMPT = Text(3072)
COMMON: dict[str, Kind] = {
    "duration": Integer(3, 15),
    "resolution": Choice(("720p", "1080p", "4k")),
    "audio": Flag(),
    "customize_multi_shots": Flag(),
    "multi_prompt": SHOTS,
    "prefer_multi_shots": Flag(),
}
TOLD = (NeededWhen("multi_prompt", "customize_multi_shots", stands=True, default=True),)
DEFAULTS = {"resolution": "720p", "audio": False}
PRICES = (
    Price(67, {"resolution": "4k"}),
    Price(14, {"resolution": "720p", "audio": False}),
    Price(18, {"resolution": "1080p", "audio": False}),
    Price(18, {"resolution": "720p", "audio": True}),
    Price(23, {"resolution": "1080p", "audio": True}),
)

OMNI = {
    "kling-3.0-omni/text-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={**COMMON, "aspect_ratio": Choice(("16:9", "9:16", "1:1"))},
        rules=TOLD,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/image-to-video": HostedModel(
        required={"prompt": PROMPT, "image_urls": Addresses(FRAME, most=2)},
        optional={**COMMON, "aspect_ratio": OPEN_SHAPE},
        rules=TOLD,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/reference-to-video": HostedModel(
        required={"prompt": PROMPT, "image_urls": Addresses(FRAME, most=7)},
        optional={
            **COMMON,
            "aspect_ratio": OPEN_SHAPE,
            "video_urls": Addresses(Footage()),
        },
        rules=TOLD,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    # Nothing is known of its shots; that its clip is as long as its video is a reading.
    "kling-3.0-omni/transformation": HostedModel(
        required={"prompt": PROMPT, "video_urls": Addresses(Footage())},
        optional={**COMMON, "aspect_ratio": OPEN_SHAPE, "image_urls": Addresses(FRAME, most=4)},
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
        lasts_as="video_urls",
    ),
}
