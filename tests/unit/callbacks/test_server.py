"""The small server: it accepts at once, stops at once, and bears no crowd."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

import kling_nb.callbacks.server as module
from kling_nb.callbacks.handler import CallbackEndpoint
from kling_nb.callbacks.receive import RejectedCallback
from kling_nb.callbacks.server import Server
from kling_nb.errors import ConfigurationError
from tests.support.callback_endpoints import FakeReceiver, endpoint

PATIENCE_S = 30.0


def hello(word: str = "hello") -> CallbackEndpoint:
    """An endpoint that always answers the same."""
    return endpoint(FakeReceiver(RejectedCallback(403, word), answers_early=True))


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port."""
    server = Server(hello(), 0)
    yield server
    server.stop()


def ask(port: int) -> str:
    """What is answered there."""
    answer = httpx.post(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S)
    return str(answer.json()["reason"])


def connect(port: int) -> socket.socket:
    """A connection that says nothing."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def settings_of(logger: logging.Logger) -> tuple[object, ...]:
    """What a user may have set up."""
    return logger.level, logger.propagate, [*logger.handlers], [*logger.filters]


def is_closed(plug: socket.socket) -> bool:
    """Whether the other side has closed a connection."""
    try:
        return plug.recv(1) == b""
    except ConnectionError:
        return True


def test_once_stopped_its_port_is_free(server: Server) -> None:
    """Another can have it."""
    server.stop()
    with pytest.raises(httpx.ConnectError):
        ask(server.port)
    again = Server(hello(), server.port)
    assert again.port == server.port
    assert ask(again.port) == "hello"
    again.stop()
    server.stop()


def test_one_takes_the_place_of_another_at_its_port(server: Server) -> None:
    """The port answers all the time; once the former is stopped, the new one answers."""
    with pytest.raises(ConfigurationError):
        Server(hello("hullo"), server.port)
    heir = Server(hello("hullo"), server.port, server)
    assert heir.port == server.port
    assert ask(server.port) in {"hello", "hullo"}
    server.stop()
    assert {ask(heir.port) for _ in range(3)} == {"hullo"}
    heir.stop()
    again = Server(hello("hullo"), server.port, heir)  # what is stopped has nothing to share
    assert ask(again.port) == "hullo"
    again.stop()


def test_logging_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """A person's own tornado app logs in the same kernel; what is served here never does."""
    loggers = [logging.getLogger(name) for name in module.LOGGERS]
    with caplog.at_level(logging.DEBUG, "tornado"):
        before = [settings_of(each) for each in loggers]
        server = Server(hello(), 0)
        assert ask(server.port) == "hello"
        with connect(server.port) as plug:
            plug.sendall(b"no request at all\r\n\r\n")
            assert plug.recv(100).startswith(b"HTTP/1.1 400")
        for logger in loggers:
            logger.info("of an app in another thread")
        server.stop()
    assert caplog.messages == ["of an app in another thread"] * len(loggers)
    assert [settings_of(each) for each in loggers] == before


def test_a_port_that_is_taken(server: Server) -> None:
    """The message says which, and what to do."""
    with pytest.raises(ConfigurationError, match=f"port: {server.port} .* another port, or 0"):
        Server(hello(), server.port)
    assert ask(server.port) == "hello"


@pytest.mark.parametrize("port", [-1, 70_000, "8787"])
def test_what_is_no_port(port: int) -> None:
    """The same message."""
    with pytest.raises(ConfigurationError, match="another port, or 0"):
        Server(hello(), port)


def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly a request comes, its connection ends."""
    monkeypatch.setattr(module, "HEADER_TIMEOUT_S", 0.05)
    server = Server(hello(), 0)
    with connect(server.port) as plug:
        plug.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert is_closed(plug)
    server.stop()


def test_a_crowd_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many connections at once; once some have gone, others come in."""
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(module, "HEADER_TIMEOUT_S", 3600.0)
    server = Server(hello(), 0)
    with ExitStack() as crowd:
        for _ in range(3):
            crowd.enter_context(connect(server.port))
        # They may still be on their way in; the one that is too many is closed in any case.
        with connect(server.port) as late:
            assert is_closed(late)
    assert ask_when_free(server.port) == "hello"
    server.stop()


def ask_when_free(port: int) -> str:
    """What is answered once the others have gone."""
    while True:
        try:
            return ask(port)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            continue


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x00\xa5", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nA: " + b"x" * 100_000]
)
def test_what_is_no_http(
    garbage: bytes, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed, nothing is printed into a notebook, and the next one is answered."""
    monkeypatch.setattr(module, "HEADER_TIMEOUT_S", 0.5)
    server = Server(hello(), 0)
    with connect(server.port) as plug:
        try:
            plug.sendall(garbage)
            while plug.recv(4096):
                pass
        except ConnectionError:
            pass
    assert ask_when_free(server.port) == "hello"
    server.stop()
    assert capfd.readouterr() == ("", "")


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_nothing_is_left() -> None:
    """Neither a thread nor a socket, also where a client is still connected."""
    threads, files = threading.active_count(), open_files()
    server = Server(hello(), 0)
    with connect(server.port) as plug:
        assert ask(server.port) == "hello"
        assert threading.active_count() > threads
        server.stop()
        assert is_closed(plug)
    assert threading.active_count() == threads
    assert open_files() == files


def wait_until_closed(port: int) -> None:
    """Return once the port accepts no connection."""
    with suppress(ConnectionError):
        while True:
            connect(port).close()


def test_a_callback_that_is_being_stored_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for it: the service would send it again."""
    monkeypatch.setattr(module, "GRACE_S", PATIENCE_S)
    stored, go = threading.Event(), threading.Event()
    receiver = FakeReceiver(during=lambda store: store and (stored.set(), go.wait(PATIENCE_S)))
    server = Server(endpoint(receiver), 0)
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(httpx.post, f"http://127.0.0.1:{server.port}/", content=b"x")
        assert stored.wait(PATIENCE_S)
        stopping = threads.submit(server.stop)
        wait_until_closed(server.port)
        go.set()
        assert asking.result(PATIENCE_S).status_code == 200
        stopping.result(PATIENCE_S)


def test_it_goes_on_after_too_many_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again later, and prints nothing."""
    failures = [OSError(errno.EMFILE, "too many"), ConnectionAbortedError()]
    accept = socket.socket.accept

    def fail_first(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(module, "ACCEPT_RETRY_S", 0.0)
    monkeypatch.setattr(socket.socket, "accept", fail_first)
    server = Server(hello(), 0)
    assert ask(server.port) == "hello"
    assert failures == []
    server.stop()
