"""Expenses: the cost of clips by notebook, day or model, as a table and as CSV.

Pure: takes expenses from `storage/spending`, returns totals and text. Emulated credits are never
added to real ones.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Final

from kling_nb.core.money import DOLLARS_PER_CREDIT, format_dollars

from .formatting import format_number

_CSV_HEADERS = (
    "clips",
    "credits",
    "dollars",
    "uncertain_credits",
    "unpriced_jobs",
    "kept_clips",
    "credits_per_kept_clip",
)

_UNKNOWN = "(unknown)"


class By(StrEnum):
    """Grouping of expenses."""

    NOTEBOOK = "notebook"
    DAY = "day"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Expense:
    """One job that is or may be paid, including forgotten ones."""

    service: str
    created_at: datetime
    notebook: str
    """Empty if the front end did not provide it."""
    model: str
    credits: float | None
    """The reported cost, else the price; None if neither is known."""
    is_certain: bool
    """Whether the cost is certain: not while the request is sent, after its task was lost, or for a
    failure whose charge is known from the balance only."""
    is_clip: bool
    is_kept: bool
    """Whether the clip has a star."""


@dataclass(frozen=True, slots=True)
class Total:
    """The expenses of one notebook, day or model of one service."""

    service: str
    name: str
    clips: int = 0
    credits: float = 0.0
    uncertain_credits: float = 0.0
    """The part that may not be paid."""
    unpriced: int = 0
    """Number of jobs with an unknown price, which are not counted."""
    kept: int = 0

    @property
    def dollars(self) -> float:
        """Return the credits in dollars."""
        return self.credits * DOLLARS_PER_CREDIT

    @property
    def credits_per_kept(self) -> float | None:
        """Return the cost per kept clip, including the cost of the others."""
        return self.credits / self.kept if self.kept else None


def totals(expenses: Iterable[Expense], by: By) -> list[Total]:
    """Return totals by notebook, local day (newest first) or model, live before emulated."""
    groups = defaultdict[tuple[str, str], list[Expense]](list)
    for each in expenses:
        groups[each.service, _name(each, by)].append(each)
    found = [_total(*key, group) for key, group in groups.items()]
    ordered = sorted(found, key=lambda total: total.name, reverse=by is By.DAY)
    return sorted(ordered, key=lambda total: total.service, reverse=True)


def _total(service: str, name: str, expenses: Sequence[Expense]) -> Total:
    return Total(
        service,
        name,
        clips=sum(each.is_clip for each in expenses),
        credits=sum((each.credits or 0.0 for each in expenses), 0.0),
        uncertain_credits=sum(
            (each.credits or 0.0 for each in expenses if not each.is_certain), 0.0
        ),
        unpriced=sum(each.credits is None for each in expenses),
        kept=sum(each.is_kept for each in expenses),
    )


def _name(expense: Expense, by: By) -> str:
    match by:
        case By.NOTEBOOK:
            return expense.notebook or _UNKNOWN
        case By.DAY:
            return expense.created_at.astimezone().date().isoformat()
        case By.MODEL:
            return expense.model or _UNKNOWN


def table(totals: Sequence[Total], by: By) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headers and the rows of a table, with the sum below several rows."""
    rows = list(totals)
    if len(rows) > 1:
        rows.append(_sum(rows))
    headers = (str(by), "clips", "credits", "dollars", "uncertain", "kept", "per kept clip")
    return headers, [_row(total) for total in rows]


def _sum(rows: Sequence[Total]) -> Total:
    counted = [part.name for part in fields(Total) if part.name not in {"service", "name"}]
    amounts = {name: sum(getattr(row, name) for row in rows) for name in counted}
    return Total(rows[0].service, "all", **amounts)


def _row(total: Total) -> tuple[str, ...]:
    per_kept = total.credits_per_kept
    unpriced = f" + {total.unpriced} of unknown price" if total.unpriced else ""
    return (
        total.name,
        str(total.clips),
        format_number(total.credits) + unpriced,
        format_dollars(total.credits),
        format_number(total.uncertain_credits),
        str(total.kept),
        "–" if per_kept is None else format_number(per_kept),
    )


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Characters that begin a formula, or that spreadsheets drop before one."""


def format_csv(totals: Sequence[Total], by: By) -> str:
    """Return the totals as CSV with headers; plain numbers, empty fields for None.

    An apostrophe precedes a name that a spreadsheet would interpret as a formula.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("service", by, *_CSV_HEADERS))
    for total in totals:
        counts = (total.clips, total.credits, round(total.dollars, 4), total.uncertain_credits)
        kept = (total.unpriced, total.kept, total.credits_per_kept)
        rows.writerow((total.service, _plain(total.name), *counts, *kept))
    return text.getvalue()


def _plain(name: str) -> str:
    """Return a text that no spreadsheet interprets as a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name
