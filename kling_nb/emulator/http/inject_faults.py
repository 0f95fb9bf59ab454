"""The gateway in front of the app: counts requests, and lets the faults happen.

Owns what goes wrong on the way to and from the handlers. The server below lends it the
connection, as `scope["state"]["connection"]`, since ASGI itself cannot break one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, Protocol, assert_never

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kling_nb.emulator.account.account import Books
from kling_nb.emulator.faults.effects import (
    Answer,
    Break,
    Contradict,
    Cut,
    Effect,
    Endless,
    Errand,
    Fate,
    Slow,
    Stall,
)
from kling_nb.emulator.faults.injection import InjectedFault
from kling_nb.emulator.hosts import FILE_HOSTS, endpoint_of

__all__ = ["Connection", "Gateway"]

FILE_PATHS = ("/k/", "/kieai/")
PIECES = 20


class Connection(Protocol):
    """What a server lets the gateway do to the connection of a request."""

    def close(self) -> None:
        """End it after all that was sent so far."""

    def reset(self) -> None:
        """End it at once, so that the client sees a reset."""

    def refuse(self) -> None:
        """Make it look as if it had never been; where that cannot be, reset it."""


class CutShort(Exception):
    """Stops the app: nothing that it still sends can arrive."""


class Gateway:
    """An ASGI app around another one, with the faults of the books."""

    def __init__(self, app: ASGIApp, books: Books) -> None:
        """Stand in front of `app`."""
        self.app = app
        self.books = books

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        injected = await asyncio.to_thread(self.note, scope)
        if injected is None:
            await self.app(scope, receive, send)
            return
        await self.go_wrong(injected.effect, scope, receive, send)

    def note(self, scope: Scope) -> InjectedFault | None:
        """Count the request and take the fault that waits for it."""
        path, headers = scope["path"], Headers(scope=scope)
        host = headers.get("host", "").partition(":")[0]
        at_files = host in FILE_HOSTS or path.startswith(FILE_PATHS)
        leaked = at_files and "authorization" in headers
        return self.books.note_arrival(path, endpoint_of(host, path), leaked=leaked)

    async def go_wrong(self, effect: Effect, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the effect happen to one request."""
        match effect:
            case Answer() | Endless() | Break() | Stall():
                await self.carry_out(effect.carried_out, scope, receive)
                await self.answer_instead(effect, scope, receive, send)
            case Contradict():
                answer = denied(effect, await self.answer_of(scope, receive))
                body = Response(answer, status_code=effect.status, media_type="application/json")
                await body(scope, receive, send)
            case Cut():
                await self.cut(scope, receive, send)
            case Slow():
                await self.app(scope, receive, slowed(send, effect.seconds))
            case Fate() | Errand():
                await self.app(scope, receive, send)
            case _:
                assert_never(effect)

    async def answer_instead(
        self, effect: Answer | Endless | Break | Stall, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send the effect's own answer, or none."""
        match effect:
            case Answer(status=status, body=content, content_type=content_type):
                body = Response(content, status_code=status, media_type=content_type)
                await body(scope, receive, send)
            case Endless():
                await send_without_end(effect, receive, send)
            case Break():
                break_off(connection_of(scope), effect)
                await until_gone(receive)
            case Stall():
                await until_gone(receive)
            case _:
                assert_never(effect)

    async def carry_out(self, wanted: bool, scope: Scope, receive: Receive) -> None:
        """Do what the request asks for, and let nobody see the answer."""
        if wanted:
            await self.answer_of(scope, receive)

    async def answer_of(self, scope: Scope, receive: Receive) -> bytes:
        """Execute the request and return the body of the answer, but do not send it."""
        body = bytearray()

        async def keep(message: Message) -> None:
            body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        return bytes(body)

    async def cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""
        left = 0

        async def send_half(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(Headers(raw=message["headers"]).get("content-length", "0")) // 2
                await send(message)
                return
            body = message.get("body", b"")
            await send({**message, "body": body[:left], "more_body": True})
            left -= len(body)
            if left <= 0:
                raise CutShort

        try:
            await self.app(scope, receive, send_half)
        except CutShort:
            connection_of(scope).close()
            await until_gone(receive)


def denied(effect: Contradict, true_body: bytes) -> bytes:
    """The answer with its true data and the code of the effect."""
    answer = {"code": effect.code, "msg": effect.msg, "data": json.loads(true_body)["data"]}
    text = json.dumps(answer)
    return (text[:-1] + ', "code": 200}' if effect.is_twice else text).encode()


def break_off(connection: Connection, effect: Break) -> None:
    """End the connection in the way that the fault asks for."""
    match effect.how:
        case "close":
            connection.close()
        case "reset":
            connection.reset()
        case "refuse":
            connection.refuse()


def slowed(send: Send, seconds: float) -> Send:
    """A `send` that passes bodies on in small pieces, over so many seconds in all."""
    size = 1

    async def send_slowly(message: MutableMapping[str, Any]) -> None:
        nonlocal size
        if message["type"] == "http.response.start":
            size = 1 + int(Headers(raw=message["headers"]).get("content-length", "0")) // PIECES
            await send(message)
            return
        body = message.get("body", b"")
        for start in range(0, len(body), size):
            await asyncio.sleep(seconds / PIECES)
            piece = body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({**message, "body": b""})

    return send_slowly


async def send_without_end(effect: Endless, receive: Receive, send: Send) -> None:
    """Send the effect's piece again and again until the client has given up."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(until_gone(receive))
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": effect.piece, "more_body": True})
            await asyncio.sleep(effect.pause_s)
    finally:
        gone.cancel()


async def until_gone(receive: Receive) -> None:
    """Wait until the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        continue


def connection_of(scope: Scope) -> Connection:
    """The connection that the server lends.

    Raises:
        RuntimeError: this server lends none.
    """
    connection: Connection | None = scope.get("state", {}).get("connection")
    if connection is None:
        raise RuntimeError(
            "This ASGI server cannot break a connection;"
            " serve the emulator by `python -m kling_nb emulator`"
        )
    return connection
