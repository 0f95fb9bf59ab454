"""Motion control and avatars: the clip has the duration of a video or audio input.

Source: documentation (D), crawl of 2026-08; prices per second: three independent captures (C),
2026-03 to 2026-10. Billing a started second whole is this emulator's choice.
"""

from __future__ import annotations

from .fields import AudioFile, Choice, HostedModel, ImageFile, Price, Text, Url, UrlList, VideoFile

_MEGABYTE = 1024 * 1024
_ORIENTATION = Choice(("image", "video"))
_SIZE = Choice(("720p", "1080p"))
_LIMIT_FOR_IMAGE = ("character_orientation", "image", 10.0)

MOTION_CONTROL = {
    "kling-2.6/motion-control": HostedModel(
        required={
            "input_urls": UrlList(
                ImageFile(("JPEG", "PNG"), 10 * _MEGABYTE, over_px=300, ratio=(2 / 5, 5 / 2))
            ),
            "video_urls": UrlList(
                VideoFile(100 * _MEGABYTE, least_s=3, most_s=30, most_s_when=_LIMIT_FOR_IMAGE)
            ),
            "character_orientation": _ORIENTATION,
            "mode": _SIZE,
        },
        optional={"prompt": Text(2500)},
        per_s=True,
        prices=(Price(11, {"mode": "720p"}), Price(18, {"mode": "1080p"})),
        lasts_as="video_urls",
    ),
    # `mode` is 720p or 1080p; the service answers std and pro with 500. Source: C, 2026-10.
    "kling-3.0/motion-control": HostedModel(
        required={
            "input_urls": UrlList(ImageFile(), most=None),
            "video_urls": UrlList(VideoFile(most_s=30, most_s_when=_LIMIT_FOR_IMAGE), most=None),
        },
        optional={
            "mode": _SIZE,
            "character_orientation": _ORIENTATION,
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
            "image_url": Url(ImageFile(("JPEG", "PNG"), 10 * _MEGABYTE)),
            "audio_url": Url(AudioFile(100 * _MEGABYTE, most_s=300)),
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
