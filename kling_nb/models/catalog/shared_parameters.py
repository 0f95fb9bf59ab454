"""Parameters that several models share, one literal each. Data only.

Source of all: published documentation, crawl of 2026-08, and the specification. If a page does not
specify a value, it is chosen here once: image limits are those of the specification, a prompt
without a stated limit has that of similar models, and an element's video is sent in the list of
its images, the only list of sources that the page names.
"""

from __future__ import annotations

from datetime import date

from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.records import Column, Records
from kling_nb.models.spec import FrameAdvisory, Parameter

PAGE = "published documentation, crawl of 2026-08"
PRICE_PAGES = "captures of the provider's price pages, 2026-03 to 2026-10"
_AS_OF = date(2026, 10, 31)


def price_list(*lines: Price, source: str = PRICE_PAGES) -> PriceList:
    """Return prices of the current date."""
    return PriceList(lines, _AS_OF, source)


USUAL_S = 164.0
"""Used without a recording: the value of other products for an image-to-video clip."""

PICTURE_FORMATS = ("image/jpeg", "image/png", "image/webp")
"""Source: the specification. Sources disagree about WebP for 2.6; the page of 3.0 does not say."""
JPEG_OR_PNG = ("image/jpeg", "image/png")
"""For omni, v3-turbo, 2.5, 2.1 and the avatars; a WebP image is converted for them. Source:
published documentation, crawl of 2026-08-19."""
VIDEO_FORMATS = ("video/mp4", "video/quicktime")
AUDIO_FORMATS = ("audio/mpeg", "audio/wav", "audio/aac", "audio/mp4")
"""The formats of other fields of the service; no page names any."""

FRAME_SIDE_PX = 300
FRAME_RATIO = (0.4, 2.5)
"""Kling's own rule for a frame: sides of at least 300 px, width to height 2:5 to 5:2. A limit if
the model's page has it, else a warning. Source: public clients and pages of omni, 2026-08."""

_FRAME_REASON = (
    "Kling's own limits for a frame are sides of at least 300 px and a width of 0.4 to 2.5 times "
    "the height; the service may refuse this one"
)
FRAME_ADVISORY = FrameAdvisory("image", FRAME_SIDE_PX, FRAME_RATIO, _FRAME_REASON)
LAST_FRAME_ADVISORY = FrameAdvisory("last_image", FRAME_SIDE_PX, FRAME_RATIO, _FRAME_REASON)

SHORT_PROMPT = Parameter(name="prompt", kind=Text(max_chars=1000), help="what happens in the clip")
PROMPT = Parameter(name="prompt", kind=Text(max_chars=2500), help="what happens in the clip")
NEGATIVE_PROMPT = Parameter(
    name="negative_prompt",
    kind=Text(max_chars=500, one_line=True),
    help="what the clip must not show",
    required=False,
)
CFG_SCALE = Parameter(
    name="cfg_scale",
    kind=Number(0, 1, step=0.1),
    help="how closely the clip follows the prompt, 0 to 1",
    required=False,
)

FIRST_FRAME = Parameter(
    name="image",
    sent_as="image_urls",
    kind=Media(mime_types=PICTURE_FORMATS, max_bytes=10_000_000),
    help="the first frame: path, URL, or the name of a variable",
    flag="i",
)
ONE_PICTURE = Parameter(
    name="image",
    sent_as="image_url",
    kind=Media(mime_types=JPEG_OR_PNG, max_bytes=10_000_000, as_list=False),
    help="the first frame: path, URL, or the name of a variable",
    flag="i",
)
LAST_PICTURE = Parameter(
    name="last_image",
    sent_as="tail_image_url",
    kind=Media(mime_types=JPEG_OR_PNG, max_bytes=10_000_000, as_list=False),
    help="the last frame: path, URL, or the name of a variable",
    required=False,
)

TWO_LENGTHS = Parameter(
    name="duration",
    kind=Choice(("5", "10"), unit="s"),
    help="length of the clip in seconds",
    default="5",
    flag="d",
)
LENGTH = Parameter(
    name="duration",
    kind=Choice(tuple(map(str, range(3, 16))), unit="s"),
    help="length of the clip in seconds; billed per second",
    default="5",
    flag="d",
)
ASPECT_RATIO = Parameter(
    name="aspect_ratio",
    kind=Choice(("1:1", "16:9", "9:16")),
    help="aspect ratio",
    default="16:9",
)
RESOLUTION = Parameter(
    name="resolution",
    kind=Choice(("720p", "1080p")),
    help="resolution; 1080p costs more",
    default="720p",
)
SOUND = Parameter(
    name="sound",
    kind=Flag(on="sound", off="no sound"),
    help="a clip with sound; costs up to 50 % more",
    default=False,
)

SHOT_S = 3
"""Length of a new shot in the panel, in seconds: ours, since the service names no default. With 3
a single shot is a clip of the shortest allowed length."""

SHOTS = Parameter(
    name="shots",
    sent_as="multi_prompt",
    kind=Records(
        columns=(
            Column("prompt", Text(max_chars=500), "what happens in this shot"),
            Column(
                name="duration",
                kind=Number(1, 12, integer=True, unit="s"),
                help="its length in seconds",
                initial=SHOT_S,
            ),
        ),
        max_count=5,
        noun="shot",
    ),
    help="shots of one clip, one after the other, each with a prompt and a duration",
    required=False,
)
ELEMENT_RECORDS = Records(
    columns=(
        # The page has no limits for these texts; ours catch mistakes.
        Column("name", Text(max_chars=100), "its name in the prompt"),
        Column("description", Text(max_chars=500), "what it is"),
        Column(
            name="images",
            kind=Media(PICTURE_FORMATS, max_bytes=10_000_000, min_count=2, max_count=4),
            help="2 to 4 images of it",
            sent_as="element_input_urls",
            required=False,
        ),
        Column(
            name="video",
            kind=Media(VIDEO_FORMATS, max_bytes=100_000_000),
            help="a video of it, in place of images",
            sent_as="element_input_urls",
            required=False,
        ),
        Column(
            name="audio",
            kind=Media(AUDIO_FORMATS, max_bytes=100_000_000),
            help="its voice or sound",
            sent_as="element_input_audio_urls",
            required=False,
        ),
        Column(
            name="start",
            kind=Number(0, 600_000, integer=True, unit="ms"),
            help="where it begins in its video, in milliseconds",
            sent_as="start_time",
            required=False,
        ),
        Column(
            name="end",
            kind=Number(0, 600_000, integer=True, unit="ms"),
            help="where it ends in its video, in milliseconds",
            sent_as="end_time",
            required=False,
        ),
    ),
    max_count=3,
    noun="element",
    one_of=("images", "video"),
    rising=("start", "end"),
)
ELEMENTS = Parameter(
    name="elements",
    sent_as="kling_elements",
    kind=ELEMENT_RECORDS,
    help="subjects that stay consistent, each with a name, a description, and images or a video",
    required=False,
)
