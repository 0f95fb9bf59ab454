"""An endpoint for callbacks that answers as a test says, and requests to it without a network."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from kling_nb.callbacks.handler import CallbackEndpoint
from kling_nb.callbacks.receive import (
    AcceptedCallback,
    CallbackRequest,
    RejectedCallback,
    Verdict,
)

__all__ = ["FakeReceiver", "each", "endpoint", "exchange", "status_of"]


@dataclass
class FakeReceiver:
    """Gives one verdict, and keeps the requests that it got with their bodies."""

    verdict: Verdict = field(default_factory=lambda: AcceptedCallback("token", "t", None))
    received: list[CallbackRequest] = field(default_factory=list)
    answers_early: bool = False
    """Whether a rejection comes before the body is read."""
    during: Callable[[bool], object] = bool
    """Called in each check, with whether the callback is to be stored."""

    def receive(self, request: CallbackRequest, *, store: bool) -> Verdict:
        """Return the verdict; keep a request with its body."""
        self.during(store)
        if store:
            self.received.append(request)
        return self.verdict if store or self.answers_early else RejectedCallback(400, "No body.")


def endpoint(receiver: FakeReceiver | None = None) -> CallbackEndpoint:
    """An endpoint for this receiver at the path `/`."""
    log = logging.getLogger("kling_nb")
    return CallbackEndpoint(receiver or FakeReceiver(), log, lambda path: path == "/")  # type: ignore[arg-type]


async def exchange(server: HTTPServer, parts: AsyncIterable[bytes]) -> bytes:
    """Send the parts of a request on a new connection; return what is answered until its end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    server.handle_stream(IOStream(theirs), ("test", 0))
    loop, answer = asyncio.get_running_loop(), b""

    async def send() -> None:
        async for part in parts:
            await loop.sock_sendall(ours, part)

    sending = asyncio.ensure_future(send())
    # Not asyncio's streams: they drop what was answered once the server closes while they send.
    with ours:
        try:
            with suppress(ConnectionError):
                while part := await loop.sock_recv(ours, 4096):
                    answer += part
            return answer
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def each(*parts: bytes) -> AsyncIterator[bytes]:
    """These parts."""
    for part in parts:
        yield part


def status_of(answer: bytes) -> int:
    """The HTTP status of an answer."""
    return int(answer.split(b" ", 2)[1])
