"""A small HTTP server on loopback, in its own thread, for incoming callbacks.

Connections are limited in number and duration, so that clients cannot exhaust the kernel's open
files, memory or time. tornado's loggers print nothing of this thread: a malformed request would be
quoted in a notebook, with its callback token.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import threading
import weakref
from contextlib import suppress
from typing import Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.routing import AnyMatches, Rule
from tornado.web import Application

from kling_nb.core.errors import ConfigurationError
from kling_nb.core.forks import renew_in_child
from kling_nb.jobs.background_loop import SelectorLoop

from .handler import CallbackEndpoint, CallbackHandler

_HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 64
"""Further ones are closed as they come."""
HEADER_TIMEOUT_S: Final = 10.0
"""A connection carries one request. Its body has a timeout of its own."""
_HEADER_LIMIT_BYTES: Final = 16 * 1024
ACCEPT_RETRY_S: Final = 1.0
GRACE_S: Final = 1.0
"""How long a stop waits for callbacks that are being stored."""
_STOP_S: Final = 5.0
_THREAD: Final = "kling_nb listener"
LOGGERS: Final = ("tornado.access", "tornado.application", "tornado.general")

_OPEN: Final[weakref.WeakSet[Server]] = weakref.WeakSet()
"""The servers of this process."""


def _start_child() -> None:
    """Close the sockets in a forked child, since only the parent's server has the port."""
    for server in _OPEN:
        server.socket.close()
    _OPEN.clear()


renew_in_child(_start_child)


def _is_from_others(record: logging.LogRecord) -> bool:
    """Return whether a log record is from another thread than a server's."""
    return record.threadName != _THREAD


for name in LOGGERS:
    logging.getLogger(name).addFilter(_is_from_others)


class Server:
    """A server that accepts connections from its creation until it is stopped.

    Args:
        endpoint: The state of the requests' handler.
        port: The port; 0 takes a free one.
        former: A server to replace. If it has the same port, both accept connections there. The
            caller stops it afterwards, so that it still runs if this one fails.

    Raises:
        ConfigurationError: The port cannot be used.
    """

    def __init__(self, endpoint: CallbackEndpoint, port: int, former: Server | None = None) -> None:
        self.socket = _duplicate(former, port) or _bind(port)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self._loop = SelectorLoop()  # Windows's default loop takes no socket of another loop
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(endpoint,), name=_THREAD, daemon=True
        )
        _OPEN.add(self)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Close the port, answer the callbacks that are being stored, and end the thread."""
        atexit.unregister(self.stop)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stopping.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(_STOP_S)

    def _run(self, endpoint: CallbackEndpoint) -> None:
        # Not `asyncio.run`: nest_asyncio may have replaced it for a while.
        with self.socket, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(endpoint))

    async def _serve(self, endpoint: CallbackEndpoint) -> None:
        server = create_server(endpoint)
        server.accept_from(self.socket)
        await self._stopping.wait()
        self._loop.remove_reader(self.socket)
        self.socket.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await endpoint.drain()
        await server.close_all_connections()


class _LimitedServer(HTTPServer):
    """tornado's server with a limit on the number of connections.

    It accepts connections itself: while the process has no file descriptor left, tornado's loop
    would log an error again and again without a pause.
    """

    def accept_from(self, listener: socket.socket) -> None:
        """Serve connections until the socket is closed."""
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, address = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # another server at this port has it, or the client has gone
        except OSError:  # too many open files
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_RETRY_S, self.accept_from, listener)
            return
        if len(self._connections) < MAX_CONNECTIONS:
            self.handle_stream(IOStream(connection), address)
        else:
            connection.close()


def create_server(endpoint: CallbackEndpoint) -> _LimitedServer:
    """Return a server whose requests all go to the callback handler."""
    return _LimitedServer(
        Application([Rule(AnyMatches(), CallbackHandler, {"endpoint": endpoint})]),
        no_keep_alive=True,
        idle_connection_timeout=HEADER_TIMEOUT_S,
        max_header_size=_HEADER_LIMIT_BYTES,
    )


def _duplicate(former: Server | None, port: int) -> socket.socket | None:
    """Return a duplicate of a running server's socket if it has this port, else None."""
    if former is not None and former.port == port:
        with suppress(OSError):  # it is stopped
            return former.socket.dup()
    return None


def _bind(port: int) -> socket.socket:
    """Return a socket that listens on loopback at this port.

    Raises:
        ConfigurationError: The port cannot be used.
    """
    listener = socket.socket()
    if os.name == "posix":  # on Windows the option would share a port that another program has
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen()
    except (OSError, OverflowError, TypeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"port: {port!r} cannot be used ({reason}); end the program that uses it, or give "
            "another port, or 0 for a free one"
        ) from None
    return listener
