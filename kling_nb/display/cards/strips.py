"""One job of a card: what was shown of it last, and which of its states are worth a message."""

from __future__ import annotations

import time
from collections.abc import Callable

from kling_nb.core.job_state import Downloading, JobState, OutOfSight, Uploading
from kling_nb.display.html import Aside
from kling_nb.jobs.job import Job

__all__ = ["Strip", "meaning"]

_QUIET_S = 2.0


class Strip:
    """One job of a card.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.aside = Aside()
        self.shown = job.state
        """The state that was shown last."""
        self.shown_at = time.monotonic()
        self.stop: Callable[[], None] = lambda: None
        """Ends the observation of the job."""

    def is_news(self, state: JobState) -> bool:
        """Whether a state is worth a message; a waiting bar moves by itself."""
        if meaning(state) != meaning(self.shown):
            return True
        return _moves(state) and time.monotonic() - self.shown_at >= _QUIET_S

    def note(self, state: JobState) -> None:
        """Remember what was shown."""
        self.shown, self.shown_at = state, time.monotonic()


def meaning(state: JobState) -> tuple[str, str]:
    """What of a state is worth a message: its kind, and the service's word for it."""
    return state.name, getattr(state, "word", "")


def _moves(state: JobState) -> bool:
    """Whether a state has figures that change; a waiting bar moves by CSS alone."""
    return isinstance(state, Uploading | Downloading | OutOfSight)
