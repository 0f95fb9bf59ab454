"""A list of findings: every status is a word, every fix is there, and what was found is text."""

from __future__ import annotations

from kling_nb.html import Finding, findings_text, render_findings

FINE = Finding("Disk", "ok", "81.9 GB free")
BROKEN = Finding("Service", "bad", "401 <b>no</b>", "`%kling login` asks for another key.")
ASKING = Finding("Widgets", "asking", "asking the page…")


def test_the_text_has_a_line_for_each_and_one_for_its_fix() -> None:
    """With the status as its first word, so that a search finds what is broken."""
    assert findings_text([FINE, BROKEN, ASKING]).splitlines()[1:] == [
        "fine     Disk: 81.9 GB free",
        "broken   Service: 401 <b>no</b>",
        "         → `%kling login` asks for another key.",
        "asking   Widgets: asking the page…",
    ]


def test_the_html_says_the_same() -> None:
    """Statuses as words and not by colour alone; what is to be typed as code."""
    markup = render_findings([FINE, BROKEN, ASKING])
    for words in ("fine", "broken", "asking", "81.9 GB free", "%kling login</code>"):
        assert words in markup
    assert "<b>" not in markup
    assert "&lt;b&gt;no" in markup
