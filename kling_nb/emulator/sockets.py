"""uvicorn's HTTP protocol with its socket within reach of the app, so that faults are real.

The only module that imports uvicorn, which is an extra: it is loaded when serving starts.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Server", "build_server"]

NO_LINGER = struct.pack("ii", 1, 0)


class SocketConnection:
    """The gateway's hold on a real connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Hold this connection."""
        self.transport = transport

    def close(self) -> None:
        """Close it once all that was sent so far is on its way."""
        self.transport.close()

    def reset(self) -> None:
        """Send a TCP reset: closing without lingering does that."""
        plug: socket.socket = self.transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    refuse = reset


class BreakableProtocol(H11Protocol):
    """Lends each request the connection that it came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the connection where the gateway looks for it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": SocketConnection(transport)}


class Server(uvicorn.Server):
    """A server that says when it is really listening."""

    def __init__(self, config: uvicorn.Config, when_listening: Callable[[], None]) -> None:
        """Call `when_listening` once, after the start."""
        super().__init__(config)
        self.when_listening = when_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=sockets)
        self.when_listening()


def build_server(app: ASGIApp, keep_alive_s: int, when_listening: Callable[[], None]) -> Server:
    """A server for the app, ready to `run(sockets=[…])`."""
    config = uvicorn.Config(
        app,
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=1,
    )
    return Server(config, when_listening)
