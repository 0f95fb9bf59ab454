"""Kling 3.0, 3.0 turbo and 3.0 omni.

Source: documentation (D), crawl of 2026-08; prices per second: three independent captures (C),
2026-03 to 2026-10; they name 720p, 1080p and 4K, read here as std, pro and 4K.

Omni: documentation (D), crawl of 2026-08-19; the catalogue is the same (D). The default of
`customize_multi_shots` is true (D), which requires `multi_prompt`; the prompt is always required
(D). Prices with a video: recorded traffic (L), 2026-08-20. A megabyte is read as 1,048,576 bytes.
"""

from __future__ import annotations

from .fields import (
    AtMostWith,
    AudioFile,
    Choice,
    FieldKind,
    Flag,
    HostedModel,
    ImageFile,
    Integer,
    NotInForm,
    NotTogether,
    ObjectList,
    OnlyInForm,
    Price,
    RequestForm,
    RequiredWhen,
    RequiredWithout,
    Rule,
    Text,
    UrlList,
    VideoFile,
)

__all__ = [
    "KLING_3",
    "OMNI",
    "TIMED",
]

LENGTH = Choice(tuple(str(seconds) for seconds in range(3, 16)))
RATIO = Choice(("16:9", "9:16", "1:1"))
SIZE = Choice(("720p", "1080p"))
SHOTS = ObjectList({"prompt": Text(500), "duration": Integer(1, 12)}, most=5)
# Source: D, 2026-08-19. A single URL is a video; the page names no limit for it.
TIMED: dict[str, Integer | UrlList] = {
    "element_input_audio_urls": UrlList(AudioFile(), most=None),
    "start_time": Integer(0, 600_000),
    "end_time": Integer(0, 600_000),
}
ELEMENTS = ObjectList(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": UrlList(ImageFile(), least=2, most=4, alone=VideoFile()),
    },
    most=3,
    optional=TIMED,
)
TURBO_FRAME = ImageFile(("JPEG", "PNG"))
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
            "image_urls": UrlList(ImageFile(), most=2),
            "aspect_ratio": RATIO,
            "kling_elements": ELEMENTS,
        },
        rules=(
            RequiredWhen("prompt", "multi_shots", value=False),
            RequiredWhen("multi_prompt", "multi_shots", value=True),
            RequiredWithout("aspect_ratio", "image_urls"),
            # Source: D, 2026-08-19.
            AtMostWith("image_urls", 1, "multi_shots"),
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
            "aspect_ratio": RATIO,
            "resolution": SIZE,
        },
        per_s=True,
        prices=TURBO_PRICES,
    ),
    "kling/v3-turbo-image-to-video": HostedModel(
        required={
            "prompt": Text(2500),
            "image_urls": UrlList(TURBO_FRAME, most=None),
            "duration": LENGTH,
            "resolution": SIZE,
        },
        per_s=True,
        prices=TURBO_PRICES,
    ),
}


