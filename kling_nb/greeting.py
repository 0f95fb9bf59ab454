"""The line that `%load_ext` shows: where things stand, and what a dead kernel left.

It is there at once; what has to be asked for is filled in behind it.
"""

from __future__ import annotations

import time
import warnings
from concurrent.futures import wait
from typing import Any

from IPython.display import display

from . import html
from .cards import FrontEnd
from .errors import KlingError
from .jobs import Job
from .portal import in_thread, portal
from .session import Session
from .states import Stage

__all__ = ["balance_text", "greet", "mode_text"]

_HEADLESS_WAIT_S = 5.0
_ENDING_WAIT_S = 3.0
"""How long jobs that were over while nobody looked get to fetch their clips, together."""


def greet(session: Session, place: FrontEnd) -> None:
    """Show the line, and fill it in."""
    if place == "headless" and session.settings.mode_reason.startswith("no key"):
        warnings.warn(
            "kling_nb runs without a key: clips are emulated and watermarked. Set KIE_API_KEY, "
            "or pin the emulator: kling_nb.configure(mode='emulator').",
            UserWarning,
            stacklevel=2,
        )
    handle = display(_bundle(session, ""), raw=True, display_id=True)
    filling = portal().submit(in_thread(_fill_in, session, handle))
    if place == "headless":
        wait([filling], _HEADLESS_WAIT_S)


def mode_text(session: Session) -> str:
    """`live` or `emulator`, and why."""
    return f"{session.settings.mode} ({session.settings.mode_reason})"


def balance_text(session: Session) -> str:
    """The balance in credits and dollars, or why it is not known."""
    try:
        return f"balance {html.price_words(session.balance())}"
    except KlingError as error:
        return f"balance not known: {error}"


def _fill_in(session: Session, handle: Any) -> None:
    words = [balance_text(session)]
    try:
        words += _left_text(session)
    except KlingError as error:
        words.append(str(error))
    handle.update(_bundle(session, " · ".join(words)), raw=True)


def _left_text(session: Session) -> list[str]:
    """What was taken up, and what is unknown."""
    jobs = session.resume()
    ends = _ends_of(jobs)
    saved = sum(end == "saved" for end in ends)
    failed = sum(end == "failed" for end in ends)
    lost = [row for row in session.ledger.rows(Stage.UNKNOWN, limit=-1)
            if row.service == session.service]  # fmt: skip
    words = {
        "clip{s} finished while you were away: saved": saved,
        "job{s} taken up again": len(jobs) - saved - failed,
        "job{s} failed: `%kling jobs`": failed,
        "job{s} unknown: `%kling jobs`": len(lost),
    }
    return [
        f"{number} {text.format(s='' if number == 1 else 's')}"
        for text, number in words.items()
        if number
    ]


def _ends_of(jobs: list[Job]) -> list[str]:
    deadline = time.monotonic() + _ENDING_WAIT_S
    ends = []
    for job in jobs:
        try:
            error = job.exception(max(0.0, deadline - time.monotonic()))
            ends.append("failed" if error else "saved")
        except TimeoutError:
            ends.append("running")
    return ends


def _bundle(session: Session, more: str) -> dict[str, str]:
    parts = ["kling_nb", mode_text(session), f"clips in {session.settings.folder.name}", more]
    text = " · ".join(part for part in parts if part)
    return {"text/plain": text, "text/html": f"<div>{html.prose(text)}</div>"}
