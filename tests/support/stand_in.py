"""A small, fast stand-in for two video services, for measurements: no checks, no disk, no faults.

    python -m tests.support.stand_in [--ends 20 30] [--clip FILE] …

It listens on a free loopback port and implements kie.ai's jobs API (`kling_nb/kie/wire.py` has the
fields) and, for comparison, OpenAI's videos API. The duration of a task depends only on its number,
so that each client gets the same durations. One thread without a framework answers all requests, so
that the server uses less CPU time than any client. `GET /report` returns the recorded data.

For tests of behaviour use `kling_nb.emulator`: it renders clips, stores tasks and has faults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.support.processes import PACKAGE

__all__ = ["StandIn", "serve_stand_in"]

GOLDEN_RATIO = 0.618034
"""The fractional parts of its multiples are spread evenly."""


@dataclass(slots=True)
class Task:
    """A task and the requests for it; times are epoch seconds."""

    created_at: float
    ends_at: float
    polls: int = 0
    noticed_at: float = 0.0
    """Time when its end was first reported to the client; 0 before."""


@dataclass(slots=True)
class Transfer:
    """A file sent or received; times are epoch seconds."""

    path: str
    size_bytes: int
    began_at: float
    ended_at: float = 0.0


@dataclass(slots=True)
class Refusal:
    """A request that got a 429."""

    at: float
    retry_at: float
    """The time given by `Retry-After`."""
    in_flight: int
    """Number of unanswered requests at that time, including this one."""


@dataclass(slots=True)
class Service:
    """The state of the service and its options."""

    url: str
    ends_s: tuple[float, float]
    """The shortest and the longest duration of a task."""
    fails: bool
    """Whether tasks fail, so that there is no clip to download."""
    clip: Path | None
    cut_bytes: int
    """Byte at which the first answer with the clip is cut; 0 for no cut."""
    limit: tuple[int, float] | None
    """Maximum number of API requests, and the window in seconds."""
    latency_s: float
    tasks: dict[str, Task] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """Times of all API requests, including refused ones."""
    in_flight: int = 0
    _allowed: deque[float] = field(default_factory=deque)

    def report(self) -> dict[str, Any]:
        """Return the recorded data as JSON types."""
        return {
            "tasks": {task_id: asdict(task) for task_id, task in self.tasks.items()},
            "transfers": [asdict(each) for each in self.transfers],
            "refusals": [asdict(each) for each in self.refusals],
            "arrivals": self.arrivals,
            "cpu_s": time.process_time(),
        }

    def create(self) -> str:
        """Create a task and return its id."""
        task_id, now = f"{len(self.tasks):032x}", time.time()
        least, most = self.ends_s
        share = len(self.tasks) * GOLDEN_RATIO % 1
        self.tasks[task_id] = Task(now, now + least + share * (most - least))
        return task_id

    def poll(self, task_id: str) -> tuple[Task, bool]:
        """Record a status request; return the task, and whether it has ended."""
        task, now = self.tasks[task_id], time.time()
        task.polls += 1
        is_over = now >= task.ends_at
        if is_over and not task.noticed_at:
            task.noticed_at = now
        return task, is_over

    def retry_after_s(self) -> int:
        """Return 0 if an API request is allowed now, or the seconds until one is."""
        now = time.time()
        self.arrivals.append(now)
        if self.limit is None:
            return 0
        count, window_s = self.limit
        while self._allowed and self._allowed[0] <= now - window_s:
            self._allowed.popleft()
        if len(self._allowed) < count:
            self._allowed.append(now)
            return 0
        wait_s = math.ceil(self._allowed[0] + window_s - now)
        self.refusals.append(Refusal(now, now + wait_s, self.in_flight))
        return wait_s

    def answer(self, path: str) -> dict[str, Any] | None:
        """Return the answer to an API request; None for an unknown path."""
        place, _, query = path.partition("?")
        match place.removeprefix("/").split("/"):
            case ["api", "v1", "jobs", "createTask"]:
                task_id = self.create()
                return envelope({"taskId": task_id, "recordId": task_id})
            case ["api", "v1", "jobs", "recordInfo"]:
                return envelope(self.record(query.partition("taskId=")[2]))
            case ["api", "v1", "chat", "credit"]:
                return envelope(1_000_000.0)
            case ["v1", "videos"]:
                return self.video(self.create(), is_over=False)
            case ["v1", "videos", task_id]:
                return self.video(task_id, is_over=self.poll(task_id)[1])
        return None

    def record(self, task_id: str) -> dict[str, Any]:
        """Return the data of recordInfo."""
        task, is_over = self.poll(task_id)
        data: dict[str, Any] = {"taskId": task_id, "model": "kling-2.6/text-to-video"}
        data |= {"createTime": round(task.created_at * 1000), "state": "generating"}
        if not is_over:
            return data
        data["completeTime"] = round(task.ends_at * 1000)
        if self.fails:
            return (
                data
                | {"state": "fail", "failCode": "500", "failMsg": "Internal Error"}
                | {"creditsConsumed": 0.0}
            )
        urls = json.dumps({"resultUrls": [f"{self.url}/clips/{task_id}.mp4"]})
        return data | {"state": "success", "resultJson": urls, "creditsConsumed": 55.0}

    def video(self, task_id: str, *, is_over: bool) -> dict[str, Any]:
        """Return a video object of OpenAI's API."""
        ended = "failed" if self.fails else "completed"
        return {
            "id": task_id,
            "object": "video",
            "created_at": int(self.tasks[task_id].created_at),
            "model": "sora-2",
            "progress": 100 if is_over else 50,
            "seconds": "4",
            "size": "1280x720",
            "status": ended if is_over else "in_progress",
        }


