"""An httpx transport that drives an ASGI app in process, as a socket would.

It streams, applies the client's timeouts, raises the httpx exception of each broken connection,
and stops the app when the client gives up. `httpx.ASGITransport` does none of these. Must not
know what the app does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
from starlette.types import ASGIApp, Message, Scope

__all__ = ["EmulatorTransport"]

BUFFERED_CHUNKS = 16
LOGGER = logging.getLogger("kling_nb.emulator")


class EmulatorTransport(httpx.AsyncBaseTransport):
    """Answers requests to the app's hosts; no other host exists. Usable on any event loop."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """Drive `app` for requests to `hosts`."""
        self.app = app
        self.hosts = hosts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer as soon as the head is there.

        Raises:
            httpx.ConnectError: the host is none of the emulated ones, or refuses.
            httpx.ReadTimeout, httpx.WriteTimeout: the app takes longer than the client allows.
            httpx.ReadError, httpx.RemoteProtocolError: the connection was broken.
        """
        if request.url.host not in self.hosts:
            known = ", ".join(sorted(self.hosts))
            raise httpx.ConnectError(f"{request.url.host} is not emulated; these are: {known}")
        exchange = Exchange(request)
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


class Exchange(httpx.AsyncByteStream):
    """One request and its answer: the client's and the app's ends of a connection."""

    def __init__(self, request: httpx.Request) -> None:
        """Take the request with its timeouts, each in seconds or None."""
        self.request = request
        timeouts = request.extensions.get("timeout", {})
        self.read_timeout_s: float | None = timeouts.get("read")
        self.write_timeout_s: float | None = timeouts.get("write")
        self.inbox: asyncio.Queue[Message] = asyncio.Queue(BUFFERED_CHUNKS)
        self.outbox: asyncio.Queue[Message | httpx.TransportError | None] = asyncio.Queue()
        self.room = asyncio.Semaphore(BUFFERED_CHUNKS)
        self.gone = asyncio.Event()
        self.started = False
        self.received_bytes = 0
        self.expected_bytes: int | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self, app: ASGIApp) -> None:
        """Let the app work on the request."""
        self.task = asyncio.create_task(self.serve(app))

    async def serve(self, app: ASGIApp) -> None:
        """Run the app to its end, and say so if that comes before the answer's."""
        try:
            await app(self.scope(), self.receive, self.send)
        except Exception:
            LOGGER.exception("emulator: %s %s failed", self.request.method, self.request.url.path)
        finally:
            self.close()

    def scope(self) -> Scope:
        """The request as ASGI describes it."""
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
        """Pass the request's body on, no faster than the app takes it."""
        assert isinstance(self.request.stream, httpx.AsyncByteStream)
        async for chunk in self.request.stream:
            await self.write({"type": "http.request", "body": chunk, "more_body": True})
        await self.write({"type": "http.request", "body": b"", "more_body": False})

    async def write(self, message: Message) -> None:
        """Put a piece where the app takes it, unless the app has ended."""
        put = asyncio.ensure_future(self.inbox.put(message))
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            done, _ = await asyncio.wait(
                (put, gone), timeout=self.write_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            put.cancel()
            gone.cancel()
        if not done:
            raise httpx.WriteTimeout("The emulator did not take the request in time")

    async def receive(self) -> Message:
        """The app's end: the next piece of the request, then the client's leaving."""
        if self.gone.is_set():
            return {"type": "http.disconnect"}
        piece = asyncio.ensure_future(self.inbox.get())
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait((piece, gone), return_when=asyncio.FIRST_COMPLETED)
            return piece.result() if piece.done() else {"type": "http.disconnect"}
        finally:
            piece.cancel()
            gone.cancel()

    async def send(self, message: Message) -> None:
        """The app's end: take a piece of the answer, when there is room."""
        await self.room.acquire()
        self.outbox.put_nowait(message)

    async def read(self) -> Message:
        """The next piece of the answer, within the read timeout."""
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
        """The answer's body as it comes; a body that is cut short raises."""
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
        """The client gives up: the app sees it leave and is stopped."""
        self.gone.set()
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    def close(self) -> None:
        """End the connection after what was sent so far."""
        self.end(None)

    def reset(self) -> None:
        """End the connection at once."""
        self.end(httpx.ReadError("Connection reset by peer"))

    def refuse(self) -> None:
        """Make it look as if there never was a connection."""
        self.end(httpx.ConnectError("Connection refused"))

    def end(self, error: httpx.TransportError | None) -> None:
        """Let the reader meet the error behind the last piece of the answer."""
        if not self.gone.is_set():
            self.gone.set()
            self.outbox.put_nowait(error)

    def incomplete(self) -> httpx.RemoteProtocolError:
        """The error for an answer that is not whole."""
        if not self.started:
            return httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body"
            f" (received {self.received_bytes} bytes, expected {self.expected_bytes})"
        )
