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

Updates = Literal["text", "end", "live"]
"""Which changes of a job an output shows: each as text; only the end; or all, live on pages."""


class Output(Protocol):
    """Output of a card."""

    updates: Updates

    def show(self, bundle: Bundle) -> None:
        """Show a bundle in place of the one before; from any thread."""


class TerminalOutput:
    """A terminal: prints the text of each bundle."""

    updates: Updates = "text"

    def show(self, bundle: Bundle) -> None:
        """Print the text."""
        print_text(bundle["text/plain"])


class _CellOutput:
    """An output of the running cell that is updated in place.

    Args:
        updates: Which changes of a job are shown.
        with_view: Display the hub's own view, in front ends that start its module only then.
    """

    def __init__(self, updates: Updates, *, with_view: bool = False) -> None:
        self.updates = updates
        self._with_view = with_view
        self._handle: Any = None

    def show(self, bundle: Bundle) -> None:
        """Display the bundle, or update the display."""
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
            return
        self._handle = display(bundle, raw=True, display_id=True)
        if self._with_view:
            display({**view_data(hub()), "text/html": "", "text/plain": ""}, raw=True)


def output_for(front_end: FrontEnd) -> Output:
    """Return the output of the running cell in a front end."""
    match front_end:
        case "terminal":
            return TerminalOutput()
        case "headless":
            return _CellOutput("end")
        case "notebook":
            return _CellOutput("live")
        case "VS Code" | "Colab":
            return _CellOutput("live", with_view=True)
