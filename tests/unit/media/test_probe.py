"""Test `probe`: the content decides the type, and files are measured to their end."""

from __future__ import annotations

import io
import struct
import weakref
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from kling_nb.errors import MediaError
from kling_nb.media.probe import (
    HEAD_BYTES,
    MP4,
    FileType,
    detect_type,
    measure,
    open_container,
    read_duration,
    read_end,
    reading,
)
from tests.support.reels import SOUNDS, index_first, sound, video


def type_of(content: bytes) -> FileType:
    """Return the detected type of a file."""
    form = detect_type(content[:HEAD_BYTES])
    assert form is not None
    return form


# --- by the first bytes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        *((sound(mime_type), mime_type) for mime_type in SOUNDS),
        (video(form="mp4"), "video/mp4"),
        (video(form="mov"), "video/quicktime"),
        (video(form="webm"), "video/webm"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_types_are_detected(content: bytes, mime_type: str) -> None:
    """As FFmpeg writes them, also if only the first frame identifies the type."""
    assert type_of(content).mime_type == mime_type


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x08wide\0\0", "a MOV video"),
        (b"\0\0\0\x18ftypM4A \0\0", "an M4A file"),
        (b"\0\0\0\x18ftypheic\0\0", "a HEIC image"),
        (b"\x1a\x45\xdf\xa3\x01\0\0matroska", "a Matroska video (MKV)"),
        (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
        (b"\xff\xfb\x90\x00", "an MP3 file"),
        (b"\xff\xf1\x50\x80", "an AAC file"),
        (b"\x89PNG\r\n", "a PNG image"),
        (b"PK\x03\x04", "a ZIP archive"),
    ],
)
def test_what_else_is_known(head: bytes, words: str) -> None:
    """Also types that are refused, so that the message can name them."""
    form = detect_type(head)
    assert form is not None
    assert form.description == words


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"#EXTM3U\n/etc/passwd", b"RIFF\0\0\0\0xxxx", b"\xff\xe8"]
)
def test_what_nothing_tells(head: bytes) -> None:
    """A playlist has no type: FFmpeg would open the files that it names."""
    assert detect_type(head) is None


# --- measured ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mime_type", SOUNDS)
def test_a_sound_is_as_long_as_its_packets(mime_type: str) -> None:
    """Without an index the header only has an estimate."""
    content = sound(mime_type, 4.0)
    measured = measure(BytesIO(content), type_of(content), "hum")
    assert measured.duration_s == pytest.approx(4.0, abs=0.12)
    assert (measured.width_px, measured.still) == (0, None)
    assert measured.file_type.mime_type == mime_type


def test_a_video_is_measured() -> None:
    """Width, height, duration and the first image."""
    content = video(3.0, (352, 320))
    measured = measure(BytesIO(content), type_of(content), "walk")
    assert (measured.width_px, measured.height_px, measured.duration_s) == (352, 320, 3.0)
    assert measured.still is not None
    assert measured.still.size == (352, 320)


def test_a_header_that_tells_of_too_few_seconds() -> None:
    """The packets count: the service may charge by the second."""
    content = bytearray(video(8.0))
    at = content.index(b"mdhd") + 20  # behind name, version, two times and the scale
    whole = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 4] = (whole // 2).to_bytes(4, "big")
    with open_container(BytesIO(content), MP4.demuxer) as container:
        assert read_duration(container, container.streams.video[0]) == 4.0
    assert measure(BytesIO(content), MP4, "walk.mp4").duration_s == 8.0


def test_a_video_that_begins_late() -> None:
    """The time before its first image does not count."""
    content = BytesIO()
    with av.open(content, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10, 30):
            shown: Any = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))
            shown.pts, shown.time_base = number, Fraction(1, 5)
            output.mux(stream.encode(shown))
        output.mux(stream.encode(None))
    assert measure(content, MP4, "walk.mp4").duration_s == 4.0


def test_a_video_that_a_phone_filmed_upright() -> None:
    """Its header has a rotation by 90°."""
    content = bytearray(video(1.0, (96, 64)))
    at = content.index(b"tkhd") + 44
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30)
    content[at : at + 36] = quarter
    measured = measure(BytesIO(content), type_of(bytes(content)), "walk")
    assert (measured.width_px, measured.height_px) == (64, 96)


def test_an_mp4_without_pictures_is_a_sound() -> None:
    """Its brand says video."""
    content = sound("audio/mp4").replace(b"ftypM4A ", b"ftypisom", 1)
    assert type_of(content).mime_type == "video/mp4"
    assert measure(BytesIO(content), type_of(content), "hum").file_type.mime_type == "audio/mp4"


def test_a_cover_makes_no_video_of_a_sound() -> None:
    """A song in an M4A has a cover image."""
    cover = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(cover, "JPEG")
    content = BytesIO()
    with av.open(BytesIO(sound("audio/mp4"))) as source, av.open(content, "w", format="mp4") as to:
        hum = to.add_stream_from_template(source.streams.audio[0])
        shown = to.add_stream("mjpeg", rate=1)
        shown.width, shown.height, shown.pix_fmt = 64, 64, "yuvj420p"
        shown.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        to.mux(shown.encode(picture.reformat(format="yuvj420p")))
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = hum
                to.mux(packet)
    whole = content.getvalue()
    assert measure(BytesIO(whole), type_of(whole), "song").file_type.mime_type == "audio/mp4"


@pytest.mark.parametrize("whole", [video(4.0, shade=77), sound("audio/mp4", 4.0)])
def test_a_file_that_is_cut_short(whole: bytes) -> None:
    """Its index is complete, its end is missing."""
    content = index_first(whole)
    measure(BytesIO(content), type_of(content), "it")
    cut = content[: len(content) * 4 // 5]
    with (
        pytest.raises(MediaError, match=r"^it: .*truncated; give the complete"),
        reading("it", "a file", "again"),
    ):
        measure(BytesIO(cut), type_of(cut), "it")


def test_a_file_with_a_damaged_end() -> None:
    """What can be decoded ends before it."""
    content = bytearray(video(4.0))
    with open_container(BytesIO(content), MP4.demuxer) as container:
        packets = [each for each in container.demux(video=0) if each.size]
    for packet in packets[-6:-4]:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    with pytest.raises(MediaError, match=r"^it: .*truncated; give the complete"):
        measure(BytesIO(content), MP4, "it")


def test_every_failure_is_a_media_error() -> None:
    """Any exception of a reader is converted; our own messages stay."""
    with (
        pytest.raises(MediaError, match=r"^fox: cannot be read as a clip \(7\); do this$"),
        reading("fox", "a clip", "do this"),
    ):
        raise ValueError(7)
    with pytest.raises(MediaError, match=r"^ours$"), reading("fox", "a clip", "do this"):
        raise MediaError("ours")


def test_the_end_is_read_with_two_frames_in_memory() -> None:
    """A clip of 5 s in 1080p has 370 MB of frames after its only key frame."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most: list[int] = []

    class Frame:
        def __init__(self, time: float) -> None:
            self.time = time

    def decode(_stream: object) -> Iterator[Frame]:
        for number in range(121):
            frame = Frame(number / 24)
            alive.add(frame)
            most.append(len(alive))
            yield frame

    container: Any = SimpleNamespace(
        start_time=0, duration=5_000_000, seek=lambda *_, **__: None, decode=decode
    )
    stream: Any = SimpleNamespace(average_rate=24)
    assert read_end(container, stream) == pytest.approx(121 / 24)
    assert max(most) <= 3
