"""A receiver of callbacks on this machine, and tasks with its URL."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kling_nb.emulator import CallbackAttempt, CallbackQueue
from tests.support.emulator_service import EASY, in_process

__all__ = [
    "QUICK",
    "Received",
    "Receiver",
    "another_emulator",
    "nothing_open",
    "order",
    "posts_of",
    "receiving",
    "wait_until",
]

PATIENCE_S = 60.0
QUICK = dataclasses.replace(EASY, callback_waits_s=(0.0, 0.01, 0.02))
"""Retries follow at once."""
TEXT = {"prompt": "A fox", "sound": False, "duration": "5", "aspect_ratio": "16:9"}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(slots=True)
class Receiver:
    """What came, and what is answered: the statuses in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """Answers wait until it is set; set from the start."""

    def wait_for(self, number: int) -> list[Received]:
        """The first so many requests, once they have come."""
        wait_until(lambda: len(self.received) >= number)
        return self.received[:number]


def wait_until(true: Callable[[], object]) -> None:
    """Wait for what a thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


@contextmanager
def receiving(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep the request, then answer."""
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            receiver.received.append(Received(self.command, self.path, headers, body))
            receiver.hold.wait(PATIENCE_S)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """What a followed redirect would send."""
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://{host}:{server.server_address[1]}/hook?a=1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    receiver.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


def order(service: Any, url: str) -> str:
    """Create a task with a callback URL, and return its id."""
    body = {"model": "kling-2.6/text-to-video", "callBackUrl": url, "input": TEXT}
    return str(service.post_task(body).json()["data"]["taskId"])


def posts_of(service: Any, task_id: str, number: int) -> list[CallbackAttempt]:
    """Return the attempts for a task, after at least `number` of them."""
    outbox = CallbackQueue(service.account)
    wait_until(lambda: len(outbox.posts(task_id)) >= number)
    return outbox.posts(task_id)


@contextmanager
def another_emulator(folder: Path, clock: Any) -> Iterator[Any]:
    """The same account after a restart."""
    service, emulator = in_process(folder, limits=QUICK, clock=clock)
    yield service
    emulator.close()


def nothing_open(service: Any) -> bool:
    """Return whether no callback is pending."""
    return CallbackQueue(service.account).pending() == []
