"""Which field of a request shows what in its clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator.render.shot_list import Shot, ShotList, read_shot_list
from tests.support.emulator_requests import GOOD, SHOTS


def shots_of(name: str, *, own: bool = True, **changes: Any) -> ShotList:
    """The content of a good request; each file is named as the end of its URL."""
    values = {key: value for key, value in (GOOD[name] | changes).items() if value is not None}
    return read_shot_list(
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
    content = shots_of(name, **(two_frames if "image_urls" in GOOD[name] and last else {}))
    assert (content.first, content.last) == (first and Path(first), last and Path(last))
    assert content.video is None


def test_a_video_gives_the_picture_where_there_is_no_other() -> None:
    """As in a transformation of a video alone."""
    content = shots_of("kling-3.0-omni/transformation", image_urls=None)
    assert (content.first, content.video) == (None, Path("a.mp4"))


def test_a_file_elsewhere_is_named() -> None:
    """It is not fetched; a notice shows its URL."""
    content = shots_of("kling/v2-1-pro", own=False)
    assert (content.first, content.last) == (None, None)
    assert content.foreign == "https://example.com/a.png"


def test_shots_share_the_length() -> None:
    """In the proportions that were asked for; where no duration is sent, they make it."""
    content = shots_of("kling-3.0/video", duration="10")
    assert content.shots == (Shot("A fox", 4.0), Shot("It runs", 6.0))
    content = shots_of("kling-3.0-omni/image-to-video")
    assert content.duration_s == 5.0
    assert [shot.prompt for shot in content.shots] == ["A fox", "It runs"]


@pytest.mark.parametrize(
    ("name", "flag"),
    [("kling-3.0/video", "multi_shots"), ("kling-3.0-omni/text-to-video", "customize_multi_shots")],
)
def test_shots_that_are_switched_off_do_not_show(name: str, flag: str) -> None:
    """The prompt is the only one."""
    content = shots_of(name, **{flag: False}, prompt="p", multi_prompt=SHOTS)
    assert [shot.prompt for shot in content.shots] == ["p"]


@pytest.mark.parametrize("name", ["kling-2.6/motion-control", "kling/ai-avatar-standard"])
def test_the_length_follows_the_reference(name: str) -> None:
    """The video's or the sound's; 5 s where it is not known."""
    assert shots_of(name).duration_s == 7.5
    assert shots_of(name, own=False).duration_s == 5.0


def test_auto_is_the_shape_of_the_picture() -> None:
    """Any other shape is cut from it."""
    name = "kling-3.0-omni/image-to-video"
    assert shots_of(name).aspect_ratio == ""
    assert shots_of(name, aspect_ratio="9:16").aspect_ratio == "9:16"


def test_equal_scripts_share_a_name() -> None:
    """Words count where they are seen; a canned clip is one for each length and sound."""
    model = "kling-2.6/image-to-video"
    content, shots = shots_of(model), shots_of("kling-3.0/video")
    name, shots_name = content.file_name(False), shots.file_name(False)
    # Files that exist are found again.
    assert name == "6aae5c9cf079c88d3ca84c75efef6168-5-sound.mp4"
    assert name == shots_of(model, prompt="other").file_name(False)
    assert name != shots_of(model, sound=False).file_name(False)
    assert name != replace(content, aspect_ratio="1:1").file_name(False)
    other = [{**SHOTS[0], "prompt": "A hen"}, SHOTS[1]]
    assert shots_name != shots_of("kling-3.0/video", multi_prompt=other).file_name(False)
    assert shots_name != replace(shots, last=Path("c.png")).file_name(False)
    assert shots.file_name(True) == replace(shots, last=Path("c.png")).file_name(True)


@pytest.mark.parametrize(
    ("name", "changes", "large"),
    [
        ("kling-2.6/image-to-video", {}, False),
        ("kling-3.0/video", {"mode": "std"}, True),
        ("kling-3.0-omni/text-to-video", {"resolution": "720p"}, True),
        ("kling-3.0-omni/text-to-video", {"resolution": None}, False),
    ],
)
def test_a_resolution_makes_a_large_clip(name: str, changes: Any, large: bool) -> None:
    """It has a file of its own."""
    content = shots_of(name, **changes)
    assert content.large is large
    assert content.file_name(False) != replace(content, large=not large).file_name(False)
