"""Test `audio_video`: video and audio are checked before the upload and never changed."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kling_nb.core.stored_input import StoredInput
from kling_nb.errors import MediaError
from kling_nb.media.audio_video import read_audio_video
from kling_nb.media.input_store import store_input
from kling_nb.models.parameters import Media
from tests.support.reels import sound, video

VIDEO = Media(("video/mp4", "video/quicktime"), 100_000_000, duration_s=(3, 30))
SOUND = Media(
    ("audio/mpeg", "audio/x-wav", "audio/aac", "audio/mp4"), 100_000_000, duration_s=(0, 300)
)


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Return a video on disk."""
    path = tmp_path / "my walk.mp4"
    path.write_bytes(video())
    return path


def refused(source: object, kind: Media, name: str = "") -> str:
    """Return the message of the error."""
    with pytest.raises(MediaError) as caught:
        read_audio_video(source, kind, name=name)
    return str(caught.value)


# --- accepted ------------------------------------------------------------------------------


def test_a_file_is_read_from_disk(walk: Path) -> None:
    """Its content is not kept in memory: it may have 100 MB."""
    found = read_audio_video(walk, VIDEO)
    assert (found.path, found.content) == (str(walk), b"")
    assert (found.mime_type, found.duration_s) == ("video/mp4", 4.0)
    assert (found.width_px, found.height_px) == (352, 320)
    assert found.size_bytes == len(video())
    assert found.sha256 == found.source_sha256 == hashlib.sha256(video()).hexdigest()
    assert found.name == "my walk.mp4"
    assert found.thumbnail.startswith(b"\xff\xd8")
    assert found.facts == f"352 × 320 px · 4.0 s · MP4 · {len(video()) / 1000:.0f} kB"


def test_other_sources(walk: Path) -> None:
    """Text, bytes or an earlier clip: the same content is the same request."""
    clip = SimpleNamespace(path=walk, frame=None)
    given = [str(walk), video(), bytearray(video()), memoryview(video()), clip]
    found = [read_audio_video(each, VIDEO) for each in given]
    assert len({each.source_sha256 for each in found}) == 1
    assert [bool(each.content) for each in found] == [False, True, True, True, False]
    assert read_audio_video(video(), VIDEO, name="walk").name == "walk"


def test_a_stored_input_replaces_its_source(tmp_path: Path, walk: Path) -> None:
    """It has the hash of its source; a changed file is another request."""
    path = store_input(tmp_path, video(), "video/mp4")
    negative = StoredInput("ab" * 32, "walk.mp4", "video/mp4", path)
    found = read_audio_video(negative, VIDEO)
    assert (found.name, found.source_sha256, found.path) == ("walk.mp4", "ab" * 32, path)
    Path(path).write_bytes(video(shade=30))
    assert "has changed; delete it and run the cell again" in refused(negative, VIDEO)
    for path in ("", "/nowhere/it.mp4"):
        assert refused(replace(negative, path=path), VIDEO) == (
            "walk.mp4: no copy of it was kept; give the original again"
        )


def test_audio_has_no_image() -> None:
    """Width and height are 0."""
    found = read_audio_video(sound(), SOUND, name="hum")
    assert (found.width_px, found.height_px, found.thumbnail) == (0, 0, b"")
    assert found.facts == "4.0 s · WAV · 0.4 MB"


