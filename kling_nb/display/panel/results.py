"""A job's card inside the panel: a `Card` whose screen is a widget.

What a card says, and when, is `cards`' matter; here it is drawn into a widget, since nothing in a
panel is the output of a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import ipywidgets as widgets

from kling_nb.display.cards import Bundle, Card
from kling_nb.display.cards.card import TakeShower
from kling_nb.display.cards.outputs import Wants
from kling_nb.jobs.job import Job

__all__ = ["Result"]


class HtmlScreen:
    """Draws a card into an HTML widget."""

    wants: Wants = "life"

    def __init__(self) -> None:
        self.widget = widgets.HTML()

    def show(self, bundle: Bundle) -> None:
        """Put the record there; a widget's value reaches a reloaded page as well."""
        self.widget.value = bundle["text/html"]


class Result:
    """One job in the panel.

    Args:
        job: The job.
        on_take: Shows another take that was asked for here; without it the take comes below.
        on_end: Called when an end was shown, and when a job that had ended goes on.
    """

    def __init__(
        self,
        job: Job,
        on_take: TakeShower | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        screen = HtmlScreen()
        self._card = Card(job, screen, on_take=on_take, on_end=on_end)
        self._card.display()
        self.box = widgets.VBox([screen.widget])
        self.box.add_class("kling-result")

    @property
    def job(self) -> Job:
        """The job as it is followed now."""
        return self._card.job

    @property
    def settled(self) -> Future[None]:
        """Done when the last card of the job is shown."""
        return self._card.settled

    def close(self) -> None:
        """Take the card away; the job goes on."""
        self._card.close()
        for child in self.box.children:
            child.close()
        self.box.close()
