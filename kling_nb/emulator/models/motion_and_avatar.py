"""Motion control and avatars: models whose clip is as long as a video or a sound that is given.

Source: documentation (D), crawl of 2026-08; prices: three independent captures (C), 2026-03 to
2026-10, for a second. That a second which has begun counts whole is this emulator's choice.
"""

from __future__ import annotations

from .fields import Address, Addresses, Choice, Footage, HostedModel, Picture, Price, Speech, Text

__all__ = ["AVATARS", "MOTION_CONTROL"]

MEGABYTE = 1024 * 1024
ORIENTATION = Choice(("image", "video"))
SIZE = Choice(("720p", "1080p"))
FACING_AS_IN_PICTURE = ("character_orientation", "image", 10.0)

MOTION_CONTROL = {
    "kling-2.6/motion-control": HostedModel(
        required={
            "input_urls": Addresses(
                Picture(("JPEG", "PNG"), 10 * MEGABYTE, over_px=300, ratio=(2 / 5, 5 / 2))
            ),
            "video_urls": Addresses(
                Footage(100 * MEGABYTE, least_s=3, most_s=30, most_s_when=FACING_AS_IN_PICTURE)
            ),
            "character_orientation": ORIENTATION,
            "mode": SIZE,
        },
        optional={"prompt": Text(2500)},
        per_s=True,
        prices=(Price(11, {"mode": "720p"}), Price(18, {"mode": "1080p"})),
        lasts_as="video_urls",
    ),
    # `mode` is 720p or 1080p; std and pro are answered with 500. Source: C, 2026-10.
    "kling-3.0/motion-control": HostedModel(
        required={
            "input_urls": Addresses(Picture(), most=None),
            "video_urls": Addresses(
                Footage(most_s=30, most_s_when=FACING_AS_IN_PICTURE), most=None
            ),
        },
        optional={
            "mode": SIZE,
            "character_orientation": ORIENTATION,
            "background_source": Choice(("input_video", "input_image")),
            "prompt": Text(2500),
        },
        per_s=True,
        defaults={"mode": "720p"},
        prices=(Price(20, {"mode": "720p"}), Price(27, {"mode": "1080p"})),
        lasts_as="video_urls",
    ),
}


AVATARS = {
    name: HostedModel(
        required={
            "image_url": Address(Picture(("JPEG", "PNG"), 10 * MEGABYTE)),
            "audio_url": Address(Speech(100 * MEGABYTE, most_s=300)),
            "prompt": Text(5000),
        },
        per_s=True,
        prices=(price,),
        lasts_as="audio_url",
        speaks=True,
    )
    for name, price in (
        ("kling/ai-avatar-standard", Price(8)),
        ("kling/ai-avatar-pro", Price(16)),
    )
}
