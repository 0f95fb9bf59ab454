"""Test `spending`: what counts against a budget, and the check before a row is added."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kling_nb.core import budgets
from kling_nb.core.budgets import BudgetStatus, Change, Scope
from kling_nb.core.charge_evidence import BalanceHistory, TimedBalance
from kling_nb.core.job_state import BLOCKING, FORGETTABLE, ClipFacts, Stage
from kling_nb.errors import BudgetExceeded
from kling_nb.storage import spending
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to
from tests.support.service import Clock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
COUNTED = BLOCKING | {Stage.FORGOTTEN}
CLIP = ClipFacts("fox.mp4", 1280, 720, 5.04, 24.0, "h264", "", 12345)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Yield a clock at noon in the time zone UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield Clock()
    time.tzset()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Yield an empty ledger, and close it."""
    ledger = Ledger(tmp_path / "clips", clock=clock)
    yield ledger
    ledger.close()


def intent(name: object = "f", *, price: float | None = 55.0, notebook: str = "") -> JobRecord:
    """Return a live request, identified by its name."""
    model = "kling-2.6/image-to-video"
    return JobRecord(str(name), "live", model, {}, 1, price, notebook=notebook)


def lead(ledger: Ledger, stage: Stage, name: object = "f", **more: object) -> JobRecord:
    """Add a row and move it to a stage."""
    row, _ = ledger.intend(replace(intent(name), **more))  # type: ignore[arg-type]
    return advance_to(ledger, row, stage)


def limit(ledger: Ledger, credits: float, scope: Scope = Scope.FOLDER, notebook: str = "") -> None:
    """Set a budget for live jobs."""
    ledger.spending.change("live", [Change(scope, notebook, credits)])


def spent(ledger: Ledger) -> float:
    """Return what counts against the folder's budget."""
    limit(ledger, 1e6)
    [standing] = ledger.spending.budget_statuses("live")
    return standing.spent_credits


# --- what counts -------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", Stage)
def test_what_is_paid_or_may_be_counts(ledger: Ledger, stage: Stage) -> None:
    """Failed, refused and discarded requests cost nothing unless a charge is known."""
    lead(ledger, stage)
    assert spent(ledger) == (55 if stage in COUNTED else 0)


def watched(*balances: float) -> dict[str, object]:
    """Return the facts of a balance of 1,000 and these samples, one every half minute."""
    samples = tuple(TimedBalance(30.0 * number, balance) for number, balance in enumerate(balances))
    return {"balance_before": 1000, "watch": BalanceHistory(NOON, samples)}


@pytest.mark.parametrize(
    ("stage", "facts", "counted"),
    [
        (Stage.SAVED, {"credits": 60}, 60),
        (Stage.SAVED, {"credits": 40}, 40),
        (Stage.SAVED, {"credits": 0}, 0),
        (Stage.SAVED, {"credits": -500}, 0),
        (Stage.FAILED, {"credits": 12.5}, 12.5),
        (Stage.FAILED, {"credits": 0}, 0),
        (Stage.FAILED, {"credits": 0, **watched(945)}, 0),
        (Stage.FAILED, watched(945), 55),
        (Stage.FAILED, watched(945, 945, 945), 55),
        (Stage.FAILED, watched(945, 1000), 0),
        (Stage.FAILED, watched(900), 0),
    ],
)
def test_reported_credits_count_before_the_price(
    ledger: Ledger, stage: Stage, facts: dict[str, object], counted: float
) -> None:
    """Never less than 0. Without them, a failure counts while the balance lacks the price."""
    ledger.note(lead(ledger, stage).id, **facts)
    assert spent(ledger) == counted


@pytest.mark.parametrize("stage", sorted(FORGETTABLE))
def test_forgetting_makes_no_room(ledger: Ledger, stage: Stage) -> None:
    """A job that is or may be paid still counts."""
    row = lead(ledger, stage)
    limit(ledger, 100)
    ledger.advance(row.id, Stage.FORGOTTEN)
    assert spent(ledger) == 55
    limit(ledger, 100)
    with pytest.raises(BudgetExceeded, match="55 of 100"):
        ledger.intend(intent("another"))


