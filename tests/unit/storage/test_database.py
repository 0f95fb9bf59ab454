"""Test `database`: the file is durable and migrated, and errors say what to do."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kling_nb.core.job_state import BLOCKING
from kling_nb.errors import LedgerError
from kling_nb.storage import database
from kling_nb.storage.database import Database, advice_for
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.jobs_table import JobsTable
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.migrations import MIGRATIONS


@pytest.fixture
def made(tmp_path: Path) -> Database:
    """Create a database."""
    made = Database(tmp_path / "clips" / "ledger.sqlite3")
    made.create()
    return made


def pragma(connection: sqlite3.Connection, name: str) -> object:
    """Return one setting of a connection."""
    value: object = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def count(made: Database) -> int:
    """Return the number of events."""
    with made.reading() as connection:
        found: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        return found


def test_a_commit_is_on_the_disk(made: Database) -> None:
    """The connection that commits has the durable settings, whatever the defaults are."""
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    found = made.write(lambda connection: [pragma(connection, name) for name in names])
    assert found == ["delete", 3, 1, 30_000]


def test_a_file_in_wal_mode_is_taken_back(made: Database) -> None:
    """Another program may have set WAL, which is not safe on network file systems."""
    with closing(sqlite3.connect(made.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with made.reading() as connection:
        assert pragma(connection, "journal_mode") == "delete"
    with closing(sqlite3.connect(made.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert made.write(lambda connection: pragma(connection, "journal_mode")) == "delete"


def test_all_or_nothing(made: Database) -> None:
    """An exception in a change undoes it."""
    query = "CREATE TABLE half_done (id)"

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute(query)
        raise KeyError

    with pytest.raises(KeyError):
        made.write(fail)
    made.write(lambda connection: connection.execute(query).close())


def test_the_index_guards_the_blocking_stages(made: Database) -> None:
    """The stages in the unique index are those of `BLOCKING`: change both, by a migration."""
    with made.reading() as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = 'one_job_a_request'"
        text = connection.execute(query).fetchone()[0]
    assert set(re.findall(r"'(\w+)'", text)) == set(BLOCKING)


def test_the_file_itself_refuses_a_second_row(made: Database) -> None:
    """A program that does not check first cannot write the same request twice."""

    def insert(connection: sqlite3.Connection) -> None:
        jobs = JobsTable(connection, made.path.parent, lambda: datetime.now(UTC))
        jobs.insert(JobRecord("f", "live", "m", {}, 1, None), "someone")

    made.write(insert)
    with pytest.raises(LedgerError, match=r"UNIQUE constraint failed: jobs\.fingerprint"):
        made.write(insert)


FIRST_ROW = """
    INSERT INTO jobs (
        id, fingerprint, service, model, "values", take, price_credits, thumbnail, callback_url,
        cell, stage, owner, task_id, created_at, updated_at, finished_at, clip
    ) VALUES (
        '1a2b3c4d', 'f', 'live', 'kling-2.6/image-to-video',
        '{"prompt": "A red fox", "image": "fox.png"}', 1, 55.0, x'ffd8', '', '%%kling', 'saved', '',
        't1', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00',
        '2026-11-20T12:03:00+00:00', '{"path": "fox.mp4", "width_px": 1280, "height_px": 720,
        "duration_s": 5.04, "fps": 24.0, "video_codec": "h264", "audio_codec": "",
        "size_bytes": 12345, "sha256": "abab"}'
    )
"""


def test_a_ledger_of_the_first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are read without the later fields; `test_migrations` has the other versions."""
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", MIGRATIONS[:1])
        old = Database(tmp_path / "ledger.sqlite3")
        old.create()
        old.write(lambda connection: connection.execute(FIRST_ROW).close())
        with old.reading() as connection:
            assert pragma(connection, "user_version") == 1
    with closing(Ledger(tmp_path)) as ledger:
        row = ledger.row("1a2b3c4d")
        assert (row.sources, row.starred, row.hidden) == ({}, False, False)
        assert (row.notebook, row.budget_before) == ("", None)
        assert (row.nonce, row.answer, row.watch) == ("", "", None)
        assert (row.values["prompt"], row.thumbnail) == ("A red fox", b"\xff\xd8")
        assert ledger.clips() == [row]
        assert ledger.mark("1a2b", starred=True).starred
    with old.reading() as connection:
        assert pragma(connection, "user_version") == len(MIGRATIONS)


def test_migrations_run_once_and_in_order(made: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older file gets the missing migrations, each once."""

    def add_note(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE jobs ADD COLUMN note TEXT")

    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, add_note))
    made.create()
    made.create()
    with made.reading() as connection:
        assert pragma(connection, "user_version") == len(MIGRATIONS) + 1
        connection.execute("SELECT note FROM jobs")


def test_a_migration_that_fails_leaves_the_file(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails is rolled back."""

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE budgets")
        connection.execute("DROP TABLE budgets")

    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, fail))
    with pytest.raises(LedgerError, match="no such table"):
        made.create()
    with made.reading() as connection:
        assert pragma(connection, "user_version") == len(MIGRATIONS)
        connection.execute("SELECT * FROM budgets")


def test_a_newer_file_is_refused_untouched(made: Database) -> None:
    """The file of a newer kling_nb is not opened, and no byte of it changes."""
    with closing(sqlite3.connect(made.path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        connection.execute("PRAGMA journal_mode = WAL")
    before = made.path.read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 was written by a newer kling_nb\. Up"):
        Ledger(made.path.parent).rows()
    assert made.path.read_bytes() == before


def test_a_deleted_file_is_not_created_again(made: Database) -> None:
    """With an empty ledger in its place everything would be paid for again."""
    made.path.unlink()
    with pytest.raises(LedgerError, match="Restore the file"):
        made.write(lambda _: None)
    with pytest.raises(LedgerError, match="Restore the file"), made.reading():
        pass
    assert not made.path.exists()


@pytest.mark.parametrize(
    ("obstacle", "folder", "words"),
    [
        ("clips", "clips", r"clips: the folder cannot be created .*KLING_NB_FOLDER"),
        ("owners", ".", "the lock of this session cannot be acquired"),
        ("ledger.sqlite3", ".", r"ledger\.sqlite3: It is not a ledger\. Restore the right"),
    ],
)
def test_another_file_in_the_place(tmp_path: Path, obstacle: str, folder: str, words: str) -> None:
    """The message says what to do, and the file does not change."""
    path, content = tmp_path / obstacle, b"my shopping list" * 100
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=words) as caught:
        Ledger(tmp_path / folder).rows()
    assert str(tmp_path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A folder is in its place; errors that SQLite does not name also say what to do."""
    (tmp_path / "ledger.sqlite3").mkdir()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3: It cannot be opened"):
        Ledger(tmp_path).rows()
    assert advice_for(sqlite3.Error("odd")).startswith("odd. Check the disk")


def test_a_file_that_stays_locked(made: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting ends, and the message says what to do."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(made.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="Another program locked it"):
            made.write(lambda _: None)
        assert count(made) == 0


def test_a_full_disk(made: Database) -> None:
    """The message says that the disk is full; nothing is written in part."""

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE big AS SELECT zeroblob(100000)")

    with pytest.raises(LedgerError, match=r"The disk is full\. Free some space"):
        made.write(fill)
    assert count(made) == 0


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """Also characters with a meaning in URLs."""
    path = tmp_path / "50% of clips? #1 ü" / "ledger.sqlite3"
    Database(path).create()
    assert path.exists()
