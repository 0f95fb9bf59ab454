"""The command line of a served emulator: `python -m kling_nb emulator`.

Owns options and exit codes. Must not know how serving works.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import get_args

from kling_nb.emulator.account.callback_payloads import Form
from kling_nb.emulator.account.limits import UNLIMITED, Terms, limited
from kling_nb.emulator.faults.injection import find_fault

from .serve import CannotServe, Service, serve

__all__ = ["add_arguments", "parse_fault", "run"]

WEBHOOK_KEY = "KLING_NB_EMULATOR_WEBHOOK_KEY"
RATE_LIMITS = "KLING_NB_RATE_LIMITS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="this machine only (%(default)s)")
    parser.add_argument("--port", type=int, default=8787, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path("kling_emulator"), help="books and clips (%(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=os.environ.get("KLING_NB_EMULATOR_SECONDS", "8"),
        help="how long a clip takes; KLING_NB_EMULATOR_SECONDS sets it too (%(default)s)",
    )
    parser.add_argument(
        "--render",
        choices=("full", "canned"),
        default="full",
        help="canned serves one tiny clip, for load tests (%(default)s)",
    )
    parser.add_argument(
        "--fault",
        dest="faults",
        type=parse_fault,
        action="append",
        default=[],
        metavar="NAME[:TIMES]",
        help="let the next requests meet this fault; may be given several times",
    )
    parser.add_argument(
        "--keep-alive",
        type=int,
        default=5,
        metavar="S",
        help="close idle connections after so many seconds (%(default)s)",
    )
    parser.add_argument("--unlimited", action="store_true", help="no rate limits")
    parser.add_argument(
        "--rate-limits",
        type=parse_limits,
        default=os.environ.get(RATE_LIMITS, "create=20/10,status=10/1"),
        metavar="LIMITS",
        help=f"COUNT/SECONDS of each; {RATE_LIMITS} sets it too (%(default)s)",
    )
    add_callback_arguments(parser)


def add_callback_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how tasks' ends are told to the `callBackUrl` of whoever asks for it."""
    parser.add_argument(
        "--webhook-key",
        default=os.environ.get(WEBHOOK_KEY, ""),
        metavar="KEY",
        help=f"sign callbacks with it; {WEBHOOK_KEY} sets it too (unsigned without)",
    )
    parser.add_argument(
        "--callback-form",
        choices=get_args(Form),
        default="documented",
        help="which of the documented forms a callback has (%(default)s)",
    )


def parse_fault(text: str) -> tuple[str, int]:
    """Name and times of `NAME[:TIMES]`."""
    name, _, times = text.partition(":")
    try:
        find_fault(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if times and not (times.isdecimal() and int(times) >= 1):
        raise argparse.ArgumentTypeError(f"times: {times!r} is not a number from 1; try {name}:2")
    return name, int(times or 1)


def parse_limits(text: str) -> Terms:
    """The service's terms with these rate limits."""
    try:
        return limited(Terms(), text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted; 0 after that, 2 if it cannot be served like that."""
    terms = dataclasses.replace(
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
        terms=terms,
    )
    try:
        serve(service, say=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        return 0
    except CannotServe as error:
        print(error, file=sys.stderr)
        return 2
    return 0
