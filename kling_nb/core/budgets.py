"""Budgets: spending limits per notebook, day or folder, and the check of a new request.

Pure: `storage/spending` adds up the expenses and calls `budget_error` in the transaction that
records a new request. Must not depend on tables or sessions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from kling_nb.core.money import DOLLARS_PER_CREDIT, format_price

from .errors import BudgetExceeded, InvalidInput
from .formatting import format_count, format_number

OFF = "off"
"""The limit that removes a budget."""

_AMOUNT = re.compile(r"(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
_MOST = 10**12
"""Highest limit; beyond it, rounding loses single credits."""

_ROUNDING_CREDITS = 1e-6
"""Sums of fractions of a credit are not exact."""


class Scope(StrEnum):
    """The requests that a budget counts."""

    NOTEBOOK = "notebook"
    """Requests of one notebook, by its name; a renamed one starts at 0."""
    DAY = "day"
    """Requests since local midnight."""
    FOLDER = "folder"
    """All requests in the folder's ledger."""


_SCOPES = ", ".join(Scope)


@dataclass(frozen=True, slots=True)
class Budget:
    """A spending limit."""

    service: str
    """`live` or `emulator`; emulated and real credits are counted apart."""
    scope: Scope
    limit_credits: float
    notebook: str = ""
    """Name of the notebook; empty in the other scopes."""

    @property
    def name(self) -> str:
        """Return the scope in words."""
        match self.scope:
            case Scope.NOTEBOOK:
                return f"notebook {self.notebook}"
            case Scope.DAY:
                return "today"
            case Scope.FOLDER:
                return "this folder"


@dataclass(frozen=True, slots=True)
class Change:
    """A budget to set or to remove."""

    scope: Scope
    notebook: str
    """Empty in the other scopes."""
    limit_credits: float | None
    """None removes it."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget and its current expenses."""

    budget: Budget
    spent_credits: float
    """The reported cost, else the price, of all jobs that are or may be paid."""
    unpriced: int = 0
    """Number of jobs with an unknown price, which are not counted."""

    @property
    def left_credits(self) -> float:
        """Return what is left, at least 0."""
        return max(0.0, self.budget.limit_credits - self.spent_credits)

    def __str__(self) -> str:
        limit = format_price(self.budget.limit_credits)
        name, spent = self.budget.name, format_number(self.spent_credits)
        start = f"Budget of {name}: {spent} of {limit} spent"
        unknown = (
            f"; {format_count(self.unpriced, 'job')} of unknown price not counted"
            if self.unpriced
            else ""
        )
        return f"{start}, {format_number(self.left_credits)} left{unknown}"


def least_left(statuses: Iterable[BudgetStatus]) -> float | None:
    """Return the least that a budget has left, or None without a budget."""
    return min((each.left_credits for each in statuses), default=None)


def budget_error(
    statuses: Sequence[BudgetStatus], price_credits: float | None
) -> BudgetExceeded | None:
    """Return the error if a request exceeds a budget, else None.

    Args:
        statuses: All budgets that apply to the request.
        price_credits: Its price; None if unknown, which no budget allows.
    """
    if not statuses:
        return None
    if price_credits is None:
        known = "; ".join(map(str, statuses))
        return BudgetExceeded(
            f"The price of this request is not known, so the budget cannot be checked ({known}). "
            "Nothing was sent. `%kling budget off` allows it; `%kling models` lists the prices."
        )
    short = [each for each in statuses if each.left_credits + _ROUNDING_CREDITS < price_credits]
    if not short:
        return None
    advice = [_advice(each, price_credits) for each in short]
    return BudgetExceeded(
        f"This clip costs {format_price(price_credits)}, more than the budget has left. "
        f"{'; '.join(map(str, short))}. Nothing was sent. {' '.join(advice)} "
        f"Possible scopes of a budget: {_SCOPES}."
    )


def _advice(status: BudgetStatus, price_credits: float) -> str:
    # Rounded up to hundredths: the advised budget must be enough.
    hundredths = math.ceil((status.spent_credits + price_credits - _ROUNDING_CREDITS) * 100)
    enough = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    per = f"--per {status.budget.scope}"
    return f"`%kling budget {enough} {per}` raises it, `%kling budget off {per}` removes it."


def day_of(now: datetime) -> tuple[datetime, datetime]:
    """Return the start and the end of the local day of `now`."""
    local = now.astimezone()
    # Each midnight has the offset of its own date: a day may have 23 or 25 hours.
    start = datetime(local.year, local.month, local.day)
    return start.astimezone(), (start + timedelta(days=1)).astimezone()


def name_notebook(path: Path, folder: Path) -> str:
    """Return the name of a notebook: its path relative to the folder's parent, else its file name.

    Args:
        path: Absolute path of the notebook; its file name if no more is known.
        folder: Absolute path of the folder of clips.
    """
    if path.is_relative_to(folder.parent):
        return path.relative_to(folder.parent).as_posix()
    return path.name


def parse_changes(notebook: str, limit: str | float | None, per: str = "") -> list[Change]:
    """Return the budgets to set or to remove.

    Args:
        notebook: The name of the notebook; empty if unknown.
        limit: Credits, dollars as in `"$3"`, `"off"`, or None for no change.
        per: A scope; by default the folder, and for `"off"` all scopes.

    Raises:
        InvalidInput: The amount or the scope is invalid, or the notebook's name is unknown.
    """
    scopes = [_parse_scope(per)] if per else [Scope.FOLDER]
    if limit is None:
        return []
    if scopes == [Scope.NOTEBOOK] and not notebook:
        unknown = "the front end does not report the notebook's path"
        raise InvalidInput.of("per", unknown, "use `--per day|folder`")
    if limit == OFF:
        limit_credits, scopes = None, scopes if per else list(Scope)
    else:
        limit_credits = _parse_limit(limit)
    return [
        Change(scope, notebook if scope is Scope.NOTEBOOK else "", limit_credits)
        for scope in scopes
    ]


def _parse_scope(word: str) -> Scope:
    """Return the scope with a name, or raise InvalidInput."""
    try:
        return Scope(word)
    except ValueError:
        raise InvalidInput.of("per", repr(word), f"allowed: {_SCOPES}") from None


def _parse_limit(value: str | float) -> float:
    """Return an amount in credits; takes a number, its text, or dollars such as `$3`.

    Raises:
        InvalidInput: It is not an amount, or negative.
    """
    text = str(value).strip()
    # A comma is a thousands separator only: `$3,50` must not become $350.
    match = _AMOUNT.fullmatch(text.removeprefix("$"))
    amount = Decimal(match[0].replace(",", "")) if match else Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST or isinstance(value, bool):
        allowed = f"give credits, e.g. 500, or dollars, e.g. $3; `{OFF}` removes a budget"
        raise InvalidInput.of("budget", repr(value), allowed)
    return float(amount / Decimal(str(DOLLARS_PER_CREDIT)) if text.startswith("$") else amount)


def describe(statuses: Sequence[BudgetStatus], service: str) -> list[str]:
    """Return the lines of `%kling budget`, one for each budget."""
    of = "emulated, no real credits" if service == "emulator" else service
    lines = [f"{each} ({of})" for each in statuses]
    return lines or [
        f"No budget is set ({of}); `%kling budget 500 --per {'|'.join(Scope)}` sets one"
    ]
