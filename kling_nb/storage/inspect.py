"""Read a ledger's file without changing it or creating files.

Starts no session and takes no lock. If another process has the file locked, waits only briefly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import Stage
from kling_nb.storage.migrations import MIGRATIONS

from .database import Database, read_version
from .job_queries import JobQueries
from .job_record import JobRecord, parse_record
from .jobs_table import JobsTable, read_pages

TIMEOUT_S = 3.0
"""Shorter than a session's: a read that only reports can be repeated."""

_COLUMNS = 'fingerprint, service, model, "values", take, price_credits, id, stage, clip'
_FAILURES = (Stage.REFUSED, Stage.UNKNOWN, Stage.FAILED, Stage.VANISHED, Stage.EXPIRED)


def find_damage(folder: Path) -> list[str]:
    """Return the damage that SQLite finds in a folder's ledger; empty if it is intact.

    Raises:
        LedgerError: There is no ledger, or it cannot be read now; says what to do.
    """
    with _open_database(folder).reading() as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return [] if found == ["ok"] else found


def read_records(folder: Path, *stages: Stage) -> list[JobRecord]:
    """Return the jobs in these stages, newest first, without recovering any.

    The records have the request, the id, the stage and the clip; their other fields are empty.

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
    return _UnownedJobs(database).in_stages(*stages)


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What a bug report says about a ledger."""

    version: int
    """The number of migrations that the file has had; 0 for an empty file."""
    jobs_by_stage: Mapping[Stage, int]
    last_failure: JobRecord | None
    """The job that failed last; also in a ledger of an older version."""


def summarize_ledger(folder: Path) -> LedgerSummary:
    """Count the jobs of a folder, and return the one that failed last.

    Raises:
        LedgerError: There is no ledger, or it cannot be read now; says what to do.
    """
    with _open_database(folder).reading() as connection:
        version = read_version(connection)
        if version == 0:
            return LedgerSummary(0, {}, None)
        counts = connection.execute("SELECT stage, count(*) FROM jobs GROUP BY stage").fetchall()
        names = {column["name"] for column in connection.execute("PRAGMA table_info(jobs)")}
        where = f"stage IN ({', '.join('?' * len(_FAILURES))})"
        if "deleted_at" in names:  # the user has deleted the clip: no failure
            where += " AND NOT (stage = 'expired' AND deleted_at IS NOT NULL)"
        row = connection.execute(
            f"SELECT {_COLUMNS}, reason, code, updated_at FROM jobs WHERE {where} "
            "ORDER BY updated_at DESC LIMIT 1",
            _FAILURES,
        ).fetchone()
    failure = parse_record(dict(row), folder) if row else None
    return LedgerSummary(version, {Stage(stage): number for stage, number in counts}, failure)


class _UnownedJobs(JobQueries):
    """The jobs of a ledger without a session."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.path.parent)
        self._database = database

    def in_stages(self, *stages: Stage) -> list[JobRecord]:
        where = f"stage IN ({', '.join('?' * len(stages))})"
        rows = read_pages(self._reading, _COLUMNS, where, *stages)
        return [parse_record(dict(row), self.folder) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[JobsTable]:
        with self._database.reading() as connection:
            yield JobsTable(connection, self.folder, lambda: datetime.now(UTC))


def _open_database(folder: Path) -> Database:
    return Database(folder / "ledger.sqlite3", timeout_s=TIMEOUT_S)
