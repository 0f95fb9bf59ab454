"""An image or a video outside the limits of a page is refused before the upload."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from io import BytesIO

import pytest
from PIL import Image

from kling_nb.errors import MediaError
from kling_nb.media.inputs import placeholder_input, read_input
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.parameters import Media, check_frame
from kling_nb.models.records import Records
from kling_nb.models.spec import Parameter
from tests.support.reels import video

OMNI = CATALOGUE["kling-3.0-omni/reference-to-video"]
TRANSFORMATION = CATALOGUE["kling-3.0-omni/transformation"]


def columns_of(parameter: Parameter) -> dict[str, object]:
    """The kinds of a parameter's columns, where it has records."""
    kind = parameter.kind
    return {c.name: c.kind for c in kind.columns} if isinstance(kind, Records) else {}


VIDEOS = {
    "reference": OMNI.parameter("video").kind,
    "transformation": TRANSFORMATION.parameter("video").kind,
    "element": columns_of(OMNI.parameter("elements"))["video"],
}


def image_kinds() -> list[tuple[str, Media]]:
    """Return every image input of each model."""
    return [
        (spec.name, kind)
        for spec in CATALOGUE.values()
        for parameter in spec.parameters
        for kind in (parameter.kind, *columns_of(parameter).values())
        if isinstance(kind, Media) and kind.medium == "image"
    ]


def expected(words: str) -> AbstractContextManager[object]:
    """Expect an error with these words, or none."""
    return pytest.raises(MediaError, match=words) if words else nullcontext()


def picture(size_px: tuple[int, int], form: str = "PNG") -> bytes:
    """A plain image file."""
    content = BytesIO()
    Image.new("RGB", size_px, "teal").save(content, form)
    return content.getvalue()


@pytest.mark.parametrize(
    ("size_px", "fps", "words"),
    [
        ((1280, 720), 24.0, ""),
        ((1280, 720), 23.976, ""),
        ((1280, 720), 59.94, ""),
        ((1280, 720), 0.0, ""),
        ((700, 700), 30.0, ""),
        ((1280, 699), 24.0, "each side must be at least 700 px"),
        ((4560, 1000), 24.0, "each side must be at most 4,553 px"),
        ((3840, 2162), 24.0, "8,302,080 px; allowed: at most 8,294,400 px"),
        ((3840, 2160), 24.0, ""),
        ((1280, 720), 12.0, "12 frames per second; allowed: 24 to 60"),
        ((1280, 720), 120.0, "120 frames per second; allowed: 24 to 60"),
    ],
)
@pytest.mark.parametrize("place", VIDEOS)
def test_frames_of_an_omni_video(
    place: str, size_px: tuple[int, int], fps: float, words: str
) -> None:
    """Source: published documentation, 2026-08-19. A rate that is not known is not judged."""
    kind = VIDEOS[place]
    assert isinstance(kind, Media)
    with expected(words):
        check_frame("dance.mp4", size_px, kind, fps)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (video(3.0, (1280, 720), rate=24), ""),
        (video(3.0, (640, 360), rate=24), "at least 700 px"),
        (video(3.0, (1280, 720), rate=12), "12 frames per second"),
        (video(2.0, (1280, 720), rate=24), "allowed: 3 to 15.5 s"),
        (video(3.0, (1600, 720), rate=24), "width to height 2.22; allowed: 0.4 to 2"),
    ],
    ids=["fine", "small", "slow", "short", "wide"],
)
def test_an_omni_video_is_measured(content: bytes, words: str) -> None:
    """The file itself decides: its sides, its rate, its length and its shape."""
    kind = VIDEOS["reference"]
    assert isinstance(kind, Media)
    with expected(words):
        assert read_input(content, kind).size_bytes == len(content)


@pytest.mark.parametrize(
    ("size_px", "words"),
    [
        ((300, 300), ""),
        ((300, 750), ""),
        ((299, 400), "each side must be at least 300 px"),
        ((300, 751), "allowed: 0.4 to 2.5"),
        ((800, 310), "allowed: 0.4 to 2.5"),
    ],
)
def test_an_omni_image(size_px: tuple[int, int], words: str) -> None:
    """Source: published documentation, 2026-08-19."""
    kind = OMNI.parameter("image").kind
    assert isinstance(kind, Media)
    with expected(words):
        assert read_input(picture(size_px), kind).mime_type == "image/png"


@pytest.mark.parametrize(("name", "kind"), image_kinds())
def test_webp_is_sent_only_where_the_page_does_not_exclude_it(name: str, kind: Media) -> None:
    """Source: pages of omni, v3-turbo, 2.5, 2.1 and the avatars, 2026-08; motion control too."""
    sent = read_input(picture((640, 400), "WEBP"), kind).mime_type
    is_kept = name in ("kling-2.6/image-to-video", "kling-3.0/video")
    assert (sent == "image/webp") is is_kept
    assert sent in kind.mime_types


@pytest.mark.parametrize("medium", ["image", "video"])
def test_what_stands_in_for_a_url_is_within_the_limits(medium: str) -> None:
    """In the emulator a request with a URL that cannot be fetched makes a clip all the same."""
    kind = OMNI.parameter(medium).kind
    assert isinstance(kind, Media)
    standing = placeholder_input(kind, "not fetched", "https://example.com/a", "ab" * 32)
    read_input(standing.content, kind)
