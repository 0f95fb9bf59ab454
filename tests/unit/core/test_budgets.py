"""Test `budgets`: what fits, messages, values of the command, days and names of notebooks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kling_nb.core.budgets import (
    Budget,
    BudgetStatus,
    Change,
    Scope,
    budget_error,
    day_of,
    describe,
    least_left,
    name_notebook,
    parse_changes,
)
from kling_nb.errors import InvalidInput

FOLDER = Budget("live", Scope.FOLDER, 500)
NOTEBOOK = Budget("live", Scope.NOTEBOOK, 100, "films/fox.ipynb")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a time zone with summer time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


# --- what fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spent", [0, 445, 444.9999999999])
def test_what_fits_is_not_refused(spent: float) -> None:
    """The last credit may be spent, also after sums of fractions; no budget allows everything."""
    assert budget_error([BudgetStatus(FOLDER, spent)], 55) is None
    assert budget_error([], 1e9) is None
    assert budget_error([], None) is None


def test_a_refusal_has_the_numbers_and_commands() -> None:
    """Budget, spent, price, left, and the commands that raise or remove it."""
    error = budget_error([BudgetStatus(FOLDER, 465)], 55)
    assert str(error) == (
        "This clip costs 55 credits ($0.28), more than the budget has left. Budget of this "
        "folder: 465 of 500 credits ($2.50) spent, 35 left. Nothing was sent. "
        "`%kling budget 520 --per folder` raises it, `%kling budget off --per folder` removes it. "
        "Possible scopes of a budget: notebook, day, folder."
    )


@pytest.mark.parametrize("spent", [465.004, 465.001, 465.0049999, 465.0, 0.1 + 0.2, 1e11 + 0.001])
def test_the_advised_budget_is_enough(spent: float) -> None:
    """The clip fits the budget of the message."""
    short = BudgetStatus(FOLDER, spent)
    error = str(budget_error([BudgetStatus(replace(FOLDER, limit_credits=spent), spent)], 55))
    advised = float(error.partition("%kling budget ")[2].split()[0])
    assert budget_error([replace(short, budget=replace(FOLDER, limit_credits=advised))], 55) is None
    assert advised - (spent + 55) < 0.011


def test_the_error_names_every_budget_that_is_short() -> None:
    """One that has enough left is not named."""
    day = BudgetStatus(Budget("live", Scope.DAY, 10_000), 60)
    error = str(budget_error([BudgetStatus(NOTEBOOK, 60), BudgetStatus(FOLDER, 480), day], 55))
    assert "notebook films/fox.ipynb: 60 of 100" in error
    assert "this folder: 480 of 500" in error
    assert "today" not in error
    assert "`%kling budget 115 --per notebook`" in error


def test_an_unknown_price_fits_into_no_budget() -> None:
    """It cannot be compared, so it is refused; the message has the command."""
    error = str(budget_error([BudgetStatus(FOLDER, 0)], None))
    assert "price of this request is not known" in error
    assert "Nothing was sent. `%kling budget off`" in error


def test_the_tightest_budget_counts() -> None:
    """The least left counts, and never less than 0."""
    assert least_left([BudgetStatus(FOLDER, 100), BudgetStatus(NOTEBOOK, 60)]) == 40
    assert least_left([BudgetStatus(FOLDER, 600)]) == 0
    assert least_left([]) is None


# --- messages ----------------------------------------------------------------------------------


def test_a_status_is_one_line() -> None:
    """Spent, limit, left, and jobs of unknown price."""
    words = "Budget of this folder: 165 of 500 credits ($2.50) spent, 335 left"
    assert str(BudgetStatus(FOLDER, 165)) == words
    assert str(BudgetStatus(FOLDER, 0, 1)).endswith("500 left; 1 job of unknown price not counted")
    assert str(BudgetStatus(FOLDER, 0, 2)).endswith("; 2 jobs of unknown price not counted")


def test_the_command_names_the_service() -> None:
    """Emulated budgets are marked; without a budget the text has the command that sets one."""
    assert describe([BudgetStatus(FOLDER, 0)], "live")[0].endswith("500 left (live)")
    assert "emulated, no real credits" in describe([BudgetStatus(FOLDER, 0)], "emulator")[0]
    assert "`%kling budget 500 --per notebook|day|folder`" in describe([], "live")[0]


# --- values of the command-----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "credits"),
    [("500", 500), (500, 500), (0, 0), ("1,000", 1000), ("$3", 600), ("$2.75", 550), (27.5, 27.5)],
)
def test_a_sum_in_credits_or_dollars(given: str | float, credits: float) -> None:
    """A credit is half a cent; 0 is a budget."""
    assert parse_changes("", given) == [Change(Scope.FOLDER, "", credits)]


@pytest.mark.parametrize(
    "given", ["-1", "much", "", "$", "nan", "inf", "1e999", True, "3$", "$3,50", "3,5"]
)
def test_what_is_no_sum(given: str | float) -> None:
    """The message says what is allowed."""
    with pytest.raises(InvalidInput, match=r"give credits, e\.g\. 500, or dollars, e\.g\. \$3"):
        parse_changes("", given)


def test_a_budget_has_a_scope() -> None:
    """That of a notebook has its name, and cannot be set without one."""
    assert parse_changes("fox.ipynb", 500, "notebook") == [Change(Scope.NOTEBOOK, "fox.ipynb", 500)]
    assert parse_changes("fox.ipynb", 500, "day") == [Change(Scope.DAY, "", 500)]
    with pytest.raises(InvalidInput, match=r"the notebook's path; use `--per day\|folder`"):
        parse_changes("", 500, "notebook")
    with pytest.raises(InvalidInput, match="per: 'week'; allowed: notebook, day, folder"):
        parse_changes("", "500", "week")


def test_off_ends_one_or_all() -> None:
    """Without a scope all budgets that apply to the next cell are removed."""
    assert parse_changes("a.ipynb", "off", "day") == [Change(Scope.DAY, "", None)]
    assert {(each.scope, each.limit_credits) for each in parse_changes("a.ipynb", "off")} == {
        (scope, None) for scope in Scope
    }
    assert parse_changes("a.ipynb", None) == []


# --- days and names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "date", "hours"),
    [
        (datetime(2026, 11, 22, 12, tzinfo=UTC), "2026-11-22", 24),
        (datetime(2026, 3, 29, 12, tzinfo=UTC), "2026-03-29", 23),
        (datetime(2026, 10, 25, 12, tzinfo=UTC), "2026-10-25", 25),
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "2026-11-23", 24),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_a_day_is_a_local_one(at: datetime, date: str, hours: int) -> None:
    """From midnight to midnight in local time; 23:30 UTC is the next day in Berlin."""
    start, end = day_of(at)
    assert (start.date().isoformat(), start.hour, end.hour) == (date, 0, 0)
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/ada/films/fox.ipynb", "fox.ipynb"),
        ("/home/ada/films/cut/fox.ipynb", "cut/fox.ipynb"),
        ("/srv/elsewhere/fox.ipynb", "fox.ipynb"),
        ("fox.ipynb", "fox.ipynb"),
    ],
)
def test_a_notebook_is_named_from_the_folders_parent(path: str, name: str) -> None:
    """A project that is moved keeps its budgets, and two notebooks have two."""
    assert name_notebook(Path(path), Path("/home/ada/films/kling_clips")) == name
