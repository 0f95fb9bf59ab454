"""Budgets in a ledger, and the expenses that count against them.

The only module that computes the cost of a row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from kling_nb.core.budgets import (
    Budget,
    BudgetStatus,
    Change,
    Scope,
    budget_error,
    day_of,
    least_left,
)
from kling_nb.core.charge_evidence import Evidence, judge, parse_watch
from kling_nb.core.expenses import Expense
from kling_nb.core.job_state import BLOCKING, SUBMITTING, Stage

from .job_record import JobRecord, encode_text, encode_time
from .jobs_table import JobsTable, read_pages

_UNCERTAIN = SUBMITTING | {Stage.UNKNOWN, Stage.VANISHED, Stage.FAILED, Stage.FORGOTTEN}

_MAY_BE_PAID = "stage IN ({})".format(", ".join(f"'{stage}'" for stage in sorted(BLOCKING)))
_COST = "max(coalesce(credits, price_credits), 0)"

# Forgetting allows another task and returns no credits. A forgotten job does not count if its task
# came back as a job of its own, which has the price; or if it has no task and the balance did not
# change during the whole watch: a user who forgot it for that reason must not lose budget for good.
_FORGOTTEN = """
    stage = 'forgotten' AND CASE WHEN task_id = ''
        THEN likelihood(watch, balance_before, price_credits) <> 'not_paid'
        ELSE NOT EXISTS (
            SELECT 1 FROM jobs AS later
            WHERE later.task_id = jobs.task_id AND later.number > jobs.number
        ) END
"""

_CHARGED_FAILURE = """
    stage = 'failed' AND credits IS NULL
    AND likelihood(watch, balance_before, price_credits) = 'paid'
"""

_CHARGED = "stage <> 'forgotten' AND credits > 0"

_COUNTS = f"({_MAY_BE_PAID} OR ({_CHARGED}) OR ({_FORGOTTEN}) OR ({_CHARGED_FAILURE}))"
"""Jobs that are, may be or will be paid, also forgotten ones; and failures that were charged, as
the service reports or, if it does not, as the balance shows."""

_SCOPES = {
    Scope.NOTEBOOK: "notebook = :notebook",
    # The day of a row never changes: sent after midnight, it still counts for the day whose budget
    # admitted it. Otherwise requests admitted yesterday could exceed today's limit.
    Scope.DAY: "created_at >= :start AND created_at < :end",
    Scope.FOLDER: "1",
}

# A clip that was generated is paid for, whatever happened to its job later.
_IS_CERTAIN = """
    (credits IS NOT NULL OR stage NOT IN ({}) OR EXISTS (
        SELECT 1 FROM events
        WHERE job_id = jobs.id AND events.stage IN ('succeeded', 'saved', 'expired')
    ))
""".format(", ".join(f"'{stage}'" for stage in sorted(_UNCERTAIN)))

_EXPENSE = f"""
    service, created_at, notebook, model, {_COST},
    {_IS_CERTAIN}, stage = 'saved', stage = 'saved' AND starred
"""
"""The columns of an expense, as SQL."""

_BALANCE_AGE = timedelta(seconds=60)
"""How old the balance before a request may be if the row has no `balance_at`."""

_REFUND_TIME = timedelta(seconds=300)
"""How long after a failure its credits may be refunded."""

_MOVED_BALANCE = """
    stage = 'sending' OR sent_at >= :since OR accepted_at >= :since
    OR (stage IN ('unknown', 'vanished') AND updated_at >= :since)
    OR (stage = 'failed' AND updated_at >= :failed_since)
