"""Test `input_store`: an input is stored once, and read back unchanged or with an error."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kling_nb.core.stored_input import StoredInput
from kling_nb.errors import MediaError
from kling_nb.media import input_store
from kling_nb.media.images import read_image
from kling_nb.media.input_store import (
    check_unchanged,
    content_hash,
    is_stored,
    read_stored,
    store_input,
)


def names(folder: Path) -> list[str]:
    """Return the names of the stored files."""
    return sorted(path.name for path in (folder / "pictures").iterdir())


def stored_at(path: str | Path) -> StoredInput:
    """Return a stored image."""
    return StoredInput("ab" * 32, "fox.png", "image/png", str(path))


def test_the_same_content_is_one_file(tmp_path: Path, photo: bytes) -> None:
    """Its name is the hash of its content, and no other file remains."""
    paths = {store_input(tmp_path, photo, "image/png") for _ in range(3)}
    assert names(tmp_path) == [f"{hashlib.sha256(photo).hexdigest()}.png"]
    assert paths == {str(tmp_path / "pictures" / names(tmp_path)[0])}
    store_input(tmp_path, photo + b"!", "image/png")
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(
    ("mime_type", "suffix"),
    [
        ("image/jpeg", ".jpg"),
        ("image/png", ".png"),
        ("image/webp", ".webp"),
        ("video/x", ".bin"),
        ("video/mp4", ".mp4"),
        ("video/quicktime", ".mov"),
        ("audio/x-wav", ".wav"),
    ],
)
def test_its_name_says_what_it_is(tmp_path: Path, mime_type: str, suffix: str) -> None:
    """A user can open it."""
    assert Path(store_input(tmp_path, b"content", mime_type)).suffix == suffix


def test_many_at_once(tmp_path: Path, photo: bytes) -> None:
    """The first thread writes the file, and the others find it complete."""
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: store_input(tmp_path, photo, "image/png"), range(40)))
    assert len(set(paths)) == len(names(tmp_path)) == 1
    assert Path(paths[0]).read_bytes() == photo


def test_a_damaged_file_is_replaced(tmp_path: Path, photo: bytes) -> None:
    """Also if its length is right: a crash may leave a file of zeros."""
    path = Path(store_input(tmp_path, photo, "image/png"))
    path.write_bytes(bytes(len(photo)))
    store_input(tmp_path, photo, "image/png")
    assert path.read_bytes() == photo


def test_a_copy_that_cannot_be_written_is_no_error(
    tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk no partial file stays, and the log has the consequence."""

    def write_half(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(input_store, "write_new", write_half)
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert store_input(tmp_path, photo, "image/png") == ""
    assert names(tmp_path) == []
    assert "No space left on device): another take will need the original" in caplog.text
    (tmp_path / "pictures").rmdir()
    (tmp_path / "pictures").write_text("mine")
    assert store_input(tmp_path, photo, "image/png") == ""
    assert (tmp_path / "pictures").read_text() == "mine"


def test_inputs_that_are_not_stored(tmp_path: Path, photo: bytes) -> None:
    """Deleted, never stored, or changed: the message has the name and what to do."""
    gone, never = stored_at(tmp_path / "gone.png"), stored_at("")
    assert not is_stored(gone)
    assert not is_stored(never)
    changed = stored_at(store_input(tmp_path, photo, "image/png"))
    Path(changed.path).write_bytes(photo + b"!")
    for kept, words in (
        (gone, r"fox\.png: its copy .*gone\.png cannot be read \(No such"),
        (never, r"fox\.png: no copy of it was kept; give the original"),
        (changed, r"has changed; delete it and run the cell again"),
    ):
        with pytest.raises(MediaError, match=words):
            read_stored(kept)


def test_a_stored_image_is_read_like_any_other(tmp_path: Path, photo: bytes) -> None:
    """Byte for byte; it has the hash of its source, not of its own bytes."""
    kept = stored_at(store_input(tmp_path, photo, "image/png"))
    assert is_stored(kept)
    assert read_stored(kept) == photo
    picture = read_image(kept)
    assert picture.content == photo
    assert picture.source_sha256 == "ab" * 32
    assert picture.name == "fox.png"


# --- files -------------------------------------------------------------------------------------


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Return a file outside the folder of clips."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"walk" * 1_000)
    return path


def test_a_file_is_copied(tmp_path: Path, walk: Path) -> None:
    """Once; the user may change or delete the original."""
    folder = tmp_path / "clips"
    for sha256 in ("", content_hash(walk)):
        kept = Path(store_input(folder, walk, "video/mp4", sha256))
        assert names(folder) == [f"{content_hash(walk)}.mp4"]
    walk.unlink()
    assert kept.read_bytes() == b"walk" * 1_000


@pytest.mark.parametrize("name", ["20261120-120000-1a2b3c4d.mp4", "pictures/walk.mp4"])
def test_a_file_of_the_folder_is_not_copied(tmp_path: Path, walk: Path, name: str) -> None:
    """An earlier clip, or a user's own file among the copies; a changed file is another one."""
    folder = tmp_path / "clips"
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_bytes(walk.read_bytes())
    path = store_input(folder, file, "video/mp4")
    assert path == str(file)
    assert [*file.parent.iterdir()] == [file]
    kept = StoredInput(content_hash(walk), "walk.mp4", "video/mp4", path)
    check_unchanged(kept, content_hash(file))
    file.write_bytes(b"another")
    with pytest.raises(MediaError, match=r"mp4 has changed; give the original in a new cell"):
        check_unchanged(kept, content_hash(file))


def test_a_changed_or_missing_file_is_not_stored(
    tmp_path: Path, walk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another content would be sent; the upload reports a missing file."""
    sha256 = content_hash(walk)
    walk.write_bytes(b"another")
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert store_input(tmp_path / "clips", walk, "video/mp4", sha256) == ""
    assert "has changed" in caplog.text
    assert names(tmp_path / "clips") == []
    walk.unlink()
    assert store_input(tmp_path / "clips", walk, "video/mp4") == ""
