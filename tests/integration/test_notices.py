"""Notices and tables: one display each, as HTML and as text."""

from __future__ import annotations

from kling_nb.display.notice import show_notice, show_table
from tests.support.shells import htmls, open_shell, texts


def test_a_notice_is_shown_once() -> None:
    """Its sentence first, then what belongs to it; escaped where it is HTML."""
    with open_shell("notebook") as shell:
        show_notice("info", "Nothing <here>", ["One.", "Two."])
        assert texts(shell) == ["Nothing <here>\nOne.\nTwo."]
        assert "Nothing &lt;here&gt;" in htmls(shell)[0]


def test_a_table_is_shown_once() -> None:
    """With its caption where there is HTML, aligned where there is not."""
    with open_shell("notebook") as shell:
        show_table(("name", "credits"), [("fox", "55"), ("owl", "5")], "Spent")
        assert texts(shell) == ["name  credits\nfox        55\nowl         5"]
        assert "Spent</caption>" in htmls(shell)[0]
