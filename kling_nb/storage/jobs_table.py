"""The jobs table, inside one transaction: find, insert, update, and check each change of stage.

Enforces `NEXT_STAGES`: no other module changes the stage of a row. `ledger` decides which session
may change it. `read_pages` reads columns of many rows, each page in its own transaction.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.formatting import to_one_line
from kling_nb.core.job_state import BLOCKING, NEXT_STAGES, Stage

from .clip_events import ClipChange
from .job_record import (
    COLUMNS,
    Column,
    JobRecord,
    encode_record,
    encode_text,
    encode_time,
    parse_columns,
    parse_record,
)

_TIME_COLUMNS = {
    Stage.SENDING: "sent_at",
    Stage.ACCEPTED: "accepted_at",
    Stage.SUCCEEDED: "finished_at",
    Stage.FAILED: "finished_at",
    Stage.REFUSED: "finished_at",
    Stage.DISCARDED: "finished_at",
    Stage.FORGOTTEN: "finished_at",
}
"""The time that a stage sets once, unless the caller gives it."""

_LISTED = 8
"""Maximum number of jobs that an error lists."""

PAGE_ROWS = 500
"""Maximum number of rows of a query that may match many, because a commit waits for its end."""

_THUMBNAIL = "(SELECT content FROM thumbnails WHERE thumbnails.number = jobs.number)"
ALL_COLUMNS = ", ".join(
    f"coalesce({_THUMBNAIL}, x'') AS thumbnail" if name == "thumbnail" else f'"{name}"'
    for name in COLUMNS
)
"""The columns of a `JobRecord`, as SQL."""

_AFTER_ALL = 2**63 - 1
"""The largest possible row number."""

_LAST_CHARACTER = "\U0010ffff"


class JobsTable:
    """The jobs of a ledger, while one connection is open.

    Args:
        connection: The connection; in a transaction if rows are changed.
        folder: The folder of the ledger; paths of clips are relative to it.
        clock: Returns the time, aware.
        changes: Collects the changes of saved clips; None ignores them.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        folder: Path,
        clock: Callable[[], datetime],
        changes: list[ClipChange] | None = None,
    ) -> None:
        self.connection = connection
        self.now = clock
        self._folder = folder
        self._changes = [] if changes is None else changes

    def select(self, where: str, *values: Column, limit: int = -1) -> list[JobRecord]:
        """Return the rows that match an SQL condition, newest first."""
        # The condition is always a literal of this package; user input is in `values`.
        query = f"SELECT {ALL_COLUMNS} FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?"
        found = self.connection.execute(query, (*values, limit)).fetchall()
        return [parse_record(dict(columns), self._folder) for columns in found]

    def numbered(self, numbers: Sequence[int]) -> list[JobRecord]:
        """Return the rows with these numbers, newest first."""
        return self.select(f"number IN ({', '.join('?' * len(numbers))})", *numbers)

    def first(self, where: str, *values: Column) -> JobRecord | None:
        """Return the newest row that matches an SQL condition, or None."""
        return next(iter(self.select(where, *values, limit=1)), None)

    def in_stages(self, *stages: Stage, limit: int = -1) -> list[JobRecord]:
        """Return the rows in these stages, newest first."""
        return self.select(f"stage IN ({', '.join('?' * len(stages))})", *stages, limit=limit)

    def find(self, job_id: str) -> JobRecord:
        """Return the row of an id, or of its first digits.

        Raises:
            LedgerError: No job, or several, have an id that begins so; lists some of them.
        """
        prefix = job_id.strip().lower()
        # A range of ids, so that SQLite uses the index of the column.
        found = self.select("id = ?", prefix) or self.select(
            "id >= ? AND id < ?", prefix, prefix + _LAST_CHARACTER, limit=_LISTED + 1
        )
        if not found or not prefix:
            raise LedgerError(
                f"no job {job_id!r}; give an id or its first characters: `%kling jobs` lists them"
            )
        if len(found) > 1:
            jobs = [f"{row.id} {to_one_line(row.prompt, 30)}".rstrip() for row in found[:_LISTED]]
            more = " and more" if len(found) > _LISTED else ""
            raise LedgerError(
                f"several ids begin with {job_id!r}: {', '.join(jobs)}{more}; give more of the id"
            )
        return found[0]

    def with_task(self, task_id: str, service: str) -> JobRecord | None:
        """Return the newest row with this task of the service."""
        where = "task_id = ? AND task_id <> '' AND service = ?"
        return self.first(where, encode_text(task_id), service)

    def blocking(self, *fingerprints: str) -> JobRecord | None:
        """Return the row that already answers this request, by the first of its fingerprints."""
        found = self.select(f"fingerprint IN ({', '.join('?' * len(fingerprints))})", *fingerprints)
        blocking = {row.fingerprint: row for row in found if row.stage in BLOCKING}
        return next((blocking[each] for each in fingerprints if each in blocking), None)

    def takes(self, model: str, service: str) -> list[int]:
        """Return the takes above 1 that jobs of a model have, ascending."""
        # One search of the index for each take: DISTINCT would read every row.
        query = """
            WITH RECURSIVE takes (take) AS (
                VALUES (1) UNION ALL
                SELECT (
                    SELECT min(jobs.take) FROM jobs
                    WHERE model = ? AND service = ? AND jobs.take <> 1 AND jobs.take > takes.take
                ) FROM takes WHERE take IS NOT NULL
            ) SELECT take FROM takes WHERE take > 1
        """
        return [take for (take,) in self.connection.execute(query, (model, service)).fetchall()]

    def durations_s(self, model: str, service: str, limit: int) -> list[float]:
        """Return the seconds from acceptance to the end of past clips, newest first."""
        # The acceptance time of a task that the user adopted is not known: it may have been over.
        # A task that a callback brought back is as old as its request.
        query = """
            SELECT finished_at, accepted_at FROM jobs
            WHERE model = ? AND service = ? AND stage IN ('succeeded', 'saved', 'expired')
            AND finished_at > accepted_at AND fingerprint <> 'adopted ' || task_id
            AND (accepted_at = sent_at OR NOT EXISTS (
                SELECT 1 FROM events
                WHERE job_id = jobs.id AND events.stage IN ('unknown', 'vanished')
            )) ORDER BY number DESC LIMIT ?
        """
        times = self.connection.execute(query, (model, service, limit)).fetchall()
        parse = datetime.fromisoformat
        return [(parse(end) - parse(start)).total_seconds() for end, start in times]

    def events(self, row: JobRecord) -> list[tuple[datetime, Stage, str]]:
        """Return the history of a job: time, stage and reason, oldest first."""
        query = "SELECT at, stage, text FROM events WHERE job_id = ? ORDER BY number"
        found = self.connection.execute(query, (row.id,)).fetchall()
        return [(datetime.fromisoformat(at), Stage(name), text) for at, name, text in found]

    def insert(self, record: JobRecord, owner: str) -> JobRecord:
        """Add a new row in stage `intended`."""
        at = encode_time(self.now())
        managed = {
            "id": self._new_id(),
            "stage": Stage.INTENDED,
            "owner": owner,
            "created_at": at,
            "updated_at": at,
        }
        return self._add(encode_record(record, self._folder) | managed)

    def import_record(self, record: JobRecord) -> JobRecord | None:
        """Add a job of another ledger, in its stage, with its id if that is free.

        Returns:
            The new row; None, and nothing changes, if this ledger already has the job, or another
            one that answers the same request.
        """
        if self._has(record):
            return None
        columns = encode_record(record, self._folder)
        columns["updated_at"] = encode_time(self.now())
        if self.select("id = ?", record.id):
            columns["id"] = self._new_id()
        return self._add(columns, record.reason or "recovered")

    def _has(self, record: JobRecord) -> bool:
        """Return whether the job of another ledger is here, or a row that excludes it."""
        if record.stage in BLOCKING and self.blocking(encode_text(record.fingerprint)):
            return True
        if self.with_task(record.task_id, record.service):
            return True
        # A job that blocks nothing and has no task is not worth a second id.
        is_needed = record.stage in BLOCKING or record.task_id
        same = self.select("id = ?", record.id)
        return any(not is_needed or record.fingerprint == found.fingerprint for found in same)

    def _add(self, columns: Mapping[str, Column], reason: str = "") -> JobRecord:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        own = {**columns, "thumbnail": b""}
        number = self.connection.execute(
            f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(own.values())
        ).lastrowid
        if thumbnail := columns["thumbnail"]:
            self.connection.execute("INSERT INTO thumbnails VALUES (?, ?)", (number, thumbnail))
        row = parse_record(columns, self._folder)
        self._note_change(None, row)
        self.log(row, reason)
        return row

    def update(self, row: JobRecord, **columns: Column) -> JobRecord:
        """Change columns of a row; its stage is changed by `step`."""
        return self.mark(row, updated_at=encode_time(self.now()), **columns)

    def mark(self, row: JobRecord, **columns: Column) -> JobRecord:
        """Change columns that do not concern the task; `updated_at` stays."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(
            f"UPDATE jobs SET {changes} WHERE id = ?", (*columns.values(), row.id)
        )
        changed = replace(row, **parse_columns(columns, self._folder))
        self._note_change(row, changed)
        return changed

    def step(self, row: JobRecord, stage: Stage, **columns: Column) -> JobRecord:
        """Move a row to its next stage and log it; clear `reason` and `code` if not given.

        Raises:
            LedgerError: The stage may not follow the row's stage.
        """
        if stage not in NEXT_STAGES[row.stage]:
            allowed = ", ".join(sorted(NEXT_STAGES[row.stage])) or "none"
            raise LedgerError(
                f"job {row.id} cannot go from {row.stage} to {stage}; allowed next stages: "
                f"{allowed}. `%kling show {row.id}` shows its history."
            )
        time_column = _TIME_COLUMNS.get(stage)
        if time_column and getattr(row, time_column) is None:
            columns.setdefault(time_column, encode_time(self.now()))
        reason = columns.setdefault("reason", "")
        columns.setdefault("code", "")
        moved = self.update(row, stage=stage, **columns)
        self.log(moved, str(reason))
        return moved

    def end_orphaned(self, row: JobRecord, task_id: str = "") -> JobRecord:
        """End the submission of a dead session.

        An intended request will never be sent. A request that was being sent may have created a
        task; it did if the task id is known.

        Args:
            row: The row, in `intended` or `sending`.
            task_id: The task id from the answer, if it was saved; empty if it is not known. The
                row may have it from a callback.
        """
        if task_id and row.stage is Stage.INTENDED:  # in an older copy of the ledger
            row = self.step(row, Stage.SENDING)
        if task_id and not row.task_id:
            row = self.update(row, task_id=encode_text(task_id))
        if row.stage is Stage.INTENDED:
            reason = "The kernel ended before anything was sent; nothing was charged."
            return self.step(row, Stage.DISCARDED, reason=reason)
        since = row.sent_at or row.updated_at
        return self.conclude(
            row,
            Stage.UNKNOWN,
            reason=f"The kernel died while sending, at {since:%Y-%m-%d %H:%M:%S} UTC; "
            "the task may exist and may be paid for.",
        )

    def conclude(self, row: JobRecord, stage: Stage, **columns: Column) -> JobRecord:
        """End a submission with the stage of its answer, which names no task.

        If a callback has already brought the task id, the job is accepted, whatever the answer
        was. Both are in one transaction, so that no callback can come in between.
        """
        if not row.task_id:
            return self.step(row, stage, **columns)
        return self.step(row, Stage.ACCEPTED, accepted_at=encode_time(row.sent_at or self.now()))

    def log(self, row: JobRecord, text: str) -> None:
        """Add the row's stage and its reason to the job's history."""
        self.connection.execute(
            "INSERT INTO events (job_id, at, stage, text) VALUES (?, ?, ?, ?)",
            (row.id, encode_time(row.updated_at), row.stage, encode_text(text)),
        )

    def _note_change(self, before: JobRecord | None, after: JobRecord) -> None:
        if after.has_clip or (before is not None and before.has_clip):
            self._changes.append(ClipChange(self._folder, before, after))

    def _new_id(self) -> str:
        while True:
            job_id = secrets.token_hex(4)
            if not self.select("id = ?", job_id):
                return job_id


def read_pages(
    reading: Callable[[], AbstractContextManager[JobsTable]],
    columns: str,
    where: str,
    *values: Column,
    limit: int = -1,
) -> Iterator[sqlite3.Row]:
    """Yield `number` and other columns of the jobs that match an SQL condition, newest first.

    Reads in pages, because a commit waits for readers.

    Args:
        reading: Opens the table of jobs for one page.
        columns: The columns, as SQL.
        where: The SQL condition.
        *values: The values of the condition.
        limit: Maximum number of rows; -1 is no limit.
    """
    query = f"""
        SELECT number, {columns} FROM jobs WHERE ({where}) AND number < ?
        ORDER BY number DESC LIMIT ?
    """
    before = _AFTER_ALL
    while limit:
        count = PAGE_ROWS if limit < 0 else min(limit, PAGE_ROWS)
        with reading() as jobs:
            rows = jobs.connection.execute(query, (*values, before, count)).fetchall()
        yield from rows
        if len(rows) < count:
            return
        before, limit = rows[-1]["number"], limit - count if limit > 0 else limit
