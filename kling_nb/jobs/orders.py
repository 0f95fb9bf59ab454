"""Handing in a request from a thread: prepare it, show it, send it; and being interrupted.

The half of a submission that a person can interrupt. What was not sent yet is taken back, so that
no request stays behind that nobody sends; what is being sent goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from kling_nb.core.errors import WaitInterrupted

from .background_loop import Portal
from .job import Job
from .preparation import Wish
from .registry import Roster

__all__ = ["Orders"]

_STOPPED = "Stopped before anything was sent: nothing was charged. Run it again to begin anew."


@dataclass(frozen=True, slots=True)
class Orders:
    """The requests that threads hand in to one roster."""

    roster: Roster
    portal: Portal

    @contextmanager
    def sending(self, wish: Wish) -> Iterator[Job]:
        """A prepared job, to be shown inside; it is sent at the end, or taken back.

        Raises:
            KlingError: See `prepare` and `submit`.
            WaitInterrupted: Interrupted; says whether anything was sent.
        """
        job = self.prepare(wish)
        try:
            yield job
        except KeyboardInterrupt:
            self.withdraw(job)
            raise WaitInterrupted(_STOPPED) from None
        except BaseException:
            self.withdraw(job)
            raise
        self.submit(job)

    def prepare(self, wish: Wish) -> Job:
        """Check a request and note the intent.

        Raises:
            KlingError: It is not allowed, or cannot be noted; nothing was sent.
            WaitInterrupted: Interrupted; nothing was or will be sent.
        """
        given_up = threading.Event()
        preparing = self.portal.submit(self.roster.prepare(wish, given_up))
        try:
            return preparing.result()
        except KeyboardInterrupt:
            given_up.set()
            # It may be noted already, and come back at any moment.
            preparing.add_done_callback(self._withdraw_late)
            raise WaitInterrupted(_STOPPED) from None

    def submit(self, job: Job) -> None:
        """Send a prepared job; nothing happens for one that was sent before.

        Raises:
            KlingError: It was refused or never reached the service; nothing was charged.
            WaitInterrupted: Interrupted; what was under way goes on.
        """
        try:
            self.portal.call(self.roster.submit(job))
        except KeyboardInterrupt:
            raise WaitInterrupted(job.interrupted_text) from None

    def withdraw(self, job: Job) -> None:
        """Take back a prepared job: it ends here; nothing happens for one that was sent."""
        self.portal.call(self.roster.withdraw(job))

    def _withdraw_late(self, preparing: Future[Job]) -> None:
        if not preparing.cancelled() and preparing.exception() is None:
            self.portal.submit(self.roster.withdraw(preparing.result()))
