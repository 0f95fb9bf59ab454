"""Test `clips`: measured facts, and posters, frames and previews that play."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kling_nb.core.job_state import ClipFacts
from kling_nb.display.html.prices import format_encoding
from kling_nb.errors import MediaError
from kling_nb.media import clips, probe
from kling_nb.media.clips import (
    POSTER_BYTES,
    check_clip,
    frame,
    make_preview,
    poster,
    probe_clip,
    read_encoding,
)
from tests.support.reels import encoded, index_first, sound

FPS = 10


@cache
def render(
    seconds: float = 2.0,
    size: tuple[int, int] = (64, 48),
    *,
    audio: bool = False,
    kind: str = "mp4",
    pictures: str = "ramp",
    b_frames: int = 2,
    key_every: int = 8,
) -> bytes:
    """Return a small clip; each frame of a ramp is a little brighter than the one before."""
    content = BytesIO()
    with av.open(content, "w", format=kind) as output:
        video = output.add_stream("libx264" if kind == "mp4" else "libvpx", rate=FPS)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"g": str(key_every), "bf": str(b_frames), "preset": "ultrafast"}
        voice: Any = output.add_stream("aac", rate=48000) if audio else None
        for index in range(round(seconds * FPS)):
            output.mux(video.encode(av.VideoFrame.from_ndarray(paint(pictures, index, size))))
            if voice:
                output.mux(voice.encode(hum(index)))
        for stream in filter(None, (video, voice)):
            output.mux(stream.encode(None))
    return content.getvalue()


def paint(pictures: str, index: int, size: tuple[int, int]) -> np.ndarray:
    """Return one image of a clip."""
    shape = (size[1], size[0], 3)
    if pictures == "noise":
        return np.random.default_rng(index).integers(0, 255, shape, dtype=np.uint8)
    if pictures == "fade" and index < 5:
        return np.zeros(shape, np.uint8)
    return np.full(shape, 20 + 10 * index % 230, np.uint8)


def hum(index: int) -> av.AudioFrame:
    """Return a tenth of a second of audio."""
    count = 48000 // FPS
    wave = np.sin(np.arange(count) / 20, dtype=np.float32)[None, :]
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 48000, index * count
    return frame


def save(folder: Path, content: bytes, name: str = "clip.mp4") -> Path:
    """Write a clip."""
    path = folder / name
    path.write_bytes(content)
    return path


def measure(image: Image.Image) -> float:
    """Return the mean brightness of an image."""
    return float(np.asarray(image.convert("L")).mean())


# --- facts -------------------------------------------------------------------------------------


def test_facts_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from the content, whatever the name; the path is absolute."""
    content = render(audio=True)
    path = save(tmp_path, content, "fox.jpg.part")
    monkeypatch.chdir(tmp_path)
    assert probe_clip(Path(path.name)) == ClipFacts(
        path=str(path),
        width_px=64,
        height_px=48,
        duration_s=2.0,
        fps=10.0,
        video_codec="h264",
        audio_codec="aac",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


PLAYED = [
    ("libx264",),
    ("libx264", "yuvj420p"),
    ("libx264", "yuv420p", "mp4", "aac"),
]
NOT_PLAYED = {
    "H.265 (Main, yuv420p)": ("libx265",),
    "H.265 (Main 10, yuv420p10le)": ("libx265", "yuv420p10le"),
    "H.264 (High 10, yuv420p10le)": ("libx264", "yuv420p10le"),
    "H.264 (High 4:2:2, yuv422p)": ("libx264", "yuv422p"),
    "H.264 (High 4:4:4 Predictive, yuv444p)": ("libx264", "yuv444p"),
    "MPEG-4 Part 2 (Simple Profile, yuv420p)": ("mpeg4",),
    "AV1 (Main, yuv420p)": ("libsvtav1",),
    "VP9 (Profile 0, yuv420p)": ("libvpx-vp9",),
    "VP8 (yuv420p) in WebM": ("libvpx", "yuv420p", "webm"),
    "ProRes (HQ, yuv422p10le) in MOV": ("prores_ks", "yuv422p10le", "mov"),
    "H.264 (High, yuv420p) in MOV": ("libx264", "yuv420p", "mov"),
    "H.264 (High, yuv420p) with AC-3 audio": ("libx264", "yuv420p", "mp4", "ac3"),
    "H.264 (High, yuv420p) with MP3 audio": ("libx264", "yuv420p", "mp4", "libmp3lame"),
}


@pytest.mark.parametrize("encoding", PLAYED, ids=str)
def test_encodings_that_every_browser_plays(tmp_path: Path, encoding: tuple[str, ...]) -> None:
    """8-bit 4:2:0 H.264 in MP4, silent or with AAC."""
    assert read_encoding(save(tmp_path, encoded(*encoding))).plays_everywhere


@pytest.mark.parametrize("text", NOT_PLAYED)
def test_other_encodings(tmp_path: Path, text: str) -> None:
    """They are named, and have an H.264 preview that every browser plays."""
    path = save(tmp_path, encoded(*NOT_PLAYED[text]))
    found = read_encoding(path)
    assert not found.plays_everywhere
    assert format_encoding(found) == text
    assert read_encoding(save(tmp_path, make_preview(path), "preview.mp4")).plays_everywhere


def test_the_codec_is_named_and_not_its_decoder(tmp_path: Path) -> None:
    """FFmpeg decodes AV1 with `libdav1d`; WebM has a duration for the whole file only."""
    assert probe_clip(save(tmp_path, encoded("libsvtav1"))).video_codec == "av1"
    facts = probe_clip(save(tmp_path, render(kind="webm")))
    assert (facts.video_codec, facts.audio_codec) == ("vp8", "")
    assert facts.duration_s == pytest.approx(2.0, abs=0.15)


def test_making_a_sample_leaves_the_scheduling_as_it_is() -> None:
    """Under real-time scheduling, this process and its browsers would starve all others."""
    before = os.sched_getscheduler(0)
    encoded("libsvtav1")
    assert os.sched_getscheduler(0) == before == os.SCHED_OTHER


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("key_every", [8, 1000])
@pytest.mark.parametrize("fill", [b"", b"\0", b"\xff", b"noise"])
def test_a_clip_that_is_cut_short(
    tmp_path: Path, share: float, key_every: int, fill: bytes
) -> None:
    """The header is complete; the last images are missing, or other bytes are in their place."""
    whole = index_first(render(4.0, pictures="noise", key_every=key_every))
    assert whole.index(b"moov") < whole.index(b"mdat")
    cut = whole[: int(len(whole) * share)]
    other = np.random.default_rng(1).bytes(len(whole)) if fill == b"noise" else fill * len(whole)
    with pytest.raises(MediaError):
        probe_clip(save(tmp_path, cut + other[: len(whole) - len(cut)]))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_clip_with_one_key_frame(
    tmp_path: Path, kind: str, b_frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last second of H.264 is decoded alone; VP8 is decoded from the key frame."""
    decoded: list[object] = []
    real = clips.read_end

    def count(container: Any, stream: Any, **options: bool) -> float:
        def decode(wanted: object) -> Iterator[Any]:
            for each in container.decode(wanted):
                decoded.append(each.time)
                yield each

        times = {"start_time": container.start_time, "duration": container.duration}
        return real(SimpleNamespace(seek=container.seek, decode=decode, **times), stream, **options)

    monkeypatch.setattr(clips, "read_end", count)
    content = render(6.0, kind=kind, b_frames=b_frames, key_every=1000)
    assert probe_clip(save(tmp_path, content)).duration_s == pytest.approx(6.0, abs=0.2)
    assert len(decoded) <= (2 * FPS if kind == "mp4" else 7 * FPS)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>502 Bad Gateway</html>", b'{"code":401}', b"\0\0\0\x20ftypisom" + b"\0" * 99],
)
def test_other_files_are_no_clips(tmp_path: Path, content: bytes) -> None:
    """The message names the file and what is allowed."""
    path = save(tmp_path, content)
    for act in (probe_clip, poster, make_preview, lambda path: frame(path, 0)):
        with pytest.raises(MediaError, match=r"clip\.mp4: .*allowed: a playable MP4 or WebM"):
            act(path)


def test_why_a_file_is_no_clip(tmp_path: Path) -> None:
    """FFmpeg would open the file of a playlist; the specification's own example is a JPEG."""
    save(tmp_path, render(), "other.mp4")
    jpeg = BytesIO()
    Image.new("RGB", (9, 9)).save(jpeg, "JPEG")
    for content, words in (
        (b"ffconcat version 1.0\nfile other.mp4\n", "begins with"),
        (jpeg.getvalue(), "is not a clip"),
    ):
        with pytest.raises(MediaError, match=words):
            probe_clip(save(tmp_path, content))
    with pytest.raises(MediaError, match=r"gone\.mp4: cannot be read as a clip \(No such file"):
        probe_clip(tmp_path / "gone.mp4")


def test_audio_alone_is_no_clip(tmp_path: Path) -> None:
    """A clip has images, whatever the brand of the file says."""
    content = sound("audio/mp4").replace(b"ftypM4A ", b"ftypisom", 1)
    with pytest.raises(MediaError, match="contains no video"):
        probe_clip(save(tmp_path, content))


FACTS = ClipFacts("/x/clip.mp4", 64, 48, 5.0, 24.0, "h264", "", 1, "")


@pytest.mark.parametrize(
    ("duration_s", "expected_s", "good"),
    [
        (5.0, 5, True),
        (5.5, 5, True),
        (4.5, 5, True),
        (5.51, 5, False),
        (4.4, 5, False),
        (2.5, 5, False),
        (10.9, 10, True),
        (9.0, 10, True),
        (11.1, 10, False),
        (3.4, 3, True),
    ],
)
def test_length_as_paid_for(duration_s: float, expected_s: float, good: bool) -> None:
    """Half a second or a tenth may be missing or extra, whichever is more."""
    words = rf"clip\.mp4: .* instead of {expected_s} s"
    with nullcontext() if good else pytest.raises(MediaError, match=words):
        check_clip(replace(FACTS, duration_s=duration_s), expected_s)


@pytest.mark.parametrize("act", [probe_clip, poster])
def test_a_clip_is_verified_by_one_thread(
    tmp_path: Path, act: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread of a decoder holds frames: of 1080p, 3 MB each."""
    opened: list[int] = []
    real = probe.first_visible_frame, clips.read_end

    def note(container: Any, stream: Any, read: Callable[..., Any], **options: bool) -> Any:
        found = read(container, stream, **options)
        opened.append(stream.codec_context.thread_count)
        return found

    monkeypatch.setattr(probe, "first_visible_frame", partial(note, read=real[0]))
    monkeypatch.setattr(clips, "read_end", partial(note, read=real[1]))
    act(save(tmp_path, render()))
    assert opened == [1]


def test_dark_frames_are_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the poster's frame is converted at its full size."""
    sizes: list[tuple[int, int]] = []
    real = probe.to_image

    def to_image(frame: Any) -> Image.Image:
        image = real(frame)
        sizes.append(image.size)
        return image

    monkeypatch.setattr(clips, "to_image", to_image)
    poster(save(tmp_path, render(pictures="fade")))
    assert sizes == [(64, 48)]


# --- poster and frames -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "images", "brightness"), [(2.0, "ramp", 20), (2.0, "fade", 70), (0.5, "fade", 0)]
)
def test_poster(tmp_path: Path, seconds: float, images: str, brightness: float) -> None:
    """The first image that is not black, or the first one if all are, as a JPEG."""
    image = Image.open(BytesIO(poster(save(tmp_path, render(seconds, pictures=images)))))
    assert (image.format, image.size) == ("JPEG", (64, 48))
    assert measure(image) == pytest.approx(brightness, abs=4)


@pytest.mark.parametrize("size", [(3840, 2160), (1080, 1920)])
def test_poster_of_a_large_clip(tmp_path: Path, size: tuple[int, int]) -> None:
    """At most 1280 px a side and 60 kB."""
    content = poster(save(tmp_path, render(0.1, size, pictures="noise")))
    assert max(Image.open(BytesIO(content)).size) <= 1280
    assert len(content) <= POSTER_BYTES == 60_000


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("index", [0, 1, 7, 8, 13, 19, -1, -2, -20])
def test_frames(tmp_path: Path, index: int, b_frames: int) -> None:
    """By index, in the order in which they are shown."""
    image = frame(save(tmp_path, render(b_frames=b_frames)), index)
    assert image.mode == "RGB"
    assert measure(image) == pytest.approx(20 + 10 * (index % 20), abs=4)


@pytest.mark.parametrize("index", [20, -21, 1000])
def test_frames_that_do_not_exist(tmp_path: Path, index: int) -> None:
    """The message says how many there are."""
    with pytest.raises(IndexError, match=rf"frame {index}: clip\.mp4 has 20 frames"):
        frame(save(tmp_path, render()), index)


# --- preview -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("audio", "kind"), [(True, "mp4"), (False, "mp4"), (False, "webm")])
def test_preview(tmp_path: Path, audio: bool, kind: str) -> None:
    """The same clip in H.264, with AAC if it has audio; its index precedes its data."""
    content = make_preview(save(tmp_path, render(audio=audio, kind=kind), f"original.{kind}"))
    path = save(tmp_path, content)
    facts = probe_clip(path)
    assert (facts.width_px, facts.height_px, facts.video_codec) == (64, 48, "h264")
    assert facts.audio_codec == ("aac" if audio else "")
    assert facts.duration_s == pytest.approx(2.0, abs=0.15)
    assert content.index(b"moov") < content.index(b"mdat")
    assert measure(frame(path, 0)) == pytest.approx(20, abs=4)
    assert measure(frame(path, -1)) == pytest.approx(210, abs=4)


def count_key_frames(path: Path) -> int:
    """Return the number of key frames of a clip."""
    with av.open(str(path)) as container:
        return sum(packet.is_keyframe for packet in container.demux(video=0))


def test_preview_chooses_its_own_key_frames(tmp_path: Path) -> None:
    """The clip's own, often many, would take the bytes of the images between them."""
    original = save(tmp_path, render(4.0), "original.mp4")
    assert count_key_frames(save(tmp_path, make_preview(original))) < count_key_frames(original)


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (1280, 720)), ((1080, 1920), (720, 1280))]
)
def test_preview_is_720p(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The shorter side has at most 720 px; a clip is never enlarged."""
    facts = probe_clip(save(tmp_path, make_preview(save(tmp_path, render(0.3, size)))))
    assert (facts.width_px, facts.height_px) == expected


@pytest.mark.parametrize("max_bytes", [200_000, 60_000, 40_000])
def test_preview_fits(tmp_path: Path, max_bytes: int) -> None:
    """Also a clip of noise, with fewer bits and then with fewer pixels."""
    path = save(tmp_path, render(2.0, (320, 240), pictures="noise", audio=True))
    content = make_preview(path, max_bytes=max_bytes)
    assert len(content) <= max_bytes
    assert probe_clip(save(tmp_path, content)).audio_codec == "aac"


def test_preview_that_cannot_fit(tmp_path: Path) -> None:
    """The message has its size."""
    with pytest.raises(MediaError, match=r"a preview has [\d,]+ bytes; allowed: 100"):
        make_preview(save(tmp_path, render()), max_bytes=100)


# --- anything at all ---------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_clips(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A clip that was cut or changed gives facts or a MediaError, never anything else."""
    kind = data.draw(st.sampled_from(["mp4", "webm"]))
    content = render(0.5, kind=kind)
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 5))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try_all(tmp_path_factory, bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(start=st.sampled_from([b"", b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3"]), rest=st.binary())
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    """Bytes that only begin like a clip raise no other error."""
    try_all(tmp_path_factory, start + rest)


def try_all(folders: pytest.TempPathFactory, content: bytes) -> None:
    """Read any file in every way."""
    path = save(folders.getbasetemp(), content, "anything.mp4")
    for act in (probe_clip, poster, lambda path: frame(path, -1)):
        try:
            act(path)
        except (MediaError, IndexError):
            continue
