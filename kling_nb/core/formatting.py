"""Format numbers, sizes, times and lines of text for people.

Defines the one format of each quantity in cards, tables, messages and the panel. Must not depend on
HTML or states: each function returns a short text for a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from numbers import Integral, Real

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Invisible characters with an effect in a terminal or browser: control characters, changes of the
writing direction, and halves of surrogate pairs, which cannot be encoded."""

_AMOUNT = re.compile(r"[+−-]?\$?\d[\d,.]*( (credits?|s|%|kB|MB))?( \(\$[\d,.]+\))?")


def replace_invisible(text: str) -> str:
    """Return the text with each invisible character replaced by U+FFFD."""
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def to_one_line(text: str, limit: int = 10_000) -> str:
    """Return the text as one line of at most `limit` characters, cut between words if possible."""
    line = " ".join(replace_invisible(text).split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit * 2 // 3 else cut).rstrip(" ,;:.") + "…"


def format_number(value: float) -> str:
    """Return `5,916`, or `5,916.25` with a fraction."""
    digits = f"{value:,.2f}"
    return digits.rstrip("0").rstrip(".")


def format_balance(value: float) -> str:
    """Return a balance, from 100 credits on without the fraction: `5,916`."""
    return f"{int(value):,}" if value >= 100 else format_number(value)


def format_count(number: int, noun: str) -> str:
    """Return `1 clip`, `2 clips`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def with_article(noun: str) -> str:
    """Return `a video`, `an image`."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def format_credits(credits: float) -> str:
    """Return `55 credits`."""
    return f"{format_number(credits)} credit{'' if credits == 1 else 's'}"


def format_bytes(size_bytes: int) -> str:
    """Return `0.9 MB`, `82 kB` or `512 bytes`, in powers of ten."""
    if size_bytes >= 100_000:
        return f"{size_bytes / 1e6:,.1f} MB"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes >= 1000 else f"{size_bytes} bytes"


def format_duration(seconds: float) -> str:
    """Return `40 s`, `1 min 12 s` or `1 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_about(seconds: float) -> str:
    """Return a duration that is an estimate, e.g. `14 s`, `45 s`, `2.5 min` or `11 min`."""
    if 60 <= seconds < 300:
        return f"{round(seconds / 30) / 2:g} min"
    step = next(step for most, step in ((20, 1), (60, 5), (math.inf, 60)) if seconds < most)
    return format_duration(max(1, round(seconds / step) * step))


def format_date(when: datetime, now: datetime) -> str:
    """Return `20 November`, with the year if it is another one, in the time zone of `now`."""
    local = when.astimezone(now.tzinfo)
    year = "" if local.year == now.year else f" {local.year}"
    return f"{local.day} {_MONTHS[local.month - 1]}{year}"


def shorten(value: object, limit: int = 60) -> str:
    """Return the repr of a value for a message, cut; never the content of a file."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{type(value).__name__} of {len(value):,} bytes"
    if isinstance(value, tuple) and any(isinstance(item, dict) for item in value):
        return f"{len(value)} of them"
    if not isinstance(value, str | Integral | Real | list | tuple | dict | type(None)):
        return f"a {type(value).__name__}"
    try:
        text = repr(value)
    except Exception:  # an error in a foreign __repr__ must not hide the message
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
