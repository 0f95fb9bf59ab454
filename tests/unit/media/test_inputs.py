"""Test `inputs`: from the given value to the upload."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

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
    """All inputs have the same attributes."""
    given = {"photo": photo, "video": video(), "sound": sound(seconds=2.0)}[content]
    found = read_input(given, kind, "it")
    assert isinstance(found, made)
    assert found.name == "it"
    assert found.content == given
    assert found.size_bytes == len(given)
    assert found.sha256 == found.source_sha256 == hashlib.sha256(given).hexdigest()
    assert found.facts.startswith(facts)
    assert identify_input(given, kind) == ((found.sha256,), getattr(found, "duration_s", 0.0))


PIXELS = np.zeros((160, 240, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "limits", "words"),
    [
        (None, {"over_px": 64}, r"^fox: 96×64 pixels; each side must be at least 65 px"),
        (None, {"ratio": (0.4, 1.4)}, r"width to height 1\.50; allowed: 0\.4 to 1\.4; crop"),
        (Image.new("RGB", (240, 160)), {"over_px": 300}, "^image 240×160 pixels; each side"),
        (PIXELS, {"over_px": 300}, "^array 160×240 pixels; each side"),
    ],
)
def test_an_image_outside_the_limits(
    source: object, limits: dict[str, Any], words: str, photo: bytes
) -> None:
    """Nothing is enlarged or cropped here; the size is named once."""
    kind = Media(("image/png",), 10_000_000, **limits)
    with pytest.raises(MediaError, match=words):
        read_input(photo if source is None else source, kind, "fox" if source is None else "")
    read_input(photo, Media(("image/png",), 10_000_000, over_px=63))


def test_identifying_an_image_checks_no_limits(photo: bytes, tmp_path: Path) -> None:
    """A request is recognised before it is known whether it is allowed."""
    (tmp_path / "fox.png").write_bytes(photo)
    tiny = Media(("image/jpeg",), 1, over_px=1_000)
    assert identify_input(tmp_path / "fox.png", tiny) == ((hashlib.sha256(photo).hexdigest(),), 0.0)


@pytest.mark.parametrize(
    ("kind", "noun", "duration_s"),
    [(PICTURE, "image", 0), (VIDEO, "video", 5.0), (SOUND, "audio file", 3.0)],
)
def test_placeholders(kind: Media, noun: str, duration_s: float) -> None:
    """They replace media that cannot be fetched: small, and as long as the model needs."""
    url = "https://my.example/"
    made = placeholder_input(kind, f"{url}\nit is not there", url, "ab" * 32)
    assert (made.source_sha256, made.name) == ("ab" * 32, url)
    assert made.sha256 == hashlib.sha256(made.content).hexdigest()
    assert made.thumbnail.startswith(b"\xff\xd8")
    assert made.size_bytes < 100_000
    assert noun_of(kind) == noun
    assert getattr(read_input(made.content, kind), "duration_s", 0) == duration_s
