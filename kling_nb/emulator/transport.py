"""An httpx transport that runs an ASGI app in process and behaves like a socket.

It streams, applies the client's timeouts, raises the httpx exception of each broken connection,
and stops the app when the client gives up. `httpx.ASGITransport` does none of these.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

_BUFFERED_CHUNKS = 16
_LOGGER = logging.getLogger("kling_nb.emulator")


class EmulatorTransport(httpx.AsyncBaseTransport):
    """Passes requests to an app; hosts other than its own do not exist. For any event loop."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """Run `app` for requests to `hosts`."""
        self.app = app
        self.hosts = hosts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return its answer after the headers.

        Raises:
            httpx.ConnectError: The host is not emulated, or refuses.
            httpx.ReadTimeout, httpx.WriteTimeout: The app takes longer than the client allows.
            httpx.ReadError, httpx.RemoteProtocolError: The connection broke.
        """
        if request.url.host not in self.hosts:
            known = ", ".join(sorted(self.hosts))
            raise httpx.ConnectError(f"{request.url.host} is not emulated; allowed: {known}")
        exchange = _Exchange(request)
        exchange.start(self.app)
        try:
            await exchange.write_body()
            head = await exchange.read()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx.Response(
            head["status"],
            headers=list(head["headers"]),
            stream=exchange,
            extensions={"http_version": b"HTTP/1.1"},
        )


class _Exchange(httpx.AsyncByteStream):
    """A request and its answer: both ends of a connection."""

    def __init__(self, request: httpx.Request) -> None:
        """Take the request with its timeouts, each in seconds or None."""
        self.request = request
        timeouts = request.extensions.get("timeout", {})
        self.read_timeout_s: float | None = timeouts.get("read")
        self.write_timeout_s: float | None = timeouts.get("write")
        self.inbox: asyncio.Queue[Message] = asyncio.Queue(_BUFFERED_CHUNKS)
        self.outbox: asyncio.Queue[Message | httpx.TransportError | None] = asyncio.Queue()
        self.room = asyncio.Semaphore(_BUFFERED_CHUNKS)
        self.gone = asyncio.Event()
        self.started = False
        self.received_bytes = 0
        self.expected_bytes: int | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self, app: ASGIApp) -> None:
        """Start the app."""
        self.task = asyncio.create_task(self.serve(app))

    async def serve(self, app: ASGIApp) -> None:
        """Run the app to its end, then close the connection."""
        try:
            await app(self.scope(), self.receive, self.send)
        except Exception:
            _LOGGER.exception("emulator: %s %s failed", self.request.method, self.request.url.path)
        finally:
            self.close()

    def scope(self) -> Scope:
        """Return the ASGI scope of the request."""
        url = self.request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.request.method,
            "headers": [(name.lower(), value) for name, value in self.request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port or 443),
            "client": ("127.0.0.1", 0),
            "root_path": "",
            "state": {"connection": self},
        }

    async def write_body(self) -> None:
        """Send the request's body, no faster than the app reads it."""
        assert isinstance(self.request.stream, httpx.AsyncByteStream)
        async for chunk in self.request.stream:
            await self.write({"type": "http.request", "body": chunk, "more_body": True})
        await self.write({"type": "http.request", "body": b"", "more_body": False})

    async def write(self, message: Message) -> None:
        """Pass a message to the app, unless the app has ended."""
        put = asyncio.ensure_future(self.inbox.put(message))
        if not await self.first_done(put, self.write_timeout_s):
            raise httpx.WriteTimeout("The emulator did not accept the request in time")

    async def receive(self) -> Message:
        """Return the next message of the request for the app, or the disconnect of the client."""
        if not self.gone.is_set():
            get = asyncio.ensure_future(self.inbox.get())
            if get in await self.first_done(get, None):
                return get.result()
        return {"type": "http.disconnect"}

    async def first_done(
        self, future: asyncio.Future[Any], timeout_s: float | None
    ) -> set[asyncio.Future[Any]]:
        """Wait for a future or the end of the connection; return those that are done."""
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            both: tuple[asyncio.Future[Any], ...] = (future, gone)
            first = asyncio.FIRST_COMPLETED
            return (await asyncio.wait(both, timeout=timeout_s, return_when=first))[0]
        finally:
            future.cancel()
            gone.cancel()

    async def send(self, message: Message) -> None:
        """Take a message of the answer from the app when the buffer has room."""
        await self.room.acquire()
        self.outbox.put_nowait(message)

    async def read(self) -> Message:
        """Return the next message of the answer, within the read timeout."""
        try:
            async with asyncio.timeout(self.read_timeout_s):
                message = await self.outbox.get()
        except TimeoutError as error:
            raise httpx.ReadTimeout("The emulator did not answer in time") from error
        if message is None or isinstance(message, httpx.TransportError):
            raise message or self.incomplete()
        self.room.release()
        if message["type"] == "http.response.start":
            self.started = True
            length = httpx.Headers(list(message["headers"])).get("content-length")
            self.expected_bytes = int(length) if length else None
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the answer's body as it arrives; an incomplete body raises."""
        more = True
        while more:
            message = await self.read()
            more = message.get("more_body", False)
            chunk = message.get("body", b"")
            if chunk and self.request.method != "HEAD":
                self.received_bytes += len(chunk)
                yield chunk
        if self.request.method != "HEAD" and self.expected_bytes not in (None, self.received_bytes):
            raise self.incomplete()

    async def aclose(self) -> None:
        """Disconnect the client and stop the app."""
        self.gone.set()
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    def close(self) -> None:
        """Close the connection after all sent data."""
        self.end(None)

    def reset(self) -> None:
        """Reset the connection at once."""
        self.end(httpx.ReadError("Connection reset by peer"))

    def refuse(self) -> None:
        """Refuse the connection."""
        self.end(httpx.ConnectError("Connection refused"))

    def end(self, error: httpx.TransportError | None) -> None:
        """End the connection; the reader gets the error after the last message."""
        if not self.gone.is_set():
            self.gone.set()
            self.outbox.put_nowait(error)

    def incomplete(self) -> httpx.RemoteProtocolError:
        """Return the error for an incomplete answer."""
        if not self.started:
            return httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body"
            f" (received {self.received_bytes} bytes, expected {self.expected_bytes})"
        )
