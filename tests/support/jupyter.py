"""A Jupyter server in a process of its own, with the extension loaded and a password."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kling_nb.callbacks.jupyter_server import ROUTE
from kling_nb.storage.callback_routes import CallbackRoutes
from tests.browser.lab import free_port, serve, server_options

__all__ = ["Server", "notification", "running"]


def notification(task_id: str) -> bytes:
    """Return the shortest callback body of the service."""
    return json.dumps({"code": 200, "data": {"taskId": task_id, "state": "success"}}).encode()


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    url: str
    """With its base URL; no slash at the end."""
    home: Path
    pid: int

    @property
    def doors(self) -> CallbackRoutes:
        """The callback routes of its user."""
        return CallbackRoutes(self.home / "xdg-data" / "kling_nb" / "doors.sqlite3")

    @property
    def log(self) -> str:
        """Its log so far."""
        return (self.home / "server.log").read_text(encoding="utf-8")

    def post(self, nonce: str = "", content: object = b"", method: str = "POST") -> httpx.Response:
        """Send one request to the route, without a login."""
        query = {"kling_nb": nonce} if nonce else {}
        return httpx.request(
            method, f"{self.url}/{ROUTE}", params=query, content=content, timeout=60
        )


@contextmanager
def running(home: Path, *options: str) -> Iterator[Server]:
    """A Jupyter server in which the extension is loaded."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/user/ann"
    settings = server_options(port, home) | {
        "ServerApp.base_url": "/user/ann/",
        "ServerApp.allow_unauthenticated_access": "False",
        "ServerApp.jpserver_extensions": "{'kling_nb': True}",
        "IdentityProvider.token": "a-password",
    }
    line = [sys.executable, "-m", "jupyter_server", "--no-browser", *options]
    line += [f"--{name}={value}" for name, value in settings.items()]
    with serve(line, url, home, home) as pid:
        yield Server(url, home, pid)
