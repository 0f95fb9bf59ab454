"""A list of findings: every status is a word, every fix is there, and what was found is text."""

from __future__ import annotations

import re

import pytest

from kling_nb.display.html import Finding, findings_text, render_findings

FINE = Finding("Disk", "ok", "81.9 GB free")
BROKEN = Finding("Service", "bad", "401 <b>no</b>", "`%kling login` asks for another key.")
CAREFUL = Finding("Ledger", "warn", "none")
ASKING = Finding("Widgets", "asking", "asking the page…")


def test_the_text_has_a_line_for_each_and_one_for_its_fix() -> None:
    """With the status as its first word, so that a search finds what is broken."""
    assert findings_text([FINE, BROKEN, ASKING]).splitlines() == [
        "kling_nb: status: 1 broken, 1 still checking",
        "ok        Disk: 81.9 GB free",
        "broken    Service: 401 <b>no</b>",
        "          → `%kling login` asks for another key.",
        "checking  Widgets: asking the page…",
    ]


def test_the_html_says_the_same() -> None:
    """Statuses as words and not by colour alone; what is to be typed as code."""
    markup = render_findings([FINE, BROKEN, ASKING])
    for words in ("ok", "broken", "checking", "81.9 GB free", "%kling login</code>"):
        assert words in markup
    assert "<b>" not in markup
    assert "&lt;b&gt;no" in markup


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([FINE, FINE], "everything is ok"),
        ([FINE, CAREFUL, BROKEN, CAREFUL], "1 broken, 2 to check"),
        ([ASKING], "1 still checking"),
    ],
)
def test_the_first_line_says_whether_there_is_anything_to_read(
    findings: list[Finding], said: str
) -> None:
    """In both forms."""
    assert said in findings_text(findings).splitlines()[0]
    assert said in render_findings(findings)


def test_badges_are_equally_wide() -> None:
    """What was found begins in line, whatever the status; also where no style sheet lives."""
    markup = render_findings([FINE, CAREFUL, BROKEN, ASKING])
    widths = {
        re.findall(r"min-width:(\d+)px", span)[-1]
        for span in re.findall("<span[^>]*>", markup)
        if "min-width" in span
    }
    assert len(widths) == 1
    assert markup.count("min-width:82px") == 4
