"""Show short messages and tables in the output of a cell, as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from IPython.display import display

from . import html


def notice_bundle(kind: html.NoticeKind, title: str, lines: Sequence[str] = ()) -> dict[str, str]:
    """Return a message with details below it, as HTML and plain text."""
    markup = html.render_notice(kind, title, lines)
    return {"text/html": markup, "text/plain": "\n".join([title, *lines])}


def line_bundle(*parts: str) -> dict[str, str]:
    """Return the parts joined to one line, as HTML and plain text."""
    text = " · ".join(parts)
    return {"text/plain": text, "text/html": f"<div>{html.prose(text)}</div>"}


def show_notice(kind: html.NoticeKind, title: str, lines: Sequence[str] = ()) -> None:
    """Show a message with details below it."""
    display(notice_bundle(kind, title, lines), raw=True)


def show_table(headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """Show a table; its cells are plain text."""
    bundle = {
        "text/html": html.render_table(headers, rows, caption=caption),
        "text/plain": html.table_text(headers, rows),
    }
    display(bundle, raw=True)
