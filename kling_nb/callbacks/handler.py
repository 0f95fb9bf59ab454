"""Receive callbacks over HTTP: the tornado handler of our own server and of Jupyter Server.

The limits of a request are here, since the HTTP server of Jupyter Server is not ours. No cookie is
read and no login is asked for: the callback token in the URL takes their place. Neither a log nor
an answer contains the URL or the body. Must not depend on a server or on jobs.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler, stream_request_body

from kling_nb.core.limits import CALLBACK_LIMIT_BYTES

from .receive import (
    TOO_LONG,
    AcceptedCallback,
    CallbackReceiver,
    CallbackRequest,
    RejectedCallback,
    Verdict,
)

BODY_TIMEOUT_S: Final = 10.0
"""How long a body may take; the service's bodies have less than 2 kB."""
_READ_LIMIT_BYTES: Final = 4 * CALLBACK_LIMIT_BYTES
"""How much of a body is read. A client that is still sending may not see an answer, so what is too
long is read and dropped."""
CONCURRENT_CHECKS: Final = 4
"""Further requests wait, so that a flood leaves threads to others."""

_NOT_FOUND = RejectedCallback(404, "Not found.")
_NOT_POST = RejectedCallback(405, "Only POST is allowed.")
_TIMEOUT = RejectedCallback(408, "The body did not arrive in time.")


@dataclass(slots=True)
class CallbackEndpoint:
    """What all requests to a callback URL share.

    Args:
        receiver: Checks and stores callbacks; called in worker threads.
        log: Gets one line per request.
        is_route: Returns whether callbacks are received at a path (decoded).
        on_stored: Called after each stored callback, on the server's loop.
    """

    receiver: CallbackReceiver
    log: logging.Logger
    is_route: Callable[[str], bool] = bool
    on_stored: Callable[[], object] = bool
    counts: Counter[str] = field(default_factory=Counter)
    """Requests by result: `accepted`, `rejected: 403`, `disconnected`."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_CHECKS))

    async def drain(self) -> None:
        """Wait until no callback is being stored; from then on none is."""
        for _ in range(CONCURRENT_CHECKS):
            await self.slots.acquire()


@stream_request_body
class CallbackHandler(RequestHandler):
    """Answers one request. A callback is stored before it is answered."""

    SUPPORTED_METHODS = ("POST",)

    def initialize(self, endpoint: CallbackEndpoint) -> None:
        """Set the state; tornado calls this for each request in place of `__init__`."""
        self._endpoint = endpoint
        self._body = bytearray()
        self._is_answered = False
        self._deadline = asyncio.get_running_loop().call_later(BODY_TIMEOUT_S, self._time_out)

    async def prepare(self) -> None:
        """Reject a request before its body is read, unless the body decides."""
        cast(HTTP1Connection, self.request.connection).set_max_body_size(_READ_LIMIT_BYTES)
        verdict = await self._receive(store=False) if self._is_route else _NOT_FOUND
        # Without a body the check ends with 400 at best.
        if isinstance(verdict, RejectedCallback) and verdict.status != 400:
            self._answer(verdict)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body; drop it if the request was rejected or the body is too long."""
        if not self._is_answered:
            self._body += chunk
            if len(self._body) > CALLBACK_LIMIT_BYTES:
                self._answer(TOO_LONG)

    async def post(self) -> None:
        """Store the callback, unless the request was rejected earlier."""
        self._deadline.cancel()
        if not self._is_answered:
            self._answer(await self._receive(store=True))

    def on_finish(self) -> None:
        """Stop the timer."""
        self._deadline.cancel()

    def on_connection_close(self) -> None:
        """Count a client that disconnected while it sent its body."""
        super().on_connection_close()
        if not (self._deadline.cancelled() or self._is_answered):
            self._endpoint.counts["disconnected"] += 1
        self._deadline.cancel()

    def check_xsrf_cookie(self) -> None:
        """Accept any request: no cookie is trusted, so a forged one gains nothing."""

    def set_default_headers(self) -> None:
        """Set the headers of an answer that is not for browsers."""
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer another method than POST, or an error of ours."""
        rejection = RejectedCallback(status_code, f"Not answered ({status_code}).")
        if status_code == _NOT_POST.status:
            rejection = _NOT_POST if self._is_route else _NOT_FOUND
        self._answer(rejection)

    @property
    def _is_route(self) -> bool:
        return self._endpoint.is_route(unquote(self.request.path))

    async def _receive(self, *, store: bool) -> Verdict:
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        async with self._endpoint.slots:
            request = CallbackRequest(self.request.query, headers, bytes(self._body))
            return await asyncio.to_thread(self._endpoint.receiver.receive, request, store=store)

    def _answer(self, verdict: Verdict) -> None:
        """Send the whole answer now. tornado ends the request later, when its body was read."""
        if self._is_answered:
            return
        self._is_answered = True
        endpoint, answer = self._endpoint, dict[str, object](accepted=True)
        if isinstance(verdict, AcceptedCallback):
            endpoint.counts["accepted"] += 1
            endpoint.on_stored()
            endpoint.log.info("kling_nb: received a callback for task %s", verdict.task_id)
        else:
            self._body.clear()
            answer = {"accepted": False, "reason": verdict.reason}
            result = f"rejected: {verdict.status}"
            endpoint.counts[result] += 1
            endpoint.log.info("kling_nb: a request was %s %s", result, verdict.reason)
            self.set_status(verdict.status)
            if verdict.status == _NOT_POST.status:
                self.set_header("Allow", "POST")
        body = json.dumps(answer).encode()
        self.set_header("Content-Length", len(body))
        self.write(body)
        self.flush()

    def _time_out(self) -> None:
        self._answer(_TIMEOUT)
        self.finish()

    def _log(self) -> None:
        """Write no access log: its line has the URL, and so the callback token."""

    def log_exception(self, *error: Any) -> None:
        """Log an error of ours without the request, which tornado would print."""
        if not isinstance(error[1], HTTPError):  # e.g. 405
            self._endpoint.log.error("kling_nb: a request failed", exc_info=error)
