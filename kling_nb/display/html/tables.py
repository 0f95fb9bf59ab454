"""Render tables and notices as HTML, and the doctor's findings as HTML and plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from kling_nb.core.formatting import is_number

from .markup import join, prose, style_sheet, tag

NoticeKind = Literal["info", "warning", "error"]

_SHORT_CHARS = 20
_NAME_CHARS = 36
"""Longest word that is not broken: the name of a model, not a URL."""
_NOTICES = {"info": ("Note", "calm"), "warning": ("Warning", "warn"), "error": ("Error", "bad")}


def render_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = ""
) -> str:
    """Return a table as HTML; columns of numbers are right-aligned."""
    columns = list(zip(*rows, strict=True)) or [()] * len(headers)
    styles = [_column_style(column) for column in columns]
    head = map(_column_head, headers, styles)
    lines = (
        tag("tr", "", *(tag("td", style, cell) for cell, style in zip(row, styles, strict=True)))
        for row in rows
    )
    title = tag("caption", "caption", caption) if caption else ""
    body = (tag("thead", "", tag("tr", "", *head)), tag("tbody", "", *lines))
    return str(join(style_sheet(), tag("table", "table", title, *body, classes="kling-root")))


def _column_style(cells: Sequence[str]) -> str:
    """Return the style of a column: amounts right-aligned, short texts and names unbroken."""
    if is_number(cells):
        return "number"
    return "short" if all(map(_is_unbroken, cells)) else "text"


def _is_unbroken(cell: str) -> bool:
    """Whether a cell stays on one line; browsers break names at hyphens."""
    return len(cell) <= (_SHORT_CHARS if " " in cell else _NAME_CHARS)


def _column_head(header: str, look: str) -> Markup:
    """Return the header cell of a column."""
    style = "text-align:right" if look == "number" else ""
    return tag("th", "column", header, scope="col", style=style)


def render_notice(kind: NoticeKind, title: str, lines: Sequence[str]) -> str:
    """Return a message as HTML; its kind is shown as a word, not by colour alone."""
    word, tone = _NOTICES[kind]
    head = tag("div", "head", tag("span", tone, word), tag("strong", "title", title))
    body = (tag("p", "line", prose(line)) for line in lines)
    role = "alert" if kind == "error" else "note"
    return str(
        join(
            style_sheet(),
            tag("section", "notice", head, *body, classes="kling-root", role=role),
        )
    )


FindingStatus = Literal["ok", "warn", "bad", "asking"]

_TITLE = "kling_nb: status"
_BADGE = "box-sizing:border-box;min-width:82px;text-align:center"
"""All badges have the width of the longest, so that the findings are aligned."""
_BADGES = {
    "ok": ("good", "ok"),
    "warn": ("warn", "warning"),
    "bad": ("bad", "broken"),
    "asking": ("calm", "checking"),
}
"""Style and word of each status."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    """The subject of the check, in two words."""
    status: FindingStatus
    message: str
    """The result, in a sentence or less."""
    fix: str = ""
    """What to do about it; empty if nothing is to be done."""


def render_findings(findings: Sequence[Finding]) -> str:
    """Return findings as HTML, one per row, with the status as a word."""
    summary = tag("span", "about", f" {_summarize(findings)}")
    head = tag("div", "head", tag("strong", "title", _TITLE), summary)
    rows = [piece for each in findings for piece in _render_row(each)]
    return str(
        join(
            style_sheet(),
            tag("section", "notice", head, tag("dl", "rows", *rows), classes="kling-root"),
        )
    )


def _render_row(finding: Finding) -> tuple[Markup, Markup]:
    """Return the status and the text of a finding."""
    look, word = _BADGES[finding.status]
    fix = tag("p", "line", prose(f"→ {finding.fix}")) if finding.fix else ""
    text = tag("p", "line", tag("strong", "", f"{finding.name}: "), prose(finding.message))
    return (
        tag("dt", "label", tag("span", look, word, style=_BADGE)),
        tag("dd", "value", text, fix),
    )


def findings_text(findings: Sequence[Finding]) -> str:
    """Return findings as text: one line each, and a line below for a fix."""
    lines = [f"{_TITLE}: {_summarize(findings)}"]
    width = max(len(word) for _, word in _BADGES.values())
    for each in findings:
        lines.append(f"{_BADGES[each.status][1]:<{width}}  {each.name}: {each.message}")
        if each.fix:
            lines.append(f"{'':<{width}}  → {each.fix}")
    return "\n".join(lines)


def _summarize(findings: Sequence[Finding]) -> str:
    """Summarize findings, e.g. `1 broken, 2 to check`."""
    statuses = [each.status for each in findings]
    counts = {
        "broken": statuses.count("bad"),
        "to check": statuses.count("warn"),
        "still checking": statuses.count("asking"),
    }
    return ", ".join(f"{n} {words}" for words, n in counts.items() if n) or "everything is ok"
