"""The command `python -m kling_nb emulator`: its options, and the server for other programs."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kling_nb.emulator.account.account import UNLIMITED, Limits, parse_rate_limits
from kling_nb.emulator.account.callbacks import CallbackForm
from kling_nb.emulator.faults import find_fault
from kling_nb.emulator.render.worker import RenderMode

from .emulator import Emulator
from .hosts import LOOPBACK_HOSTS

_WEBHOOK_KEY = "KLING_NB_EMULATOR_WEBHOOK_KEY"
_RATE_LIMITS = "KLING_NB_RATE_LIMITS"


class _CannotServe(Exception):
    """The emulator cannot be served with these options; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class Service:
    """The options of a served emulator."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8787
    """0 selects a free port."""
    seconds: float = 8.0
    render: RenderMode = "full"
    faults: tuple[tuple[str, int], ...] = ()
    """Names and times of faults to inject before the first request."""
    keep_alive_s: int = 5
    """After this many idle seconds the server closes a kept-alive connection."""
    limits: Limits | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address of this machine (%(default)s)")
    add("--port", type=int, default=8787, help="port; 0 selects a free one (%(default)s)")
    add(
        "--folder",
        type=Path,
        default=Path("kling_emulator"),
        help="folder of tasks and clips (%(default)s)",
    )
    add(
        "--seconds",
        type=float,
        default=os.environ.get("KLING_NB_EMULATOR_SECONDS", "8"),
        help="seconds per clip, also set by KLING_NB_EMULATOR_SECONDS (%(default)s)",
    )
    add(
        "--render",
        choices=get_args(RenderMode),
        default="full",
        help="canned serves one tiny clip, for load tests (%(default)s)",
    )
    add(
        "--fault",
        dest="faults",
        type=_parse_fault,
        action="append",
        default=[],
        metavar="NAME[:TIMES]",
        help="inject this fault into the next requests; may be repeated",
    )
    add(
        "--keep-alive",
        type=int,
        default=5,
        metavar="S",
        help="close idle connections after this many seconds (%(default)s)",
    )
    _add_service_arguments(parser)


def _add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of rate limits and callbacks."""
    add = parser.add_argument
    add("--unlimited", action="store_true", help="no rate limits")
    add(
        "--rate-limits",
        type=_parse_limits,
        default=os.environ.get(_RATE_LIMITS, "create=20/10,status=10/1"),
        metavar="LIMITS",
        help=f"COUNT/SECONDS of each, also set by {_RATE_LIMITS} (%(default)s)",
    )
    add(
        "--webhook-key",
        default=os.environ.get(_WEBHOOK_KEY, ""),
        metavar="KEY",
        help=f"the key that signs callbacks (default: {_WEBHOOK_KEY}; not signed without a key)",
    )
    add(
        "--callback-form",
        choices=get_args(CallbackForm),
        default="documented",
        help="the documented form of a callback to send (%(default)s)",
    )


def _parse_fault(text: str) -> tuple[str, int]:
    """Return name and times of `NAME[:TIMES]`."""
    name, _, times = text.partition(":")
    try:
        find_fault(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if times and not (times.isdecimal() and int(times) >= 1):
        raise argparse.ArgumentTypeError(
            f"times: {times!r} is not a whole number above 0; try {name}:2"
        )
    return name, int(times or 1)


def _parse_limits(text: str) -> Limits:
    """Return the service's limits with these rate limits."""
    try:
        return parse_rate_limits(Limits(), text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted; return 0, or 2 if these options cannot be served."""
    limits = dataclasses.replace(
        UNLIMITED if args.unlimited else args.rate_limits,
        webhook_key=args.webhook_key,
        callback_form=args.callback_form,
    )
    service = Service(
        folder=args.folder,
        host=args.host,
        port=args.port,
        seconds=args.seconds,
        render=args.render,
        faults=tuple(args.faults),
        keep_alive_s=args.keep_alive,
        limits=limits,
    )
    try:
        serve(service, say=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        return 0
    except _CannotServe as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def serve(service: Service, say: Callable[[str], None] = print) -> None:
    """Serve until interrupted; `say` gets one line with the URL when the server listens.

    Raises:
        CannotServe: The host is not this machine, the port is taken, or uvicorn is missing.
        ValueError: The name of a fault is unknown.
    """
    if service.host not in LOOPBACK_HOSTS:
        raise _CannotServe(
            f"host: {service.host!r} is not allowed, the emulator has no access control;"
            f" use one of {', '.join(sorted(LOOPBACK_HOSTS))}"
        )
    try:
        from .sockets import build_server
    except ModuleNotFoundError as error:
        raise _CannotServe('Serving needs uvicorn: pip install "kling_nb[serve]"') from error
    with contextlib.closing(listen(service)) as listener:
        url = f"http://{service.host}:{listener.getsockname()[1]}"
        emulator = Emulator(
            service.folder,
            seconds=service.seconds,
            render=service.render,
            public_url=url,
            limits=service.limits,
        )
        for name, times in service.faults:
            emulator.account.inject(name, times=times)
        message = f"kie.ai emulator at {url} (folder {service.folder}, Ctrl+C stops it)"
        server = build_server(emulator.backend.app, service.keep_alive_s, lambda: say(message))
        with contextlib.closing(emulator):
            server.run(sockets=[listener])


def listen(service: Service) -> socket.socket:
    """Return a socket bound to the requested port."""
    # asyncio sends small answers at once (TCP_NODELAY) only if the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((service.host, service.port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _CannotServe(
            f"port: {service.port} cannot be used ({error}); give another, or 0 for a free one"
        ) from error
    return listener
