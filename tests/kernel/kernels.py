"""Real kernels as a front end drives them: requests queued at once, messages in their order."""

from __future__ import annotations

import os
import queue
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

__all__ = ["PATIENCE_S", "WIDGET", "Kernel", "Message", "environment", "open_kernel", "remaining"]

T = TypeVar("T")

PATIENCE_S = 40.0
GLANCE_S = 0.1
ROOT = Path(__file__).parents[2]
FOREIGN = ("KIE_", "KLING_", "XDG_", "IPYTHON", "JUPYTER_", "PYTHON")
WIDGET = "application/vnd.jupyter.widget-view+json"


def environment(home: Path, **settings: object) -> dict[str, str]:
    """Return an environment with these settings and no others of the package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own = {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    return kept | own | {name: str(value) for name, value in settings.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a kernel to its front ends."""

    kind: str
    request: str
    """The id of the request that it belongs to."""
    content: Mapping[str, Any]

    @property
    def bundle(self) -> Mapping[str, str]:
        """What is displayed, by MIME type; empty for other messages."""
        shows = {"display_data", "update_display_data", "execute_result"}
        return self.content["data"] if self.kind in shows else {}

    @property
    def text(self) -> str:
        """What a person without HTML reads."""
        if self.kind == "error":
            return "\n".join(self.content["traceback"])
        return str(self.content.get("text") or self.bundle.get("text/plain", ""))

    @property
    def html(self) -> str:
        """The HTML of an output, or of the bundle in a message to a page."""
        behind: Mapping[str, str] = self.told.get("bundle", {})
        return behind.get("text/html", "") or self.bundle.get("text/html", "")

    @property
    def told(self) -> Mapping[str, Any]:
        """The message to the pages about a card; empty for other messages."""
        if self.kind != "comm_msg" or self.content["data"].get("method") != "custom":
            return {}
        told: Mapping[str, Any] = self.content["data"]["content"]
        return told if "place" in told else {}

    @property
    def marks(self) -> Mapping[str, str]:
        """By what a page finds the record that is shown: hub, place, job and the like."""
        found = re.findall(r' data-kling-(hub|place|version|job|state)="(\w+)"', self.html)
        return dict(reversed(found))

    @property
    def display_id(self) -> str:
        """Which output is meant."""
        return str(self.content.get("transient", {}).get("display_id", ""))

    @property
    def state(self) -> str:
        """The state of the record that is shown; empty where there is none."""
        found = re.search(r'<section[^>]* data-kling-state="(\w+)"', self.html)
        return found[1] if found else ""

    @property
    def is_placeholder(self) -> bool:
        """Whether this is shown before there is a card."""
        return self.text.startswith("Preparing") and not self.state

    @property
    def is_final(self) -> bool:
        """Whether a card becomes the clip here."""
        return self.state == "saved" and "data:video/mp4" in self.html


class Kernel:
    """A kernel and the messages it has sent so far.

    Args:
        manager: Its process.
        client: Its channels.
        folder: Where it works.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, folder: Path) -> None:
        self.manager = manager
        self.client = client
        self.folder = folder
        self.messages: list[Message] = []

    def send(self, *cells: str, interactive: bool = True) -> list[str]:
        """Queue cells at once, as Run All does, and give the ids of the requests."""
        execute = self.client.execute
        return [execute(cell, allow_stdin=interactive, stop_on_error=False) for cell in cells]

    def run(self, *cells: str, interactive: bool = True) -> list[Message]:
        """What these cells show until the last of them has ended."""
        requests = self.send(*cells, interactive=interactive)
        self.finish(*requests)
        return [message for request in requests for message in self.shown(request)]

    def finish(self, *requests: str) -> None:
        """Wait until these cells have ended."""
        for request in requests:
            self.until(lambda request=request: self.place(request, self.is_idle) is not None)

    def until(self, seen: Callable[[], T]) -> T:
        """Take in messages until something is seen, and give that."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := seen()):
            assert time.monotonic() < deadline, self.told()
            self.take_in()
        return found

    def take_in(self) -> None:
        """Wait a glance for one message."""
        try:
            raw = self.client.get_iopub_msg(timeout=GLANCE_S)
        except queue.Empty:
            return
        request = str(raw["parent_header"].get("msg_id", ""))
        self.messages.append(Message(raw["msg_type"], request, raw["content"]))

    def shown(self, request: str) -> list[Message]:
        """All messages of a request but those about the request itself."""
        silent = {"status", "execute_input"}
        return [m for m in self.messages if m.request == request and m.kind not in silent]

    def place(self, request: str, is_meant: Callable[[Message], bool]) -> int | None:
        """Where in the order of all messages a request's first such message stands."""
        for number, message in enumerate(self.messages):
            if message.request == request and is_meant(message):
                return number
        return None

    def final(self, request: str) -> Message:
        """The message in which a request's card becomes the clip.

        By its display: an update is sent in the name of the cell that made the job, and a front
        end looks at the display only.
        """

        def find() -> Message | None:
            own = {m.display_id for m in self.shown(request) if m.kind == "display_data"}
            return next((m for m in self.messages if m.is_final and m.display_id in own), None)

        return self.until(find)

    def card(self, request: str) -> Mapping[str, str]:
        """The marks of the first card that a request shows."""
        return self.until(
            lambda: next((m.marks for m in self.shown(request) if m.marks.get("hub")), {})
        )

    def feet(self, request: str) -> list[str]:
        """What was drawn below a request's records so far, job by job."""
        place = self.card(request)["place"]
        told = (m.told for m in self.messages if m.told.get("place") == place)
        return [foot for each in told for foot in each.get("feet", {}).values()]

    def rows(self) -> list[JobRecord]:
        """The jobs of the kernel's folder as the ledger on disk has them, newest first."""
        with closing(Ledger(self.folder / "kling_clips")) as ledger:
            return ledger.rows()

    def click(self, request: str, word: str, turn: int = 0) -> None:
        """Send what a page sends when a button of a request's first record is clicked."""
        card = self.card(request)
        content = {"do": word, "place": card["place"], "job": card["job"], "turn": turn}
        self.ask(card["hub"], content)

    def ask(self, hub: str, content: Mapping[str, object]) -> None:
        """Send what a page sends."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": hub, "data": data})
        self.client.shell_channel.send(message)

    def interrupt(self) -> None:
        """What the stop button does."""
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        """`kill -9`: nothing in the kernel can notice."""
        self.manager.signal_kernel(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End the kernel if it runs, and its channels."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def told(self) -> str:
        """Everything so far, for a failed test."""
        return "\n".join(f"{m.request[-6:]} {m.kind} {m.text[:200]!r}" for m in self.messages)

    @staticmethod
    def is_idle(message: Message) -> bool:
        """Whether a request has ended here."""
        return message.kind == "status" and message.content["execution_state"] == "idle"


def remaining(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages whose outputs a page still shows: a later one may have cleared them."""
    kinds = [message.kind for message in messages]
    return messages[kinds.index("clear_output") + 1 :] if "clear_output" in kinds else messages


@contextmanager
def open_kernel(folder: Path, env: Mapping[str, str]) -> Iterator[Kernel]:
    """A kernel that works in a folder, with the package loaded."""
    kernel = Kernel(*start_new_kernel(kernel_name="python3", cwd=str(folder), env=env), folder)
    try:
        kernel.run("%load_ext kling_nb")
        yield kernel
    finally:
        kernel.close()
