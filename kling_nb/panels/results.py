"""A job's card inside the panel: the record, and below it the live part while the job runs.

What a card says is `cards`' and `html`'s matter; here it goes into widgets, since nothing in a
panel is the output of a cell.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from datetime import datetime

import ipywidgets as widgets

from .. import html
from ..cards import card_bundle
from ..jobs import Job
from ..live import LiveView
from ..portal import in_thread, portal
from ..states import Event, JobState, has_ended

__all__ = ["Result"]

_QUIET_S = 1.0
"""A figure that only grows is shown once in so many seconds."""

_log = logging.getLogger("kling_nb")


class Result:
    """One job in the panel.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.settled: Future[None] = Future()
        """Done when the last card is shown."""
        self.settled.set_running_or_notify_cancel()
        self._ending = threading.Lock()
        self._last: tuple[type[JobState], str, float] = (type(job.state), "", time.monotonic())
        self._record = widgets.HTML(_record(job, job.state))
        self._live: LiveView | None = None
        self.box = widgets.VBox([self._record])
        self.box.add_class("kling-result")
        if has_ended(job.state):
            self.settled.set_result(None)
            return
        self._live = LiveView(job.id, _bar(job, job.state), self._answer)
        self.box.children = (self._record, self._live)
        stop = job.observe(self.take_in)
        self.settled.add_done_callback(lambda _: stop())
        if has_ended(job.state):
            self.take_in(Event(job.id, job.state))

    def take_in(self, event: Event) -> None:
        """Observer: show what has changed; called on the portal's thread and never blocks it."""
        state = event.state
        if has_ended(state):
            portal().submit(in_thread(self._end, state))
            return
        kind, word, at = self._last
        now, said = time.monotonic(), str(getattr(state, "word", ""))
        is_new = (type(state), said) != (kind, word)
        if self._live is None or not (is_new or now - at >= _QUIET_S):
            return
        self._last = (type(state), said, now)
        self._live.html = _bar(self.job, state)
        if is_new:
            self._record.value = _record(self.job, state)

    def close(self) -> None:
        """Take the card away; the job goes on."""
        self.box.close()
        self._record.close()
        if self._live is not None:
            self._live.close()

    def _end(self, state: JobState) -> None:
        with self._ending:
            if self.settled.done():
                return
            try:
                self._record.value = _record(self.job, state)
                self.box.children = (self._record,)
                if self._live is not None:
                    self._live.close()
            except Exception:
                _log.exception("the card of job %s could not be shown", self.job.id)
            self.settled.set_result(None)

    def _answer(self, word: str) -> None:
        if word == "detach":
            self.job.detach()


def _record(job: Job, state: JobState) -> str:
    return card_bundle(job.facts, state)["text/html"]


def _bar(job: Job, state: JobState) -> str:
    return html.render_live(job.facts, state, now=datetime.now().astimezone())
