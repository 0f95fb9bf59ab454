"""Kling 2.6, 2.5 turbo and 2.1.

Source: documentation (D), crawl of 2026-08, unless a line has another; prices per clip: three
independent captures (C), 2026-03 to 2026-10; 1 credit is $0.005.
"""

from __future__ import annotations

from .fields import (
    Choice,
    FieldKind,
    Flag,
    HostedModel,
    ImageFile,
    Number,
    Price,
    Text,
    Url,
    UrlList,
)

_MEGABYTE = 1024 * 1024
_LENGTH = Choice(("5", "10"))
_RATIO = Choice(("1:1", "16:9", "9:16"))

_PRICES_2_6 = (
    Price(55, {"duration": "5", "sound": False}),
    Price(110, {"duration": "10", "sound": False}),
    Price(110, {"duration": "5", "sound": True}),
    Price(220, {"duration": "10", "sound": True}),
)
KLING_2_6 = {
    # Source: specification (prompt limit, one image), C (the answer to a missing image).
    "kling-2.6/image-to-video": HostedModel(
        required={
            "prompt": Text(1000),
            "image_urls": UrlList(
                ImageFile(max_bytes=10 * _MEGABYTE),
                when_missing=(422, "aspect_ratio is required for text-to-video"),
            ),
            "sound": Flag(),
            "duration": _LENGTH,
        },
        prices=_PRICES_2_6,
    ),
    "kling-2.6/text-to-video": HostedModel(
        required={
            "prompt": Text(1000),
            "sound": Flag(),
            "aspect_ratio": _RATIO,
            "duration": _LENGTH,
        },
        prices=_PRICES_2_6,
    ),
}

_OPTIONAL: dict[str, FieldKind] = {
    "duration": _LENGTH,
    "negative_prompt": Text(500),
    "cfg_scale": Number(0, 1, 0.1),
}
# JPEG or PNG only. Source: D, 2026-08-19.
_FRAME = Url(ImageFile(("JPEG", "PNG")))
_FIVE_S = {"duration": "5"}
_PRICES_2_5 = (Price(42, {"duration": "5"}), Price(84, {"duration": "10"}))
KLING_2_5 = {
    "kling/v2-5-turbo-image-to-video-pro": HostedModel(
        required={"prompt": Text(2500), "image_url": _FRAME},
        optional={"tail_image_url": _FRAME, **_OPTIONAL},
        defaults=_FIVE_S,
        prices=_PRICES_2_5,
    ),
    "kling/v2-5-turbo-text-to-video-pro": HostedModel(
        required={"prompt": Text(2500)},
        optional={"aspect_ratio": _RATIO, **_OPTIONAL},
        defaults=_FIVE_S,
        prices=_PRICES_2_5,
    ),
}

_MASTER_PRICES = (Price(160, {"duration": "5"}), Price(320, {"duration": "10"}))
KLING_2_1 = {
    "kling/v2-1-master-image-to-video": HostedModel(
        required={"prompt": Text(5000), "image_url": _FRAME},
        optional=_OPTIONAL,
        defaults=_FIVE_S,
        prices=_MASTER_PRICES,
    ),
    "kling/v2-1-master-text-to-video": HostedModel(
        required={"prompt": Text(5000)},
        optional={"aspect_ratio": _RATIO, **_OPTIONAL},
        defaults=_FIVE_S,
        prices=_MASTER_PRICES,
    ),
    "kling/v2-1-pro": HostedModel(
        required={"prompt": Text(5000), "image_url": _FRAME},
        optional={"tail_image_url": _FRAME, **_OPTIONAL},
        defaults=_FIVE_S,
        prices=(Price(50, {"duration": "5"}), Price(100, {"duration": "10"})),
    ),
    "kling/v2-1-standard": HostedModel(
        required={"prompt": Text(5000), "image_url": _FRAME},
        optional=_OPTIONAL,
        defaults=_FIVE_S,
        prices=(Price(25, {"duration": "5"}), Price(50, {"duration": "10"})),
    ),
}
