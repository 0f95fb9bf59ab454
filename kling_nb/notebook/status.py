"""The status line of `%load_ext`: mode, folder, balance and interrupted jobs.

Shown immediately; the answers of the service are added in the background.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from contextlib import suppress
from typing import Any

from IPython.display import display

from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import Saved, Stage
from kling_nb.core.money import price_words
from kling_nb.display import html
from kling_nb.display.cards import FrontEnd
from kling_nb.jobs.default_session import default_session, warn_unkeyed
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session

__all__ = ["balance_text", "greet", "mode_text"]

_log = logging.getLogger("kling_nb")

_HEADLESS_WAIT_S = 5.0
_ENDING_WAIT_S = 3.0
"""How long jobs that were over while nobody looked get to fetch their clips, together."""


def greet(session: Session, place: FrontEnd) -> None:
    """Show the line, and fill it in."""
    if place == "headless":
        warn_unkeyed(session)
    handle = display(_bundle(session, ""), raw=True, display_id=True)
    # A thread of its own: it waits for the background loop, whose workers must stay free. The
    # kernel's context goes with it, which says what cell the line belongs to.
    run, given = contextvars.copy_context().run, (_fill_in, session, handle)
    filling = threading.Thread(target=run, args=given, name="kling_nb status update", daemon=True)
    filling.start()
    if place == "headless":
        filling.join(_HEADLESS_WAIT_S)


def mode_text(session: Session) -> str:
    """`live` or `emulator`, and why."""
    return f"{session.settings.mode} ({session.settings.mode_reason})"


def balance_text(session: Session) -> str:
    """The balance in credits and dollars, or why it is not known."""
    try:
        return f"balance {price_words(session.balance())}"
    except KlingError as error:
        return f"balance not known: {error}"


def _fill_in(session: Session, handle: Any) -> None:
    words = [balance_text(session)]
    try:
        words += _left_text(session)
    except KlingError as error:
        current = default_session()
        if current is not session:  # a cell that came at once has configured another one
            _fill_in(current, handle)
            return
        words.append(str(error))
    except Exception as error:
        _log.exception("what was left could not be taken up")
        words.append(f"what was left could not be taken up: {error}")
    handle.update(_bundle(session, " · ".join(words)), raw=True)


def _left_text(session: Session) -> list[str]:
    """What goes on or has come to an end, and what is unknown."""
    jobs = session.resume()
    _wait_for_ends(jobs)
    saved = sum(isinstance(job.state, Saved) for job in jobs)
    running = sum(not job.done() for job in jobs)
    unknown = session.ledger.rows(Stage.UNKNOWN, limit=-1)
    lost = sum(row.service == session.service for row in unknown)
    words = {
        "clip{s} finished while you were away: saved": saved,
        "job{s} running": running,
        "job{s} ended without a clip: `%kling jobs`": len(jobs) - saved - running,
        "job{s} unknown: `%kling jobs`": lost,
    }
    return [
        f"{number} {text.format(s='' if number == 1 else 's')}"
        for text, number in words.items()
        if number
    ]


def _wait_for_ends(jobs: list[Job]) -> None:
    deadline = time.monotonic() + _ENDING_WAIT_S
    for job in jobs:
        with suppress(TimeoutError):
            job.exception(max(0.0, deadline - time.monotonic()))


def _bundle(session: Session, more: str) -> dict[str, str]:
    parts = ["kling_nb", mode_text(session), f"clips in {session.settings.folder.name}", more]
    text = " · ".join(part for part in parts if part)
    return {"text/plain": text, "text/html": f"<div>{html.prose(text)}</div>"}
