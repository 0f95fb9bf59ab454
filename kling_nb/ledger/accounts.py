"""The money side of a ledger: budgets, and what counts against them.

Here is the one answer to what a row costs. What may be done with a row is decided in `ledger`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from ..budgets import Budget, Change, Scope, Standing, day_of
from ..expenses import Expense
from ..states import BLOCKING, SUBMITTING, Stage
from .records import Row, encode_text, encode_time
from .table import Jobs

__all__ = ["Accounts", "standings_in"]

_UNCERTAIN = SUBMITTING | {Stage.UNKNOWN, Stage.VANISHED}

MAY_BE_PAID = "stage IN ({})".format(", ".join(f"'{stage}'" for stage in sorted(BLOCKING)))
COST = "max(coalesce(credits, price_credits), 0)"
COUNTS = f"({MAY_BE_PAID} OR credits > 0)"
"""What is paid, may be, or is about to be; and what the service says it kept for a failure."""

BOUNDS = {
    Scope.NOTEBOOK: "notebook = :notebook",
    # A row's day never changes: sent after midnight, it still counts for the day whose budget
    # let it in. Else what was let in yesterday could pass today's limit.
    Scope.DAY: "created_at >= :start AND created_at < :end",
    Scope.FOLDER: "1",
}

BALANCE_IS_OLDER = timedelta(seconds=10)
"""By how much the balance before a request may have been read before its row was made."""

MOVES = """
    stage = 'sending' OR sent_at >= :since OR accepted_at >= :since
    OR (stage IN ('failed', 'unknown', 'vanished') AND updated_at >= :since)
"""


def standings_in(
    connection: sqlite3.Connection, service: str, notebook: str | None, now: datetime
) -> list[Standing]:
    """Returns the budgets of a service and what counts against each.

    Args:
        connection: In the transaction that the answer has to be true in.
        service: `live` or `emulator`.
        notebook: Whose budget holds, beside those of the day and the folder; None for all.
        now: Which day it is.
    """
    query = "SELECT * FROM budgets WHERE service = ? ORDER BY scope DESC, notebook"
    name = None if notebook is None else encode_text(notebook)
    found = [
        Budget(service, Scope(row["scope"]), row["limit_credits"], row["notebook"])
        for row in connection.execute(query, (service,))
    ]
    holding = [
        each for each in found if each.scope is not Scope.NOTEBOOK or name in (None, each.notebook)
    ]
    return [_standing(connection, budget, now) for budget in holding]


def _standing(connection: sqlite3.Connection, budget: Budget, now: datetime) -> Standing:
    start, end = map(encode_time, day_of(now))
    query = f"""
        SELECT total({COST}), count(*) - count({COST}) FROM jobs
        WHERE service = :service AND {COUNTS} AND {BOUNDS[budget.scope]}
    """
    values = {"service": budget.service, "notebook": budget.notebook, "start": start, "end": end}
    spent, unpriced = connection.execute(query, values).fetchone()
    return Standing(budget, spent, unpriced)


class Accounts:
    """The budgets and the expenses of one ledger. Safe in any thread.

    Args:
        reading: Gives the table of jobs for one operation.
        writing: Gives it in a transaction.
        clock: Gives the time, aware.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Jobs]],
        writing: Callable[[], AbstractContextManager[Jobs]],
        clock: Callable[[], datetime],
    ) -> None:
        self._reading, self._writing, self._clock = reading, writing, clock

    def standings(self, service: str, notebook: str | None = None) -> list[Standing]:
        """Returns the budgets of a service, and what counts against each now.

        Args:
            service: `live` or `emulator`.
            notebook: Leaves out the budgets of other notebooks; None is all.
        """
        with self._reading() as jobs:
            return standings_in(jobs.connection, service, notebook, self._clock())

    def change(self, service: str, changes: Iterable[Change]) -> None:
        """Sets and ends budgets of a service, all at once."""
        at = encode_time(self._clock())
        with self._writing() as jobs:
            for each in changes:
                key = (service, each.scope, encode_text(each.notebook))
                jobs.connection.execute(
                    "DELETE FROM budgets WHERE service = ? AND scope = ? AND notebook = ?", key
                )
                if each.limit_credits is not None:
                    jobs.connection.execute(
                        "INSERT INTO budgets VALUES (?, ?, ?, ?, ?)", (*key, each.limit_credits, at)
                    )

    def expenses(self) -> list[Expense]:
        """Returns every job that is paid for or may be, oldest first."""
        query = f"""
            SELECT service, created_at, notebook, model, {COST} AS cost, credits, stage, starred
            FROM jobs WHERE {COUNTS} ORDER BY number
        """
        with self._reading() as jobs:
            return [parse_expense(row) for row in jobs.connection.execute(query)]

    def others_moved(self, row: Row) -> bool:
        """Whether another job of this ledger may have moved the balance since a row was made.

        Credits are taken when a task is made and given back when it fails. A refusal takes none.
        """
        query = f"""
            SELECT EXISTS (
                SELECT 1 FROM jobs
                WHERE service = :service AND id <> :id AND stage <> 'refused' AND ({MOVES})
            )
        """
        since = encode_time(row.created_at - BALANCE_IS_OLDER)
        values = {"service": row.service, "id": row.id, "since": since}
        with self._reading() as jobs:
            return bool(jobs.connection.execute(query, values).fetchone()[0])


def parse_expense(row: sqlite3.Row) -> Expense:
    """Returns the expense that a record of the table `jobs` describes."""
    is_clip = row["stage"] == Stage.SAVED
    return Expense(
        service=row["service"],
        created_at=datetime.fromisoformat(row["created_at"]),
        notebook=row["notebook"],
        model=row["model"],
        credits=row["cost"],
        is_sure=row["credits"] is not None or Stage(row["stage"]) not in _UNCERTAIN,
        is_clip=is_clip,
        is_kept=is_clip and bool(row["starred"]),
    )
