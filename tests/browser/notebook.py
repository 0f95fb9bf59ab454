"""One open notebook in the browser: run, save, reload, and read what is on the screen.

Knows the commands and class names that JupyterLab and Notebook 7 share; which notebook it is and
what a card should say is the tests' business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .lab import Lab

__all__ = ["ARGUMENTS", "CARD", "CHROMIUM", "LIVE", "THEMES", "Notebook"]

CHROMIUM = Path(os.environ.get("KLING_NB_CHROMIUM", "/usr/bin/chromium"))

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
CARD = ".kling-record"
LIVE = ".kling-live"
PATIENCE_MS = 30_000
SCRIPTS = Path(__file__).with_name("measure.js")

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

JUPYTER_OWN = (
    # Logged by JupyterLab's service manager if the server has no terminals.
    "Disabling terminals plugin",
    # JupyterLab's settings editor and its schema checker, on every start.
    "Failed to load resource: the server responded with a status of 404",
    # Notebook 7's, on every start, when it makes its menu of settings.
    "Cannot read properties of undefined (reading 'schema')",
    # Its debugger's, if the kernel is shut down before it has answered.
    "Could not restore the debugger state",
    # Requests and sockets that a reload cuts off.
    "Failed to fetch",
    "WebSocket connection to",
    "NetworkError when attempting to fetch resource",
)
"""Messages on the console that have nothing to do with this package."""


class Notebook:
    """A page that shows one notebook.

    Args:
        page: A new page of Playwright's.
        lab: The server.
        name: The notebook's file name.
    """

    def __init__(self, page: Any, lab: Lab, name: str) -> None:
        self.page = page
        self.name = name
        self.complaints: list[str] = []
        """What the console said that is not the application's own."""
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.add_init_script(path=SCRIPTS)
        page.goto(lab.address(name, workspace=f"test-{id(page)}"))
        self._settle()

    def command(self, name: str, **arguments: Any) -> None:
        """Execute one of JupyterLab's commands to its end."""
        self.page.evaluate(
            "([name, given]) => kling.command(name, given).then(() => null)", [name, arguments]
        )

    def begin(self, name: str) -> None:
        """Execute a command without waiting for its end; `finish` waits."""
        self.page.evaluate("name => { kling.begun = kling.command(name) }", name)

    def finish(self) -> None:
        """Wait for the command that was begun."""
        self.page.evaluate("() => kling.begun.then(() => null)")

    def restart(self) -> None:
        """Restart the kernel, without JupyterLab's question."""
        self.page.evaluate("() => kling.restart()")
        self._settle()

    def shut_down(self, *, by_menu: bool = True) -> None:
        """End the kernel: by the command of the menu, or by the server, without the page."""
        self.page.evaluate("() => kling.shutDown()" if by_menu else "() => kling.endKernel()")

    def write(self, cell: int, source: str) -> None:
        """Replace a cell's text."""
        self.page.evaluate("([cell, text]) => kling.model(cell).setSource(text)", [cell, source])

    def run(self, cell: int) -> None:
        """Run one cell to its end."""
        self.page.evaluate("cell => { kling.notebook().activeCellIndex = cell }", cell)
        self.command("notebook:run-cell")

    def begin_cell(self, cell: int) -> None:
        """Run one cell without waiting for its end."""
        self.page.evaluate("cell => kling.beginCell(cell)", cell)

    def save(self) -> None:
        """Save the notebook as it stands."""
        self.command("docmanager:save")

    def reload(self) -> None:
        """Load the page anew; the kernel goes on."""
        self.page.reload()
        self._settle()

    def theme(self, name: str) -> None:
        """Switch to the `light` or `dark` theme."""
        is_light = "true" if name == "light" else "false"
        if self.page.evaluate("document.body.dataset.jpThemeLight") == is_light:
            return
        self.command("apputils:change-theme", theme=THEMES[name])
        self.page.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")
        # JupyterLab covers the page while it loads a theme.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    @contextmanager
    def width(self, width_px: int) -> Iterator[None]:
        """Give the page a width until the end of the block; then 900 px again."""
        self.page.set_viewport_size({"width": width_px, "height": 1000})
        try:
            yield
        finally:
            self.page.set_viewport_size({"width": 900, "height": 1000})

    def execution_counts(self) -> list[int | None]:
        """The number in brackets beside each code cell."""
        counts: list[int | None] = self.page.evaluate("() => kling.executionCounts()")
        return counts

    def errors(self) -> list[str]:
        """What cells raised."""
        raised: list[str] = self.page.evaluate("() => kling.errors()")
        return raised

    def output(self, cell: int) -> Any:
        """The outputs of a cell, as a locator; scrolled to, since far cells are not drawn."""
        self.page.evaluate("cell => kling.scrollTo(cell)", cell)
        return self.page.locator(".jp-Cell").nth(cell).locator(".jp-Cell-outputArea")

    def top_of(self, cell: int, *, scrolled: bool = True) -> float:
        """How far down on the page a cell begins; scrolled to, or where it happens to be."""
        if scrolled:
            self.output(cell)
            self.page.wait_for_function("() => kling.isDrawn()")
        top: float = self.page.evaluate(
            "cell => kling.notebook().widgets[cell].node.getBoundingClientRect().top", cell
        )
        return top

    def mark(self, cell: int) -> str:
        """A selector of the outputs of a cell and of nothing else; scrolled to."""
        self.output(cell)
        name = f"outputs-of-{cell}"
        self.page.evaluate(
            "([cell, id]) => { kling.notebook().widgets[cell].outputArea.node.id = id }",
            [cell, name],
        )
        return f"#{name}"

    def words(self, cell: int) -> str:
        """What can be read in the outputs of a cell, once there is something."""
        self.output(cell)
        read: str = self.page.wait_for_function("cell => kling.words(cell)", arg=cell).json_value()
        return read

    def wait_for_clip(self, cell: int) -> dict[str, float]:
        """The video of a cell, once it can be played: ready state, seconds, and where it is."""
        self.page.evaluate("cell => kling.scrollTo(cell)", cell)
        self.page.wait_for_function("cell => kling.videos(cell)[0]?.readyState >= 3", arg=cell)
        facts: dict[str, float] = self.page.evaluate("cell => kling.play(cell)", cell)
        return facts

    def wait_until_kept(self, cell: int, words: str) -> None:
        """Wait until the document holds these in a cell's outputs, whatever is on the screen."""
        self.page.wait_for_function(
            "([cell, words]) => JSON.stringify(kling.model(cell).toJSON().outputs).includes(words)",
            arg=[cell, words],
        )

    def faint_texts(self, cell: int, least: float = 4.5) -> list[dict[str, Any]]:
        """The texts of a cell's cards whose contrast is less, with both colours."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "([cell, least]) => kling.faintTexts(cell, least)", [cell, least]
        )
        return found

    def wait_for_clock(self, cell: int, least_s: int) -> int:
        """The seconds on a cell's clock, once they are as many."""
        said: int = self.page.wait_for_function(
            "([cell, least]) => kling.elapsedSeconds(cell) >= least && kling.elapsedSeconds(cell)",
            arg=[cell, least_s],
        ).json_value()
        return said

    def elapsed_s(self, cell: int) -> int:
        """The seconds on a cell's clock now."""
        return int(self.page.evaluate("cell => kling.elapsedSeconds(cell)", cell))

    def watch_height(self, cell: int) -> None:
        """Measure, from now on and in each frame, how high a cell's outputs are while it waits."""
        self.page.evaluate("cell => kling.watchHeight(cell)", cell)

    def heights(self) -> Sequence[dict[str, Any]]:
        """What was measured: each height, with the record's state and the live part's words."""
        heights: Sequence[dict[str, Any]] = self.page.evaluate("() => kling.heights")
        return heights

    def _settle(self) -> None:
        self.page.wait_for_function(
            "() => ['idle', 'busy'].includes("
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status)"
        )

    def _hear(self, message: Any) -> None:
        if message.type == "error" or (message.type == "warning" and "kling" in message.text):
            self._complain(message.text)

    def _complain(self, text: str) -> None:
        if not any(known in text for known in JUPYTER_OWN):
            self.complaints.append(text)