"""


def likelihood(watch: str | None, before: float | None, price: float | None) -> str:
    """Return the likelihood of `charge_evidence.judge` for columns.

    `database` registers this SQL function once per connection: SQLite recompiles all cached
    statements after each registration.
    """
    samples = parse_watch(json.loads(watch)) if watch else None
    return judge(Evidence(price, before, samples)).likelihood.name.lower()


def _read_budgets(jobs: JobsTable, service: str, notebook: str | None) -> list[BudgetStatus]:
    """Return the budgets of a service and what counts against each.

    Args:
        jobs: The table, in the transaction of the caller.
        service: `live` or `emulator`.
        notebook: The notebook whose budget is included, with those of the day and the folder;
            None is all notebooks.
    """
    query = """
        SELECT scope, limit_credits, notebook FROM budgets
        WHERE service = :service AND (scope <> :scope OR :notebook IS NULL OR :notebook = notebook)
        ORDER BY scope DESC, notebook
    """
    name = None if notebook is None else encode_text(notebook)
    values = {"service": service, "scope": Scope.NOTEBOOK, "notebook": name}
    rows = jobs.connection.execute(query, values).fetchall()
    budgets = [Budget(service, Scope(scope), limit, notebook) for scope, limit, notebook in rows]
    return [_budget_status(jobs, budget) for budget in budgets]


def _budget_status(jobs: JobsTable, budget: Budget) -> BudgetStatus:
    """Return a budget and what counts against it now."""
    start, end = map(encode_time, day_of(jobs.now()))
    query = f"""
        SELECT total({_COST}), count(*) - count({_COST}) FROM jobs
        WHERE service = :service AND {_COUNTS} AND {_SCOPES[budget.scope]}
    """
    values = {"service": budget.service, "notebook": budget.notebook, "start": start, "end": end}
    spent, unpriced = jobs.connection.execute(query, values).fetchone()
    return BudgetStatus(budget, spent, unpriced)


def check_budgets(
    jobs: JobsTable, intent: JobRecord, end_if_orphaned: Callable[[JobRecord], object]
) -> float | None:
    """Return the credits left in the tightest budget; None without a budget.

    Args:
        jobs: The table, in the transaction that adds the request.
        intent: The request.
        end_if_orphaned: Discards a row that a dead session intended.

    Raises:
        BudgetExceeded: The request exceeds a budget.
    """
    budgets = _read_budgets(jobs, intent.service, intent.notebook)
    if budget_error(budgets, intent.price_credits):
        # Requests that dead sessions intended do not count.
        for row in jobs.in_stages(Stage.INTENDED):
            end_if_orphaned(row)
        budgets = _read_budgets(jobs, intent.service, intent.notebook)
    if error := budget_error(budgets, intent.price_credits):
        raise error
    return least_left(budgets)


class Spending:
    """The budgets and the expenses of one ledger. Safe in any thread.

    Args:
        reading: Opens the table of jobs for one operation.
        write: Runs a change of that table in a transaction.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[JobsTable]],
        write: Callable[[Callable[[JobsTable], None]], None],
    ) -> None:
        self._reading, self._write = reading, write

    def budget_statuses(self, service: str, notebook: str | None = None) -> list[BudgetStatus]:
        """Return the budgets of a service; without those of other notebooks if one is given."""
        with self._reading() as jobs:
            return _read_budgets(jobs, service, notebook)

    def change(self, service: str, changes: Iterable[Change]) -> None:
        """Set and delete budgets of a service in one transaction."""
        wanted = list(changes)
        self._write(lambda jobs: _change_budgets(jobs, service, wanted))

    def expenses(self) -> list[Expense]:
        """Return every job that is or may be paid for, oldest first."""
        rows = read_pages(self._reading, _EXPENSE, _COUNTS)
        return [_parse_expense(row) for row in rows][::-1]

    def others_moved(self, row: JobRecord) -> bool:
        """Return whether another job may have changed the balance since it was read for this one.

        The service charges credits when a task is created and refunds them when it fails, some of
        them late. A refusal costs none.
        """
        query = f"""
            SELECT EXISTS (
                SELECT 1 FROM jobs
                WHERE service = :service AND id <> :id AND stage <> 'refused' AND ({_MOVED_BALANCE})
            )
        """
        since = row.balance_at or row.created_at - _BALANCE_AGE
        values = {
            "service": row.service,
            "id": row.id,
            "since": encode_time(since),
            "failed_since": encode_time(since - _REFUND_TIME),
        }
        with self._reading() as jobs:
            return bool(jobs.connection.execute(query, values).fetchone()[0])


def _change_budgets(jobs: JobsTable, service: str, changes: Sequence[Change]) -> None:
    """Set and delete budgets of a service."""
    at = encode_time(jobs.now())
    for each in changes:
        key = (service, each.scope, encode_text(each.notebook))
        jobs.connection.execute(
            "DELETE FROM budgets WHERE service = ? AND scope = ? AND notebook = ?", key
        )
        if each.limit_credits is not None:
            jobs.connection.execute(
                "INSERT INTO budgets VALUES (?, ?, ?, ?, ?)", (*key, each.limit_credits, at)
            )


def _parse_expense(row: sqlite3.Row) -> Expense:
    """Return the expense of a row with the columns `_EXPENSE`."""
    _, service, created_at, notebook, model, cost, is_certain, is_clip, is_kept = row
    return Expense(
        service=service,
        created_at=datetime.fromisoformat(created_at),
        notebook=notebook,
        model=model,
        credits=cost,
        is_certain=bool(is_certain),
        is_clip=bool(is_clip),
        is_kept=bool(is_kept),
    )
