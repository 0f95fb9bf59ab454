"""Kling 3.0, 3.0 turbo and 3.0 omni.

Source: documentation (D), crawl of 2026-08; prices: three independent captures (C), 2026-03 to
2026-10, for a second; they name 720p, 1080p and 4K, read here as std, pro and 4K. Literals only.

Omni: documentation (D), crawl of 2026-08-19; the catalogue is the same (D). `customize_multi_shots`
is true where it is not sent (D), and requires `multi_prompt` then; the prompt is required either
way (D). Prices with a video: recorded traffic (L), 2026-08-20. Limits in MB are read as the greater
unit.
"""

from __future__ import annotations

from .fields import (
    Addresses,
    AtMostBeside,
    Choice,
    Flag,
    Footage,
    Form,
    HostedModel,
    Integer,
    Kind,
    NeededWhen,
    NeededWithout,
    NotInForm,
    NotTogether,
    OnlyInForm,
    Picture,
    Price,
    Records,
    Rule,
    Speech,
    Text,
)

__all__ = [
    "KLING_3",
    "OMNI",
    "TIMED",
]

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


MEGABYTE = 1024 * 1024
FRAME = Picture(("JPEG", "PNG"), 50 * MEGABYTE, least_px=300, ratio=(2 / 5, 5 / 2))
FILM = Footage(
    200 * MEGABYTE,
    least_s=3,
    most_s=15.5,
    sides_px=(700, 4553),
    area_px=8_294_400,
    ratio=(2 / 5, 2),
    rate=(24, 60),
)
OMNI_SHOTS = Records({"prompt": Text(512), "duration": Integer(1, 15)}, most=6)
OMNI_ELEMENTS = Records(
    {
        "name": Text(),
        "description": Text(),
        "element_input_urls": Addresses(FRAME, least=2, most=4, alone=FILM),
    },
    most=None,
    optional=TIMED,
)
OPEN_SHAPE = Choice(("auto", "16:9", "9:16", "1:1"))
FIXED_SHAPES = ("16:9", "9:16", "1:1")
PROMPT = Text(3072)
COMMON: dict[str, Kind] = {
    "duration": Integer(3, 15),
    "resolution": Choice(("720p", "1080p", "4k")),
    "audio": Flag(),
    "customize_multi_shots": Flag(),
    "multi_prompt": OMNI_SHOTS,
    "prefer_multi_shots": Flag(),
    "elements": OMNI_ELEMENTS,
}
TOLD = NeededWhen("multi_prompt", "customize_multi_shots", stands=True, default=True)
MULTI_SHOT = ("multi_prompt", "customize_multi_shots", "prefer_multi_shots")
ONLY_VIDEO = Form(has=("video_urls",), lacks=("image_urls",))
WITH_VIDEO = Form(has=("video_urls",))
WITH_IMAGES = Form(has=("image_urls",))
OF_IMAGES: tuple[Rule, ...] = (
    TOLD,
    AtMostBeside("image_urls", 1, "multi_prompt"),
    OnlyInForm("aspect_ratio", ("auto",), Form(lacks=("multi_prompt",), single="image_urls")),
    NotTogether("prefer_multi_shots", "customize_multi_shots"),
)
OF_REFERENCES: tuple[Rule, ...] = (
    NeededWhen(
        "multi_prompt", "customize_multi_shots", stands=True, default=True, without="video_urls"
    ),
    NeededWithout("image_urls", "video_urls"),
    AtMostBeside("image_urls", 4, "video_urls"),
    OnlyInForm("aspect_ratio", FIXED_SHAPES, WITH_IMAGES),
    OnlyInForm("aspect_ratio", ("auto",), ONLY_VIDEO),
    OnlyInForm("audio", (False,), WITH_VIDEO),
    NotInForm(("duration",), ONLY_VIDEO),
    NotInForm(MULTI_SHOT, WITH_VIDEO),
)
OF_VIDEO: tuple[Rule, ...] = (
    OnlyInForm("aspect_ratio", ("auto",), Form(lacks=("image_urls",))),
    OnlyInForm("aspect_ratio", FIXED_SHAPES, WITH_IMAGES),
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
        optional={**COMMON, "aspect_ratio": Choice(FIXED_SHAPES)},
        rules=(TOLD,),
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/image-to-video": HostedModel(
        required={"prompt": PROMPT, "image_urls": Addresses(FRAME, most=2)},
        optional={**COMMON, "aspect_ratio": OPEN_SHAPE},
        rules=OF_IMAGES,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES,
    ),
    "kling-3.0-omni/reference-to-video": HostedModel(
        required={"prompt": PROMPT},
        optional={
            **COMMON,
            "image_urls": Addresses(FRAME, most=7),
            "aspect_ratio": OPEN_SHAPE,
            "video_urls": Addresses(FILM),
        },
        rules=OF_REFERENCES,
        per_s=True,
        defaults=DEFAULTS,
        prices=(*PRICES_WITH_VIDEO, *PRICES),
        may_last_as="video_urls",
    ),
    # Nothing is known of its shots; that its clip is as long as its video is a reading.
    "kling-3.0-omni/transformation": HostedModel(
        required={"prompt": PROMPT, "video_urls": Addresses(FILM)},
        optional={**COMMON, "aspect_ratio": OPEN_SHAPE, "image_urls": Addresses(FRAME, most=4)},
        rules=OF_VIDEO,
        per_s=True,
        defaults=DEFAULTS,
        prices=PRICES_WITH_VIDEO,
        lasts_as="video_urls",
    ),
}
