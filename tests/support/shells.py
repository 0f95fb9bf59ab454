"""A real IPython shell that keeps what it displays, and the pieces tests read from it."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

if TYPE_CHECKING:  # `tests/bench/start_up` measures the first import of the package
    from kling_nb.display.front_end import FrontEnd

PATIENCE_S = 20.0

__all__ = ["htmls", "open_shell", "texts", "updates_of", "wait_for_update"]


@contextmanager
def open_shell(place: FrontEnd = "terminal") -> Iterator[Any]:
    """The shell of this process, which takes itself for a terminal's or a kernel's."""
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher()
    if place != "terminal":
        content = {"allow_stdin": place != "headless"}
        shell.kernel = SimpleNamespace(get_parent=lambda _channel: {"content": content})
    if place == "VS Code":
        shell.user_ns["__vsc_ipynb_file__"] = "/home/ada/first.ipynb"
    try:
        yield shell
    finally:
        # What a thread displays after this would be displayed in the next test's shell.
        for thread in threading.enumerate():
            if thread.name.startswith("kling_nb ") and thread.name.endswith(" update"):
                thread.join(PATIENCE_S)
        shell.atexit_operations()
        atexit.unregister(shell.atexit_operations)
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()


def texts(shell: Any) -> list[str]:
    """The plain text of everything displayed, in order."""
    return [output["data"].get("text/plain", "") for output in shell.display_pub.outputs]


def htmls(shell: Any) -> list[str]:
    """The HTML of everything displayed, in order."""
    return [output["data"].get("text/html", "") for output in shell.display_pub.outputs]


def updates_of(shell: Any, number: int) -> list[dict[str, str]]:
    """What the display with that number in the order of displays was updated to."""
    outputs = shell.display_pub.outputs
    display_id = [o for o in outputs if not o["update"]][number]["transient"]["display_id"]
    return [
        output["data"]
        for output in outputs
        if output["update"] and output["transient"]["display_id"] == display_id
    ]


def wait_for_update(shell: Any) -> None:
    """Wait until the first display was updated, which another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not updates_of(shell, 0):
        assert time.monotonic() < deadline, texts(shell)
        time.sleep(0.005)