@pytest.mark.parametrize(
    ("balances", "counted"),
    [((1000, 1000, 1000), 0), ((1000,), 55), ((945,), 55), ((1000, 900, 900), 55)],
)
def test_a_lost_request_is_forgotten_by_the_numbers(
    ledger: Ledger, balances: tuple[float, ...], counted: float
) -> None:
    """It counts unless the balance did not change during the whole watch."""
    row = lead(ledger, Stage.UNKNOWN)
    ledger.note(row.id, **watched(*balances))
    assert spent(ledger) == 55
    ledger.advance(row.id, Stage.FORGOTTEN)
    assert spent(ledger) == counted


def test_a_task_that_came_back_is_counted_once(ledger: Ledger) -> None:
    """The job that has the task of a forgotten one also has its price."""
    row = lead(ledger, Stage.EXPIRED)
    ledger.note(row.id, task_id="t1", credits=55)
    ledger.advance(row.id, Stage.FORGOTTEN)
    heir = lead(ledger, Stage.ACCEPTED, "adopted t1")
    assert spent(ledger) == 110
    ledger.note(heir.id, task_id="t1")
    assert spent(ledger) == 55
    ledger.advance(heir.id, Stage.FAILED, credits=0)
    assert spent(ledger) == 0


def test_jobs_that_do_not_count(ledger: Ledger) -> None:
    """Emulated jobs count against emulated budgets only; jobs of unknown price are reported."""
    lead(ledger, Stage.SAVED, "emulated", service="emulator")
    lead(ledger, Stage.SAVED, price_credits=None)
    limit(ledger, 100)
    [status] = ledger.spending.budget_statuses("live")
    assert (status.spent_credits, status.unpriced) == (0, 1)
    assert ledger.spending.budget_statuses("emulator") == []


# --- scopes ------------------------------------------------------------------------------------


def test_a_day_ends_at_midnight(ledger: Ledger, clock: Clock) -> None:
    """Yesterday's request does not count, also if it is sent today."""
    limit(ledger, 100, Scope.DAY)
    row, _ = ledger.intend(intent("late"))
    with pytest.raises(BudgetExceeded, match="today: 55 of 100"):
        ledger.intend(intent("later"))
    clock.now = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)
    ledger.advance(row.id, Stage.SENDING)
    assert ledger.spending.budget_statuses("live")[0].spent_credits == 0
    assert ledger.intend(intent("tomorrow"))[1]


def test_a_notebook_has_its_own_budget(ledger: Ledger) -> None:
    """It does not apply to another notebook, or to a program without a notebook."""
    limit(ledger, 60, Scope.NOTEBOOK, "a.ipynb")
    assert ledger.intend(intent(1, notebook="a.ipynb"))[1]
    with pytest.raises(BudgetExceeded, match=r"notebook a\.ipynb: 55 of 60"):
        ledger.intend(intent(2, notebook="a.ipynb"))
    assert ledger.intend(intent(3, notebook="b.ipynb"))[1]
    assert ledger.intend(intent(4))[1]


def test_a_folder_counts_everything(ledger: Ledger, clock: Clock) -> None:
    """All notebooks and all days count."""
    ledger.intend(intent(1, notebook="a.ipynb"))
    clock.now += timedelta(days=400)
    ledger.intend(intent(2))
    assert spent(ledger) == 110


def test_every_budget_holds(ledger: Ledger) -> None:
    """The tightest one refuses; what it had left is saved with each request."""
    limit(ledger, 1000)
    limit(ledger, 100, Scope.DAY)
    assert ledger.intend(intent(1))[0].budget_before == 100
    with pytest.raises(BudgetExceeded, match="today"):
        ledger.intend(intent(2))
    limit(ledger, 500, Scope.DAY)
    assert ledger.intend(intent(2))[0].budget_before == 445


# --- the stop ----------------------------------------------------------------------------------


def test_nothing_is_noted_of_what_is_refused(ledger: Ledger) -> None:
    """The budget does not change, and a smaller request is accepted."""
    limit(ledger, 100)
    ledger.intend(intent(1))
    with pytest.raises(BudgetExceeded):
        ledger.intend(intent(2))
    assert [row.fingerprint for row in ledger.rows()] == ["1"]
    assert ledger.intend(intent(3, price=45))[1]


