"""How a request is read within limits, stored and answered: in our server and in Jupyter Server."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from kling_nb.callbacks import handler
from kling_nb.callbacks.handler import CallbackEndpoint
from kling_nb.callbacks.jupyter_extension import UnauthenticatedHandler
from kling_nb.callbacks.receive import AcceptedCallback, RejectedCallback
from kling_nb.callbacks.server import create_server
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from tests.support.callback_endpoints import FakeReceiver, each, endpoint, exchange, status_of

TOKEN = "the-callback-token"
MIB = 1024 * 1024


def jupyter_server(endpoint: CallbackEndpoint) -> HTTPServer:
    """A server as Jupyter's: it keeps connections, checks cookies and has limits of its own."""
    routes = [(r"/\w*", UnauthenticatedHandler, {"endpoint": endpoint})]
    return HTTPServer(Application(routes, xsrf_cookies=True, cookie_secret="secret"))


SERVERS = {"own": create_server, "jupyter": jupyter_server}


class Desk:
    """An endpoint in one of the servers."""

    def __init__(self, create: Callable[[CallbackEndpoint], HTTPServer]) -> None:
        self.create = create
        self.receiver = FakeReceiver()
        self.endpoint = endpoint(self.receiver)
        self.stored: list[bool] = []
        self.endpoint.on_stored = lambda: self.stored.append(True)

    def send(self, *parts: bytes, then: AsyncIterator[bytes] | None = None) -> bytes:
        """What is answered to the parts of a request."""

        async def play() -> bytes:
            return await exchange(self.create(self.endpoint), then or each(*parts))

        return asyncio.run(play())


@pytest.fixture(params=SERVERS)
def desk(request: pytest.FixtureRequest) -> Desk:
    """Each of the servers in turn."""
    return Desk(SERVERS[request.param])


def head(method: str = "POST", path: str = "/", **headers: object) -> bytes:
    """The head of a request on a connection that ends with it."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    first = f"{method} {path}?kling_nb={TOKEN} HTTP/1.1"
    return "\r\n".join([first, "Host: h", "Connection: close", *lines, "", ""]).encode("latin-1")


def chunked(*parts: bytes) -> list[bytes]:
    """A body that does not say how long it is."""
    return [b"%x\r\n%s\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]


def body_of(answer: bytes) -> Any:
    """The document that was answered."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_callback_is_stored_and_answered(desk: Desk) -> None:
    """With 200 and a tiny document; the body comes in parts."""
    answer = desk.send(head(Content_Length=5, X_Thing="ä"), b"he", b"llo")
    assert status_of(answer) == 200
    assert body_of(answer) == {"accepted": True}
    assert [request.body for request in desk.receiver.received] == [b"hello"]
    assert desk.receiver.received[0].headers["x-thing"] == "ä"
    assert desk.receiver.received[0].query == f"kling_nb={TOKEN}"
    assert desk.stored == [True]
    assert desk.endpoint.counts == {"accepted": 1}


