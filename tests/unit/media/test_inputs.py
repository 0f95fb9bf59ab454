"""What `inputs` promises: one way from what was given to what is uploaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kling_nb.errors import MediaError
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput
from kling_nb.media.inputs import identify_input, noun_of, placeholder_input, read_input
from kling_nb.models.parameters import Media
from tests.support.reels import sound, video

PICTURE = Media(("image/png", "image/jpeg"), 10_000_000)
VIDEO = Media(("video/mp4",), 100_000_000, duration_s=(3, 30))
SOUND = Media(("audio/mpeg", "audio/wav"), 100_000_000, duration_s=(0, 3))


@pytest.mark.parametrize(
    ("kind", "content", "made", "facts"),
    [
        (PICTURE, "photo", ImageInput, "96 × 64 px · PNG · "),
        (VIDEO, "video", AudioVideoInput, "352 × 320 px · 4.0 s · MP4 · "),
        (SOUND, "sound", AudioVideoInput, "2.0 s · WAV · "),
    ],
)
def test_each_medium(kind: Media, content: str, made: type, facts: str, photo: bytes) -> None:
    """All have the same attributes, whatever they are."""
    given = {"photo": photo, "video": video(), "sound": sound(seconds=2.0)}[content]
    found = read_input(given, kind, "it")
    assert isinstance(found, made)
    assert found.name == "it"
    assert found.content == given
    assert found.size_bytes == len(given)
    assert found.sha256 == found.source_sha256 == hashlib.sha256(given).hexdigest()
    assert found.facts.startswith(facts)
    assert identify_input(given, kind) == ((found.sha256,), getattr(found, "duration_s", 0.0))


def test_a_picture_of_another_shape(photo: bytes) -> None:
    """Nothing is enlarged or cropped here."""
    large = Media(("image/png",), 10_000_000, over_px=64)
    with pytest.raises(MediaError, match=r"^fox: 96×64 pixels; each side must have at least 65 px"):
        read_input(photo, large, "fox")
    read_input(photo, Media(("image/png",), 10_000_000, over_px=63))
    wide = Media(("image/png",), 10_000_000, ratio=(0.4, 1.4))
    with pytest.raises(MediaError, match=r"width to height 1\.50; allowed are 0\.4 to 1\.4: crop"):
        read_input(photo, wide)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Image.new("RGB", (240, 160)), "image 240×160 pixels; each side"),
        (np.zeros((160, 240, 3), np.uint8), "array 160×240 pixels; each side"),
    ],
)
def test_a_size_is_told_once(given: object, words: str) -> None:
    """What is in memory is named by it already."""
    large = Media(("image/png",), 10_000_000, over_px=300)
    with pytest.raises(MediaError, match=f"^{words}"):
        read_input(given, large)


def test_recognising_a_picture_judges_nothing(photo: bytes, tmp_path: Path) -> None:
    """A request is recognised before it is known whether it is allowed."""
    (tmp_path / "fox.png").write_bytes(photo)
    tiny = Media(("image/jpeg",), 1, over_px=1_000)
    assert identify_input(tmp_path / "fox.png", tiny) == ((hashlib.sha256(photo).hexdigest(),), 0.0)


@pytest.mark.parametrize(
    ("kind", "noun"), [(PICTURE, "picture"), (VIDEO, "video"), (SOUND, "sound")]
)
def test_something_that_says_so(kind: Media, noun: str) -> None:
    """Stands for what cannot be fetched; as long as the model needs it, and tiny."""
    made = placeholder_input(
        kind, "https://my.example/\nit is not there", "https://my.example/", "ab" * 32
    )
    assert (made.source_sha256, made.name) == ("ab" * 32, "https://my.example/")
    assert made.sha256 == hashlib.sha256(made.content).hexdigest()
    assert made.thumbnail.startswith(b"\xff\xd8")
    assert made.size_bytes < 100_000
    assert noun_of(kind) == noun
    again = read_input(made.content, kind)
    assert getattr(again, "duration_s", 0) == {"picture": 0, "video": 5.0, "sound": 3.0}[noun]
