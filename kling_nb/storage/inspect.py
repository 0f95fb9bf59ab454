"""Read a ledger's file without changing it or creating files.

Starts no session and takes no lock. If another process has the file locked, waits only briefly.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import Stage
from kling_nb.storage.migrations import MIGRATIONS

from .database import Database, read_version
from .job_record import JobRecord
from .jobs_table import JobsTable

TIMEOUT_S = 3.0
"""Shorter than a session's: a read that only reports can be repeated."""


def find_damage(folder: Path) -> list[str]:
    """Return the damage that SQLite finds in a folder's ledger; empty if it is intact.

    Raises:
        LedgerError: There is no ledger, or it cannot be read now; says what to do.
    """
    with _open_database(folder).reading() as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return [] if found == ["ok"] else found


def read_records(folder: Path, *stages: Stage) -> list[JobRecord]:
    """Return the rows in these stages, newest first, without recovering any.

    Raises:
        LedgerError: There is no ledger, it cannot be read now, or a session must migrate it
            first; says what to do.
    """
    database = _open_database(folder)
    with database.reading() as connection:
        version = read_version(connection)
        if version == 0:
            return []  # an empty file: no session has created its tables yet
        if version < len(MIGRATIONS):
            raise LedgerError(
                f"{database.path} was written by an older kling_nb: `%kling jobs` upgrades it"
            )
        return JobsTable(connection, folder, lambda: datetime.now(UTC)).in_stages(*stages)


def _open_database(folder: Path) -> Database:
    return Database(folder / "ledger.sqlite3", timeout_s=TIMEOUT_S)
