"""The jobs table, inside one transaction: find, insert, update, and check each change of stage.

Enforces `NEXT_STAGES`: no other module changes the stage of a row. `ledger` decides which session
may change it.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import BLOCKING, NEXT_STAGES, Stage

from .job_record import (
    Column,
    Intent,
    JobRecord,
    encode_intent,
    encode_row,
    encode_text,
    encode_time,
    parse_row,
)

__all__ = ["Jobs"]

STAMPS = {
    Stage.SENDING: "sent_at",
    Stage.ACCEPTED: "accepted_at",
    Stage.SUCCEEDED: "finished_at",
    Stage.FAILED: "finished_at",
    Stage.REFUSED: "finished_at",
    Stage.DISCARDED: "finished_at",
    Stage.FORGOTTEN: "finished_at",
}
"""The time that a stage fills in, once, unless it is given."""

SHORTEST_PREFIX = 4


class Jobs:
    """The jobs of a ledger, for as long as one connection is open.

    Args:
        connection: In a transaction, where rows are changed.
        folder: What the paths of clips are relative to.
        clock: Gives the time, aware.
    """

    def __init__(
        self, connection: sqlite3.Connection, folder: Path, clock: Callable[[], datetime]
    ) -> None:
        self.connection = connection
        self._folder = folder
        self._clock = clock

    def select(self, where: str, *values: Column, limit: int = -1) -> list[JobRecord]:
        """Returns the rows for which an SQL condition holds, newest first."""
        # The condition is always a literal of this package; what people wrote is in `values`.
        query = f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?"
        found = self.connection.execute(query, (*values, limit))
        return [parse_row(dict(columns), self._folder) for columns in found]

    def in_stages(self, *stages: Stage, limit: int = -1) -> list[JobRecord]:
        """Returns the rows in these stages, newest first."""
        return self.select(f"stage IN ({', '.join('?' * len(stages))})", *stages, limit=limit)

    def find(self, job_id: str) -> JobRecord:
        """Returns a row by its id, or by the first four digits or more.

        Raises:
            LedgerError: No job, or several, begin so.
        """
        prefix = job_id.strip().lower()
        found = self.select("id = ?", prefix) or self.select(
            "substr(id, 1, length(?)) = ?", prefix, prefix
        )
        if not found or len(prefix) < SHORTEST_PREFIX:
            raise LedgerError(
                f"no job {job_id!r}; give its id, or the first {SHORTEST_PREFIX} digits or more: "
                "`%kling jobs` lists them"
            )
        if len(found) > 1:
            ids = ", ".join(row.id for row in found)
            raise LedgerError(f"several jobs begin with {job_id!r}: {ids}; give more of the id")
        return found[0]

    def now(self) -> datetime:
        """Returns the time, aware."""
        return self._clock()

    def with_task(self, task_id: str, service: str) -> JobRecord | None:
        """Returns the newest row that has the service's task."""
        where = "task_id = ? AND task_id <> '' AND service = ?"
        return next(iter(self.select(where, encode_text(task_id), service, limit=1)), None)

    def blocking(self, *fingerprints: str) -> JobRecord | None:
        """Returns the row that answers this request already, by the first of its fingerprints."""
        for fingerprint in fingerprints:
            found = self.select("fingerprint = ?", fingerprint)
            row = next((row for row in found if row.stage in BLOCKING), None)
            if row is not None:
                return row
        return None

    def takes(self, model: str, service: str) -> list[tuple[int, str]]:
        """Returns take and fingerprint of every request that is answered already."""
        where = "model = ? AND service = ? ORDER BY number"
        query = f"SELECT take, fingerprint, stage FROM jobs WHERE {where}"
        found = self.connection.execute(query, (model, service))
        return [(take, name) for take, name, stage in found if Stage(stage) in BLOCKING]

    def durations_s(self, model: str, service: str, limit: int) -> list[float]:
        """Returns the seconds from acceptance to the end of past clips, newest first."""
        # When a task that a person brought in was accepted, nobody here knows: it may have been
        # over. One that a notification brought back is as old as its request.
        where = """
            model = ? AND service = ? AND stage IN ('succeeded', 'saved', 'expired')
            AND finished_at > accepted_at AND fingerprint <> 'adopted ' || task_id
            AND (accepted_at = sent_at OR NOT EXISTS (
                SELECT 1 FROM events
                WHERE job_id = jobs.id AND events.stage IN ('unknown', 'vanished')
            ))
        """
        return [
            (row.finished_at - row.accepted_at).total_seconds()
            for row in self.select(where, model, service, limit=limit)
            if row.finished_at and row.accepted_at
        ]

    def events(self, row: JobRecord) -> list[tuple[datetime, Stage, str]]:
        """Returns when the row came into which stage and why, oldest first."""
        query = "SELECT at, stage, text FROM events WHERE job_id = ? ORDER BY number"
        found = self.connection.execute(query, (row.id,))
        return [(datetime.fromisoformat(at), Stage(name), text) for at, name, text in found]

    def insert(self, intent: Intent, owner: str) -> JobRecord:
        """Adds a new row in stage `intended`."""
        at = encode_time(self._clock())
        columns = encode_intent(intent, self._folder) | {
            "id": self._new_id(),
            "stage": Stage.INTENDED,
            "owner": owner,
            "created_at": at,
            "updated_at": at,
        }
        row = self._add(columns)
        self.log(row, "")
        return row

    def bring(self, row: JobRecord) -> JobRecord | None:
        """Adds a row that another ledger had, in its stage, with its id where that is free.

        Returns:
            The row as it is here; None, and nothing is changed, where this ledger has the job
            already or another one that answers the same request.
        """
        if self._knows(row):
            return None
        is_free = not self.select("id = ?", row.id)
        columns = encode_row(row, self._folder) | {
            "id": row.id if is_free else self._new_id(),
            "updated_at": encode_time(self._clock()),
        }
        brought = self._add(columns)
        self.log(brought, row.reason or "recovered")
        return brought

    def _knows(self, row: JobRecord) -> bool:
        """Whether the job of another ledger's row is here, or what would make it a second one."""
        if row.stage in BLOCKING and self.blocking(encode_text(row.fingerprint)):
            return True
        if self.with_task(row.task_id, row.service):
            return True
        # One that blocks nothing and has no task tells nothing that is worth a second id.
        has_weight = row.stage in BLOCKING or row.task_id
        same = self.select("id = ?", row.id)
        return any(not has_weight or row.fingerprint == found.fingerprint for found in same)

    def _add(self, columns: Mapping[str, Column]) -> JobRecord:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        self.connection.execute(
            f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(columns.values())
        )
        return self.find(str(columns["id"]))

    def update(self, row: JobRecord, **columns: Column) -> JobRecord:
        """Changes columns of a row; its stage is for `step`."""
        return self.mark(row, updated_at=encode_time(self._clock()), **columns)

    def mark(self, row: JobRecord, **columns: Column) -> JobRecord:
        """Changes columns that say nothing of the task: the row counts as untouched."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(
            f"UPDATE jobs SET {changes} WHERE id = ?", (*columns.values(), row.id)
        )
        return self.find(row.id)

    def step(self, row: JobRecord, stage: Stage, **columns: Column) -> JobRecord:
        """Moves a row to its next stage and logs it; `reason` and `code` begin anew.

        Raises:
            LedgerError: The stage does not follow the one that the row is in.
        """
        if stage not in NEXT_STAGES[row.stage]:
            allowed = ", ".join(sorted(NEXT_STAGES[row.stage])) or "nothing: it is over"
            raise LedgerError(
                f"job {row.id} cannot go from {row.stage} to {stage}; what may follow is "
                f"{allowed}. `%kling show {row.id}` tells what happened to it."
            )
        stamp = STAMPS.get(stage)
        if stamp and getattr(row, stamp) is None:
            columns.setdefault(stamp, encode_time(self._clock()))
        reason = columns.setdefault("reason", "")
        columns.setdefault("code", "")
        moved = self.update(row, stage=stage, **columns)
        self.log(moved, str(reason))
        return moved

    def bury(self, row: JobRecord, task_id: str = "") -> JobRecord:
        """Ends the submission of a session that is dead.

        What it was about to do, surely never happens; what it was doing at its death may have
        happened, and has where the task's id is known.

        Args:
            row: In `intended` or `sending`.
            task_id: As the service answered, where that was kept; empty if it is not known. A
                notification may have noted it in the row.
        """
        if task_id and row.stage is Stage.INTENDED:  # by an older copy of the ledger
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
            "the task may exist and may be paid.",
        )

    def conclude(self, row: JobRecord, stage: Stage, **columns: Column) -> JobRecord:
        """Ends a submission that was not answered with a task, by the stage that this means.

        Where a notification was quicker, the row has the task's id: then it is accepted, whatever
        the answer was. In one transaction, so that no notification can come in between.
        """
        if not row.task_id:
            return self.step(row, stage, **columns)
        return self.step(row, Stage.ACCEPTED, accepted_at=encode_time(row.sent_at or self.now()))

    def log(self, row: JobRecord, text: str) -> None:
        """Notes in the job's history that it is in its stage now, and why."""
        self.connection.execute(
            "INSERT INTO events (job_id, at, stage, text) VALUES (?, ?, ?, ?)",
            (row.id, encode_time(row.updated_at), row.stage, encode_text(text)),
        )

    def _new_id(self) -> str:
        while True:
            job_id = secrets.token_hex(4)
            if not self.select("id = ?", job_id):
                return job_id
