"""Two ways to the emulator, in process and served, driven alike; a clock that tests move."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.emulator import EmulatedAccount, Emulator, Limits
from tests.support.service import serve

__all__ = ["clock", "local", "receiver", "served", "service", "start"]

PATIENCE_S = 30.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        """The time in epoch seconds."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Service:
    """One emulator as its clients see it."""

    def __init__(
        self,
        account: EmulatedAccount,
        hosts: dict[str, str],
        transport: Callable[[], Any] = lambda: None,
    ) -> None:
        self.account = account
        self.hosts = hosts
        self.transport = transport

    def call(
        self, method: str, host: str, path: str, *, key: str | None = "k", **more: Any
    ) -> httpx.Response:
        """One request on a connection of its own, read to its end."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
        timeout = more.pop("timeout", 10.0)

        async def send() -> httpx.Response:
            async with open_client(self.transport(), timeout) as client:
                url = path if "://" in path else self.hosts[host] + path
                return await client.request(method, url, headers=headers, **more)

        return asyncio.run(send())

    def read_some(self, method: str, path: str, *, pieces: int = 3) -> None:
        """Read the first pieces of an answer and leave; createTask gets a good body."""
        url = path if "://" in path else self.hosts["api"] + path
        body = {"json": text_to_video()} if method == "POST" else {}

        async def read() -> None:
            async with (
                open_client(self.transport(), 10.0) as client,
                client.stream(method, url, headers={"Authorization": "Bearer k"}, **body) as answer,
            ):
                came = answer.aiter_raw()
                for _ in range(pieces):
                    assert await anext(came)
                await came.aclose()

        asyncio.run(read())

    def create(self, *, timeout: float = 10.0, key: str = "k", **changes: Any) -> httpx.Response:
        """A createTask with a good text-to-video body and these changes; None drops a field."""
        return self.post_task(text_to_video(**changes), timeout=timeout, key=key)

    def post_task(self, body: Any, **more: Any) -> httpx.Response:
        """A createTask with that body."""
        return self.call("POST", "api", "/api/v1/jobs/createTask", json=body, **more)

    def record(self, task_id: str, **more: Any) -> httpx.Response:
        """A recordInfo answer."""
        path = "/api/v1/jobs/recordInfo"
        return self.call("GET", "api", path, params={"taskId": task_id}, **more)

    def finish(self, task_id: str) -> dict[str, Any]:
        """The record of a task once it has ended; waits for the rendering thread."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            data = self.record(task_id).json()["data"]
            if data and data["state"] in ("success", "fail"):
                return dict(data)
            time.sleep(0.02)
        raise AssertionError(f"task {task_id} did not end: {data}")

    def make(self, **changes: Any) -> dict[str, Any]:
        """The record of a new task once it has ended."""
        return self.finish(self.create(**changes).json()["data"]["taskId"])

    def clip_url(self, **changes: Any) -> str:
        """The result URL of a new task."""
        return str(json.loads(self.make(**changes)["resultJson"])["resultUrls"][0])

    def upload(self, content: bytes, **fields: Any) -> dict[str, Any]:
        """The answer to a stream upload."""
        data = {"uploadPath": "pictures", **fields}
        path = "/api/file-stream-upload"
        files = {"file": ("picture.png", content, "image/png")}
        return dict(self.call("POST", "upload", path, data=data, files=files).json())


def text_to_video(**changes: Any) -> dict[str, Any]:
    """A good body of createTask with these changes; None drops a field."""
    values: dict[str, Any] = {
        "prompt": "A red fox",
        "sound": False,
        "duration": "5",
        "aspect_ratio": "16:9",
    }
    values = {k: v for k, v in (values | changes).items() if v is not None}
    model = f"kling-2.6/{'image' if 'image_urls' in values else 'text'}-to-video"
    return {"model": model, "input": values}


def open_client(transport: Any, timeout: Any) -> httpx.AsyncClient:
    """A client; without certificates, which take long to load and are not needed here."""
    return httpx.AsyncClient(transport=transport, timeout=timeout, verify=False)


REAL = {"api": "https://api.kie.ai", "upload": "https://kieai.redpandaai.co"}
EASY = Limits(tasks_per_window=10_000, status_requests_per_window=10_000)


def in_process(folder: Path, **options: Any) -> tuple[Service, Emulator]:
    """A service in this process and the emulator behind it."""
    options = {"seconds": 0.0, "render": "canned", "limits": EASY} | options
    emulator = Emulator(folder, **options)
    return Service(emulator.account, REAL, emulator.transport), emulator


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts in-process services in the test's folder."""
    emulators = []

    def begin(**options: Any) -> Service:
        service, emulator = in_process(tmp_path, **options)
        emulators.append(emulator)
        return service

    yield begin
    for emulator in emulators:
        emulator.close()


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    """An in-process service without rate limits, first moment or waiting."""
    return start()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same, served by a process of its own."""
    with serve(tmp_path_factory.mktemp("served"), "--keep-alive", "1", seconds=0) as served:
        yield Service(served.account, {"api": served.url, "upload": served.url})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An in-process service for all tests of a file."""
    service, emulator = in_process(tmp_path_factory.mktemp("local"))
    yield service
    emulator.close()


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A receiver of callbacks."""
    from tests.support.callback_receivers import receiving

    with receiving() as listening:
        yield listening
