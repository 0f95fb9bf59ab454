"""Describe the status of a session: mode, folder, balance and interrupted jobs."""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError
from contextlib import suppress

from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import Saved, Stage
from kling_nb.core.money import format_price
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session

_log = logging.getLogger("kling_nb")

_DOWNLOAD_WAIT_S = 3.0
"""The time for finished jobs to download their clips, in total."""


def describe_balance(session: Session) -> str:
    """Return the balance in credits and dollars, or the error."""
    try:
        return f"balance {format_price(session.balance())}"
    except KlingError as error:
        return f"balance unknown: {error}"


def describe_session() -> list[str]:
    """Resume the interrupted jobs of the default session, and return its status.

    Raises:
        ConfigurationError: The settings contradict each other.
        CancelledError: The program is exiting.
    """
    session = default_session()
    parts = [*session.settings.describe(), describe_balance(session)]
    try:
        return parts + _describe_jobs(session)
    except KlingError as error:
        # The next cell may have configured another session.
        return describe_session() if default_session() is not session else [*parts, str(error)]
    except CancelledError:
        raise
    except Exception as error:
        _log.exception("interrupted jobs could not be resumed")
        return [*parts, f"interrupted jobs could not be resumed: {error}"]


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
