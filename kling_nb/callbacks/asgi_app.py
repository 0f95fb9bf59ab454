"""Receive callbacks over HTTP: an ASGI application with limits on what it reads.

Runs on any ASGI server. Must not depend on a server or on jobs: the caller handles each callback.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from kling_nb.core.limits import CALLBACK_LIMIT_BYTES

from .receive import AcceptedCallback, CallbackRequest, RejectedCallback

__all__ = ["Application", "Intake"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_READ_S = 10.0
_DROPPED_BYTES = 4 * CALLBACK_LIMIT_BYTES
"""So much of a body that is too long is read and dropped: who still sends hears no answer."""

_NOWHERE = RejectedCallback(404, "There is nothing here.")
_SLOW = RejectedCallback(408, "The body did not arrive in time.")

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class Intake:
    """The application.

    Args:
        leads_here: Whether a path is listened at.
        take_in: Judges a request, and keeps what is heard; called in a worker thread.
        tell: Called after each notification that was kept, on the server's loop.
    """

    leads_here: Callable[[str], bool]
    take_in: Callable[[CallbackRequest], AcceptedCallback | RejectedCallback]
    tell: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)
    """What became of the requests so far: `heard`, `turned away: 403`."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            verdict = await self._take(scope, receive)
        except ConnectionError:
            self.counts["broken off"] += 1
            return
        if isinstance(verdict, AcceptedCallback):
            self.counts["heard"] += 1
            self.tell()
        else:
            self.counts[f"turned away: {verdict.status}"] += 1
            _log.info("a request was turned away: %d %s", verdict.status, verdict.words)
        await _respond(send, verdict)

    async def _take(
        self, scope: Mapping[str, Any], receive: Receive
    ) -> AcceptedCallback | RejectedCallback:
        if not self.leads_here(scope["path"]):
            return _NOWHERE
        try:
            async with asyncio.timeout(_READ_S):
                body = await _read(receive)
        except TimeoutError:
            return _SLOW
        headers = {key.decode("latin-1").lower(): value.decode("latin-1")
                   for key, value in scope["headers"]}  # fmt: skip
        query = scope["query_string"].decode("latin-1")
        posted = CallbackRequest(scope["method"], query, headers, body)
        return await asyncio.to_thread(self.take_in, posted)


async def _read(receive: Receive) -> bytes:
    """The body, as far as it is of use: one byte more than the limit tells that it is too long.

    Raises:
        ConnectionError: Who sends has gone.
    """
    body, dropped = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        part = message.get("body", b"")
        body += part[: CALLBACK_LIMIT_BYTES + 1 - len(body)]
        dropped += len(part)
        if not message.get("more_body", False) or dropped > _DROPPED_BYTES:
            return bytes(body)


async def _respond(send: Send, verdict: AcceptedCallback | RejectedCallback) -> None:
    status, told = 200, dict[str, object](heard=True)
    if isinstance(verdict, RejectedCallback):
        status, told = verdict.status, {"heard": False, "why": verdict.words}
    body = json.dumps(told).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *([(b"allow", b"POST")] if status == 405 else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
