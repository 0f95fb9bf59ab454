"""The pieces of HTML that tests look at: its outline, and cards at a fixed moment."""

from __future__ import annotations

from html.parser import HTMLParser

from kling_nb.core.job_state import JobState
from kling_nb.display import html
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import FACTS, NOW


class Outline(HTMLParser):
    """The elements, attributes and text of a piece of HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it is the innermost one that ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what a person reads."""
        if not self.open or self.open[-1] != "style":
            self.text += data

    def handle_comment(self, data: str) -> None:
        """Nothing of ours is a comment."""
        raise AssertionError(data)

    def only(self, name: str) -> dict[str, str | None]:
        """Give the attributes of the one element of a class."""
        (found,) = [
            attrs for _, attrs in self.elements if name in (attrs.get("class") or "").split()
        ]
        return found


def record(state: JobState, facts: JobRecord = FACTS, **more: str) -> str:
    """Render a record at the fixed moment."""
    return html.render_record(facts, state, now=NOW, **more)  # type: ignore[arg-type]


def live(state: JobState, facts: JobRecord = FACTS) -> str:
    """Render a live part at the fixed moment."""
    return html.render_live(facts, state, now=NOW)


def foot(state: JobState, facts: JobRecord = FACTS, status: html.CardStatus | None = None) -> str:
    """Render what a living page draws below a record, at the fixed moment."""
    return html.render_actions(facts, state, now=NOW, status=status)


def text(state: JobState, facts: JobRecord = FACTS) -> str:
    """Render the plain text at the fixed moment."""
    return html.render_text(facts, state, now=NOW)
