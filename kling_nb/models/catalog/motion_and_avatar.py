"""Motion control and avatars: an image that moves like a video, or speaks. Data only."""

from __future__ import annotations

from dataclasses import replace

from kling_nb.models.parameters import Choice, Media, Text
from kling_nb.models.prices import Price
from kling_nb.models.rules import LastsAtMost
from kling_nb.models.spec import LengthAdvisory, ModelSpec, Parameter

from .shared_parameters import (
    AUDIO_FORMATS,
    FRAME_ADVISORY,
    FRAME_RATIO,
    JPEG_OR_PNG,
    ONE_PICTURE,
    PAGE,
    PROMPT,
    USUAL_S,
    VIDEO_FORMATS,
    price_list,
)

_PROMPT = replace(PROMPT, help="what else the clip shows", required=False)
_ACTOR = Parameter(
    name="image",
    sent_as="input_urls",
    kind=Media(JPEG_OR_PNG, max_bytes=10_000_000, over_px=300, ratio=FRAME_RATIO),
    help="image of the character: path, URL, or the name of a variable",
    flag="i",
)
_MOVEMENT = Parameter(
    name="video",
    sent_as="video_urls",
    kind=Media(VIDEO_FORMATS, max_bytes=100_000_000, duration_s=(3, 30)),
    help="a video of the motion: path, URL, or the name of a variable; billed per second",
    flag="v",
)
_ORIENTATION = Parameter(
    name="character_orientation",
    kind=Choice(("image", "video"), words=("facing as in the image", "facing as in the video")),
    help="orientation of the character: as in the image or as in the video",
    default="image",
)
_MODE = Parameter(
    name="mode",
    kind=Choice(("720p", "1080p")),
    help="resolution; 1080p costs more",
    default="720p",
)
_LENGTH_RULES = (LastsAtMost("video", "character_orientation", ("image",), longest_s=10),)

MOTION_2_6 = ModelSpec(
    name="kling-2.6/motion-control",
    title="Kling 2.6, motion control",
    parameters=(_PROMPT, _ACTOR, _MOVEMENT, _ORIENTATION, _MODE),
    rules=_LENGTH_RULES,
    prices=price_list(
        Price(11, {"mode": "720p"}, per_s_of="video"),
        Price(18, {"mode": "1080p"}, per_s_of="video"),
    ),
    usual_s=USUAL_S,
    source=PAGE,
)
MOTION_3_0 = ModelSpec(
    name="kling-3.0/motion-control",
    title="Kling 3.0, motion control",
    parameters=(
        _PROMPT,
        _ACTOR,
        _MOVEMENT,
        _ORIENTATION,
        _MODE,
        Parameter(
            name="background_source",
            kind=Choice(
                ("input_video", "input_image"),
                words=("background of the video", "background of the image"),
            ),
            help="source of the background",
            required=False,
        ),
    ),
    rules=_LENGTH_RULES,
    prices=price_list(
        Price(20, {"mode": "720p"}, per_s_of="video"),
        Price(27, {"mode": "1080p"}, per_s_of="video"),
    ),
    usual_s=USUAL_S,
    source=f"{PAGE}; it lists no limits of the media, so those of 2.6 are used. Its modes are "
    "those of public clients, 2026-10: the service answers std and pro with 500",
)


_PARAMETERS = (
    replace(PROMPT, kind=Text(max_chars=5000), help="how the person looks, speaks and moves"),
    replace(ONE_PICTURE, help="image of the speaker: path, URL, or the name of a variable"),
    Parameter(
        name="audio",
        sent_as="audio_url",
        kind=Media(AUDIO_FORMATS, max_bytes=100_000_000, as_list=False, duration_s=(0, 300)),
        help="the speech: path, URL, or the name of a variable; billed per second",
        flag="a",
    ),
)

_ADVISORIES = (
    LengthAdvisory(
        "audio",
        15,
        # Source: price pages, and published documentation, both 2026-08 to 2026-10.
        "The price pages allow up to 15 s per clip, the documentation 5 minutes",
    ),
    FRAME_ADVISORY,
)

AVATAR_STANDARD = ModelSpec(
    name="kling/ai-avatar-standard",
    title="Kling avatar, standard",
    parameters=_PARAMETERS,
    prices=price_list(Price(8, per_s_of="audio")),
    advisories=_ADVISORIES,
    usual_s=USUAL_S,
    source=PAGE,
)
AVATAR_PRO = ModelSpec(
    name="kling/ai-avatar-pro",
    title="Kling avatar, pro",
    parameters=_PARAMETERS,
    prices=price_list(Price(16, per_s_of="audio")),
    advisories=_ADVISORIES,
    usual_s=USUAL_S,
    source=PAGE,
)
