"""A Jupyter server in a process of its own, with the extension loaded and a password."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from kling_nb.callbacks.jupyter_server import ROUTE
from kling_nb.storage.callback_routes import CallbackRoutes
from tests.browser.lab import environment, free_port, stop

__all__ = ["Server", "notification", "running"]

PATIENCE_S = 120


def notification(task_id: str) -> bytes:
    """What the service posts, as short as it can be."""
    return json.dumps({"code": 200, "data": {"taskId": task_id, "state": "success"}}).encode()


@dataclass(frozen=True)
class Server:
    """One that runs."""

    url: str
    """With its base URL; no slash at the end."""
    home: Path
    pid: int

    @property
    def doors(self) -> CallbackRoutes:
        """Those of its person."""
        return CallbackRoutes(self.home / "xdg-data" / "kling_nb" / "doors.sqlite3")

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.home / "server.log").read_text(encoding="utf-8")

    def post(self, nonce: str = "", content: object = b"", method: str = "POST") -> httpx.Response:
        """One request to the route, by somebody without a login."""
        query = {"kling_nb": nonce} if nonce else {}
        return httpx.request(
            method, f"{self.url}/{ROUTE}", params=query, content=content, timeout=60
        )


@contextmanager
def running(home: Path, *options: str) -> Iterator[Server]:
    """A Jupyter server in which the extension is loaded."""
    port, log = free_port(), home / "server.log"
    server = f"http://127.0.0.1:{port}/user/ann"
    given = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.base_url": "/user/ann/",
        "ServerApp.root_dir": str(home),
        "ServerApp.allow_root": "True",
        "ServerApp.allow_unauthenticated_access": "False",
        "ServerApp.terminals_enabled": "False",
        "ServerApp.jpserver_extensions": "{'kling_nb': True}",
        "IdentityProvider.token": "a-password",
    }
    line = [sys.executable, "-m", "jupyter_server", "--no-browser", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*line, *(f"--{name}={value}" for name, value in given.items())],
            cwd=home,
            env=environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_up(server, process, log)
            yield Server(server, home, process.pid)
        finally:
            stop(process)


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers, if only that one is not logged in."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/api", timeout=5)
            return
        time.sleep(0.1)
    raise RuntimeError(f"no server at {url}: {log.read_text(encoding='utf-8')[-2000:]}")
