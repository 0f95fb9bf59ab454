"""Which file is a card's clip: by place, by hash, and never another's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.display.cards.metadata import CardMetadata, card_json, read_card
from kling_nb.errors import InvalidInput
from kling_nb.jobs.session import Session
from kling_nb.notebook.archive.clip_finder import ClipFinder, with_clip
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

CLIP = b"clip" * 100
CARD = CardMetadata(
    "c0ffee12",
    file="fox.mp4",
    sha256=hashlib.sha256(CLIP).hexdigest(),
    size_bytes=len(CLIP),
    state="saved",
)
NAMELESS = replace(CARD, sha256="")


@pytest.fixture
def finder(ledger: Ledger, tmp_path: Path) -> ClipFinder:
    """A folder without jobs, and another one."""
    (tmp_path / "other").mkdir()
    return ClipFinder(ledger, [tmp_path / "other", tmp_path / "none"])


@pytest.mark.parametrize("place", ["fox.mp4", "other/fox.mp4", "a.mp4", "other/b.mp4"])
def test_a_clip_is_found_by_its_hash(finder: ClipFinder, tmp_path: Path, place: str) -> None:
    """Under its name or another one, in each folder."""
    (tmp_path / place).write_bytes(CLIP)
    assert finder.find(CARD, None) == tmp_path / place


@pytest.mark.parametrize("content", [CLIP[:-1], CLIP[:-1] + b"X", b""])
def test_a_file_with_another_content_is_not_the_clip(
    finder: ClipFinder, tmp_path: Path, content: bytes
) -> None:
    """Though its name is right."""
    (tmp_path / "fox.mp4").write_bytes(content)
    assert finder.find(CARD, None) is None


def test_without_a_hash_name_and_size_decide(finder: ClipFinder, tmp_path: Path) -> None:
    """For clips that were saved before hashes were kept; another name is no evidence."""
    (tmp_path / "a.mp4").write_bytes(CLIP)
    assert finder.find(NAMELESS, None) is None
    (tmp_path / "fox.mp4").write_bytes(CLIP)
    assert finder.find(NAMELESS, None) == tmp_path / "fox.mp4"


def test_what_is_not_recorded_is_not_found(finder: ClipFinder, tmp_path: Path) -> None:
    """A card without a file has none, though an empty one lies about."""
    (tmp_path / "empty.mp4").touch()
    assert finder.find(CardMetadata("c0ffee12"), None) is None


def test_the_same_bytes_are_put_once(finder: ClipFinder, tmp_path: Path) -> None:
    """In the ledger's folder, nothing half-written beside it; a file with them is used again."""
    assert finder.put("fox.mp4", CLIP) == (tmp_path / "fox.mp4", True)
    assert finder.find(CARD, None) == tmp_path / "fox.mp4"
    assert list(tmp_path.glob("*.part")) == []
    (tmp_path / "fox.mp4").write_bytes(b"mine")
    first, is_new = finder.put("fox.mp4", CLIP)
    assert is_new
    assert finder.put("fox.mp4", CLIP) == (first, False)


def test_nothing_is_overwritten(finder: ClipFinder, tmp_path: Path) -> None:
    """A clip whose name is taken gets its hash into the name, and then a number."""
    name = f"fox-{CARD.sha256[:8]}"
    taken = [tmp_path / "fox.mp4", tmp_path / f"{name}.mp4"]
    for each in taken:
        each.write_bytes(b"mine")
    (tmp_path / f"{name}-2.mp4").mkdir()
    (tmp_path / f"{name}-3.mp4").symlink_to("nowhere.mp4")
    assert finder.put("fox.mp4", CLIP) == (tmp_path / f"{name}-4.mp4", True)
    assert [each.read_bytes() for each in taken] == [b"mine"] * 2


