"""Kling 3.0 and 3.0 turbo.

Source: documentation (D), crawl of 2026-08; prices: three independent captures (C), 2026-03 to
2026-10, for a second; they name 720p, 1080p and 4K, read here as std, pro and 4K. Literals only.
"""

from __future__ import annotations

from .fields import (
    Addresses,
    AtMostBeside,
    Choice,
    Flag,
    Footage,
    Integer,
    NeededWhen,
    NeededWithout,
    Picture,
    Records,
    Speech,
    Text,
)
from .hosted import HostedModel, Price

__all__ = ["KLING_3", "TIMED"]

LENGTH = Choice(tuple(str(seconds) for seconds in range(3, 16)))
SHAPE = Choice(("16:9", "9:16", "1:1"))
SIZE = Choice(("720p", "1080p"))
SHOTS = Records({"prompt": Text(500), "duration": Integer(1, 12)}, most=5)
# Source: D, 2026-08-19. A single URL is that of a video; no limit of it is named.
TIMED: dict[str, Integer | Addresses] = {
    "element_input_audio_urls": Addresses(Speech(), most=None),
    "start_time": Integer(0, 600_000),
    "end_time": Integer(0, 600_000),
}
ELEMENTS = Records(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": Addresses(Picture(), least=2, most=4, alone=Footage()),
    },
    most=3,
    optional=TIMED,
)
TURBO_FRAME = Picture(("JPEG", "PNG"))
TURBO_PRICES = (Price(18, {"resolution": "720p"}), Price(22.5, {"resolution": "1080p"}))

KLING_3 = {
    "kling-3.0/video": HostedModel(
        required={
            "sound": Flag(),
            "duration": LENGTH,
            "mode": Choice(("std", "pro", "4K")),
            "multi_shots": Flag(),
        },
        optional={
            "prompt": Text(),
            "multi_prompt": SHOTS,
            "image_urls": Addresses(Picture(), most=2),
            "aspect_ratio": SHAPE,
            "kling_elements": ELEMENTS,
        },
        rules=(
            NeededWhen("prompt", "multi_shots", stands=False),
            NeededWhen("multi_prompt", "multi_shots", stands=True),
            NeededWithout("aspect_ratio", "image_urls"),
            # Source: D, 2026-08-19.
            AtMostBeside("image_urls", 1, "multi_shots"),
        ),
        per_s=True,
        prices=(
            Price(67, {"mode": "4K"}),
            Price(14, {"mode": "std", "sound": False}),
            Price(20, {"mode": "std", "sound": True}),
            Price(18, {"mode": "pro", "sound": False}),
            Price(27, {"mode": "pro", "sound": True}),
        ),
    ),
    "kling/v3-turbo-text-to-video": HostedModel(
        required={
            "prompt": Text(2500),
            "duration": LENGTH,
            "aspect_ratio": SHAPE,
            "resolution": SIZE,
        },
        per_s=True,
        prices=TURBO_PRICES,
    ),
    "kling/v3-turbo-image-to-video": HostedModel(
        required={
            "prompt": Text(2500),
            "image_urls": Addresses(TURBO_FRAME, most=None),
            "duration": LENGTH,
            "resolution": SIZE,
        },
        per_s=True,
        prices=TURBO_PRICES,
    ),
}
