"""The pictures of a content as the camera sees them, and the clip that they become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from kling_nb.emulator.render.encode import Scene, render_scenes
from kling_nb.emulator.render.input_files import MediaUnavailable
from kling_nb.emulator.render.media_probe import UnreadableMedia, first_frame, probe
from kling_nb.emulator.render.scenes import build_scenes
from kling_nb.emulator.render.shot_list import Shot, ShotList
from tests.support.emulator_requests import film, photo_of, speech
from tests.unit.emulator.render.test_encode import frames_of

WORDS = ShotList(
    first=None,
    video=None,
    last=None,
    foreign="",
    shots=(Shot("A fox", 2.0),),
    aspect_ratio="16:9",
    sound=False,
    large=False,
)
SHOTS = (Shot("A fox", 1.0), Shot("It runs", 1.0))


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A picture on disk."""
    path = tmp_path / "photo"
    path.write_bytes(photo_of(640, 360))
    return path


def difference(one: Image.Image, other: Image.Image) -> float:
    """How much two pictures differ, at most, in any channel's mean."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def test_words_are_drawn_for_each_shot() -> None:
    """A scene of its own."""
    one, two = build_scenes(replace(WORDS, shots=SHOTS))
    assert one.image.size == (1280, 720)
    assert difference(one.image, two.image) > 1


def test_each_shot_of_a_picture_has_its_caption(photo_file: Path) -> None:
    """In the lower third; a single shot has none."""
    content = replace(WORDS, first=photo_file, aspect_ratio="")
    (plain,) = build_scenes(content)
    one, two = build_scenes(replace(content, shots=SHOTS))
    assert difference(plain.image, Image.new("RGB", (640, 360), "#3060a0")) == 0
    assert difference(one.image, two.image) > 0
    assert difference(one.image.crop((0, 0, 640, 240)), plain.image.crop((0, 0, 640, 240))) == 0


@pytest.mark.parametrize(
    ("shape", "size"), [("1:1", (360, 360)), ("9:16", (202, 360)), ("", (640, 360))]
)
def test_a_picture_is_cut_to_the_asked_shape(
    photo_file: Path, shape: str, size: tuple[int, int]
) -> None:
    """Its middle part."""
    (scene,) = build_scenes(replace(WORDS, first=photo_file, aspect_ratio=shape))
    assert scene.image.size == size


def test_a_video_gives_its_first_frame(tmp_path: Path) -> None:
    """Where no picture does."""
    path = tmp_path / "film"
    path.write_bytes(film(tmp_path, 1.0, colour="#e0e0e0"))
    (scene,) = build_scenes(replace(WORDS, video=path, aspect_ratio=""))
    assert scene.image.size == (64, 36)
    assert scene.image.getpixel((10, 30)) == pytest.approx((224, 224, 224), abs=8)


def test_a_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """Although it was there when the task was made."""
    path = tmp_path / "none"
    path.write_bytes(b"none")
    for content in (replace(WORDS, first=path), replace(WORDS, video=path)):
        with pytest.raises(MediaUnavailable):
            build_scenes(content)


def test_the_clip_ends_on_the_last_picture(tmp_path: Path) -> None:
    """It begins with the first; the mark stays."""
    size, target = (320, 180), tmp_path / "clip.mp4"
    first, last = Image.new("RGB", size, "#c03020"), Image.new("RGB", size, "#2040c0")
    render_scenes([Scene(first, 2.0, last=last)], target, size=size, sound=False)
    frames = frames_of(target)
    assert len(frames) == 48
    assert frames[0].getpixel((100, 100)) == pytest.approx((192, 48, 32), abs=8)
    assert frames[-1].getpixel((100, 100)) == pytest.approx((32, 64, 192), abs=8)
    assert difference(frames[-1].crop((220, 0, 320, 30)), last.crop((220, 0, 320, 30))) > 1


def test_scenes_follow_each_other(tmp_path: Path) -> None:
    """At their times; thirds of seconds add up to the whole."""
    size, target = (320, 180), tmp_path / "clip.mp4"
    colours = ("#c03020", "#20a040", "#2040c0")
    scenes = [Scene(Image.new("RGB", size, colour), 1 / 3) for colour in colours]
    render_scenes(scenes, target, size=size, sound=True)
    assert len(frames_of(target)) == 24
    facts = probe(target)
    assert (facts.is_video, facts.has_sound) == (True, True)
    assert facts.duration_s == pytest.approx(1.0, abs=0.05)


def test_what_is_no_footage_is_said_so(tmp_path: Path) -> None:
    """A picture, nonsense, and a sound where a picture is wanted."""
    for name, content in (("a", b"nonsense"), ("b", photo_of(40, 40)), ("c", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnreadableMedia):
            probe(path)
    path.write_bytes(speech(1.0))
    assert not probe(path).is_video
    with pytest.raises(UnreadableMedia):
        first_frame(path)
