"""Titles of clips, and deleting their files: what goes, what stays, and what the ledger keeps."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import InvalidInput, LedgerError, NoTrash
from kling_nb.jobs.clip_changes import check_title, delete_clip, restore_clip
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(ledger: Ledger) -> Path:
    """The clip folder."""
    return ledger.folder


def save(ledger: Ledger, path: Path, fingerprint: str = "f") -> JobRecord:
    """Add a saved job with this file."""
    row, _ = ledger.intend(JobRecord(fingerprint, "live", "m", {"prompt": "A fox"}, 1, 55.0))
    row = advance_to(ledger, row, Stage.SUCCEEDED)
    facts = replace(clips.probe_clip(path), path=str(path))
    return ledger.advance(row.id, Stage.SAVED, clip=facts, credits=55.0)


@pytest.fixture
def row(ledger: Ledger, folder: Path, clip_path: Path) -> JobRecord:
    """A saved job with a clip, a further clip, posters and previews."""
    path = folder / "20261129-fox-d57859d5.mp4"
    for each in (path, path.with_stem(f"{path.stem}-1")):
        shutil.copy(clip_path, each)
        each.with_suffix(".jpg").write_bytes(b"poster")
        clips.preview_path(each).parent.mkdir(exist_ok=True)
        clips.preview_path(each).write_bytes(b"preview")
    saved = save(ledger, path)
    return ledger.note(saved.id, result_url="u2", result_urls=("u1", "u2"))


def path_of(row: JobRecord) -> Path:
    """Return the file of a row's clip."""
    assert row.clip is not None
    return Path(row.clip.path)


def names_in(folder: Path) -> set[str]:
    """Return the files below a folder that belong to clips."""
    return {each.name for each in folder.rglob("*") if each.suffix in {".mp4", ".jpg"}}


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("Fox, take 2", "Fox, take 2"),
        ("  Fox ", "Fox"),
        ("", ""),
        (" ", ""),
        ("🦊" * 120, "🦊" * 120),
    ],
)
def test_allowed_titles(given: str, title: str) -> None:
    """One line; an empty text removes the title."""
    assert check_title(given) == title


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x" * 121, "121 characters; allowed: one line of at most 120"),
        ("a\nb", "several lines"),
        ("a\u2028b", "several lines"),
        ("a\x1bb", "control characters"),
        (7, "a int"),
    ],
)
def test_other_titles_are_one_error(given: str, message: str) -> None:
    """It says what was given and what is allowed."""
    with pytest.raises(InvalidInput, match=message) as caught:
        check_title(given)
    assert len(caught.value.problems) == 1


def test_a_clip_goes_to_the_trash(ledger: Ledger, row: JobRecord, trash: Path) -> None:
    """With its further clip and the posters; previews are deleted; nothing else is."""
    (ledger.folder / "20261129-fox-d57859d5-notes.mp4").touch()
    gone = delete_clip(ledger, row.id, NOW, permanently=False)
    stem = path_of(row).stem
    parts = {f"{stem}.mp4", f"{stem}.jpg", f"{stem}-1.mp4", f"{stem}-1.jpg"}
    assert names_in(trash) == parts
    assert names_in(ledger.folder) - parts == {"20261129-fox-d57859d5-notes.mp4"}
    assert (gone.stage, gone.deleted_at, gone.is_deleted) == (Stage.EXPIRED, NOW, True)


def test_the_payment_stays_in_the_ledger(ledger: Ledger, row: JobRecord, trash: Path) -> None:
    """With the request, the task and the facts of the clip."""
    gone = delete_clip(ledger, row.id, NOW, permanently=False)
    assert (gone.credits, gone.clip, gone.prompt) == (55.0, row.clip, "A fox")
    assert [each.credits for each in ledger.spending.expenses()] == [55.0]
    assert ledger.blocking(row.fingerprint) == gone


def test_without_a_trash_nothing_is_deleted(ledger: Ledger, row: JobRecord, no_trash: None) -> None:
    """The error says how to delete it anyway."""
    before = names_in(ledger.folder)
    with pytest.raises(NoTrash, match=r"no trash on this.*clip\.delete\(permanently=True\)"):
        delete_clip(ledger, row.id, NOW, permanently=False)
    assert names_in(ledger.folder) == before
    assert ledger.row(row.id).stage is Stage.SAVED


def test_a_clip_is_deleted_permanently(ledger: Ledger, row: JobRecord, no_trash: None) -> None:
    """Without a trash."""
    gone = delete_clip(ledger, row.id, NOW, permanently=True)
    assert names_in(ledger.folder) == set()
    assert gone.is_deleted


def test_a_deletion_that_broke_off_is_completed(
    ledger: Ledger, row: JobRecord, trash: Path
) -> None:
    """Files that are gone already are no error, nor is a second deletion."""
    path_of(row).unlink()
    gone = delete_clip(ledger, row.id, NOW, permanently=False)
    assert gone.is_deleted
    assert delete_clip(ledger, row.id, NOW, permanently=True) == gone


def test_a_file_that_two_jobs_have_stays(ledger: Ledger, row: JobRecord, trash: Path) -> None:
    """Until both are deleted; the first does not come back meanwhile."""
    other = save(ledger, path_of(row), "g")
    gone = delete_clip(ledger, row.id, NOW, permanently=False)
    assert path_of(row).is_file()
    assert restore_clip(ledger, gone) == gone
    delete_clip(ledger, other.id, NOW, permanently=False)
    assert not path_of(row).exists()


def test_other_links_to_the_file_stay(ledger: Ledger, row: JobRecord, tmp_path: Path) -> None:
    """A hard link keeps the content; of a symbolic link, only the link is deleted."""
    path, kept = path_of(row), tmp_path / "kept.bin"
    os.link(path, kept)
    path.unlink()
    path.symlink_to(kept)
    delete_clip(ledger, row.id, NOW, permanently=True)
    assert kept.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize("name", ["../thesis.mp4", "ledger.sqlite3"])
def test_no_other_file_is_deleted(
    ledger: Ledger, row: JobRecord, clip_path: Path, trash: Path, name: str
) -> None:
    """A ledger from a stranger may name any file as a clip."""
    path = ledger.folder / name
    if not path.exists():
        shutil.copy(clip_path, path)
    assert row.clip is not None
    ledger.note(row.id, clip=replace(row.clip, path=str(path)))
    with pytest.raises(LedgerError, match="is not a clip in"):
        delete_clip(ledger, row.id, NOW, permanently=True)
    assert path.exists()


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.UNKNOWN, Stage.FAILED, Stage.EXPIRED])
def test_only_a_saved_clip_is_deleted(ledger: Ledger, stage: Stage) -> None:
    """A running job goes on, and what may be paid stays as it is."""
    row, _ = ledger.intend(JobRecord("f", "live", "m", {}, 1, 55.0))
    advance_to(ledger, row, stage)
    with pytest.raises(LedgerError, match=f"is {stage}; only a saved clip can be deleted"):
        delete_clip(ledger, row.id, NOW, permanently=True)
    assert ledger.row(row.id).stage is stage


def test_a_clip_that_is_put_back_is_saved_again(
    ledger: Ledger, row: JobRecord, trash: Path
) -> None:
    """From the trash, under its name."""
    gone = delete_clip(ledger, row.id, NOW, permanently=False)
    assert restore_clip(ledger, gone) == gone
    (trash / path_of(row).name).rename(path_of(row))
    back = restore_clip(ledger, gone)
    assert (back.stage, back.deleted_at, back.clip) == (Stage.SAVED, None, row.clip)
    assert restore_clip(ledger, back) == back
