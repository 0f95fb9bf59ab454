"""Test `find_damage`: damage of a ledger is reported, and the file does not change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kling_nb.core.job_state import ClipFacts, Stage
from kling_nb.errors import LedgerError
from kling_nb.storage import database
from kling_nb.storage import inspect as inspection
from kling_nb.storage.inspect import find_damage, read_records
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to


@pytest.fixture
def file(ledger: Ledger, tmp_path: Path) -> Path:
    """Return the file of a ledger with its tables."""
    ledger.open()
    ledger.close()
    return tmp_path / "ledger.sqlite3"


def test_a_sound_ledger_has_no_damage(file: Path) -> None:
    """The file stays the same byte for byte."""
    before = file.read_bytes()
    assert find_damage(file.parent) == []
    assert file.read_bytes() == before


def test_damage_is_reported(file: Path) -> None:
    """Overwritten pages are found, whether or not the file can still be opened."""
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    try:
        found = " ".join(find_damage(file.parent))
    except LedgerError as error:
        found = str(error)
    assert found


def test_what_is_no_ledger_says_what_to_do(file: Path) -> None:
    """Another file has the ledger's name."""
    file.write_bytes(b"this is not a database, however long it is" * 100)
    with pytest.raises(LedgerError, match="move this one away"):
        find_damage(file.parent)


def test_no_ledger_is_made(tmp_path: Path) -> None:
    """With an empty ledger in the place of a lost one everything would be paid for again."""
    with pytest.raises(LedgerError):
        find_damage(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_rows_are_read_as_they_are(ledger: Ledger, file: Path) -> None:
    """Rows are read by stage, without a session: nothing is written."""
    before = sorted((each.name, each.stat().st_mtime_ns) for each in file.parent.rglob("*"))
    assert read_records(file.parent, Stage.SAVED) == []
    after = sorted((each.name, each.stat().st_mtime_ns) for each in file.parent.rglob("*"))
    assert after == before


def test_records_have_what_a_check_needs(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request, id, stage and clip of each job; rows are read in pages, newest first."""
    monkeypatch.setattr("kling_nb.storage.jobs_table.PAGE_ROWS", 2)
    clip = ClipFacts(str(ledger.folder / "fox.mp4"), 1280, 720, 5.04, 24.0, "h264", "", 12345)
    for name in "abcde":
        intended, _ = ledger.intend(JobRecord(name, "live", "m", {"prompt": name}, 1, 55.0, b"x"))
        ledger.note(advance_to(ledger, intended, Stage.SAVED).id, clip=clip)
    found = read_records(ledger.folder, Stage.SAVED, Stage.FAILED)
    assert [record.prompt for record in found] == ["e", "d", "c", "b", "a"]
    assert [record.id for record in found] == [row.id for row in ledger.rows(Stage.SAVED)]
    assert {(record.stage, record.clip) for record in found} == {(Stage.SAVED, clip)}


def test_a_file_without_tables_has_no_rows(tmp_path: Path) -> None:
    """The first session of the folder died before it created the tables."""
    (tmp_path / "ledger.sqlite3").touch()
    assert read_records(tmp_path, *Stage) == []


def test_an_older_ledger_is_left_for_a_session(file: Path) -> None:
    """Reading runs no migration."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="older kling_nb"):
        read_records(file.parent, *Stage)
    assert file.read_bytes() == before


def test_the_wait_for_a_lock_is_short(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that only reports can be repeated; it does not block a cell for half a minute."""
    assert inspection.TIMEOUT_S <= 5
    monkeypatch.setattr(inspection, "TIMEOUT_S", 0.0)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", None)  # a wait without a limit fails here
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        for look in (find_damage, read_records):
            with pytest.raises(LedgerError, match="locked"):
                look(file.parent)
