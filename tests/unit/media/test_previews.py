"""Previews: made once, kept beside the clip, never taken for one."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from kling_nb.display.cards.metadata import CardMetadata
from kling_nb.errors import MediaError
from kling_nb.media import clips
from kling_nb.notebook.archive.clip_finder import ClipFinder
from kling_nb.storage.ledger import Ledger
from tests.support.reels import encoded, video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file with a name that patterns would read in another way."""
    path = tmp_path / "clips" / "a[1] fox.mp4"
    path.parent.mkdir()
    path.write_bytes(b"the clip")
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was made a preview of."""
    made: list[Path] = []

    def make(path: Path, *, max_bytes: int) -> bytes:
        assert max_bytes == 1_500_000
        made.append(path)
        return f"preview {len(made)}".encode()

    monkeypatch.setattr(clips, "make_preview", make)
    return made


def test_it_is_made_once(clip: Path, made: list[Path]) -> None:
    """And is there for the next kernel."""
    assert clips.stored_preview(clip) == b""
    assert clips.preview(clip) == clips.preview(clip) == b"preview 1"
    assert clips.stored_preview(clip) == b"preview 1"
    assert made == [clip]


@pytest.mark.parametrize("change", ["content", "time"])
def test_another_clip_of_that_name_has_another(clip: Path, made: list[Path], change: str) -> None:
    """The old one goes."""
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
    """Also where one name begins with the other."""
    longer = clip.with_stem(f"{clip.stem}-{'0' * 12}")
    longer.write_bytes(b"a longer name")
    clips.preview(longer)
    clips.preview(clip)
    assert clips.stored_preview(longer) == b"preview 1"


def test_two_who_want_it_make_it_once(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card and the gallery, say."""
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


def test_where_it_cannot_be_kept_it_is_shown(clip: Path, made: list[Path]) -> None:
    """A folder that cannot be written to."""
    (clip.parent / ".previews").write_bytes(b"in the way")
    assert clips.preview(clip) == b"preview 1"
    assert clips.stored_preview(clip) == b""


def test_a_clip_that_does_not_play_has_none(clip: Path) -> None:
    """It says why."""
    with pytest.raises(MediaError, match="fox"):
        clips.preview(clip)


def test_nobody_takes_it_for_a_clip(clip: Path, made: list[Path], ledger: Ledger) -> None:
    """Not even one who looks through the folder for its very bytes."""
    import hashlib

    content = clips.preview(clip)
    wanted: dict[str, Any] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    receipt = CardMetadata(id="k7f2qd", model="m", **wanted)
    assert ClipFinder(ledger, [clip.parent]).find(receipt, None) is None


def test_large_is_more_than_2_mb(clip: Path) -> None:
    """Up to there a clip is shown whole."""
    clip.write_bytes(video() + bytes(2_000_000 - len(video())))
    assert not clips.needs_preview(clip)
    clip.write_bytes(video() + bytes(2_000_001 - len(video())))
    assert clips.needs_preview(clip)
    assert not clips.needs_preview(clip, at_any_size=True)


def test_a_small_clip_in_another_codec_needs_a_preview(clip: Path) -> None:
    """Also where large clips are shown whole; the answer follows the file."""
    clip.write_bytes(encoded("libx265"))
    assert clips.needs_preview(clip)
    assert clips.needs_preview(clip, at_any_size=True)
    clip.write_bytes(encoded("libx264"))
    assert not clips.needs_preview(clip)
