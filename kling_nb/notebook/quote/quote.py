"""Quote a notebook: the price of Run All, per request and in total.

Combines the requests of `find_requests` and the prices of `price_requests` with the balance. Runs
no code of the notebook, uploads and fetches no input, and queries only the balance.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from IPython.core.getipython import get_ipython

from kling_nb.core.console import readable
from kling_nb.core.formatting import format_count, format_number
from kling_nb.core.money import Funds, format_price
from kling_nb.display import html
from kling_nb.display.front_end import reported_notebooks
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.default_session import default_session
from kling_nb.notebook.archive.notebook_file import NotebookFile, current_notebook

from .find_requests import find_requests
from .price_requests import QuoteLine, RequestPricer


@dataclass(frozen=True, slots=True)
class NotebookQuote:
    """The price of Run All."""

    notebook: Path
    saved_at: datetime
    """When the notebook was saved: later changes are not counted."""
    lines: tuple[QuoteLine, ...]
    funds: Funds
    """The balance and the least that a budget has left, where known."""
    emulated: bool

    @property
    def total_credits(self) -> float:
        """Sum of the known prices; a lower bound where some are `unknown`."""
        return sum(line.credits or 0.0 for line in self.lines)

    @property
    def unknown(self) -> int:
        """Number of lines that are not in the total: they could not be priced."""
        return sum(line.credits is None for line in self.lines)

    @property
    def is_covered(self) -> bool:
        """Whether balance and budget cover the known total."""
        limits = (self.funds.balance_credits, self.funds.budget_credits)
        return all(limit is None or self.total_credits <= limit for limit in limits)

    def __str__(self) -> str:
        return readable("\n".join([html.table_text(*table(self)), *describe(self)]))


def quote(notebook: str | Path = "") -> NotebookQuote:
    """Price Run All of a notebook without running it.

    `%%kling` cells are priced, and calls with literal arguments at the top level of a cell. Other
    calls that may submit requests are listed without a price.

    Args:
        notebook: The notebook as saved on disk; by default the current one.

    Raises:
        InvalidInput: There is no such notebook.
    """
    variables = getattr(get_ipython(), "user_ns", {})
    path = Path(notebook).expanduser() if notebook else current_notebook(variables, os.environ)
    book = NotebookFile.read(path)
    session = default_session()
    current = (name for name in reported_notebooks(variables, os.environ) if os.path.isfile(name))
    is_current = not notebook or any(os.path.samefile(name, path) for name in current)
    folder = Path() if is_current else path.parent
    pricer = RequestPricer(session, variables if is_current else {}, folder)
    lines = tuple(map(pricer.price, find_requests(book.sources())))
    return NotebookQuote(
        book.path, book.saved_at, lines, session.funds(), session.service == "emulator"
    )


def describe(quote: NotebookQuote) -> list[str]:
    """Return the total in sentences; the first is a title."""
    total, unknown = quote.total_credits, quote.unknown
    saved, now = quote.saved_at.astimezone(), datetime.now(UTC)
    ages = {html.about_prefix(line.model, now) for line in quote.lines if line.credits}
    least = "at least " if unknown else ""
    label = f"{least}{max(ages, default='')}".strip()
    remark = html.NO_CREDITS if quote.emulated else ""
    price = html.price_line(
        (), total, funds=quote.funds, emulated=quote.emulated, label=label, remark=remark
    )
    lines = [f"Run All would cost {least}{format_price(total)}", price]
    if unknown:
        unpriced = (
            f"cell {line.cell} ({line.note})" for line in quote.lines if line.credits is None
        )
        cells = ", ".join(dict.fromkeys(unpriced))
        lines[1] = price.replace("→", "→ at most")
        lines.append(f"{format_count(unknown, 'call')} could not be priced: {cells}.")
    if not quote.is_covered:
        lines.append("That exceeds the balance or a budget: some cells would be refused.")
    if any(line.note.startswith("refused") for line in quote.lines):
        lines.append("Run All stops at the first cell that is refused.")
    lines.append(
        f"{quote.notebook.name} as saved on {saved.day} {saved:%B at %H:%M:%S}, with the current "
        "variables. Nothing was run or sent; only the balance was queried."
    )
    return lines


def show_quote(quote: NotebookQuote) -> None:
    """Show the requests as a table, and the total below it."""
    title, *lines = describe(quote)
    if quote.lines:
        show_table(*table(quote), f"Requests of {quote.notebook.name}")
    is_certain = quote.is_covered and not quote.unknown
    show_notice("info" if is_certain else "warning", title, lines)


def table(quote: NotebookQuote) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headers and rows, as plain text."""
    rows: list[tuple[str, ...]] = [
        (
            str(line.cell),
            html.to_one_line(line.prompt, 50),
            line.model.rpartition("/")[2],
            line.duration,
            _format_cost(line),
        )
        for line in quote.lines
    ]
    return ("cell", "prompt", "model", "seconds", "credits"), rows


def _format_cost(line: QuoteLine) -> str:
    if line.credits is None:
        return f"not priced: {line.note}"
    credits = format_number(line.credits)
    return f"{credits} ({line.note})" if line.note else credits
