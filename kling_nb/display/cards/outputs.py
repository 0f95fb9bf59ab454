"""Outputs of a card: terminal text, the output of a cell, or a container in a widget.

An output displays mimebundles and declares which updates it needs. Must not depend on jobs.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from IPython.display import display

from kling_nb.core.console import print_text
from kling_nb.display.comm import hub, view_data
from kling_nb.display.front_end import FrontEnd

from .mimebundle import Bundle

__all__ = ["Output", "Print", "Screen", "Wants", "screen_for"]

Wants = Literal["words", "end", "life"]
"""What of a job a screen wants to know: each change in words; how it ends; or all of it, with the
hub's pages drawing what moves."""


class Screen(Protocol):
    """What a card is drawn on."""

    wants: Wants

    def show(self, bundle: Bundle) -> None:
        """Show a bundle, the first time or in the place of the one before; from any thread."""


class Print:
    """A terminal: the text of each bundle, one below the other."""

    wants: Wants = "words"

    def show(self, bundle: Bundle) -> None:
        """Print the text."""
        print_text(bundle["text/plain"])


class Output:
    """One output of the running cell, updated in its place wherever the notebook stands then.

    Args:
        wants: What of a job is worth an update there.
        with_view: Display the hub's own view beside it, where its module lives only so.
    """

    def __init__(self, wants: Wants, *, with_view: bool = False) -> None:
        self.wants = wants
        self._with_view = with_view
        self._handle: Any = None

    def show(self, bundle: Bundle) -> None:
        """Display, and then update."""
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
            return
        self._handle = display(bundle, raw=True, display_id=True)
        if self._with_view:
            display({**view_data(hub()), "text/html": "", "text/plain": ""}, raw=True)


def screen_for(place: FrontEnd) -> Screen:
    """The screen of the running cell in a front end."""
    match place:
        case "terminal":
            return Print()
        case "headless":
            return Output("end")
        case "notebook":
            return Output("life")
        case "VS Code" | "Colab":
            return Output("life", with_view=True)
