"""Tables and notices for `%kling`: plain cells in, HTML out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .markup import Markup, escape, joined, prose, style_sheet, tag
from .plain_text import is_number

__all__ = ["NoticeKind", "render_notice", "render_table"]

NoticeKind = Literal["info", "warning", "error"]

SHORT_CHARS = 20
NAME_CHARS = 36
"""How long a word may be that is kept whole: the name of a model, not an address."""
NOTICES = {"info": ("Note", "calm"), "warning": ("Careful", "warn"), "error": ("Error", "bad")}


def render_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = ""
) -> str:
    """Give a table as HTML; columns of numbers stand to the right.

    Args:
        headers: One plain text a column.
        rows: Plain text cells, as many in each row as there are headers.
        caption: What the table shows.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(headers)
    looks = [look_of(column) for column in columns]
    pairs = zip(headers, looks, strict=True)
    head = (column_head(header, look) for header, look in pairs)
    lines = (
        tag(
            "tr",
            "",
            *(tag("td", look, escape(cell)) for cell, look in zip(row, looks, strict=True)),
        )
        for row in rows
    )
    title = (tag("caption", "caption", escape(caption)),) if caption else ()
    body = (tag("thead", "", tag("tr", "", *head)), tag("tbody", "", *lines))
    return joined(style_sheet(), tag("table", "table", *title, *body, classes="kling-root"))


def look_of(cells: Sequence[str]) -> str:
    """Choose how a column looks: amounts to the right; what is short, and names, unbroken."""
    if is_number(cells):
        return "number"
    return "short" if all(map(is_kept_whole, cells)) else "text"


def is_kept_whole(cell: str) -> bool:
    """Whether a cell stays on one line; a browser breaks a name at its hyphens."""
    return len(cell) <= (SHORT_CHARS if " " in cell else NAME_CHARS)


def column_head(header: str, look: str) -> Markup:
    """Write the head of one column above its cells."""
    style = "text-align:right" if look == "number" else ""
    return tag("th", "column", escape(header), scope="col", style=style)


def render_notice(kind: NoticeKind, title: str, lines: Sequence[str]) -> str:
    """Give a short message as HTML.

    Args:
        kind: How much it matters; said by a word, not by colour alone.
        title: The message in one sentence.
        lines: What belongs to it; each is a paragraph of its own.
    """
    word, tone = NOTICES[kind]
    head = tag(
        "div", "head", tag("span", tone, escape(word)), tag("strong", "title", escape(title))
    )
    body = (tag("p", "line", prose(line)) for line in lines)
    role = "alert" if kind == "error" else "note"
    return joined(
        style_sheet(),
        tag("section", "notice", head, *body, classes="kling-root", role=role),
    )
