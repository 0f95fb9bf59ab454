"""Which field of a request shows what in its clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator.render.shot_list import Script, Shot, write_script
from tests.support.emulator_requests import GOOD, SHOTS


def script_of(name: str, *, own: bool = True, **changes: Any) -> Script:
    """The script of a good request; each file is named as the end of its URL."""
    values = {key: value for key, value in (GOOD[name] | changes).items() if value is not None}
    return write_script(
        name,
        values,
        file_at=lambda url: Path(url.rsplit("/", 1)[1]) if own else None,
        measure=lambda url: 7.5 if own else None,
    )


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("kling-2.6/image-to-video", "a.png", None),
        ("kling-2.6/motion-control", "a.png", None),
        ("kling-3.0/video", "a.png", "b.png"),
        ("kling-3.0-omni/image-to-video", "a.png", "b.png"),
        ("kling-3.0-omni/reference-to-video", "a.png", None),
        ("kling/v2-1-pro", "a.png", "b.png"),
        ("kling/v2-5-turbo-image-to-video-pro", "a.png", "b.png"),
        ("kling/ai-avatar-pro", "a.png", None),
        ("kling-2.6/text-to-video", None, None),
    ],
)
def test_the_first_and_the_last_frame(name: str, first: str | None, last: str | None) -> None:
    """A second picture is the last frame only where the page says so."""
    two_frames = {"image_urls": [f"https://h/{each}" for each in (first, last)]}
    script = script_of(name, **(two_frames if "image_urls" in GOOD[name] and last else {}))
    assert (script.first, script.last) == (first and Path(first), last and Path(last))
    assert script.film is None


def test_a_video_gives_the_picture_where_there_is_no_other() -> None:
    """As in a transformation of a video alone."""
    script = script_of("kling-3.0-omni/transformation", image_urls=None)
    assert (script.first, script.film) == (None, Path("a.mp4"))


def test_a_file_elsewhere_is_named() -> None:
    """It is not fetched; a notice shows its URL."""
    script = script_of("kling/v2-1-pro", own=False)
    assert (script.first, script.last) == (None, None)
    assert script.foreign == "https://example.com/a.png"


def test_shots_share_the_length() -> None:
    """In the proportions that were asked for."""
    script = script_of("kling-3.0/video", duration="10")
    assert script.shots == (Shot("A fox", 4.0), Shot("It runs", 6.0))


def test_shots_alone_make_the_length() -> None:
    """Where no duration is sent."""
    script = script_of("kling-3.0-omni/image-to-video")
    assert script.length_s == 5.0
    assert [shot.words for shot in script.shots] == ["A fox", "It runs"]


@pytest.mark.parametrize(
    ("name", "flag"),
    [("kling-3.0/video", "multi_shots"), ("kling-3.0-omni/text-to-video", "customize_multi_shots")],
)
def test_shots_that_are_switched_off_do_not_show(name: str, flag: str) -> None:
    """The prompt is the only one."""
    script = script_of(name, **{flag: False}, prompt="p", multi_prompt=SHOTS)
    assert [shot.words for shot in script.shots] == ["p"]


@pytest.mark.parametrize("name", ["kling-2.6/motion-control", "kling/ai-avatar-standard"])
def test_the_length_follows_the_reference(name: str) -> None:
    """The video's or the sound's; 5 s where it is not known."""
    assert script_of(name).length_s == 7.5
    assert script_of(name, own=False).length_s == 5.0


def test_auto_is_the_shape_of_the_picture() -> None:
    """Any other shape is cut from it."""
    name = "kling-3.0-omni/image-to-video"
    assert script_of(name).aspect_ratio == ""
    assert script_of(name, aspect_ratio="9:16").aspect_ratio == "9:16"


def test_equal_scripts_share_a_name() -> None:
    """Words count where they are seen; a canned clip is one for each length and sound."""
    script = script_of("kling-2.6/image-to-video")
    assert script.key(False) == script_of("kling-2.6/image-to-video", prompt="other").key(False)
    assert script.key(False) != script_of("kling-2.6/image-to-video", sound=False).key(False)
    assert script.key(False) != replace(script, aspect_ratio="1:1").key(False)
    shots = script_of("kling-3.0/video")
    other = [{**SHOTS[0], "prompt": "A hen"}, SHOTS[1]]
    assert shots.key(False) != script_of("kling-3.0/video", multi_prompt=other).key(False)
    assert shots.key(False) != replace(shots, last=Path("c.png")).key(False)
    assert shots.key(True) == replace(shots, last=Path("c.png")).key(True)
