"""A uvicorn server that passes its connections to the app, so that faults break real sockets.

The only module that imports uvicorn, which is an extra; serving loads it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_NO_LINGER = struct.pack("ii", 1, 0)


class _SocketConnection:
    """A TCP connection that faults can break."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap the transport of a connection."""
        self.transport = transport

    def close(self) -> None:
        """Close it after all sent data."""
        self.transport.close()

    def reset(self) -> None:
        """Send a TCP reset, by closing without lingering."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    refuse = reset


class _BreakableProtocol(H11Protocol):
    """Passes the connection of each request to the app."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the connection to the state of its requests."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": _SocketConnection(transport)}


class Server(uvicorn.Server):
    """A server with a callback for the moment when it listens."""

    def __init__(self, config: uvicorn.Config, when_listening: Callable[[], None]) -> None:
        """Call `when_listening` once, after the start."""
        super().__init__(config)
        self.when_listening = when_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call `when_listening`."""
        await super().startup(sockets=sockets)
        self.when_listening()


def build_server(app: ASGIApp, keep_alive_s: int, when_listening: Callable[[], None]) -> Server:
    """Return a server for the app, ready to `run(sockets=[…])`."""
    config = uvicorn.Config(
        app,
        http=_BreakableProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=1,
    )
    return Server(config, when_listening)