def test_it_is_stored_before_it_is_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the service has its answer it will not send it again."""
    events = list[str]()
    answer = handler.CallbackHandler._answer
    monkeypatch.setattr(
        handler.CallbackHandler, "_answer", lambda *args: events.append("answered") or answer(*args)
    )
    desk.receiver.during = lambda store: store and events.append("stored")
    assert status_of(desk.send(head(Content_Length=1), b"x")) == 200
    assert events == ["stored", "answered"]


@pytest.mark.parametrize("early", [True, False])
def test_a_rejected_request_wakes_no_worker(desk: Desk, early: bool) -> None:
    """The answer says why, and the count knows it; before or after the body."""
    desk.receiver.verdict = RejectedCallback(403, "No.")
    desk.receiver.answers_early = early
    answer = desk.send(head(Content_Length=1), b"x")
    assert status_of(answer) == 403
    assert body_of(answer) == {"accepted": False, "reason": "No."}
    assert len(desk.receiver.received) == (not early)
    assert desk.stored == []
    assert desk.endpoint.counts == {"rejected: 403": 1}


def test_an_error_of_ours_is_answered(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """With 500, and its traceback is logged without the request."""
    desk.receiver.during = lambda store: 1 / 0
    assert status_of(desk.send(head(Content_Length=1), b"x")) == 500
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.name == "kling_nb"
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_there_is_one_route(desk: Desk, method: str) -> None:
    """Another path is not found, and its body is not looked at."""
    answer = desk.send(head(method, "/admin", Content_Length=1), b"x")
    assert status_of(answer) == 404
    assert desk.receiver.received == []
    assert desk.endpoint.counts == {"rejected: 404": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "post"])
def test_only_post(desk: Desk, method: str) -> None:
    """Another method is answered with the one that is allowed; HEAD without a body."""
    answer = desk.send(head(method))
    assert status_of(answer) == 405
    assert b"\r\nAllow: POST\r\n" in answer
    assert answer.endswith(b"\r\n\r\n") == (method == "HEAD")
    assert desk.receiver.received == []
    assert desk.endpoint.counts == {"rejected: 405": 1}


def test_the_longest_body(desk: Desk) -> None:
    """The limit itself is allowed."""
    answer = desk.send(head(Content_Length=CALLBACK_LIMIT_BYTES), b"x" * CALLBACK_LIMIT_BYTES)
    assert status_of(answer) == 200
    assert len(desk.receiver.received[0].body) == CALLBACK_LIMIT_BYTES


@pytest.mark.parametrize(
    "request_",
    [
        [head(Content_Length=300_000), *[b"x" * 1000] * 300],
        [head(Transfer_Encoding="chunked"), *chunked(*[b"x" * 1000] * 300)],
        [head(Transfer_Encoding="chunked"), *chunked(*[b"x" * 65536] * 1000)],
    ],
    ids=["announced", "not announced", "endless"],
)
def test_a_long_body_is_not_stored(desk: Desk, request_: list[bytes]) -> None:
    """It is answered, also while the client still sends, and read no further for ever."""
    sent = list[int]()

    async def count() -> AsyncIterator[bytes]:
        for part in request_:
            sent.append(len(part))
            yield part

    assert status_of(desk.send(then=count())) == 413
    assert desk.receiver.received == []
    assert desk.endpoint.counts == {"rejected: 413": 1}
    assert sum(sent) < 8 * MIB


def test_a_rejected_request_is_answered_before_its_body(desk: Desk) -> None:
    """Who announces too much need not send it."""
    desk.receiver.verdict, desk.receiver.answers_early = RejectedCallback(413, "Long."), True

    async def never() -> AsyncIterator[bytes]:
        yield head(Content_Length=400_000_000)
        await asyncio.Event().wait()

    assert status_of(desk.send(then=never())) == 413


@pytest.mark.parametrize("rejected", [True, False])
def test_a_slow_body_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, rejected: bool
) -> None:
    """The connection ends at the timeout, with an answer or after it."""
    monkeypatch.setattr(handler, "BODY_TIMEOUT_S", 0.05)
    if rejected:
        desk.receiver.verdict, desk.receiver.answers_early = RejectedCallback(403, "No."), True

    async def slow() -> AsyncIterator[bytes]:
        yield head(Content_Length=100)
        yield b"x"
        await asyncio.Event().wait()

    assert status_of(desk.send(then=slow())) in ({403, 408} if rejected else {408})
    assert desk.receiver.received == []


def test_a_client_that_hangs_up_is_not_answered(desk: Desk) -> None:
    """It is counted, and nothing is stored."""

    async def play() -> None:
        server, begun = desk.create(desk.endpoint), asyncio.Event()

        async def parts() -> AsyncIterator[bytes]:
            yield head(Content_Length=100)
            yield b"x"
            begun.set()
            await asyncio.Event().wait()

        sending = asyncio.ensure_future(exchange(server, parts()))
        await begun.wait()
        sending.cancel()
        await asyncio.wait([sending])
        await server.close_all_connections()

    asyncio.run(play())
    assert desk.receiver.received == []
    assert desk.endpoint.counts == {"disconnected": 1}


def test_a_flood_is_checked_a_few_at_a_time(desk: Desk) -> None:
    """The rest waits, so that the process keeps its threads."""
    running, most = list[bool](), list[int]()
    together = threading.Barrier(handler.CONCURRENT_CHECKS, timeout=60)

    def check(store: bool) -> None:
        running.append(True)
        together.wait()
        most.append(len(running))
        together.wait()
        running.pop()

    async def play() -> list[bytes]:
        server = desk.create(desk.endpoint)
        number = 4 * handler.CONCURRENT_CHECKS
        return await asyncio.gather(*(exchange(server, each(head())) for _ in range(number)))

    desk.receiver.during = check
    desk.receiver.verdict, desk.receiver.answers_early = RejectedCallback(403, "No."), True
    assert {status_of(answer) for answer in asyncio.run(play())} == {403}
    assert max(most) <= handler.CONCURRENT_CHECKS


def test_the_log_has_a_line_and_no_secret(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the callback token nor the body, in any logger."""
    desk.receiver.verdict = RejectedCallback(400, "Empty.")
    with caplog.at_level(logging.DEBUG):
        desk.send(head(Content_Length=11), b"secret-body")
        desk.send(head("GET"))
        desk.receiver.verdict = AcceptedCallback(TOKEN, "the-task", None)
        desk.send(head(Content_Length=1), b"x")
    lines = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert lines == [
        "kling_nb: a request was rejected: 400 Empty.",
        "kling_nb: a request was rejected: 405 Only POST is allowed.",
        "kling_nb: received a callback for task the-task",
    ]
