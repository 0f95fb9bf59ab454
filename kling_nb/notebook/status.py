"""The status line of `%load_ext`: mode, folder, balance and interrupted jobs.

It is shown at once; the answers of the service are added in the background.
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
from kling_nb.core.money import format_price
from kling_nb.display import html
from kling_nb.display.front_end import FrontEnd
from kling_nb.jobs.default_session import default_session, warn_unkeyed
from kling_nb.jobs.session import Session

_log = logging.getLogger("kling_nb")

_HEADLESS_WAIT_S = 5.0
_DOWNLOAD_WAIT_S = 3.0
"""The time for finished jobs to download their clips, in total."""


def greet(session: Session, front_end: FrontEnd) -> None:
    """Show the status line, and complete it in the background."""
    if front_end == "headless":
        warn_unkeyed(session)
    handle = display(_bundle(session), raw=True, display_id=True)
    # Not a worker of the background loop: it waits for that loop. The cell's context defines the
    # output that the thread updates.
    run, given = contextvars.copy_context().run, (_update, session, handle)
    thread = threading.Thread(target=run, args=given, name="kling_nb status update", daemon=True)
    thread.start()
    if front_end == "headless":
        thread.join(_HEADLESS_WAIT_S)


def describe_balance(session: Session) -> str:
    """Return the balance in credits and dollars, or the error."""
    try:
        return f"balance {format_price(session.balance())}"
    except KlingError as error:
        return f"balance unknown: {error}"


def _update(session: Session, handle: Any) -> None:
    parts = [describe_balance(session)]
    try:
        parts += _describe_jobs(session)
    except KlingError as error:
        current = default_session()
        if current is not session:  # the next cell has configured another one
            _update(current, handle)
            return
        parts.append(str(error))
    except Exception as error:
        _log.exception("interrupted jobs could not be resumed")
        parts.append(f"interrupted jobs could not be resumed: {error}")
    handle.update(_bundle(session, *parts), raw=True)


def _describe_jobs(session: Session) -> list[str]:
    """Resume interrupted jobs, and count the running, ended and unknown ones."""
    jobs = session.resume()
    deadline = time.monotonic() + _DOWNLOAD_WAIT_S
    for job in jobs:
        with suppress(TimeoutError):
            job.exception(max(0.0, deadline - time.monotonic()))
    saved = sum(isinstance(job.state, Saved) for job in jobs)
    running = sum(not job.done() for job in jobs)
    unknown = session.ledger.rows(Stage.UNKNOWN, limit=-1)
    lost = sum(row.service == session.service for row in unknown)
    counts = {
        "clip{s} finished while you were away: saved": saved,
        "job{s} running": running,
        "job{s} ended without a clip: `%kling jobs`": len(jobs) - saved - running,
        "job{s} unknown: `%kling jobs`": lost,
    }
    return [
        f"{number} {text.format(s='' if number == 1 else 's')}"
        for text, number in counts.items()
        if number
    ]


def _bundle(session: Session, *parts: str) -> dict[str, str]:
    folder = f"clips in {session.settings.folder.name}"
    text = " · ".join(["kling_nb", session.settings.describe_mode(), folder, *parts])
    return {"text/plain": text, "text/html": f"<div>{html.prose(text)}</div>"}
