"""Budgets as values: what a person may say, what fits, and what is said where it does not."""

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
    """A machine in a zone with summer time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


# --- what fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spent", [0, 445, 444.9999999999])
def test_what_fits_is_not_refused(spent: float) -> None:
    """The last credit may be spent, whatever sums of fractions come to."""
    assert budget_error([BudgetStatus(FOLDER, spent)], 55) is None


def test_without_a_budget_everything_fits() -> None:
    """Also what has no price."""
    assert budget_error([], 1e9) is None
    assert budget_error([], None) is None


def test_a_refusal_says_the_figures_and_the_ways_on() -> None:
    """Budget, spent, price, left; that nothing was sent; how to go on."""
    error = budget_error([BudgetStatus(FOLDER, 465)], 55)
    assert str(error) == (
        "This clip costs 55 credits ($0.28), more than the budget has left. Budget of this "
        "folder: 465 of 500 credits ($2.50) spent, 35 left. Nothing was sent. "
        "`%kling budget 520 --per folder` raises it, `%kling budget off --per folder` removes it. "
        "A budget may count per notebook, day, folder."
    )


@pytest.mark.parametrize("spent", [465.004, 465.001, 465.0049999, 465.0, 0.1 + 0.2, 1e11 + 0.001])
def test_the_advised_budget_is_enough(spent: float) -> None:
    """Whoever sets it as it stands there can make the clip."""
    short = BudgetStatus(FOLDER, spent)
    error = str(budget_error([BudgetStatus(replace(FOLDER, limit_credits=spent), spent)], 55))
    advised = float(error.partition("%kling budget ")[2].split()[0])
    assert budget_error([replace(short, budget=replace(FOLDER, limit_credits=advised))], 55) is None
    assert advised - (spent + 55) < 0.011


def test_every_budget_that_is_short_is_named() -> None:
    """Who raises one is not surprised by the next; one that has room is left out."""
    day = Budget("live", Scope.DAY, 10_000)
    error = str(
        budget_error(
            [BudgetStatus(NOTEBOOK, 60), BudgetStatus(FOLDER, 480), BudgetStatus(day, 60)], 55
        )
    )
    assert "notebook films/fox.ipynb: 60 of 100" in error
    assert "this folder: 480 of 500" in error
    assert "today" not in error
    assert "`%kling budget 115 --per notebook`" in error


def test_an_unknown_price_fits_into_no_budget() -> None:
    """It cannot be held against one, so it is refused, with the way on."""
    error = str(budget_error([BudgetStatus(FOLDER, 0)], None))
    assert "price of this request is not known" in error
    assert "Nothing was sent. `%kling budget off`" in error


def test_the_tightest_budget_counts() -> None:
    """What is left is what the tightest leaves, and never less than nothing."""
    assert least_left([BudgetStatus(FOLDER, 100), BudgetStatus(NOTEBOOK, 60)]) == 40
    assert least_left([BudgetStatus(FOLDER, 600)]) == 0
    assert least_left([]) is None


# --- what is said ------------------------------------------------------------------------------


def test_a_standing_is_one_line() -> None:
    """Spent, limit, left, and what could not be counted."""
    words = "Budget of this folder: 165 of 500 credits ($2.50) spent, 335 left"
    assert str(BudgetStatus(FOLDER, 165)) == words
    assert str(BudgetStatus(FOLDER, 0, 1)).endswith("500 left; 1 job of unknown price not counted")
    assert str(BudgetStatus(FOLDER, 0, 2)).endswith("; 2 jobs of unknown price not counted")


def test_the_command_names_the_service() -> None:
    """Emulated budgets are not taken for real ones; without any it says how to set one."""
    assert describe([BudgetStatus(FOLDER, 0)], "live")[0].endswith("500 left (live)")
    assert "emulated, no real credits" in describe([BudgetStatus(FOLDER, 0)], "emulator")[0]
    assert "`%kling budget 500 --per notebook|day|folder`" in describe([], "live")[0]


# --- what a person says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "credits"),
    [("500", 500), (500, 500), (0, 0), ("1,000", 1000), ("$3", 600), ("$2.75", 550), (27.5, 27.5)],
)
def test_a_sum_in_credits_or_dollars(given: str | float, credits: float) -> None:
    """A credit is half a cent; a budget of nothing is one."""
    assert parse_changes("", given) == [Change(Scope.FOLDER, "", credits)]


@pytest.mark.parametrize(
    "given", ["-1", "much", "", "$", "nan", "inf", "1e999", True, "3$", "$3,50", "3,5"]
)
def test_what_is_no_sum(given: str | float) -> None:
    """It says what was given and what is allowed."""
    with pytest.raises(InvalidInput, match=r"give credits, e\.g\. 500, or dollars, e\.g\. \$3"):
        parse_changes("", given)


def test_a_scope_that_does_not_exist() -> None:
    """The three are named."""
    with pytest.raises(InvalidInput, match="per: 'week'; allowed: notebook, day, folder"):
        parse_changes("", "500", "week")


def test_the_notebooks_budget_has_its_name() -> None:
    """And cannot be set where the front end does not tell it."""
    assert parse_changes("fox.ipynb", 500, "notebook") == [Change(Scope.NOTEBOOK, "fox.ipynb", 500)]
    assert parse_changes("fox.ipynb", 500, "day") == [Change(Scope.DAY, "", 500)]
    with pytest.raises(InvalidInput, match=r"the notebook's name; use `--per day\|folder`"):
        parse_changes("", 500, "notebook")


def test_off_ends_one_or_all() -> None:
    """Without a scope everything that could stop the next cell ends."""
    assert parse_changes("a.ipynb", "off", "day") == [Change(Scope.DAY, "", None)]
    assert {(each.scope, each.limit_credits) for each in parse_changes("a.ipynb", "off")} == {
        (scope, None) for scope in Scope
    }
    assert parse_changes("a.ipynb", None) == []


# --- days and names ----------------------------------------------------------------------------


@pytest.mark.parametrize(("month", "day", "hours"), [(11, 22, 24), (3, 29, 23), (10, 25, 25)])
@pytest.mark.usefixtures("berlin")
def test_a_day_is_a_local_one(month: int, day: int, hours: int) -> None:
    """From midnight to midnight by the calendar on the wall, also when the clocks change."""
    start, end = day_of(datetime(2026, month, day, 12, tzinfo=UTC))
    assert (start.day, start.hour, end.hour) == (day, 0, 0)
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=hours)


@pytest.mark.usefixtures("berlin")
def test_late_in_the_evening_it_is_tomorrow_elsewhere() -> None:
    """23:30 UTC is half past midnight in Berlin: another day than in Greenwich."""
    start, _ = day_of(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    assert start.date().isoformat() == "2026-11-23"


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
    """So that a project that is moved keeps its budgets, and two notebooks have two."""
    assert name_notebook(Path(path), Path("/home/ada/films/kling_clips")) == name