def test_a_name_that_is_taken_at_the_last_moment_is_left(
    finder: ClipFinder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another kernel was quicker: its file stays, and this one gets another name."""
    real = Path.is_file

    def late(path: Path) -> bool:
        found = real(path)
        if path.name == "fox.mp4" and not found:
            path.write_bytes(b"mine")
        return found

    monkeypatch.setattr(Path, "is_file", late)
    place, is_new = finder.put("fox.mp4", CLIP)
    assert (place.name, is_new) == (f"fox-{CARD.sha256[:8]}.mp4", True)
    assert (tmp_path / "fox.mp4").read_bytes() == b"mine"


def test_a_write_that_fails_leaves_nothing(
    finder: ClipFinder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a part nor an empty file with the clip's name."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InvalidInput, match="No space left"):
        finder.put("fox.mp4", CLIP)
    assert list(tmp_path.glob("fox*")) == []


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    """The clip stays in the notebook."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"cannot be written to .*; free some space"):
        ClipFinder(Ledger(tmp_path / "file")).put("fox.mp4", CLIP)


@pytest.fixture
def row(open_session: Callable[..., Session]) -> tuple[Session, JobRecord]:
    """A saved job."""
    session = open_session()
    job = session.text_to_video("A red fox")
    job.result(20)
    return session, session.ledger.row(job.id)


def test_a_job_is_known_by_its_whole_id_and_its_request(row: tuple[Session, JobRecord]) -> None:
    """Ids are short, and folders are many."""
    session, saved = row
    finder = ClipFinder(session.ledger)
    card = CardMetadata(saved.id, fingerprint=saved.fingerprint)
    assert finder.row(card) == saved
    assert finder.row(replace(card, fingerprint="f" * 64)) is None
    assert finder.row(replace(card, id=saved.id[:6])) is None
    assert finder.row(replace(card, id="ffffffff")) is None


def test_an_id_alone_is_no_evidence(row: tuple[Session, JobRecord]) -> None:
    """Anybody may write it into a notebook: the clip's hash or the prompt has to fit."""
    session, saved = row
    assert saved.clip is not None
    finder, bare = ClipFinder(session.ledger), CardMetadata(saved.id)
    for prompt in ("", "Another fox"):
        assert finder.row(bare, prompt) is None
        assert finder.is_unproven(bare, prompt)
    proven = [
        (bare, "A red fox"),
        (replace(bare, sha256=saved.clip.sha256), ""),
        (replace(bare, fingerprint=saved.fingerprint), ""),
    ]
    for card, prompt in proven:
        assert finder.row(card, prompt) == saved
        assert not finder.is_unproven(card, prompt)
    assert finder.row(replace(bare, sha256="0" * 64), "A red fox") is None
    assert not finder.is_unproven(CardMetadata("ffffffff")), "no job here has that id"


def test_the_ledger_knows_what_a_card_does_not(row: tuple[Session, JobRecord]) -> None:
    """One from while the job ran names no file."""
    session, saved = row
    assert saved.clip is not None
    card = CardMetadata(saved.id)
    assert ClipFinder(session.ledger).find(card, saved) == Path(saved.clip.path)
    clip = with_clip(card, saved)
    assert (clip.file, clip.sha256) == (Path(saved.clip.path).name, saved.clip.sha256)
    assert clip.size_bytes == saved.clip.size_bytes


def test_a_card_names_its_own_clip(row: tuple[Session, JobRecord]) -> None:
    """The ledger's may have been fetched again since: other bytes are another clip."""
    session, saved = row
    assert ClipFinder(session.ledger).find(replace(CARD, id=saved.id), saved) is None


def test_a_card_and_the_ledger_name_the_same_file(row: tuple[Session, JobRecord]) -> None:
    """What a display records is enough without the ledger."""
    session, saved = row
    job = session.job(saved.id)
    (card,) = read_card(card_json(job.record, job.state, "whole"))
    finder = ClipFinder(session.ledger)
    assert card.fingerprint == saved.fingerprint
    assert finder.find(card, None) == finder.find(card, saved)
