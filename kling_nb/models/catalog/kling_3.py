"""Kling 3.0, 3.0 turbo and 3.0 omni. Data only.

Source of omni's request forms, of shots and elements, and of all media limits: published
documentation, crawl of 2026-08-19; the live catalogue of 2026-10-06 has the same.
"""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.prices import Price
from kling_nb.models.records import Column, Records
from kling_nb.models.rules import (
    AtMost,
    Excludes,
    Filled,
    NeededWithout,
    NotTaken,
    OneValueOf,
    PresenceFlag,
    Summed,
    SumOf,
    Unsent,
    When,
)
from kling_nb.models.spec import ModelSpec, Parameter

from .shared_parameters import (
    ASPECT_RATIO,
    ELEMENT_RECORDS,
    ELEMENTS,
    FIRST_FRAME,
    FRAME_ADVISORY,
    FRAME_RATIO,
    FRAME_SIDE_PX,
    JPEG_OR_PNG,
    LENGTH,
    PAGE,
    PICTURE_FORMATS,
    PRICE_PAGES,
    PROMPT,
    RESOLUTION,
    SHOT_S,
    SHOTS,
    SOUND,
    USUAL_S,
    VIDEO_FORMATS,
    price_list,
)

VIDEO = ModelSpec(
    name="kling-3.0/video",
    title="Kling 3.0",
    parameters=(
        replace(PROMPT, required=False),
        replace(
            FIRST_FRAME,
            kind=Media(PICTURE_FORMATS, max_bytes=10_000_000, max_count=2),
            help="the first frame, or first and last: path, URL, or the name of a variable",
            required=False,
        ),
        LENGTH,
        SOUND,
        replace(
            ASPECT_RATIO,
            help="aspect ratio; by default that of the image, 16:9 without one",
            default=None,
            required=False,
        ),
        Parameter(
            name="mode",
            kind=Choice(("std", "pro", "4K")),
            help="quality; pro costs more, 4K much more",
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
        PresenceFlag("multi_shots", "shots"),
    ),
    prices=price_list(
        Price(67, {"mode": "4K"}, per_s_of="duration"),
        Price(14, {"mode": "std", "sound": False}, per_s_of="duration"),
        Price(18, {"mode": "pro", "sound": False}, per_s_of="duration"),
        Price(20, {"mode": "std", "sound": True}, per_s_of="duration"),
        Price(27, {"mode": "pro", "sound": True}, per_s_of="duration"),
        source=f"{PRICE_PAGES}; they name 720p, 1080p and 4K, read as std, pro and 4K",
    ),
    advisories=(FRAME_ADVISORY,),
    # Recorded for 5 s: 127 to 188.
    usual_s=158.0,
    source=f"{PAGE}; it gives no limit of the prompt, so that of the other 3.0 models is used. "
    "Which length counts if duration and shots differ is not documented, so such a request is "
    "not sent",
    confidence="recorded",
)

_TURBO_FRAME = replace(FIRST_FRAME, kind=Media(JPEG_OR_PNG, max_bytes=10_000_000))
_PRICES_TURBO = price_list(
    Price(18, {"resolution": "720p"}, per_s_of="duration"),
    Price(22.5, {"resolution": "1080p"}, per_s_of="duration"),
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


_USUAL_S = 643.0
"""Source: recorded live traffic, one omni clip, 2026."""

_PROMPT = replace(PROMPT, kind=Text(max_chars=3072))
_LENGTH = Parameter(
    name="duration",
    kind=Number(3, 15, integer=True, unit="s"),
    help="length of the clip in seconds; billed per second",
    default=5,
    flag="d",
)
_RESOLUTION = replace(
    RESOLUTION,
    kind=Choice(("720p", "1080p", "4k")),
    help="resolution; 1080p costs more, 4k much more",
)
_SOUND = replace(SOUND, sent_as="audio", help="a clip with sound; costs nearly a third more")
_SHOTS = replace(
    SHOTS,
    kind=Records(
        columns=(
            Column("prompt", Text(max_chars=512), "what happens in this shot"),
            Column(
                name="duration",
                kind=Number(1, 15, integer=True, unit="s"),
                help="its length in seconds",
                initial=SHOT_S,
            ),
        ),
        max_count=6,
        noun="shot",
    ),
)
_FREE_SHOTS = Parameter(
    name="prefer_multi_shots",
    kind=Flag(on="automatic shots", off=""),
    help="let the model cut the clip into several shots",
    default=False,
)
_SHAPE = replace(
    ASPECT_RATIO,
    kind=Choice(("auto", "1:1", "16:9", "9:16")),
    help="aspect ratio; auto is that of the source",
    default=None,
    required=False,
)
_FRAME = Media(JPEG_OR_PNG, max_bytes=50_000_000, side_px=(FRAME_SIDE_PX, 0), ratio=FRAME_RATIO)
_FOOTAGE = Media(
    VIDEO_FORMATS,
    max_bytes=200_000_000,
    duration_s=(3, 15.5),
    side_px=(700, 4553),
    max_px=8_294_400,
    ratio=(0.4, 2),
    fps=(24, 60),
)
_VIDEO = Parameter(
    name="video",
    sent_as="video_urls",
    kind=_FOOTAGE,
    help="the video: path, URL, or the name of a variable; billed per second",
    required=False,
    flag="v",
)
_ELEMENT_KINDS = {"images": replace(_FRAME, min_count=2, max_count=4), "video": _FOOTAGE}
_ELEMENTS = replace(
    ELEMENTS,
    sent_as="elements",
    kind=replace(
        ELEMENT_RECORDS,
        columns=tuple(
            replace(column, kind=_ELEMENT_KINDS.get(column.name, column.kind))
            for column in ELEMENT_RECORDS.columns
        ),
        max_count=7,
    ),
)
_SOURCE = (
    f"{PAGE}; a prompt is required with shots too. The field names of elements are those of 3.0; "
    "their number is not documented, so the limit of the images is used. Which length counts if "
    "duration and shots differ is not documented, so such a request is not sent"
)

_FORMATTED = ("1:1", "16:9", "9:16")
_RULES = (SumOf("duration", "shots", "duration"),)
# The service's default is true, which would make shots required.
_IMPLIED = (Summed("duration", "shots", "duration"), PresenceFlag("customize_multi_shots", "shots"))

_PRICES = price_list(
    Price(67, {"resolution": "4k"}, per_s_of="duration"),
    Price(14, {"resolution": "720p", "sound": False}, per_s_of="duration"),
    Price(18, {"resolution": "1080p", "sound": False}, per_s_of="duration"),
    Price(18, {"resolution": "720p", "sound": True}, per_s_of="duration"),
    Price(23, {"resolution": "1080p", "sound": True}, per_s_of="duration"),
)
_OF_VIDEO = (
    Price(20, {"resolution": "720p"}, per_s_of="video"),
    Price(27, {"resolution": "1080p"}, per_s_of="video"),
    Price(67, {"resolution": "4k"}, per_s_of="video"),
)
"""With a video; sound is free. Source: recorded 2026-08-20 (720p, silent, from a clip of
5 s: 100 credits), and the live catalogue of 2026-10-06."""

OMNI_TEXT = ModelSpec(
    name="kling-3.0-omni/text-to-video",
    title="Kling 3.0 omni, text to video",
    parameters=(
        _PROMPT,
        _LENGTH,
        _SOUND,
        ASPECT_RATIO,
        _RESOLUTION,
        _SHOTS,
        _FREE_SHOTS,
        _ELEMENTS,
    ),
    rules=_RULES,
    implied=_IMPLIED,
    prices=_PRICES,
    usual_s=_USUAL_S,
    source=_SOURCE,
)
OMNI_IMAGE = ModelSpec(
    name="kling-3.0-omni/image-to-video",
    title="Kling 3.0 omni, image to video",
    parameters=(
        _PROMPT,
        replace(
            FIRST_FRAME,
            kind=replace(_FRAME, max_count=2),
            help="the first frame, or first and last: path, URL, or the name of a variable",
        ),
        _LENGTH,
        _SOUND,
        _SHAPE,
        _RESOLUTION,
        _SHOTS,
        _FREE_SHOTS,
        _ELEMENTS,
    ),
    rules=(
        *_RULES,
        AtMost("image", 1, When(given=("shots",))),
        OneValueOf("aspect_ratio", ("auto",), When(without=("shots",), counts={"image": 1})),
        Excludes("prefer_multi_shots", "shots"),
    ),
    implied=_IMPLIED,
    prices=_PRICES,
    usual_s=_USUAL_S,
    source=_SOURCE,
)
_VIDEO_ALONE = When(given=("video",), without=("image",))
OMNI_REFERENCE = ModelSpec(
    name="kling-3.0-omni/reference-to-video",
    title="Kling 3.0 omni, references to video",
    parameters=(
        _PROMPT,
        replace(
            FIRST_FRAME,
            kind=replace(_FRAME, max_count=7),
            help="subjects of the clip: paths, URLs, or names of variables",
            required=False,
        ),
        replace(_VIDEO, help="a reference video: path, URL, or the name of a variable"),
        _LENGTH,
        _SOUND,
        _SHAPE,
        _RESOLUTION,
        _SHOTS,
        _FREE_SHOTS,
        _ELEMENTS,
    ),
    rules=(
        *_RULES,
        NeededWithout("image", "video"),
        AtMost("image", 4, When(given=("video",))),
        OneValueOf("aspect_ratio", _FORMATTED, When(given=("image",))),
        OneValueOf("aspect_ratio", ("auto",), _VIDEO_ALONE),
        OneValueOf("sound", (False,), When(given=("video",))),
        Excludes("shots", "video"),
        Excludes("prefer_multi_shots", "video"),
        NotTaken("duration", _VIDEO_ALONE),
    ),
    implied=(
        *_IMPLIED,
        Unsent(("customize_multi_shots", "prefer_multi_shots"), When(given=("video",))),
    ),
    prices=price_list(
        *(replace(line, form=_VIDEO_ALONE) for line in _OF_VIDEO),
        *(
            replace(line, per_s_of="duration", or_s_of="video", form=When(given=("video",)))
            for line in _OF_VIDEO
        ),
        *_PRICES.lines,
        source=f"{PRICE_PAGES}; with a video and images it is not documented whether the seconds "
        "of the video or of the clip are billed, so the greater number is counted",
    ),
    usual_s=_USUAL_S,
    source=_SOURCE,
)
OMNI_TRANSFORMATION = ModelSpec(
    name="kling-3.0-omni/transformation",
    title="Kling 3.0 omni, video to video",
    parameters=(
        replace(_PROMPT, help="how to change the video"),
        replace(_VIDEO, required=True),
        replace(
            FIRST_FRAME,
            kind=replace(_FRAME, max_count=4),
            help="subjects to add: paths, URLs, or names of variables",
            required=False,
        ),
        replace(_SHAPE, help="aspect ratio; auto, the default, is that of the video"),
        replace(_SOUND, help="a clip with sound; costs nothing extra"),
        _RESOLUTION,
    ),
    rules=(
        OneValueOf("aspect_ratio", ("auto",), When(without=("image",))),
        OneValueOf("aspect_ratio", _FORMATTED, When(given=("image",))),
    ),
    prices=price_list(
        *_OF_VIDEO,
        source=f"{PRICE_PAGES}; that the seconds of the video are billed is an assumption",
    ),
    usual_s=_USUAL_S,
    source=f"{PAGE}; its fields come from several sources",
    confidence="unconfirmed",
)
