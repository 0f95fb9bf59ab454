"""Budgets in a ledger, and the expenses that count against them.

The only place that computes the cost of a row. `ledger` decides which changes of a row are allowed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from kling_nb.core.budgets import Budget, BudgetStatus, Change, Scope, day_of, least_left, refusal
from kling_nb.core.charge_evidence import Evidence, judge, parse_watch
from kling_nb.core.expenses import Expense
from kling_nb.core.job_state import BLOCKING, SUBMITTING, Stage

from .job_record import Intent, JobRecord, encode_text, encode_time
from .jobs_table import Jobs

__all__ = ["Accounts", "room_for"]

_UNCERTAIN = SUBMITTING | {Stage.UNKNOWN, Stage.VANISHED, Stage.FAILED, Stage.FORGOTTEN}

MAY_BE_PAID = "stage IN ({})".format(", ".join(f"'{stage}'" for stage in sorted(BLOCKING)))
COST = "max(coalesce(credits, price_credits), 0)"

# Forgetting allows another task and gives nothing back. Two that were forgotten count no more: one
# whose task came back as a job of its own, which has taken the price over; and one without a task
# where the balance stood still for the whole watch. Its numbers say that nothing was taken, and
# what a person has settled by them must not eat up a budget for good.
FORGOTTEN = """
    stage = 'forgotten' AND CASE WHEN task_id = ''
        THEN likelihood(watch, balance_before, price_credits) <> 'not_paid'
        ELSE NOT EXISTS (
            SELECT 1 FROM jobs AS heir
            WHERE heir.task_id = jobs.task_id AND heir.number > jobs.number
        ) END
"""

KEPT_FOR_A_FAILURE = """
    stage = 'failed' AND credits IS NULL
    AND likelihood(watch, balance_before, price_credits) = 'paid'
"""

CHARGED = "stage <> 'forgotten' AND credits > 0"

COUNTS = f"({MAY_BE_PAID} OR ({CHARGED}) OR ({FORGOTTEN}) OR ({KEPT_FOR_A_FAILURE}))"
"""What is paid, may be, or is about to be, forgotten or not; and what a failure kept, by the
service's word or, where it does not tell, by the balance."""

BOUNDS = {
    Scope.NOTEBOOK: "notebook = :notebook",
    # A row's day never changes: sent after midnight, it still counts for the day whose budget
    # let it in. Else what was let in yesterday could pass today's limit.
    Scope.DAY: "created_at >= :start AND created_at < :end",
    Scope.FOLDER: "1",
}

BALANCE_IS_OLDER = timedelta(seconds=60)
"""By how much the balance before a request may have been read before its row was made, where the
row does not say when."""

REFUNDS_TAKE = timedelta(seconds=300)
"""For how long after a failure its credits may still come back."""

MOVES = """
    stage = 'sending' OR sent_at >= :since OR accepted_at >= :since
    OR (stage IN ('unknown', 'vanished') AND updated_at >= :since)
    OR (stage = 'failed' AND updated_at >= :failed_since)
"""


def likelihood(watch: str | None, before: float | None, price: float | None) -> str:
    """Returns what `charge_evidence.judge` makes of a row's columns; a function of SQL here."""
    seen = parse_watch(json.loads(watch)) if watch else None
    return judge(Evidence(price, before, seen)).likelihood.name.lower()


def knowing(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Returns the connection, which knows `likelihood` from now on."""
    connection.create_function("likelihood", 3, likelihood, deterministic=True)
    return connection


def standings_in(
    connection: sqlite3.Connection, service: str, notebook: str | None, now: datetime
) -> list[BudgetStatus]:
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


def _standing(connection: sqlite3.Connection, budget: Budget, now: datetime) -> BudgetStatus:
    start, end = map(encode_time, day_of(now))
    query = f"""
        SELECT total({COST}), count(*) - count({COST}) FROM jobs
        WHERE service = :service AND {COUNTS} AND {BOUNDS[budget.scope]}
    """
    values = {"service": budget.service, "notebook": budget.notebook, "start": start, "end": end}
    spent, unpriced = knowing(connection).execute(query, values).fetchone()
    return BudgetStatus(budget, spent, unpriced)


def room_for(
    jobs: Jobs, intent: Intent, now: datetime, bury: Callable[[JobRecord], object]
) -> float | None:
    """Returns what the tightest budget has left; refuses what does not fit.

    Args:
        jobs: In the transaction that notes the request.
        intent: The request.
        now: Which day it is.
        bury: Ends what a dead session intended.

    Raises:
        BudgetExceeded: A budget has not enough left.
    """
    asked = (jobs.connection, intent.service, intent.notebook, now)
    standings = standings_in(*asked)
    if refusal(standings, intent.price_credits):
        # What dead sessions were about to do counts no more.
        for row in jobs.in_stages(Stage.INTENDED):
            bury(row)
        standings = standings_in(*asked)
    if error := refusal(standings, intent.price_credits):
        raise error
    return least_left(standings)


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

    def standings(self, service: str, notebook: str | None = None) -> list[BudgetStatus]:
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
            SELECT service, created_at, notebook, model, {COST} AS cost, credits, stage, starred,
                EXISTS (
                    SELECT 1 FROM events
                    WHERE job_id = jobs.id AND events.stage IN ('succeeded', 'saved', 'expired')
                ) AS was_made
            FROM jobs WHERE {COUNTS} ORDER BY number
        """
        with self._reading() as jobs:
            return [parse_expense(row) for row in knowing(jobs.connection).execute(query)]

    def others_moved(self, row: JobRecord) -> bool:
        """Whether another job may have moved the balance since it was read for this one.

        Credits are taken when a task is made and given back when it fails, some of them late. A
        refusal takes none.
        """
        query = f"""
            SELECT EXISTS (
                SELECT 1 FROM jobs
                WHERE service = :service AND id <> :id AND stage <> 'refused' AND ({MOVES})
            )
        """
        since = row.balance_at or row.created_at - BALANCE_IS_OLDER
        values = {
            "service": row.service,
            "id": row.id,
            "since": encode_time(since),
            "failed_since": encode_time(since - REFUNDS_TAKE),
        }
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
        # A clip that was made is paid for, whatever became of its job.
        is_sure=bool(row["was_made"])
        or row["credits"] is not None
        or Stage(row["stage"]) not in _UNCERTAIN,
        is_clip=is_clip,
        is_kept=is_clip and bool(row["starred"]),
    )
