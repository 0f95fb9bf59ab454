"""Budgets: spending limits per notebook, day or folder, and the check of a new request.

Pure: `storage/spending` adds up the expenses and calls `refusal` in the transaction that records a
new request. Must not depend on tables or sessions.
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

from kling_nb.core.money import DOLLARS_PER_CREDIT, price_words

from .errors import BudgetExceeded, InvalidInput
from .formatting import number_words

__all__ = [
    "OFF",
    "Budget",
    "BudgetStatus",
    "Change",
    "Scope",
    "changes",
    "day_of",
    "describe",
    "least_left",
    "name_notebook",
    "refusal",
]

OFF = "off"
"""The word that ends a budget."""

_SUM = re.compile(r"(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
_MOST = 10**12
"""No account has more; beyond it, sums of a credit are lost in rounding."""

_ALMOST_NOTHING = 1e-6
"""Sums of fractions of a credit are not exact."""


class Scope(StrEnum):
    """What a budget counts."""

    NOTEBOOK = "notebook"
    """What one notebook asked for, by its name; a renamed one begins anew."""
    DAY = "day"
    """What was asked for since midnight, by the local calendar."""
    FOLDER = "folder"
    """Everything in the folder's ledger."""


_SCOPES = ", ".join(Scope)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit that a person set."""

    service: str
    """`live` or `emulator`: emulated credits never count against real ones."""
    scope: Scope
    limit_credits: float
    notebook: str = ""
    """Which notebook; empty in the other scopes."""

    @property
    def name(self) -> str:
        """What it is the budget of."""
        match self.scope:
            case Scope.NOTEBOOK:
                return f"notebook {self.notebook}"
            case Scope.DAY:
                return "today"
            case Scope.FOLDER:
                return "this folder"


@dataclass(frozen=True, slots=True)
class Change:
    """A budget that is to be set, or to be ended."""

    scope: Scope
    notebook: str
    """Empty but in the notebook's scope."""
    limit_credits: float | None
    """None ends it."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget, and what counts against it now."""

    budget: Budget
    spent_credits: float
    """What the service reported, else the price, of all that is paid or may be."""
    unpriced: int = 0
    """How many jobs may be paid without anybody knowing their price; they count as nothing."""

    @property
    def left_credits(self) -> float:
        """What may still be spent; never less than nothing."""
        return max(0.0, self.budget.limit_credits - self.spent_credits)

    def __str__(self) -> str:
        limit = price_words(self.budget.limit_credits)
        name, spent = self.budget.name, number_words(self.spent_credits)
        start = f"Budget of {name}: {spent} of {limit} spent"
        jobs = f"{self.unpriced} job{'' if self.unpriced == 1 else 's'}"
        unknown = f"; {jobs} of unknown price not counted" if self.unpriced else ""
        return f"{start}, {number_words(self.left_credits)} left{unknown}"


def least_left(standings: Iterable[BudgetStatus]) -> float | None:
    """What the tightest of the budgets has left; None where there is no budget."""
    return min((each.left_credits for each in standings), default=None)


def refusal(
    standings: Sequence[BudgetStatus], price_credits: float | None
) -> BudgetExceeded | None:
    """Why a new request may not be made; None when it fits into all budgets.

    Args:
        standings: Every budget that holds for the request.
        price_credits: What it costs; None where that is not known, and then no budget can hold.
    """
    if not standings:
        return None
    if price_credits is None:
        known = "; ".join(map(str, standings))
        return BudgetExceeded(
            f"The price of this request is not known, so it cannot be held against the budget "
            f"({known}). Nothing was sent. `%kling budget off` allows it; `%kling models` lists "
            "what has a price."
        )
    short = [each for each in standings if each.left_credits + _ALMOST_NOTHING < price_credits]
    if not short:
        return None
    ways = [_ways_on(each, price_credits) for each in short]
    return BudgetExceeded(
        f"This clip costs {price_words(price_credits)}, more than the budget has left. "
        f"{'; '.join(map(str, short))}. Nothing was sent. {' '.join(ways)} "
        f"A budget may count per {_SCOPES}."
    )


def _ways_on(standing: BudgetStatus, price_credits: float) -> str:
    # Up to whole hundredths: a budget that is set as advised must be enough.
    hundredths = math.ceil((standing.spent_credits + price_credits - _ALMOST_NOTHING) * 100)
    enough = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    per = f"--per {standing.budget.scope}"
    return f"`%kling budget {enough} {per}` makes room, `%kling budget off {per}` ends it."


def day_of(now: datetime) -> tuple[datetime, datetime]:
    """When the local day of `now` began, and when it ends."""
    local = now.astimezone()
    # Each midnight gets the offset of its own date: a day of 23 or 25 hours is one day.
    start = datetime(local.year, local.month, local.day)
    return start.astimezone(), (start + timedelta(days=1)).astimezone()


def name_notebook(path: Path, folder: Path) -> str:
    """The name of a notebook: its path from the folder's parent, else its name alone.

    Args:
        path: The notebook, absolute; a name alone where no more is known.
        folder: The folder of clips, absolute.
    """
    if path.is_relative_to(folder.parent):
        return path.relative_to(folder.parent).as_posix()
    return path.name


def changes(notebook: str, limit: str | float | None, per: str = "") -> list[Change]:
    """What is to be set or ended, as a person says it.

    Args:
        notebook: The name of the one that asks; empty where it is not known.
        limit: Credits, dollars as in `"$3"`, `"off"`, or None for no change.
        per: A scope; without it the folder, and for `"off"` every scope.

    Raises:
        InvalidInput: It is no sum or no scope, or the notebook's name is not known.
    """
    scopes = [_read_scope(per)] if per else [Scope.FOLDER]
    if limit is None:
        return []
    if scopes == [Scope.NOTEBOOK] and not notebook:
        told = "the notebook's name is not told by this front end"
        raise InvalidInput.of("per", told, "use `--per day|folder`")
    if limit == OFF:
        limit_credits, scopes = None, scopes if per else list(Scope)
    else:
        limit_credits = _read_limit(limit)
    return [
        Change(scope, notebook if scope is Scope.NOTEBOOK else "", limit_credits)
        for scope in scopes
    ]


def _read_scope(word: str) -> Scope:
    """The scope of that name.

    Raises:
        InvalidInput: There is none.
    """
    try:
        return Scope(word)
    except ValueError:
        raise InvalidInput.of("per", repr(word), f"allowed: {_SCOPES}") from None


def _read_limit(given: str | float) -> float:
    """A sum in credits: a number, a text of one, or dollars such as `$3`.

    Raises:
        InvalidInput: It is no sum, or less than nothing.
    """
    text = str(given).strip()
    # A comma groups thousands and nothing else: `$3,50` must not become $350.
    is_sum = _SUM.fullmatch(text.removeprefix("$"))
    amount = Decimal(is_sum[0].replace(",", "")) if is_sum else Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST or isinstance(given, bool):
        allowed = f"give credits, e.g. 500, or dollars, e.g. $3; `{OFF}` ends a budget"
        raise InvalidInput.of("budget", repr(given), allowed)
    return float(amount / Decimal(str(DOLLARS_PER_CREDIT)) if text.startswith("$") else amount)


def describe(standings: Sequence[BudgetStatus], service: str) -> list[str]:
    """What `%kling budget` shows, a line for each budget."""
    of = "emulated, no real credits" if service == "emulator" else service
    lines = [f"{each} ({of})" for each in standings]
    return lines or [f"No budget is set ({of}); `%kling budget 500 --per {'|'.join(Scope)}`"]
