"""ASGI middleware that counts requests and applies the waiting faults.

The server passes its connection as `scope["state"]["connection"]`, since ASGI itself cannot break
one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, Protocol, assert_never

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kling_nb.emulator.account.account import EmulatedAccount
from kling_nb.emulator.faults import (
    Answer,
    Break,
    CallbackFault,
    Contradict,
    Cut,
    Effect,
    Endless,
    InjectedFault,
    Slow,
    Stall,
    TaskFault,
)
from kling_nb.emulator.hosts import FILE_HOSTS, endpoint_of

_FILE_PATHS = ("/k/", "/kieai/")
_PIECES = 20


class _Connection(Protocol):
    """The connection of a request."""

    def close(self) -> None:
        """Close it after all sent data."""

    def reset(self) -> None:
        """Reset it at once."""

    def refuse(self) -> None:
        """Refuse it, or reset it where the connection already exists."""


class _CutShort(Exception):
    """Stops the app after half of its answer."""


class FaultMiddleware:
    """An ASGI app around another one, with the faults of an account."""

    def __init__(self, app: ASGIApp, account: EmulatedAccount) -> None:
        """Wrap `app`."""
        self.app = app
        self.account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_http = scope["type"] == "http"
        injected = await asyncio.to_thread(self.count, scope) if is_http else None
        if injected is None:
            await self.app(scope, receive, send)
        else:
            await self.apply(injected.effect, scope, receive, send)

    def count(self, scope: Scope) -> InjectedFault | None:
        """Count the request and take the fault that waits for it."""
        path, headers = scope["path"], Headers(scope=scope)
        host = headers.get("host", "").partition(":")[0]
        at_files = host in FILE_HOSTS or path.startswith(_FILE_PATHS)
        leaked = at_files and "authorization" in headers
        return self.account.count_request(path, endpoint_of(host, path), leaked=leaked)

    async def apply(self, effect: Effect, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the effect to one request."""
        match effect:
            case Answer() | Endless() | Break() | Stall():
                if effect.carried_out:
                    await self.answer_of(scope, receive)
                await _answer_instead(effect, scope, receive, send)
            case Contradict():
                answer = _contradict(effect, await self.answer_of(scope, receive))
                body = Response(answer, status_code=effect.status, media_type="application/json")
                await body(scope, receive, send)
            case Cut():
                await self.cut(scope, receive, send)
            case Slow():
                await self.app(scope, receive, _slowed(send, effect.seconds))
            case TaskFault() | CallbackFault():
                await self.app(scope, receive, send)
            case _:
                assert_never(effect)

    async def answer_of(self, scope: Scope, receive: Receive) -> bytes:
        """Execute the request; return the body of the answer without sending it."""
        body = bytearray()

        async def keep(message: Message) -> None:
            body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        return bytes(body)

    async def cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and half of the body, then close the connection."""
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
                raise _CutShort

        try:
            await self.app(scope, receive, send_half)
        except _CutShort:
            _connection_of(scope).close()
            await _until_gone(receive)


async def _answer_instead(
    effect: Answer | Endless | Break | Stall, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send the effect's own answer, or none."""
    match effect:
        case Answer(status=status, body=content, content_type=content_type):
            body = Response(content, status_code=status, media_type=content_type)
            await body(scope, receive, send)
        case Endless():
            await _send_without_end(effect, receive, send)
        case Break(how=how):
            getattr(_connection_of(scope), how)()
            await _until_gone(receive)
        case Stall():
            await _until_gone(receive)
        case _:
            assert_never(effect)


def _contradict(effect: Contradict, true_body: bytes) -> bytes:
    """Return the answer with its true data and the code of the effect."""
    answer = {"code": effect.code, "msg": effect.msg, "data": json.loads(true_body)["data"]}
    text = json.dumps(answer)
    return (text[:-1] + ', "code": 200}' if effect.is_twice else text).encode()


def _slowed(send: Send, seconds: float) -> Send:
    """Return a `send` that sends bodies in small pieces over this time."""
    size = 1

    async def send_slowly(message: MutableMapping[str, Any]) -> None:
        nonlocal size
        if message["type"] == "http.response.start":
            size = 1 + int(Headers(raw=message["headers"]).get("content-length", "0")) // _PIECES
            await send(message)
            return
        body = message.get("body", b"")
        for start in range(0, len(body), size):
            await asyncio.sleep(seconds / _PIECES)
            piece = body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({**message, "body": b""})

    return send_slowly


async def _send_without_end(effect: Endless, receive: Receive, send: Send) -> None:
    """Send the effect's piece repeatedly until the client gives up."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": effect.piece, "more_body": True})
            await asyncio.sleep(effect.pause_s)
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _connection_of(scope: Scope) -> _Connection:
    """Return the connection of a request.

    Raises:
        RuntimeError: The server does not pass it.
    """
    connection: _Connection | None = scope.get("state", {}).get("connection")
    if connection is None:
        raise RuntimeError(
            "This ASGI server cannot break a connection;"
            " serve the emulator by `python -m kling_nb emulator`"
        )
    return connection
