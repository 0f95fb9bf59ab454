"""Quote a notebook: what Run All would cost now, per request and in total.

Combines the requests of `find_requests` and the prices of `price_requests` with the balance. No
code of the notebook runs, no input is uploaded or fetched, and only the balance is queried.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from IPython.core.getipython import get_ipython

from kling_nb.core.console import readable
from kling_nb.core.formatting import number_words
from kling_nb.core.money import Funds, price_words
from kling_nb.display import html
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.default_session import default_session
from kling_nb.notebook.archive.notebook_file import NotebookFile, current_notebook, told_notebooks

from .find_requests import take_inventory
from .price_requests import Pricing, QuoteLine

__all__ = ["Quotation", "describe", "quote", "show_quotation", "table"]


@dataclass(frozen=True, slots=True)
class Quotation:
    """What Run All would cost."""

    notebook: Path
    saved_at: datetime
    """When it was saved: later changes are not counted."""
    lines: tuple[QuoteLine, ...]
    funds: Funds
    """The balance, and what the tightest budget leaves, as far as they are known."""
    emulated: bool

    @property
    def total_credits(self) -> float:
        """Of all that is known."""
        return sum(line.credits or 0.0 for line in self.lines)

    @property
    def unknown(self) -> int:
        """How many lines may cost something that is not in the total."""
        return sum(line.credits is None for line in self.lines)

    @property
    def is_covered(self) -> bool:
        """Whether balance and budget are enough for the total."""
        limits = (self.funds.balance_credits, self.funds.budget_credits)
        return all(limit is None or self.total_credits <= limit for limit in limits)

    def __str__(self) -> str:
        return readable("\n".join([html.table_text(*table(self)), *describe(self)]))


def quote(notebook: str | Path = "") -> Quotation:
    """Tell what Run All of a notebook would cost; nothing of it is run.

    Args:
        notebook: The notebook, as it is saved on disk; the current one where it is not given.

    Raises:
        InvalidInput: There is no such notebook.
    """
    variables = getattr(get_ipython(), "user_ns", {})
    path = Path(notebook).expanduser() if notebook else current_notebook(variables, os.environ)
    book = NotebookFile.read(path)
    session = default_session()
    told = (name for name in told_notebooks(variables, os.environ) if os.path.isfile(name))
    is_ours = not notebook or any(os.path.samefile(name, path) for name in told)
    pricing = Pricing(session, variables if is_ours else {}, Path() if is_ours else path.parent)
    lines = tuple(pricing.line(wanted) for wanted in take_inventory(book.sources()))
    return Quotation(
        book.path, book.saved_at, lines, session.funds(), session.service == "emulator"
    )


def describe(quotation: Quotation) -> list[str]:
    """The sum, in sentences for a person; the first is a title."""
    total, unknown = quotation.total_credits, quotation.unknown
    more = f", and what is unknown: {unknown} of {len(quotation.lines)}" if unknown else ""
    saved, name = quotation.saved_at.astimezone(), quotation.notebook.name
    now = datetime.now(UTC)
    ages = {html.age_word(line.model, now) for line in quotation.lines if line.credits}
    price = html.price_line(
        (),
        total,
        funds=quotation.funds,
        emulated=quotation.emulated,
        label=max(ages, default=""),
    )
    lines = [f"Run All would cost {price_words(total)}{more}", price]
    if not quotation.is_covered:
        lines.append("That is more than there is: some cells would be refused.")
    if any(line.note.startswith("refused") for line in quotation.lines):
        lines.append("Run All stops at the first cell that is refused.")
    lines.append(
        f"{name} as it was saved on {saved.day} {saved:%B at %H:%M:%S}, with variables as they "
        "are now. Nothing was sent but the question for the balance."
    )
    return lines


def show_quotation(quotation: Quotation) -> None:
    """Show the requests as a table, and the sum below it."""
    title, *lines = describe(quotation)
    if quotation.lines:
        show_table(*table(quotation), f"Requests of {quotation.notebook.name}")
    show_notice("info" if quotation.is_covered else "warning", title, lines)


def table(quotation: Quotation) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headers and rows, as plain text."""
    rows: list[tuple[str, ...]] = [
        (
            str(line.cell),
            html.one_line(line.prompt, 50),
            line.model.rpartition("/")[2],
            line.seconds,
            _cost(line),
        )
        for line in quotation.lines
    ]
    return ("cell", "prompt", "model", "seconds", "credits"), rows


def _cost(line: QuoteLine) -> str:
    if line.credits is None:
        return f"unknown: {line.note}"
    return (
        f"{number_words(line.credits)} ({line.note})" if line.note else number_words(line.credits)
    )
