"""Test `previews`: made once, stored beside the clip, and no clip themselves."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from kling_nb.display.cards.metadata import CardMetadata
from kling_nb.errors import MediaError
from kling_nb.media import clips
from kling_nb.notebook.archive.clip_finder import ClipFinder
from kling_nb.storage.ledger import Ledger
from tests.support.reels import encoded, video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a file with a name that a pattern would read differently."""
    path = tmp_path / "clips" / "a[1] fox.mp4"
    path.parent.mkdir()
    path.write_bytes(b"the clip")
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the clips of which a preview was made."""
    made: list[Path] = []

    def make(path: Path, *, max_bytes: int) -> bytes:
        assert max_bytes == 1_500_000
        made.append(path)
        return f"preview {len(made)}".encode()

    monkeypatch.setattr(clips, "make_preview", make)
    return made


def test_it_is_made_once(clip: Path, made: list[Path]) -> None:
    """The next kernel finds it."""
    assert clips.stored_preview(clip) == b""
    assert clips.preview(clip) == clips.preview(clip) == b"preview 1"
    assert clips.stored_preview(clip) == b"preview 1"
    assert made == [clip]


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_changed_clip_has_another_preview(clip: Path, made: list[Path], change: str) -> None:
    """The old one is deleted."""
    clips.preview(clip)
    if change == "content":
        found = clip.stat()
        clip.write_bytes(b"another clip")
        os.utime(clip, ns=(found.st_atime_ns, found.st_mtime_ns))
    else:
        os.utime(clip, (1, 1))
    assert clips.stored_preview(clip) == b""
    assert clips.preview(clip) == b"preview 2"
    assert len(list((clip.parent / ".previews").iterdir())) == 1


def test_a_neighbours_preview_stays(clip: Path, made: list[Path]) -> None:
    """Also if one name begins with the other."""
    longer = clip.with_stem(f"{clip.stem}-{'0' * 12}")
    longer.write_bytes(b"a longer name")
    clips.preview(longer)
    clips.preview(clip)
    assert clips.stored_preview(longer) == b"preview 1"


def test_two_threads_make_it_once(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example the card and the gallery."""
    made, begun = [], threading.Event()

    def make(path: Path, *, max_bytes: int) -> bytes:
        begun.set()
        threading.Event().wait(0.05)
        made.append(path)
        return b"preview"

    monkeypatch.setattr(clips, "make_preview", make)
    other = threading.Thread(target=clips.preview, args=(clip,))
    other.start()
    begun.wait(10)
    assert clips.preview(clip) == b"preview"
    other.join()
    assert len(made) == 1


def test_a_preview_that_cannot_be_stored_is_returned(clip: Path, made: list[Path]) -> None:
    """The folder cannot be created."""
    (clip.parent / ".previews").write_bytes(b"in the way")
    assert clips.preview(clip) == b"preview 1"
    assert clips.stored_preview(clip) == b""


def test_a_clip_that_does_not_play_has_none(clip: Path) -> None:
    """The error gives the reason."""
    with pytest.raises(MediaError, match="fox"):
        clips.preview(clip)


def test_a_preview_is_no_clip(clip: Path, made: list[Path], ledger: Ledger) -> None:
    """A search of the folder for its bytes does not find it."""
    content = clips.preview(clip)
    sha256 = hashlib.sha256(content).hexdigest()
    card = CardMetadata(id="k7f2qd", model="m", sha256=sha256, size_bytes=len(content))
    assert ClipFinder(ledger, [clip.parent]).find(card, None) is None


def test_clips_that_need_a_preview(clip: Path) -> None:
    """Those above 2 MB, and those in another codec, also if large clips are shown whole."""
    clip.write_bytes(video() + bytes(2_000_000 - len(video())))
    assert not clips.needs_preview(clip)
    clip.write_bytes(video() + bytes(2_000_001 - len(video())))
    assert clips.needs_preview(clip)
    assert not clips.needs_preview(clip, at_any_size=True)
    clip.write_bytes(encoded("libx265"))
    assert clips.needs_preview(clip)
    assert clips.needs_preview(clip, at_any_size=True)
    clip.write_bytes(encoded("libx264"))
    assert not clips.needs_preview(clip)
