"""`%kling budget` and `%kling spend`: set budgets, and list expenses."""

from __future__ import annotations

from collections.abc import Sequence

from kling_nb.core import budgets, expenses
from kling_nb.core.errors import InvalidInput
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.session import Session

__all__ = ["show_budgets", "show_spending"]

TITLES = {"live": "Spent", "emulator": "Emulated: no real credits"}
"""What stands above the totals of each service, which are never added up."""


def show_budgets(session: Session, words: Sequence[str]) -> None:
    """Set or end a budget as the words say, and show all.

    Raises:
        InvalidInput: The words are no order.
    """
    order = budgets.read_order(words)
    standings = session.budget(order.limit or None, order.per)
    show_notice("info", "Budget", budgets.describe(standings, session.service))


def show_spending(session: Session, words: Sequence[str]) -> None:
    """Show what clips cost as the words say, and write it to a file if they name one.

    Raises:
        InvalidInput: The words are no order, or the file is there already.
    """
    order = expenses.read_order(words)
    found = expenses.totals(session.expenses(), order.by)
    if order.csv:
        write_csv(order, expenses.csv_text(found, order.by))
    for service, title in TITLES.items():
        if rows := [total for total in found if total.service == service]:
            show_table(*expenses.table(rows, order.by), title)
    if not found:
        show_notice("info", "Nothing was spent in this folder")
    if order.csv:
        show_notice("info", f"Written to {order.csv}")


def write_csv(order: expenses.SpendingOptions, text: str) -> None:
    """Write the file that was asked for."""
    mode = "w" if order.replace else "x"
    try:
        with open(order.csv, mode, encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        advice = "`--replace` overwrites it; or name another file"
        raise InvalidInput.of("csv", f"{order.csv!r} exists", advice) from None
    except OSError as error:
        given = f"{order.csv!r} cannot be written ({error.strerror})"
        raise InvalidInput.of("csv", given, "make room, or name another file") from None