def test_counting_and_noting_are_one_transaction(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other row is added between sum and insert: two kernels cannot exceed a budget."""
    limit(ledger, 55)
    other = sqlite3.connect(ledger.folder / "ledger.sqlite3", timeout=0, check_same_thread=False)
    tries: list[float | None] = []

    def refused(standings: Sequence[BudgetStatus], price: float | None) -> BudgetExceeded | None:
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("UPDATE jobs SET starred = 1")
        tries.append(price)
        return budgets.budget_error(standings, price)

    monkeypatch.setattr(spending, "budget_error", refused)
    with closing(other):
        assert ledger.intend(intent())[1]
    assert tries


def test_the_same_request_is_joined_for_nothing(ledger: Ledger) -> None:
    """It costs nothing, so that even a budget of 0 allows it."""
    row = lead(ledger, Stage.SAVED)
    limit(ledger, 0)
    assert ledger.intend(intent()) == (row, False)


def test_a_task_that_exists_is_adopted(ledger: Ledger) -> None:
    """It is already paid, and its price is not known."""
    limit(ledger, 0)
    assert ledger.task_matching.adopt("t1", "live").stage is Stage.ACCEPTED
    with pytest.raises(BudgetExceeded, match="not known"):
        ledger.intend(intent("another", price=None))


def test_what_fails_gives_its_room_back(ledger: Ledger) -> None:
    """The credits are refunded, also in the budget."""
    limit(ledger, 55)
    row = lead(ledger, Stage.ACCEPTED)
    with pytest.raises(BudgetExceeded):
        ledger.intend(intent("another"))
    ledger.advance(row.id, Stage.FAILED, credits=0)
    assert ledger.intend(intent("another"))[1]


def test_what_a_dead_session_intended_takes_no_room(ledger: Ledger, tmp_path: Path) -> None:
    """It will never be sent; a request that was being sent may be paid and counts."""
    limit(ledger, 110)
    dead = Ledger(tmp_path / "clips")
    sending, _ = dead.intend(intent("sending"))
    dead.advance(sending.id, Stage.SENDING)
    dead.intend(intent("intended"))
    with pytest.raises(BudgetExceeded):
        ledger.intend(intent("mine"))
    dead.close()
    assert ledger.intend(intent("mine"))[1]
    with pytest.raises(BudgetExceeded):
        ledger.intend(intent("and another"))


# --- set and ended -----------------------------------------------------------------------------


def test_a_budget_is_replaced_and_ended(ledger: Ledger) -> None:
    """Each scope has one; it outlives the session that set it."""
    limit(ledger, 100)
    limit(ledger, 200)
    limit(ledger, 50, Scope.NOTEBOOK, "a.ipynb")
    again = Ledger(ledger.folder)
    found = {
        str(s.budget.scope): s.budget.limit_credits for s in again.spending.budget_statuses("live")
    }
    again.close()
    assert found == {"folder": 200, "notebook": 50}
    ledger.spending.change("live", [Change(Scope.FOLDER, "", None)])
    ledger.spending.change("live", [Change(Scope.FOLDER, "", None)])
    assert [s.budget.notebook for s in ledger.spending.budget_statuses("live")] == ["a.ipynb"]
    assert ledger.spending.budget_statuses("live", "b.ipynb") == []


def test_counting_reads_no_image(ledger: Ledger) -> None:
    """The sum needs only the index, however many rows there are."""
    limit(ledger, 100, Scope.DAY)
    with ledger._reading() as jobs:
        plans: list[str] = []
        jobs.connection.set_trace_callback(plans.append)
        spending.check_budgets(jobs, intent(), lambda _: None)
        jobs.connection.set_trace_callback(None)
        [query] = [each for each in plans if "total(" in each]
        plan = [row["detail"] for row in jobs.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    searches = [step for step in plan if "SUBQUERY" not in step]
    assert len(searches) == 2
    assert all("COVERING INDEX" in step for step in searches)


# --- expenses ----------------------------------------------------------------------------------


def test_expenses_are_what_counts_against_budgets(ledger: Ledger) -> None:
    """The sums agree."""
    for stage in Stage:
        lead(ledger, stage, stage)
    ledger.note(lead(ledger, Stage.FAILED, "charged").id, credits=12.5)
    ledger.note(lead(ledger, Stage.FAILED, "kept").id, **watched(945))
    credits = [expense.credits or 0 for expense in ledger.spending.expenses()]
    assert sum(credits) == spent(ledger) == len(COUNTED) * 55 + 12.5 + 55


def test_expenses_are_read_in_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits for a reader; the order is the same, whether or not the last page is full."""
    for number in range(4):
        ledger.intend(intent(number, price=number))
    for page_rows in (1, 2, 3, 4, 5):
        monkeypatch.setattr("kling_nb.storage.jobs_table.PAGE_ROWS", page_rows)
        assert [expense.credits for expense in ledger.spending.expenses()] == [0, 1, 2, 3]


def test_what_an_expense_tells(ledger: Ledger) -> None:
    """Whether it is a clip, kept, and certainly paid: other programs may use the account."""
    saved = lead(ledger, Stage.SUCCEEDED, "saved", notebook="a.ipynb")
    ledger.advance(saved.id, Stage.SAVED, clip=CLIP)
    ledger.mark(saved.id, starred=True)
    lead(ledger, Stage.UNKNOWN, "lost")
    ledger.note(lead(ledger, Stage.FAILED, "charged").id, **watched(945))
    kept, lost, charged = ledger.spending.expenses()
    assert (kept.notebook, kept.created_at, kept.credits) == ("a.ipynb", NOON, 55)
    assert (kept.is_clip, kept.is_kept, kept.is_certain) == (True, True, True)
    assert (lost.is_clip, lost.is_kept, lost.is_certain) == (False, False, False)
    assert (charged.credits, charged.is_clip, charged.is_certain) == (55, False, False)


@pytest.mark.parametrize(
    ("stage", "is_sure"), [(Stage.UNKNOWN, False), (Stage.VANISHED, False), (Stage.EXPIRED, True)]
)
def test_what_was_forgotten_is_as_sure_as_before(
    ledger: Ledger, stage: Stage, is_sure: bool
) -> None:
    """A clip that was generated is paid for; a task without a known end may not be."""
    row = lead(ledger, stage)
    [before] = ledger.spending.expenses()
    ledger.advance(row.id, Stage.FORGOTTEN)
    [after] = ledger.spending.expenses()
    assert (before.is_certain, after.is_certain, after.credits) == (is_sure, is_sure, 55)


# --- other jobs and the balance -----------------------------------------------------------------


def lost_after(ledger: Ledger, clock: Clock, seconds: float, **facts: object) -> JobRecord:
    """Return a lost request that is made so many seconds from now."""
    clock.now += timedelta(seconds=seconds)
    row = lead(ledger, Stage.UNKNOWN, "lost")
    return ledger.note(row.id, **facts)


@pytest.mark.parametrize(("seconds", "moved"), [(30, True), (90, False)])
def test_a_job_shortly_before_may_have_moved_it(
    ledger: Ledger, clock: Clock, seconds: float, moved: bool
) -> None:
    """Without `balance_at`, the balance was read at most a minute before."""
    lead(ledger, Stage.ACCEPTED)
    assert ledger.spending.others_moved(lost_after(ledger, clock, seconds)) is moved


def test_a_job_before_the_balance_was_read_moved_nothing(ledger: Ledger, clock: Clock) -> None:
    """With `balance_at`, only jobs between that time and the request count."""
    lead(ledger, Stage.ACCEPTED)
    read_at = clock.now + timedelta(seconds=1)
    row = lost_after(ledger, clock, 5, balance_at=read_at)
    assert not ledger.spending.others_moved(row)
    clock.now = read_at
    lead(ledger, Stage.ACCEPTED, "between")
    assert ledger.spending.others_moved(row)


@pytest.mark.parametrize(("seconds", "moved"), [(290, True), (310, False)])
def test_credits_of_a_failure_come_back_late(
    ledger: Ledger, clock: Clock, seconds: float, moved: bool
) -> None:
    """Up to five minutes after it, during the balance watch."""
    early = lead(ledger, Stage.ACCEPTED)
    clock.now += timedelta(seconds=600)
    ledger.advance(early.id, Stage.FAILED, credits=0)
    read_at = clock.now + timedelta(seconds=seconds)
    row = lost_after(ledger, clock, seconds, balance_at=read_at)
    assert ledger.spending.others_moved(row) is moved
