"""The card controller: renders the state of jobs and handles button clicks.

A `Strip` is one job on a card: the state shown last, and which changes need a message.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import (
    Downloading,
    Event,
    JobState,
    OutOfSight,
    Saved,
    Uploading,
    Waiting,
    has_ended,
)
from kling_nb.display import html
from kling_nb.display.comm import Place
from kling_nb.display.html import CardStatus
from kling_nb.display.links import relative_link
from kling_nb.display.threads import draw_later, work_later
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job import Job

from .mimebundle import Bundle, Embed, card_bundle, joined_bundle, lacks_preview, make_preview
from .outputs import Screen

__all__ = [
    "Card",
    "Strip",
    "TakeShower",
    "meaning",
]

_QUIET_S = 2.0


class Strip:
    """One job of a card.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.status = CardStatus()
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


TakeShower = Callable[[Job], object]
"""Shows a new take elsewhere than on the card it was asked from."""

_log = logging.getLogger("kling_nb")


class Card:
    """The display of one job, and of the takes that follow from it.

    Args:
        job: The job.
        screen: What it is drawn on.
        embed: See `card_bundle`.
        on_take: Shows another take; without it the take comes below the job it was asked from.
        on_end: Called after each end that was shown, and when a job that had ended goes on.
    """

    def __init__(
        self,
        job: Job,
        screen: Screen,
        embed: Embed = "auto",
        on_take: TakeShower | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.settled: Future[None] = Future()
        """Done when the last display of the first job has been sent."""
        # A running future cannot be cancelled by a waiter that is interrupted.
        self.settled.set_running_or_notify_cancel()
        self._screen = screen
        # Where only words are shown nobody needs a player, nor waits for one.
        self._embed: Embed = "never" if screen.wants == "words" else embed
        self._on_take, self._on_end = on_take, on_end
        self._first = Strip(job)
        self._strips: list[Strip] = []
        self._drawing = threading.RLock()
        self._is_closed = False
        self._place = Place(self._answer) if screen.wants == "life" else None

    @property
    def job(self) -> Job:
        """The job, as it is followed now: one that was resumed has another handle."""
        return self._first.job

    def display(self) -> None:
        """Show the card and follow its job."""
        self._add(self._first)

    def close(self) -> None:
        """Follow nothing any more; the jobs go on."""
        self._is_closed = True
        for strip in self._strips:
            strip.stop()
        if self._place is not None:
            self._place.close()

    def _add(self, strip: Strip) -> None:
        if self._screen.wants == "end":  # what comes later is not saved there
            make_preview(strip.job.state, self._embed)
        with self._drawing:
            self._strips.append(strip)
            self._draw()
        self._follow(strip)

    def _follow(self, strip: Strip) -> None:
        if lacks_preview(strip.shown, self._embed):
            draw_later(self._safely, self._complete, strip)
        elif has_ended(strip.shown):
            self._settle(strip)
        if isinstance(strip.shown, Saved):
            return
        # Also where it has ended: the balance may be watched after a loss.
        strip.stop = strip.job.observe(lambda event: self._take_in(strip, event))
        state = strip.job.state
        if has_ended(state) and state != strip.shown:
            self._take_in(strip, Event(strip.job.id, state))

    def _take_in(self, strip: Strip, event: Event) -> None:
        """Observer: called on the portal's thread and never blocks it."""
        state = event.state
        wants, before = self._screen.wants, strip.shown
        if has_ended(state):
            draw_later(self._safely, self._end, strip)
        elif wants == "words" and meaning(state) != meaning(before):
            strip.note(state)
            self._screen.show(card_bundle(strip.job.facts, state, self._embed))
        elif wants == "life" and strip.is_news(state):
            strip.note(state)
            # The record is what a saved notebook keeps: from now on with the task's id.
            renews = isinstance(state, Waiting) and meaning(state) != meaning(before)
            has_new_foot = type(state) is not type(before) or not isinstance(state, Waiting)
            draw_later(self._safely, self._renew, strip, renews, has_new_foot)

    def _renew(self, strip: Strip, renews: bool, has_new_foot: bool) -> None:
        with self._drawing:
            if has_ended(strip.shown):
                return
            if renews:
                self._draw(tells=False)
            if has_new_foot:
                self._tell(strip)

    def _end(self, strip: Strip) -> None:
        with self._drawing:
            state = strip.job.state
            if strip.shown == state:
                return
            strip.note(state)
        if isinstance(state, Saved):
            strip.stop()
        try:
            if self._screen.wants == "end":
                make_preview(state, self._embed)
            self._draw(ended=strip)
        finally:
            self._complete(strip)

    def _complete(self, strip: Strip) -> None:
        """Show the preview of a large clip, which takes seconds to make; then it is settled."""
        try:
            if make_preview(strip.job.state, self._embed):
                self._draw()
        finally:
            self._settle(strip)

    def _settle(self, strip: Strip) -> None:
        if strip is self._first and not self.settled.done():
            self.settled.set_result(None)
        self._on_end()

    def _draw(self, *, ended: Strip | None = None, tells: bool = True) -> None:
        """Show all records as they are now, with what stands below them where pages live."""
        with self._drawing:
            if self._place is not None:
                self._place.renew()
            in_words = self._screen.wants == "words"
            bundle = self._bundle([ended or self._strips[-1]] if in_words else self._strips)
            # First, so that a record has its foot when it comes: pages keep it until then.
            if tells:
                self._tell(*self._strips)
            self._screen.show(bundle)

    def _bundle(self, strips: list[Strip]) -> Bundle:
        bundle = joined_bundle(
            [
                card_bundle(each.job.facts, each.job.state, self._embed, patient=False)
                for each in strips
            ]
        )
        return bundle if self._place is None else self._place.wrap(bundle)

    def _tell(self, *strips: Strip, bundle: Bundle | None = None) -> None:
        if self._place is None:
            return
        now = datetime.now().astimezone()
        feet = {
            each.job.id: html.render_actions(
                each.job.facts, each.job.state, now=now, status=each.status
            )
            for each in strips
        }
        cells = {each.job.id: each.job.facts.cell for each in strips if each.job.facts.cell}
        self._place.tell(bundle, feet=feet, cells=cells)

    def _answer(self, message: Mapping[str, Any]) -> None:
        """A page asks, or somebody clicked; on the kernel's thread, which must stay free."""
        match message:
            case {"do": "seen", "version": int(version)}:
                draw_later(self._safely, self._catch_up, version)
            case {"do": "show"}:
                draw_later(self._safely, self._catch_up, -1)
            case {"do": str(word), "job": str(job_id), "turn": int(turn)}:
                strip = next((each for each in self._strips if each.job.id == job_id), None)
                if strip is not None:
                    self._click(strip, word, turn)

    def _catch_up(self, version: int) -> None:
        with self._drawing:
            if self._is_closed:
                return
            is_behind = self._place is not None and version < self._place.version
            self._tell(*self._strips, bundle=self._bundle(self._strips) if is_behind else None)

    def _click(self, strip: Strip, word: str, turn: int) -> None:
        """Hear a click once: the same button clicked on two pages is one wish."""
        acts = {"take": self._take, "resume": self._resume, "file": self._show_file}
        words = {"take": "Asking for another take…", "resume": "Asking…"}
        is_free = turn == strip.status.turn and not strip.status.pending
        if word == "detach":
            strip.job.detach()
        elif word in acts and is_free:
            pending = words.get(word, "")
            strip.status = replace(strip.status, turn=turn + 1, pending=pending, error="")
            work_later(self._safely, self._act, strip, acts[word])
        else:
            draw_later(self._safely, self._tell, strip)

    def _act(self, strip: Strip, act: Callable[[Strip], None]) -> None:
        if strip.status.pending:
            self._tell(strip)
        said = ""
        try:
            act(strip)
        except KlingError as error:
            said = str(error)
        except Exception as error:
            _log.exception("a click on the card of job %s could not be answered", strip.job.id)
            said = f"It could not be done: {error}"
        strip.status = replace(strip.status, pending="", error=said)
        self._tell(strip)

    def _take(self, strip: Strip) -> None:
        job = strip.job.another_take()
        if self._on_take is None:
            self._add(Strip(job))
        else:
            self._on_take(job)

    def _resume(self, strip: Strip) -> None:
        """What `%kling resume ID` does, and the same strip follows the job from now on."""
        resume = strip.job.on_resume
        # The session of the job may have been closed; its folder is the present one's then.
        job = resume() if resume is not None else default_session().resume(strip.job.id)[0]
        strip.stop()
        with self._drawing:
            strip.job = job
            strip.note(job.state)
            self._draw()
        self._follow(strip)
        self._on_end()

    def _show_file(self, strip: Strip) -> None:
        state = strip.job.state
        if strip.status.path or not isinstance(state, Saved):
            strip.status = replace(strip.status, path="", href="")
            return
        path = Path(state.clip.path).resolve()
        if not path.is_file():
            raise KlingError(
                f"{path} is not there any more. Run the cell again to fetch it: 0 credits."
            )
        strip.status = replace(strip.status, path=str(path), href=relative_link(path))

    def _safely(self, work: Callable[..., None], *given: Any) -> None:
        try:
            if not self._is_closed:
                work(*given)
        except Exception:
            _log.exception("the card of job %s could not be shown", self.job.id)
