"""Test `migrations`: files of every released version stay readable."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.storage import database
from kling_nb.storage.database import Database
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.migrations import MIGRATIONS
from tests.unit.storage.test_database import FIRST_ROW

RELEASED = ("d5b116c3db36017d", "43a2cc0e6bfc43c9", "50e0d9485ea8f2e6", "99062428ceea7d4a")
"""The first digits of the hash of each version's tables. These never change."""


def hash_of_tables(connection: sqlite3.Connection) -> str:
    """Return the first digits of a hash of all tables and indices, without white space."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    found = [(kind, name, " ".join(sql.split())) for kind, name, sql in connection.execute(query)]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def test_what_was_released_is_never_changed() -> None:
    """A file that has had a migration never gets it again."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        hashes = []
        for migrate in MIGRATIONS:
            migrate(connection)
            hashes.append(hash_of_tables(connection))
    assert tuple(hashes[: len(RELEASED)]) == RELEASED


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_file_of_any_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """It is migrated to the current version with the same jobs."""
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", MIGRATIONS[:version])
        old = Database(tmp_path / "ledger.sqlite3")
        old.create()
        old.write(lambda connection: connection.execute(FIRST_ROW).close())
    ledger = Ledger(tmp_path)
    row, is_new = ledger.intend(JobRecord("f", "live", "m", {}, 1, 55.0))
    assert (row.id, row.stage, row.task_id, is_new) == ("1a2b3c4d", Stage.SAVED, "t1", False)
    assert [expense.credits for expense in ledger.spending.expenses()] == [55.0]
    ledger.close()
    new = Database(tmp_path / "new.sqlite3")
    new.create()
    with old.reading() as before, new.reading() as after:
        assert hash_of_tables(before) == hash_of_tables(after)


def add_rows(connection: sqlite3.Connection, count: int) -> None:
    """Add failed jobs as older versions did: thumbnails, none and large ones, in the rows."""
    for number in range(count):
        row = FIRST_ROW.replace("1a2b3c4d", f"{number:08x}").replace("'saved'", "'failed'")
        connection.execute(row.replace("x'ffd8'", f"x'{number:08x}'"))
    connection.execute("UPDATE jobs SET thumbnail = zeroblob(40000) WHERE number > 3")
    connection.execute("UPDATE jobs SET thumbnail = x'' WHERE number = 3")


def test_thumbnails_get_a_table_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each keeps its row, in one step or several; the file grows by no second copy of them."""
    path = tmp_path / "ledger.sqlite3"
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", MIGRATIONS[:8])
        old = Database(path)
        old.create()
        old.write(lambda connection: add_rows(connection, 7))
    size = path.stat().st_size
    monkeypatch.setattr("kling_nb.storage.migrations._ROWS_PER_STEP", 2)
    with closing(Ledger(tmp_path)) as ledger:
        thumbnails = {int(row.id, 16): row.thumbnail for row in ledger.rows()}
    small = {number: number.to_bytes(4, "big") for number in (0, 1)}
    assert thumbnails == small | {2: b""} | dict.fromkeys(range(3, 7), bytes(40_000))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT DISTINCT thumbnail FROM jobs").fetchall() == [(b"",)]
        assert connection.execute("SELECT count(*) FROM thumbnails").fetchone() == (6,)
    assert path.stat().st_size < size + 120_000
