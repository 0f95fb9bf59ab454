"""Render tables, notices and the doctor's findings for `%kling`: plain values in, HTML out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .markup import Markup, escape, joined, prose, style_sheet, tag
from .plain_text import is_number

__all__ = [
    "Finding",
    "FindingStatus",
    "NoticeKind",
    "findings_text",
    "render_findings",
    "render_notice",
    "render_table",
]

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


FindingStatus = Literal["ok", "warn", "bad", "asking"]

TITLE = "kling_nb: how things stand"
BADGE = "box-sizing:border-box;min-width:82px;text-align:center"
"""All badges are as wide as the longest word of them, so that what was found begins in line."""
BADGES = {
    "ok": ("good", "fine"),
    "warn": ("warn", "careful"),
    "bad": ("bad", "broken"),
    "asking": ("calm", "asking"),
}
"""The look and the word of each status: never colour alone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    """What was looked at, in two words."""
    status: FindingStatus
    said: str
    """What was found, in a sentence or less."""
    fix: str = ""
    """What to do about it; empty where there is nothing to do."""


def render_findings(findings: Sequence[Finding]) -> str:
    """Give findings as HTML, one below the other, each with its status as a word."""
    summary = tag("span", "about", escape(f" {summary_words(findings)}"))
    head = tag("div", "head", tag("strong", "title", escape(TITLE)), summary)
    rows = [piece for each in findings for piece in render_row(each)]
    return joined(
        style_sheet(),
        tag("section", "notice", head, tag("dl", "rows", *rows), classes="kling-root"),
    )


def render_row(finding: Finding) -> tuple[Markup, Markup]:
    """Write the status, and beside it what was looked at, found and to be done."""
    look, word = BADGES[finding.status]
    fix = (tag("p", "line", prose(f"→ {finding.fix}")),) if finding.fix else ()
    said = tag("p", "line", tag("strong", "", escape(f"{finding.name}: ")), prose(finding.said))
    return (
        tag("dt", "label", tag("span", look, escape(word), style=BADGE)),
        tag("dd", "value", said, *fix),
    )


def findings_text(findings: Sequence[Finding]) -> str:
    """Give findings as text: a line each, and one below it where something is to be done."""
    lines = [f"{TITLE}: {summary_words(findings)}"]
    width = max(len(word) for _, word in BADGES.values())
    for each in findings:
        lines.append(f"{BADGES[each.status][1]:<{width}}  {each.name}: {each.said}")
        if each.fix:
            lines.append(f"{'':<{width}}  → {each.fix}")
    return "\n".join(lines)


def summary_words(findings: Sequence[Finding]) -> str:
    """Say in a few words whether there is anything to read further down."""
    statuses = [each.status for each in findings]
    counts = {
        "broken": statuses.count("bad"),
        "to be careful about": statuses.count("warn"),
        "still asked": statuses.count("asking"),
    }
    return ", ".join(f"{n} {words}" for words, n in counts.items() if n) or "everything is fine"
