"""A small web server on loopback, in its own thread, for incoming callbacks.

The only module besides the emulator that imports uvicorn, an optional dependency: it is loaded
when serving starts. Connections are limited in number and duration, so that clients cannot exhaust
the kernel's open files, memory or time. The logging of a user's own uvicorn in the same kernel is
not changed. Must not depend on the content of requests and responses.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kling_nb.core.errors import ConfigurationError
from kling_nb.core.forks import renew_in_child
from kling_nb.jobs.background_loop import SelectorLoop

from .asgi_app import Application

__all__ = ["Server"]

HOST: Final = "127.0.0.1"
CONNECTIONS: Final = 64
"""So many at once; further ones are closed as they come."""
LIFETIME_S: Final = 20.0
"""A connection carries one request and is closed after this time, whatever it does."""
START_S: Final = 30.0
STOP_S: Final = 5.0
LOGGERS: Final = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi")
"""Of the whole process: uvicorn knows no others."""

OPEN: Final[weakref.WeakSet[Server]] = weakref.WeakSet()
"""The servers of this process."""


def start_child() -> None:
    """Close the sockets in a forked child, since only the parent's server has the port."""
    for server in OPEN:
        server.leave()
    OPEN.clear()


renew_in_child(start_child)


class Server:
    """A server that accepts connections from when it is made until it is stopped.

    Args:
        app: What answers.
        port: Where; 0 takes a free one.
        former: One that this shall take the place of. Where it has the same port both answer there
            until it is stopped; it is not, so that it is still there if this one fails.

    Raises:
        ConfigurationError: It cannot be served there.
    """

    def __init__(self, app: Application, port: int, former: Server | None = None) -> None:
        plug = self._plug = inherit(former, port) or bind(port)
        OPEN.add(self)
        self.port: int = plug.getsockname()[1]
        self._started = threading.Event()
        self._server = Announcing(configured(app), self._started)
        self._thread = threading.Thread(
            target=self._run, args=(plug,), name="kling_nb listener", daemon=True
        )
        self._thread.start()
        if not (self._started.wait(START_S) and self._server.started):
            self.stop()
            raise ConfigurationError(f"port {self.port}: the server did not start; try once more")
        atexit.register(self.stop)

    def stop(self) -> None:
        """Accept nothing more and free the port."""
        atexit.unregister(self.stop)
        self._server.should_exit = True
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_S)

    def leave(self) -> None:
        """Close the socket in this process only; the parent's server continues."""
        self._plug.close()

    def share(self) -> socket.socket:
        """The same socket once more; an OSError where it is closed."""
        return self._plug.dup()

    def _run(self, plug: socket.socket) -> None:
        # Not `asyncio.run`: nest_asyncio may have put its own in that place for a while. Not
        # Windows's own loop, which takes no socket that another loop has.
        try:
            with muted(), plug, asyncio.Runner(loop_factory=SelectorLoop) as runner:
                runner.run(self._server.serve(sockets=[plug]))
        finally:
            self._started.set()


class Announcing(uvicorn.Server):
    """Tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        """Set `started` then."""
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=sockets)
        self._started.set()


class ShortLived(H11Protocol):
    """A connection that neither lasts nor comes in crowds.

    uvicorn waits for ever for the first request, and counts connections only when they ask.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in for a while, or not at all; without a line in a log, which would quote it."""
        self.access_log = False
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._ending = self.loop.call_later(LIFETIME_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        ending: asyncio.TimerHandle | None = getattr(self, "_ending", None)
        if ending is not None:
            ending.cancel()


def configured(app: Application) -> uvicorn.Config:
    """How it serves; whatever is set up for logging stays as it is."""
    return uvicorn.Config(
        app,
        http=ShortLived,
        ws="none",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=2,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
    )


class OtherThreads(logging.Filter):
    """Lets through what other threads log."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is of another thread."""
        return record.thread != self.thread


@contextmanager
def muted() -> Iterator[None]:
    """Keep what uvicorn logs in this thread to itself."""
    others, loggers = OtherThreads(), [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)


def inherit(former: Server | None, port: int) -> socket.socket | None:
    """The socket of a server that has the port, for another one; None where there is none."""
    if former is not None and former.port == port:
        with suppress(OSError):
            return former.share()
    return None


def bind(port: int) -> socket.socket:
    """A socket on loopback with that port."""
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would share the port with whoever has it
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        plug.bind((HOST, port))
        plug.listen()
    except (OSError, OverflowError, TypeError) as error:
        plug.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"port: {port!r} cannot be listened at ({why}); end the program that has it, or give "
            "another port, or 0 for a free one"
        ) from None
    return plug
