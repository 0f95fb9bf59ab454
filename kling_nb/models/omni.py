"""Kling 3.0 omni: from words, pictures, references, or another video. Data only."""

from __future__ import annotations

from dataclasses import replace

from ..implied import Summed, Told
from ..kinds import Choice, Flag, Media, Number, Text
from ..rules import SumOf
from ..specs import ModelSpec, Parameter
from ..tariffs import Price, PriceList
from .fields import (
    AS_OF,
    ASPECT_RATIO,
    PAGE,
    PICTURE_FORMATS,
    PRICE_PAGES,
    PROMPT,
    RESOLUTION,
    SHOTS,
    SOUND,
    VIDEO_FORMATS,
)

__all__ = ["IMAGE", "REFERENCE", "TEXT", "TRANSFORMATION"]

_USUAL_S = 643.0
"""Source: recorded live traffic, one omni clip, 2026."""

_PROMPT = replace(PROMPT, kind=Text(max_chars=3072))
_LENGTH = Parameter(
    name="duration",
    kind=Number(3, 15, integer=True, unit="s"),
    help="length of the clip in seconds; each is paid",
    default=5,
    flag="d",
)
_RESOLUTION = replace(
    RESOLUTION,
    kind=Choice(("720p", "1080p", "4k")),
    help="size of the picture; 1080p costs more, 4k much more",
)
_SOUND = replace(SOUND, sent_as="audio", help="a clip with sound; costs nearly a third more")
_FREE_SHOTS = Parameter(
    name="prefer_multi_shots",
    kind=Flag(on="shots of its own", off=""),
    help="the model cuts the clip into several shots by itself",
    default=False,
)
_SHAPE = replace(
    ASPECT_RATIO,
    kind=Choice(("auto", "1:1", "16:9", "9:16")),
    help="shape of the picture; auto is that of the image",
    default=None,
    required=False,
)
_VIDEO = Parameter(
    name="video",
    sent_as="video_urls",
    kind=Media(VIDEO_FORMATS, max_bytes=100_000_000),
    help="the video: path, URL, or the name of a variable; each of its seconds is paid",
    required=False,
    flag="v",
)
_SOURCE = (
    f"{PAGE}; it wants a prompt beside shots too, and describes no shots: those of 3.0. Which "
    "length counts where duration and shots differ is not told: such a request is not sent"
)

_RULES = (SumOf("duration", "shots", "duration"),)
# The service's own default is true, which would demand shots of everybody.
_IMPLIED = (Summed("duration", "shots", "duration"), Told("customize_multi_shots", "shots"))

_PRICES = PriceList(
    lines=(
        Price(67, {"resolution": "4k"}, per_s_of="duration"),
        Price(14, {"resolution": "720p", "sound": False}, per_s_of="duration"),
        Price(18, {"resolution": "1080p", "sound": False}, per_s_of="duration"),
        Price(18, {"resolution": "720p", "sound": True}, per_s_of="duration"),
        Price(23, {"resolution": "1080p", "sound": True}, per_s_of="duration"),
    ),
    as_of=AS_OF,
    source=PRICE_PAGES,
)

TEXT = ModelSpec(
    name="kling-3.0-omni/text-to-video",
    title="Kling 3.0 omni, text to video",
    parameters=(
        _PROMPT,
        _LENGTH,
        _SOUND,
        ASPECT_RATIO,
        _RESOLUTION,
        SHOTS,
        _FREE_SHOTS,
    ),
    rules=_RULES,
    implied=_IMPLIED,
    prices=_PRICES,
    usual_s=_USUAL_S,
    source=_SOURCE,
)
IMAGE = ModelSpec(
    name="kling-3.0-omni/image-to-video",
    title="Kling 3.0 omni, image to video",
    parameters=(
        _PROMPT,
        Parameter(
            name="image",
            sent_as="image_urls",
            kind=Media(PICTURE_FORMATS, max_bytes=50_000_000, max_count=2),
            help="the first frame, or first and last: path, URL, or the name of a variable",
            flag="i",
        ),
        _LENGTH,
        _SOUND,
        _SHAPE,
        _RESOLUTION,
        SHOTS,
        _FREE_SHOTS,
    ),
    rules=_RULES,
    implied=_IMPLIED,
    prices=_PRICES,
    usual_s=_USUAL_S,
    source=_SOURCE,
    sureness="less sure",
)
REFERENCE = ModelSpec(
    name="kling-3.0-omni/reference-to-video",
    title="Kling 3.0 omni, references to video",
    parameters=(
        _PROMPT,
        Parameter(
            name="image",
            sent_as="image_urls",
            kind=Media(PICTURE_FORMATS, max_bytes=50_000_000, max_count=7),
            help="who and what is in the clip: paths, URLs, or names of variables",
            flag="i",
        ),
        replace(_VIDEO, help="a video to follow: path, URL, or the name of a variable"),
        _LENGTH,
        _SOUND,
        _SHAPE,
        _RESOLUTION,
        SHOTS,
        _FREE_SHOTS,
    ),
    rules=_RULES,
    implied=_IMPLIED,
    prices=_PRICES,
    usual_s=_USUAL_S,
    source=f"{PAGE}; its number of pictures and its video are pieced together, the rest is that "
    "of image to video",
    sureness="less sure",
)
TRANSFORMATION = ModelSpec(
    name="kling-3.0-omni/transformation",
    title="Kling 3.0 omni, video to video",
    parameters=(
        replace(_PROMPT, help="what becomes of the video"),
        replace(_VIDEO, required=True),
        Parameter(
            name="image",
            sent_as="image_urls",
            kind=Media(PICTURE_FORMATS, max_bytes=50_000_000, max_count=4),
            help="who and what comes into it: paths, URLs, or names of variables",
            required=False,
            flag="i",
        ),
        _SOUND,
        _RESOLUTION,
    ),
    prices=PriceList(
        lines=tuple(replace(line, per_s_of="video") for line in _PRICES.lines),
        as_of=AS_OF,
        source=f"{PRICE_PAGES}; that the seconds of the video are what is paid is a reading",
    ),
    usual_s=_USUAL_S,
    source=f"{PAGE}; its fields are pieced together",
    sureness="less sure",
)
