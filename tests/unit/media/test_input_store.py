"""What `input_store` promises: a picture is kept once, and is what it was or an error."""

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
    """The files of kept pictures."""
    return sorted(path.name for path in (folder / "pictures").iterdir())


def stored_at(path: str | Path) -> StoredInput:
    """A kept picture."""
    return StoredInput("ab" * 32, "fox.png", "image/png", str(path))


def test_the_same_content_is_one_file(tmp_path: Path, photo: bytes) -> None:
    """It is named by its content, and nothing else is left beside it."""
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
    """So that a person can open it."""
    assert Path(store_input(tmp_path, b"content", mime_type)).suffix == suffix


def test_many_at_once(tmp_path: Path, photo: bytes) -> None:
    """Whoever is first writes it, and whoever reads it finds it whole."""
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: store_input(tmp_path, photo, "image/png"), range(40)))
    assert len(set(paths)) == len(names(tmp_path)) == 1
    assert Path(paths[0]).read_bytes() == photo


def test_what_was_spoilt_is_written_anew(tmp_path: Path, photo: bytes) -> None:
    """Also where its length is right: a crash may leave a file of zeros."""
    path = Path(store_input(tmp_path, photo, "image/png"))
    path.write_bytes(bytes(len(photo)))
    store_input(tmp_path, photo, "image/png")
    assert path.read_bytes() == photo


def test_a_full_disk_is_no_error(
    tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing half-written stays, the log says what it means, and the request goes on."""

    def write_half(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(input_store, "write_new", write_half)
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert store_input(tmp_path, photo, "image/png") == ""
    assert names(tmp_path) == []
    assert "No space left on device): another take will need the original" in caplog.text


def test_a_place_that_cannot_be_used(tmp_path: Path, photo: bytes) -> None:
    """A file where the folder should be."""
    (tmp_path / "pictures").write_text("mine")
    assert store_input(tmp_path, photo, "image/png") == ""
    assert (tmp_path / "pictures").read_text() == "mine"


def test_its_content_comes_back(tmp_path: Path, photo: bytes) -> None:
    """Byte for byte."""
    kept = stored_at(store_input(tmp_path, photo, "image/png"))
    assert is_stored(kept)
    assert read_stored(kept) == photo


def test_what_is_not_there(tmp_path: Path, photo: bytes) -> None:
    """Never kept, deleted, or changed: named, with what to do."""
    gone = stored_at(tmp_path / "gone.png")
    assert not is_stored(gone)
    with pytest.raises(
        MediaError, match=r"fox\.png: its copy .*gone\.png cannot be read \(No such"
    ):
        read_stored(gone)
    never = StoredInput("ab" * 32, "fox.png", "image/png")
    assert not is_stored(never)
    with pytest.raises(MediaError, match=r"fox\.png: no copy of it was kept; give the original"):
        read_stored(never)
    changed = stored_at(store_input(tmp_path, photo, "image/png"))
    Path(changed.path).write_bytes(photo + b"!")
    with pytest.raises(MediaError, match=r"was changed since; delete it and run the cell again"):
        read_stored(changed)


def test_it_is_a_picture_like_any_other(tmp_path: Path, photo: bytes) -> None:
    """It may be given again, and stands for what it was made from, not for its own bytes."""
    picture = read_image(stored_at(store_input(tmp_path, photo, "image/png")))
    assert picture.content == photo
    assert picture.source_sha256 == "ab" * 32
    assert picture.name == "fox.png"


# --- files -------------------------------------------------------------------------------------


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A file outside the folder of clips."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"walk" * 1_000)
    return path


def test_a_file_is_copied(tmp_path: Path, walk: Path) -> None:
    """In pieces, once; its owner may change or delete the original."""
    folder = tmp_path / "clips"
    for sha256 in ("", content_hash(walk)):
        kept = Path(store_input(folder, walk, "video/mp4", sha256))
        assert names(folder) == [f"{content_hash(walk)}.mp4"]
    walk.unlink()
    assert kept.read_bytes() == b"walk" * 1_000


def test_a_file_of_the_folder_is_referred_to(tmp_path: Path, walk: Path) -> None:
    """An earlier clip is not kept twice; what was changed since is another one."""
    clip = tmp_path / "clips" / "20261120-120000-1a2b3c4d.mp4"
    clip.parent.mkdir()
    clip.write_bytes(walk.read_bytes())
    kept = StoredInput(
        content_hash(walk), "fox", "video/mp4", store_input(tmp_path / "clips", clip, "")
    )
    assert kept.path == str(clip)
    assert [*clip.parent.iterdir()] == [clip]
    check_unchanged(kept, content_hash(clip))
    clip.write_bytes(b"another")
    with pytest.raises(MediaError, match=r"mp4 was changed since; give the original in a new cell"):
        check_unchanged(kept, content_hash(clip))


def test_a_file_of_a_persons_own_among_the_copies(tmp_path: Path, walk: Path) -> None:
    """Not named after its content, it is no copy: as it was given, and nothing to be deleted."""
    folder = tmp_path / "clips"
    mine = folder / "pictures" / "walk.mp4"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(walk.read_bytes())
    kept = StoredInput(
        content_hash(walk), "walk.mp4", "video/mp4", store_input(folder, mine, "video/mp4")
    )
    assert kept.path == str(mine)
    check_unchanged(kept, content_hash(mine))
    mine.write_bytes(b"another")
    with pytest.raises(MediaError, match=r"mp4 was changed since; give the original in a new cell"):
        check_unchanged(kept, content_hash(mine))


def test_a_file_that_is_another_by_now(
    tmp_path: Path, walk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Is not kept: it would be sent in the place of what was asked for."""
    sha256 = content_hash(walk)
    walk.write_bytes(b"another")
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert store_input(tmp_path / "clips", walk, "video/mp4", sha256) == ""
    assert "has changed" in caplog.text
    assert names(tmp_path / "clips") == []


def test_a_file_that_is_gone(tmp_path: Path, walk: Path) -> None:
    """Is no error: the upload will tell."""
    walk.unlink()
    assert store_input(tmp_path / "clips", walk, "video/mp4") == ""