MEGABYTE = 1024 * 1024
FRAME = ImageFile(("JPEG", "PNG"), 50 * MEGABYTE, least_px=300, ratio=(2 / 5, 5 / 2))
VIDEO = VideoFile(
    200 * MEGABYTE,
    least_s=3,
    most_s=15.5,
    sides_px=(700, 4553),
    area_px=8_294_400,
    ratio=(2 / 5, 2),
    rate=(24, 60),
)
OMNI_SHOTS = ObjectList({"prompt": Text(512), "duration": Integer(1, 15)}, most=6)
OMNI_ELEMENTS = ObjectList(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": UrlList(FRAME, least=2, most=4, alone=VIDEO),
    },
    most=None,
    optional=TIMED,
)
ANY_RATIO = Choice(("auto", "16:9", "9:16", "1:1"))
RATIOS = ("16:9", "9:16", "1:1")
PROMPT = Text(3072)
COMMON: dict[str, FieldKind] = {
    "duration": Integer(3, 15),
    "resolution": Choice(("720p", "1080p", "4k")),
    "audio": Flag(),
    "customize_multi_shots": Flag(),
    "multi_prompt": OMNI_SHOTS,
    "prefer_multi_shots": Flag(),
    "elements": OMNI_ELEMENTS,
}
NEEDS_SHOTS = RequiredWhen("multi_prompt", "customize_multi_shots", value=True, default=True)
MULTI_SHOT = ("multi_prompt", "customize_multi_shots", "prefer_multi_shots")
ONLY_VIDEO = RequestForm(has=("video_urls",), lacks=("image_urls",))
WITH_VIDEO = RequestForm(has=("video_urls",))
WITH_IMAGES = RequestForm(has=("image_urls",))
ONE_FRAME = RequestForm(lacks=("multi_prompt",), single="image_urls")
IMAGE_RULES: tuple[Rule, ...] = (
    NEEDS_SHOTS,
    AtMostWith("image_urls", 1, "multi_prompt"),
    OnlyInForm(
        "aspect_ratio", ("auto",), RequestForm(lacks=("multi_prompt",), single="image_urls")
    ),
    NotTogether("prefer_multi_shots", "customize_multi_shots"),
)
REFERENCE_RULES: tuple[Rule, ...] = (
    RequiredWhen(
        "multi_prompt", "customize_multi_shots", value=True, default=True, without="video_urls"
    ),
    RequiredWithout("image_urls", "video_urls"),
    AtMostWith("image_urls", 4, "video_urls"),
    OnlyInForm("aspect_ratio", RATIOS, WITH_IMAGES),
    OnlyInForm("aspect_ratio", ("auto",), ONLY_VIDEO),
    OnlyInForm("audio", (False,), WITH_VIDEO),
    NotInForm(("duration",), ONLY_VIDEO),
    NotInForm(MULTI_SHOT, WITH_VIDEO),
)
VIDEO_RULES: tuple[Rule, ...] = (
    OnlyInForm("aspect_ratio", ("auto",), RequestForm(lacks=("image_urls",))),
    OnlyInForm("aspect_ratio", RATIOS, WITH_IMAGES),
)
DEFAULTS = {"resolution": "720p", "audio": False}
PRICES = (
    Price(67, {"resolution": "4k"}),
    Price(14, {"resolution": "720p", "audio": False}),
    Price(18, {"resolution": "1080p", "audio": False}),
    Price(18, {"resolution": "720p", "audio": True}),
    Price(23, {"resolution": "1080p", "audio": True}),
)
PRICES_WITH_VIDEO = (
    Price(20, {"resolution": "720p"}, beside="video_urls"),
    Price(27, {"resolution": "1080p"}, beside="video_urls"),
    Price(67, {"resolution": "4k"}, beside="video_urls"),
)

OMNI = {
    "kling-3.0-omni/text-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={**COMMON, "aspect_ratio": Choice(RATIOS)},
        rules=(NEEDS_SHOTS,),
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/image-to-video": HostedModel(
        required={"prompt": PROMPT, "image_urls": UrlList(FRAME, most=2)},
        optional={**COMMON, "aspect_ratio": ANY_RATIO},
        rules=IMAGE_RULES,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/reference-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={
            **COMMON,
            "image_urls": UrlList(FRAME, most=7),
            "aspect_ratio": ANY_RATIO,
            "video_urls": UrlList(VIDEO),
        },
        rules=REFERENCE_RULES,
        per_s=True,
        defaults=DEFAULTS,
        prices=(*PRICES_WITH_VIDEO, *PRICES),
        may_last_as="video_urls",
    ),
    # Its shots are unknown; that its clip has the duration of its video is a reading.
    "kling-3.0-omni/transformation": HostedModel(
        required={"prompt": PROMPT, "video_urls": UrlList(VIDEO)},
        optional={**COMMON, "aspect_ratio": ANY_RATIO, "image_urls": UrlList(FRAME, most=4)},
        rules=VIDEO_RULES,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES_WITH_VIDEO,
        lasts_as="video_urls",
    ),
}
