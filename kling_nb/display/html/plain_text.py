"""Render cards and tables as plain text, for terminals, Markdown exports and screen readers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath

from kling_nb.core.formatting import to_one_line
from kling_nb.core.job_state import JobState, Saved
from kling_nb.display.html.card_failures import Wording
from kling_nb.storage import JobRecord

from .card_text import describe, task_of
from .prices import cost_line, format_clip

MODE_BADGE = "Emulated"
WARNING_BADGE = "Warning"
_PROMPT_LIMIT = 100
_AMOUNT = re.compile(r"[+−-]?\$?\d[\d,.]*( (credits?|s|%|kB|MB))?( \(\$[\d,.]+\))?")


def render_text(record: JobRecord, state: JobState, *, now: datetime) -> str:
    """Return the card as at most four lines of plain text, and one more for each warning."""
    wording = describe(record, state, now=now)
    task_id = task_of(state)
    head = (
        wording.badge,
        MODE_BADGE.upper() if record.emulated else "",
        to_one_line(record.model),
        f"job {to_one_line(record.id)}",
        f"take {record.take}" if record.take != 1 else "",
        f"task {to_one_line(task_id)}" if task_id else "",
    )
    money = cost_line(record, state, now=now)
    if isinstance(state, Saved):
        more = (PurePath(path).name for path in state.others)
        money = " · ".join(
            (format_clip(state.clip), money, *map(to_one_line, (*more, *state.other_urls)))
        )
    lines = (
        " · ".join(filter(None, head)),
        to_one_line(record.prompt, _PROMPT_LIMIT),
        money,
        *map(warning_text, shown_warnings(record, state)),
        _wording_text(wording),
    )
    return "\n".join(line for line in lines if line)


def shown_warnings(record: JobRecord, state: JobState) -> tuple[str, ...]:
    """Return the warnings of a request; none after the clip is saved."""
    return () if isinstance(state, Saved) else record.warnings


def warning_text(warning: str) -> str:
    """Return a warning as a line of plain text."""
    return f"{WARNING_BADGE}: {to_one_line(warning)}"


def _wording_text(wording: Wording) -> str:
    """Return the text of a card as one line."""
    quote = f"“{to_one_line(wording.quote)}”" if wording.quote.strip() else ""
    entries = (f"{entry.name}: {entry.text}" for entry in wording.entries)
    parts = (wording.headline, wording.cost, quote, *wording.lines, *entries)
    return " ".join(part if part[-1] in ".!?”" else f"{part}." for part in parts if part)


def table_text(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as aligned columns of plain text; columns of numbers are right-aligned."""
    table = [[to_one_line(cell) for cell in row] for row in (headers, *rows)]
    columns = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [is_number(column[1:]) for column in columns]
    lines = (
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in table
    )
    return "\n".join(lines)


def is_number(cells: Sequence[str]) -> bool:
    """Whether all cells of a column are amounts or empty."""
    amounts = [cell for cell in cells if cell.strip(" –—-")]
    return bool(amounts) and all(_AMOUNT.fullmatch(cell.strip()) for cell in amounts)