def envelope(data: object) -> dict[str, Any]:
    """Return data in the envelope of kie.ai."""
    return {"code": 200, "msg": "success", "data": data}


class Connection(asyncio.Protocol):
    """A kept-alive HTTP/1.1 connection without pipelining."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._head = b""
        self._left = 0
        """Number of body bytes still to receive."""
        self._request: tuple[str, str, bytes] | None = None
        """Method, path and head of the request being received."""
        self._upload: Transfer | None = None
        self._sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read a head, count the bytes of its body, and answer."""
        if self._request is None:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._begin(head, len(body))
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._answer()

    def _begin(self, head: bytes, body_bytes: int) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        self._request = (method, path, head)
        size_bytes = int(find_header(head, b"content-length") or 0)
        self._left = size_bytes - body_bytes
        if path == "/api/file-stream-upload":
            self._upload = Transfer(path, size_bytes, time.time())

    def _answer(self) -> None:
        assert self._request is not None
        (_, path, head), self._request = self._request, None
        service = self._service
        if self._upload is not None:
            self._upload.ended_at = time.time()
            service.transfers.append(self._upload)
            url = f"{service.url}/uploads/{len(service.transfers)}"
            self._upload = None
            self._write(200, envelope({"downloadUrl": url}) | {"success": True})
        elif path.startswith("/clips/") or path.endswith("/content"):
            self._sending = asyncio.get_running_loop().create_task(self._send_clip(path, head))
        elif path == "/report":
            self._write(200, service.report())
        else:
            self._answer_call(path)

    def _answer_call(self, path: str) -> None:
        service = self._service
        service.in_flight += 1
        wait_s = service.retry_after_s()
        if wait_s:
            refused = {"code": 429, "msg": "Your call frequency is too high.", "data": None}
            arguments = (429, refused, f"Retry-After: {wait_s}\r\n")
        else:
            found = service.answer(path)
            arguments = (200, found, "") if found else (404, {"code": 404, "msg": path}, "")
        if service.latency_s:
            asyncio.get_running_loop().call_later(service.latency_s, self._end_call, *arguments)
        else:
            self._end_call(*arguments)

    def _end_call(self, status: int, body: object, headers: str) -> None:
        self._service.in_flight -= 1
        self._write(status, body, headers)

    def _write(self, status: int, body: object, headers: str = "") -> None:
        content = json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\n"
            f"Content-Type: application/json\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
        )
        self._transport.write(head.encode() + content)

    async def _send_clip(self, path: str, head: bytes) -> None:
        """Send the clip or the requested range of it."""
        service, tag = self._service, b'"clip"'
        assert service.clip is not None, "start the stand-in with --clip FILE"
        size_bytes, first = service.clip.stat().st_size, 0
        found = re.match(rb"bytes=(\d+)-", find_header(head, b"range"))
        if found and find_header(head, b"if-range") in (b"", tag):
            first = int(found[1])
        span = f"Content-Range: bytes {first}-{size_bytes - 1}/{size_bytes}\r\n" if first else ""
        answer = (
            f"HTTP/1.1 {'206 Partial Content' if first else '200 OK'}\r\n{span}"
            f"Content-Type: video/mp4\r\nETag: {tag.decode()}\r\nAccept-Ranges: bytes\r\n"
            f"Content-Length: {size_bytes - first}\r\n\r\n"
        )
        is_cut = service.cut_bytes and not service.transfers
        count = service.cut_bytes if is_cut else size_bytes - first
        transfer = Transfer(path, count, time.time())
        service.transfers.append(transfer)
        self._transport.write(answer.encode())
        with service.clip.open("rb") as file:
            await asyncio.get_running_loop().sendfile(self._transport, file, first, count)
        transfer.ended_at = time.time()
        if is_cut:
            self._transport.close()


def find_header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header, named in lower case; empty if missing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


async def run(options: argparse.Namespace) -> None:
    """Print the URL, and serve until the process ends."""
    limit = (int(options.limit[0]), options.limit[1]) if options.limit else None
    service = Service(
        "", tuple(options.ends), options.fail, options.clip, options.cut, limit, options.latency
    )
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(service), "127.0.0.1", 0, backlog=4096
    )
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(service.url, flush=True)
    await server.serve_forever()


def main() -> None:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--ends", type=float, nargs=2, default=(0.0, 0.0), help="durations in seconds")
    add("--fail", action="store_true", help="tasks end as failed")
    add("--clip", type=Path, help="the file of each clip")
    add("--cut", type=int, default=0, help="cut the first answer with the clip at this byte")
    add(
        "--limit",
        type=float,
        nargs=2,
        help="maximum number of API requests, and the window in seconds",
    )
    add("--latency", type=float, default=0.0, help="delay of each API answer in seconds")
    asyncio.run(run(parser.parse_args()))


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in in its own process."""

    url: str

    def report(self) -> dict[str, Any]:
        """Return the recorded tasks, transfers, refusals, arrivals and CPU seconds."""
        with urlopen(f"{self.url}/report") as answer:
            return dict(json.load(answer))


@contextmanager
def serve_stand_in(*options: object) -> Iterator[StandIn]:
    """Run a stand-in with these command-line options until the end of the block."""
    command = [sys.executable, "-m", "tests.support.stand_in", *map(str, options)]
    # `PACKAGE` is the folder of the package and of the tests.
    env = os.environ | PACKAGE
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as process:
        try:
            assert process.stdout is not None
            yield StandIn(process.stdout.readline().strip())
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
