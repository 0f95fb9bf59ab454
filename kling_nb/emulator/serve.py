"""Serving the emulator to other programs of this machine.

Owns the listening socket and what is said when it listens. Must not know requests.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator.account.limits import Terms
from kling_nb.emulator.render.worker import RenderMode

from .emulator import Emulator
from .hosts import LOOPBACK_HOSTS

__all__ = ["CannotServe", "Service", "serve"]


class CannotServe(Exception):
    """The emulator cannot be served like that; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """How the emulator is served."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8787
    """0 takes a free one."""
    seconds: float = 8.0
    render: RenderMode = "full"
    faults: tuple[tuple[str, int], ...] = ()
    """Names and times of faults to inject before the first request."""
    keep_alive_s: int = 5
    """After how many idle seconds the server closes a kept-alive connection."""
    terms: Terms | None = None


def serve(service: Service, say: Callable[[str], None] = print) -> None:
    """Serve until interrupted; `say` gets one line with the URL when really listening.

    Raises:
        CannotServe: the host is not this machine, the port is taken, or uvicorn is missing.
        ValueError: a fault's name is not known.
    """
    if service.host not in LOOPBACK_HOSTS:
        raise CannotServe(
            f"host: {service.host!r} is not allowed, the emulator has no access control;"
            f" use one of {', '.join(sorted(LOOPBACK_HOSTS))}"
        )
    try:
        from .sockets import build_server
    except ModuleNotFoundError as error:
        raise CannotServe('Serving needs uvicorn: pip install "kling_nb[serve]"') from error
    with contextlib.closing(listen(service)) as listener:
        url = f"http://{service.host}:{listener.getsockname()[1]}"
        emulator = Emulator(
            service.folder,
            seconds=service.seconds,
            render=service.render,
            public_url=url,
            terms=service.terms,
        )
        for name, times in service.faults:
            emulator.books.inject(name, times=times)
        message = f"kie.ai emulator at {url} (folder {service.folder}, Ctrl+C stops it)"
        server = build_server(emulator.app, service.keep_alive_s, lambda: say(message))
        with contextlib.closing(emulator):
            server.run(sockets=[listener])


def listen(service: Service) -> socket.socket:
    """A socket bound to the asked port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((service.host, service.port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotServe(
            f"port: {service.port} cannot be used ({error}); give another, or 0 for a free one"
        ) from error
    return listener
