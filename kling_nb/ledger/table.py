"""The table of jobs, inside one transaction: find, insert, change, and the steps that exist.

It holds `NEXT_STAGES`: no row changes its stage elsewhere. Who may do it is decided in `ledger`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import LedgerError
from ..states import NEXT_STAGES, Stage
from .records import Column, Intent, Row, encode_intent, encode_text, encode_time, parse_row

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

    def select(self, where: str, *values: Column, limit: int = -1) -> list[Row]:
        """Returns the rows for which an SQL condition holds, newest first."""
        # The condition is always a literal of this package; what people wrote is in `values`.
        query = f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?"
        found = self.connection.execute(query, (*values, limit))
        return [parse_row(dict(columns), self._folder) for columns in found]

    def in_stages(self, *stages: Stage, limit: int = -1) -> list[Row]:
        """Returns the rows in these stages, newest first."""
        return self.select(f"stage IN ({', '.join('?' * len(stages))})", *stages, limit=limit)

    def find(self, job_id: str) -> Row:
        """Returns a row by its id, or by the first four digits or more.

        Raises:
            LedgerError: No job, or several, begin so.
        """
        prefix = job_id.strip().lower()
        found = self.select("id = ?", prefix) or self.select(
            "substr(id, 1, length(?1)) = ?1", prefix
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

    def insert(self, intent: Intent, owner: str) -> Row:
        """Adds a new row in stage `intended`."""
        at = encode_time(self._clock())
        columns = encode_intent(intent) | {
            "id": self._new_id(),
            "stage": Stage.INTENDED,
            "owner": owner,
            "created_at": at,
            "updated_at": at,
        }
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        self.connection.execute(
            f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(columns.values())
        )
        row = self.find(str(columns["id"]))
        self.log(row, "")
        return row

    def update(self, row: Row, **columns: Column) -> Row:
        """Changes columns of a row; its stage is for `step`."""
        columns["updated_at"] = encode_time(self._clock())
        changes = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(
            f"UPDATE jobs SET {changes} WHERE id = ?", (*columns.values(), row.id)
        )
        return self.find(row.id)

    def step(self, row: Row, stage: Stage, **columns: Column) -> Row:
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

    def log(self, row: Row, text: str) -> None:
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
