"""Which Jupyter server started a kernel, and whether it hears callbacks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from kling_nb.callbacks.jupyter_server import find_root, find_server, is_open

FACTS = {
    "url": "http://localhost:8888/user/ann/",
    "hostname": "localhost",
    "port": 8888,
    "sock": "",
    "secure": False,
    "base_url": "/user/ann/",
    "token": "a-secret",
    "pid": 4711,
}
"""What a server writes down of itself."""


def found(folder: Path, **facts: object) -> str:
    """The address that is found where a server wrote these."""
    (folder / "jpserver-4711.json").write_text(json.dumps(FACTS | facts), encoding="utf-8")
    return find_server({"JPY_PARENT_PID": "4711"}, folder)


@pytest.mark.parametrize(
    ("facts", "address"),
    [
        ({}, "http://localhost:8888/user/ann/"),
        ({"base_url": "/"}, "http://localhost:8888/"),
        ({"secure": True}, "https://localhost:8888/user/ann/"),
        ({"hostname": "0.0.0.0"}, "http://127.0.0.1:8888/user/ann/"),
        ({"hostname": ""}, "http://127.0.0.1:8888/user/ann/"),
        ({"hostname": "::1"}, "http://[::1]:8888/user/ann/"),
        ({"sock": "/run/jupyter.sock", "port": 0}, ""),
        ({"port": "?"}, ""),
    ],
)
def test_the_address_of_a_server(tmp_path: Path, facts: dict[str, object], address: str) -> None:
    """As this machine reaches it, without the token."""
    assert found(tmp_path, **facts) == address


@pytest.mark.parametrize(
    ("root", "folder"), [("/home/ann", Path("/home/ann")), ("", None), (None, None), (7, None)]
)
def test_the_folder_that_a_server_shows(tmp_path: Path, root: object, folder: Path | None) -> None:
    """As it wrote it down; None where it did not."""
    found(tmp_path, root_dir=root)
    assert find_root({"JPY_PARENT_PID": "4711"}, tmp_path) == folder
    assert find_root({"JPY_PARENT_PID": "4712"}, tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_what_cannot_be_read_is_no_server(tmp_path: Path, content: str) -> None:
    """A file that is half written, say."""
    (tmp_path / "jpserver-4711.json").write_text(content, encoding="utf-8")
    assert find_server({}, tmp_path, 4711) == ""
    assert find_root({}, tmp_path, 4711) is None


def test_the_parent_process_is_enough(tmp_path: Path) -> None:
    """Where no variable tells who started the kernel."""
    found(tmp_path)
    assert find_server({}, tmp_path, 4711) == FACTS["url"]
    assert find_server({}, tmp_path, 4712) == ""


def test_a_kernel_without_a_server(tmp_path: Path) -> None:
    """A terminal, or a server on another machine."""
    assert find_server({}, tmp_path / "none") == ""
    (tmp_path / f"jpserver-{os.getppid()}.json").write_text("{half", encoding="utf-8")
    assert find_server({}, tmp_path) == ""


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything so; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/base/kling/callback" else 500)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/base/"
        server.shutdown()


@pytest.mark.parametrize(("status", "open_"), [(405, True), (404, False), (302, False)])
def test_only_the_route_itself_counts(status: int, open_: bool) -> None:
    """A page that is not there, or a login page, is no route."""
    with answering(status) as url:
        assert is_open(url) is open_


def test_a_server_that_does_not_answer() -> None:
    """That is no route either."""
    assert not is_open("http://127.0.0.1:9/")