@pytest.mark.parametrize(
    ("content", "kind", "named"),
    [
        (sound("audio/wav"), SOUND, "audio/x-wav"),
        (sound("audio/mpeg"), SOUND, "audio/mpeg"),
        (sound("audio/mp4"), SOUND, "audio/mp4"),
        (sound("audio/aac"), SOUND, "audio/aac"),
        (video(form="mov"), VIDEO, "video/quicktime"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_the_content_decides_the_type(
    content: bytes, kind: Media, named: str, tmp_path: Path
) -> None:
    """Whatever the name of the file; the type is spelled as the model spells it."""
    path = tmp_path / "hum.jpg"
    path.write_bytes(content)
    assert read_audio_video(path, kind).mime_type == named


# --- what is refused ---------------------------------------------------------------------------


def test_another_format_is_not_converted(tmp_path: Path) -> None:
    """Says what it is, what is allowed, and how it is converted, the name quoted for a shell."""
    path = tmp_path / "it's a walk.webm"
    path.write_bytes(video(form="webm"))
    text = refused(path, VIDEO)
    assert text.startswith("it's a walk.webm: is a WebM video; allowed: MP4, MOV; convert it")
    command = text.partition("`")[2].rstrip("`")
    assert shlex.split(command) == ["ffmpeg", "-i", str(path), "converted.mp4"]
    text = refused(sound("audio/flac"), SOUND, "hum.flac")
    assert text == (
        "hum.flac: is a FLAC file; allowed: MP3, WAV, AAC, M4A; convert it, e.g. "
        "`ffmpeg -i FILE converted.mp3`"
    )


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (video(), SOUND, "is an MP4 video; allowed: MP3"),
        (sound(), VIDEO, "is a WAV file; allowed: MP4"),
        (
            b"\x89PNG\r\n\x1a\n",
            VIDEO,
            "this is a PNG image, not a video; allowed: MP4, MOV; give another video",
        ),
        (b"Dear diary, today", SOUND, "is not a known type of audio file (begins with b'Dear"),
        (b"", VIDEO, "0 bytes: is empty; give another video"),
        (b"\0\0\0\x18ftypisom", VIDEO, "cannot be read as a video"),
    ],
)
def test_what_it_is_not(content: bytes, kind: Media, words: str) -> None:
    """Each says what it is."""
    assert words in refused(content, kind)


def test_what_is_too_long_or_too_short() -> None:
    """Says how long it is, what is allowed and what to do; a frame more does not count."""
    assert refused(video(2.0), VIDEO, "walk.mp4") == (
        "walk.mp4: 2.0 s long; allowed: 3 to 30 s; give a longer one"
    )
    text = refused(video(4.0), replace(VIDEO, duration_s=(1, 3)), "walk.mp4")
    assert text.endswith("allowed: 1 to 3 s; cut it, e.g. `ffmpeg -i FILE -t 3 cut.mp4`")
    text = refused(sound(), replace(SOUND, duration_s=(0, 2)), "hum")
    assert "4.0 s long; allowed: at most 2 s" in text
    read_audio_video(video(4.0), replace(VIDEO, duration_s=(1, 3.96)))


def test_what_is_too_large(walk: Path) -> None:
    """Judged before it is read."""
    text = refused(walk, replace(VIDEO, max_bytes=1_000))
    assert text.startswith("my walk.mp4: ")
    assert "allowed: at most 0.001 MB; make it smaller, e.g. `ffmpeg -i" in text


def test_a_video_of_another_shape() -> None:
    """Sides and ratio where the model says."""
    text = refused(video(), replace(VIDEO, over_px=340), "walk")
    assert text.startswith("walk: 352×320 pixels; each side must be at least 341 px")
    text = refused(video(), replace(VIDEO, ratio=(1.2, 2.0)), "walk")
    assert "width to height 1.10; allowed: 1.2 to 2; crop it" in text


@pytest.mark.parametrize("source", [5, None, object(), [1]])
def test_what_is_no_file(source: object) -> None:
    """Says what may be given."""
    assert (
        "is not a video; allowed: a path, a URL, bytes, an open file, an earlier clip"
        in refused(source, VIDEO)
    )


def test_a_file_that_is_not_there(tmp_path: Path, walk: Path) -> None:
    """The nearest is named; a folder is none."""
    text = refused(tmp_path / "my wakl.mp4", VIDEO)
    assert "there is no file" in text
    assert "did you mean 'my walk.mp4'?" in text
    assert "is a folder; give a video in it" in refused(tmp_path, VIDEO)
