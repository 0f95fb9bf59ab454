"""What a check found, and a list of that as HTML and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .markup import Markup, escape, joined, prose, style_sheet, tag

__all__ = ["Finding", "FindingStatus", "findings_text", "render_findings"]

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
