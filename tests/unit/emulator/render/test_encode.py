"""A picture becomes a clip of the right size and length that moves and is marked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from kling_nb.emulator.render.encode import Interrupted, frame_size, render_clip, view_at

SIZE = (320, 180)


def make(folder: Path, picture: Image.Image, sound: bool = False) -> Path:
    """A clip of one second."""
    target = folder / "clip.mp4"
    render_clip(picture, target, size=SIZE, length_s=1.0, sound=sound)
    return target


def frames_of(clip: Path) -> list[Image.Image]:
    """All frames, in true colours."""
    with av.open(str(clip)) as film:
        frames = film.decode(video=0)
        return [frame.reformat(format="rgb24", src_colorspace=1).to_image() for frame in frames]


def stripes() -> Image.Image:
    """A colourful picture with edges everywhere."""
    picture = Image.new("RGB", (640, 360), "#b06020")
    for x in range(0, 640, 40):
        picture.paste("#2040a0", (x, 0, x + 20, 360))
    return picture


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (360, 640)),
        ((3000, 3000), (640, 640)),
        ((451, 300), (640, 426)),
        ((1, 1), (640, 640)),
        ((4000, 100), (640, 160)),
    ],
)
def test_the_size_keeps_the_proportions(given: tuple[int, int], made: tuple[int, int]) -> None:
    """Even, 640 pixels long; very long images are shortened."""
    assert frame_size(*given) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((3000, 3000), (960, 960)),
        ((1281, 721), (1280, 720)),
        ((451, 300), (640, 426)),
        ((800, 600), (800, 600)),
        ((32, 18), (640, 360)),
        ((1, 1), (640, 640)),
        ((4000, 100), (640, 160)),
        ((800, 9000), (320, 1280)),
    ],
)
def test_a_large_size_is_that_of_the_image(given: tuple[int, int], made: tuple[int, int]) -> None:
    """Even, at most as large as 720p, tiny ones enlarged to 640, very long ones shortened."""
    assert frame_size(*given, large=True) == made


def test_the_camera_moves_smoothly_inside_the_picture() -> None:
    """Each view lies in the picture, keeps its shape, and differs by less than a pixel or so."""
    views = [view_at(number / 119, 1434, 806) for number in range(120)]
    assert views[0] == (0, 0, 1434, 806)
    for left, top, right, bottom in views:
        assert 0 <= left < right <= 1434
        assert 0 <= top < bottom <= 806
        assert (right - left) / (bottom - top) == pytest.approx(1434 / 806)
    steps = [now[0] - before[0] for before, now in pairwise(views)]
    assert 0 <= min(steps) <= max(steps) < 2
    changes = [abs(b - a) for a, b in pairwise(steps)]
    assert max(changes) < 0.1


def test_the_clip_is_h264_of_exact_length(tmp_path: Path) -> None:
    """24 frames for a second, yuv420p, and the index in front for players on the web."""
    clip = make(tmp_path, stripes())
    assert [frame.size for frame in frames_of(clip)] == [SIZE] * 24
    with av.open(str(clip)) as film:
        (stream,) = film.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.profile == "Main"
        assert film.duration == 1_000_000
    content = clip.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("sound", [False, True])
def test_equal_clips_have_equal_bytes(tmp_path: Path, sound: bool) -> None:
    """Rendered twice."""
    first = make(tmp_path, stripes(), sound).read_bytes()
    assert make(tmp_path, stripes(), sound).read_bytes() == first


def test_colours_stay_true(tmp_path: Path) -> None:
    """A plain colour comes back as it was, to a few steps of 255."""
    first, *_ = frames_of(make(tmp_path, Image.new("RGB", (640, 360), (200, 80, 40))))
    assert first.getpixel((160, 60)) == pytest.approx((200, 80, 40), abs=6)


def test_the_picture_fills_the_frame_and_moves(tmp_path: Path) -> None:
    """No black bars at any side; the last frame is not the first."""
    frames = frames_of(make(tmp_path, stripes()))
    for box in ((0, 0, 320, 2), (0, 178, 320, 180), (0, 0, 2, 180), (318, 0, 320, 180)):
        assert min(ImageStat.Stat(frames[-1].crop(box)).mean) > 20
    moved = ImageChops.difference(frames[0], frames[-1])
    assert max(ImageStat.Stat(moved).mean) > 10


def test_every_frame_is_marked(tmp_path: Path) -> None:
    """The badge stands still in the upper right corner, and is modest."""
    frames = frames_of(make(tmp_path, Image.new("RGB", (640, 360), "#e0e0d0")))
    for frame in frames:
        changed = ImageChops.difference(frame, Image.new("RGB", SIZE, frame.getpixel((5, 5))))
        box = changed.convert("L").point(lambda value: 255 if value > 60 else 0).getbbox()
        assert box is not None
        assert box[0] > SIZE[0] * 0.7
        assert box[3] < SIZE[1] * 0.2


def test_the_sound_is_there_and_quiet(tmp_path: Path) -> None:
    """AAC as long as the picture; audible, far from loud."""
    import array

    make(tmp_path, stripes(), sound=True)
    with av.open(str(tmp_path / "clip.mp4")) as film:
        assert film.streams.audio[0].codec_context.name == "aac"
        samples = array.array("f")
        for frame in film.decode(audio=0):
            samples.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
        assert film.duration == pytest.approx(1_000_000, abs=25_000)
    assert 0.02 < max(samples) < 0.3


def test_rendering_can_be_stopped(tmp_path: Path) -> None:
    """At the next frame."""
    answers = iter([False, False, True])
    with pytest.raises(Interrupted):
        render_clip(
            stripes(),
            tmp_path / "clip.mp4",
            size=SIZE,
            length_s=1.0,
            sound=False,
            stop=lambda: next(answers),
        )
