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

_LENGTH = Choice(tuple(str(seconds) for seconds in range(3, 16)))
_RATIO = Choice(("16:9", "9:16", "1:1"))
_SIZE = Choice(("720p", "1080p"))
SHOTS = ObjectList({"prompt": Text(500), "duration": Integer(1, 12)}, most=5)
# Source: D, 2026-08-19. A single URL is a video; the page names no limit for it.
_TIMED: dict[str, Integer | UrlList] = {
    "element_input_audio_urls": UrlList(AudioFile(), most=None),
    "start_time": Integer(0, 600_000),
    "end_time": Integer(0, 600_000),
}
_ELEMENTS = ObjectList(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": UrlList(ImageFile(), least=2, most=4, alone=VideoFile()),
    },
    most=3,
    optional=_TIMED,
)
_TURBO_FRAME = ImageFile(("JPEG", "PNG"))
_TURBO_PRICES = (Price(18, {"resolution": "720p"}), Price(22.5, {"resolution": "1080p"}))

KLING_3 = {
    "kling-3.0/video": HostedModel(
        required={
            "sound": Flag(),
            "duration": _LENGTH,
            "mode": Choice(("std", "pro", "4K")),
            "multi_shots": Flag(),
        },
        optional={
            "prompt": Text(),
            "multi_prompt": SHOTS,
            "image_urls": UrlList(ImageFile(), most=2),
            "aspect_ratio": _RATIO,
            "kling_elements": _ELEMENTS,
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
            "duration": _LENGTH,
            "aspect_ratio": _RATIO,
            "resolution": _SIZE,
        },
        per_s=True,
        prices=_TURBO_PRICES,
    ),
    "kling/v3-turbo-image-to-video": HostedModel(
        required={
            "prompt": Text(2500),
            "image_urls": UrlList(_TURBO_FRAME, most=None),
            "duration": _LENGTH,
            "resolution": _SIZE,
        },
        per_s=True,
        prices=_TURBO_PRICES,
    ),
}


_MEGABYTE = 1024 * 1024
_FRAME = ImageFile(("JPEG", "PNG"), 50 * _MEGABYTE, least_px=300, ratio=(2 / 5, 5 / 2))
_VIDEO = VideoFile(
    200 * _MEGABYTE,
    least_s=3,
    most_s=15.5,
    sides_px=(700, 4553),
    area_px=8_294_400,
    ratio=(2 / 5, 2),
    rate=(24, 60),
)
_OMNI_SHOTS = ObjectList({"prompt": Text(512), "duration": Integer(1, 15)}, most=6)
_OMNI_ELEMENTS = ObjectList(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": UrlList(_FRAME, least=2, most=4, alone=_VIDEO),
    },
    most=None,
    optional=_TIMED,
)
_ANY_RATIO = Choice(("auto", "16:9", "9:16", "1:1"))
_RATIOS = ("16:9", "9:16", "1:1")
PROMPT = Text(3072)
_COMMON: dict[str, FieldKind] = {
    "duration": Integer(3, 15),
    "resolution": Choice(("720p", "1080p", "4k")),
    "audio": Flag(),
    "customize_multi_shots": Flag(),
    "multi_prompt": _OMNI_SHOTS,
    "prefer_multi_shots": Flag(),
    "elements": _OMNI_ELEMENTS,
}
_NEEDS_SHOTS = RequiredWhen("multi_prompt", "customize_multi_shots", value=True, default=True)
_MULTI_SHOT = ("multi_prompt", "customize_multi_shots", "prefer_multi_shots")
_ONLY_VIDEO = RequestForm(has=("video_urls",), lacks=("image_urls",))
_WITH_VIDEO = RequestForm(has=("video_urls",))
_WITH_IMAGES = RequestForm(has=("image_urls",))
_ONE_FRAME = RequestForm(lacks=("multi_prompt",), single="image_urls")
_IMAGE_RULES: tuple[Rule, ...] = (
    _NEEDS_SHOTS,
    AtMostWith("image_urls", 1, "multi_prompt"),
    OnlyInForm(
        "aspect_ratio", ("auto",), RequestForm(lacks=("multi_prompt",), single="image_urls")
    ),
    NotTogether("prefer_multi_shots", "customize_multi_shots"),
)
_REFERENCE_RULES: tuple[Rule, ...] = (
    RequiredWhen(
        "multi_prompt", "customize_multi_shots", value=True, default=True, without="video_urls"
    ),
    RequiredWithout("image_urls", "video_urls"),
    AtMostWith("image_urls", 4, "video_urls"),
    OnlyInForm("aspect_ratio", _RATIOS, _WITH_IMAGES),
    OnlyInForm("aspect_ratio", ("auto",), _ONLY_VIDEO),
    OnlyInForm("audio", (False,), _WITH_VIDEO),
    NotInForm(("duration",), _ONLY_VIDEO),
    NotInForm(_MULTI_SHOT, _WITH_VIDEO),
)
_VIDEO_RULES: tuple[Rule, ...] = (
    OnlyInForm("aspect_ratio", ("auto",), RequestForm(lacks=("image_urls",))),
    OnlyInForm("aspect_ratio", _RATIOS, _WITH_IMAGES),
)
_DEFAULTS = {"resolution": "720p", "audio": False}
_PRICES = (
    Price(67, {"resolution": "4k"}),
    Price(14, {"resolution": "720p", "audio": False}),
    Price(18, {"resolution": "1080p", "audio": False}),
    Price(18, {"resolution": "720p", "audio": True}),
    Price(23, {"resolution": "1080p", "audio": True}),
)
_PRICES_WITH_VIDEO = (
    Price(20, {"resolution": "720p"}, beside="video_urls"),
    Price(27, {"resolution": "1080p"}, beside="video_urls"),
    Price(67, {"resolution": "4k"}, beside="video_urls"),
)

OMNI = {
    "kling-3.0-omni/text-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={**_COMMON, "aspect_ratio": Choice(_RATIOS)},
        rules=(_NEEDS_SHOTS,),
        per_s=True,
        defaults=_DEFAULTS,
        prices=_PRICES,
    ),
    "kling-3.0-omni/image-to-video": HostedModel(
        required={"prompt": PROMPT, "image_urls": UrlList(_FRAME, most=2)},
        optional={**_COMMON, "aspect_ratio": _ANY_RATIO},
        rules=_IMAGE_RULES,
        per_s=True,
        defaults=_DEFAULTS,
        prices=_PRICES,
    ),
    "kling-3.0-omni/reference-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={
            **_COMMON,
            "image_urls": UrlList(_FRAME, most=7),
            "aspect_ratio": _ANY_RATIO,
            "video_urls": UrlList(_VIDEO),
        },
        rules=_REFERENCE_RULES,
        per_s=True,
        defaults=_DEFAULTS,
        prices=(*_PRICES_WITH_VIDEO, *_PRICES),
        may_last_as="video_urls",
    ),
    # Its shots are unknown; that its clip has the duration of its video is a reading.
    "kling-3.0-omni/transformation": HostedModel(
        required={"prompt": PROMPT, "video_urls": UrlList(_VIDEO)},
        optional={**_COMMON, "aspect_ratio": _ANY_RATIO, "image_urls": UrlList(_FRAME, most=4)},
        rules=_VIDEO_RULES,
        per_s=True,
        defaults=_DEFAULTS,
        prices=_PRICES_WITH_VIDEO,
        lasts_as="video_urls",
    ),
}
