"""`%kling spend`: list what clips cost, as tables and as a CSV file."""

from __future__ import annotations

from kling_nb.core import expenses
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.session import Session
from kling_nb.notebook.text_file import write_text_file

_TITLES = {"live": "Spent", "emulator": "Emulated: no real credits"}
"""Caption by service; the services are never added up."""


def show_expenses(session: Session, by: expenses.By, csv: str, *, replace: bool) -> None:
    """Show what clips cost, and write it to a file.

    Args:
        session: The session of the folder.
        by: What to add up by.
        csv: The file; empty for none.
        replace: Overwrite an existing file.

    Raises:
        InvalidInput: The file exists, or cannot be written.
    """
    found = expenses.totals(session.expenses(), by)
    if csv:
        write_text_file("csv", csv, expenses.format_csv(found, by), replace=replace)
    for service, title in _TITLES.items():
        if rows := [total for total in found if total.service == service]:
            show_table(*expenses.table(rows, by), title)
    if not found:
        show_notice("info", "Nothing was spent in this folder")
    if csv:
        show_notice("info", f"Written to {csv}")
