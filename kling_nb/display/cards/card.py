"""The card controller: renders the state of jobs and handles button clicks.

A `_CardEntry` is one job on a card: the state shown last, and which changes need a message.
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
    Saved,
    Unresponsive,
    Uploading,
    Waiting,
    has_ended,
)
from kling_nb.display import html
from kling_nb.display.comm import CardContainer
from kling_nb.display.front_end import front_end
from kling_nb.display.html import CardStatus
from kling_nb.display.links import relative_link
from kling_nb.display.threads import draw_later, work_later
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job import Job

from .mimebundle import (
    Bundle,
    Embed,
    Output,
    card_bundle,
    join_bundles,
    lacks_preview,
    make_preview,
    output_for,
)

_QUIET_S = 2.0


class _CardEntry:
    """One job of a card."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.status = CardStatus()
        self.shown = job.state
        """The state shown last."""
        self.title = job.record.title
        """The title shown last."""
        self.shown_at = time.monotonic()
        self.stop: Callable[[], None] = lambda: None
        """Ends the observation of the job."""

    def needs_message(self, state: JobState) -> bool:
        """Whether a state needs a message to pages."""
        if _state_key(state) != _state_key(self.shown):
            return True
        # Only these states have figures that change; CSS animates a waiting bar.
        has_figures = isinstance(state, Uploading | Downloading | Unresponsive)
        return has_figures and time.monotonic() - self.shown_at >= _QUIET_S

    def mark_shown(self, state: JobState) -> None:
        """Record the state that was shown."""
        self.shown, self.shown_at = state, time.monotonic()
        self.title = self.job.record.title


def _state_key(state: JobState) -> tuple[str, str]:
    """Return the key by which readers distinguish states: name, and the service's word for it."""
    return state.name, getattr(state, "word", "")


ShowTake = Callable[[Job], object]
"""Displays a new take somewhere else than below its job."""

_log = logging.getLogger("kling_nb")


class Card:
    """The display of one job and of the takes requested from it.

    Args:
        job: The job.
        output: The output to draw on.
        embed: See `card_bundle`.
        on_take: Shows another take; by default it is added below its job.
        on_end: Called after each shown end of a job, and when an ended job is resumed.
    """

    def __init__(
        self,
        job: Job,
        output: Output,
        embed: Embed = "auto",
        on_take: ShowTake | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.settled: Future[None] = Future()
        """Done when the last display of the first job has been sent."""
        # An interrupted waiter cannot cancel a running future.
        self.settled.set_running_or_notify_cancel()
        self._output = output
        # A text output needs no player.
        self._embed: Embed = "never" if output.updates == "text" else embed
        self._on_take, self._on_end = on_take, on_end
        self._first = _CardEntry(job)
        self._entries: list[_CardEntry] = []
        self._drawing = threading.RLock()
        self._is_closed = False
        self._place = CardContainer(self._receive) if output.updates == "live" else None

    @property
    def job(self) -> Job:
        """The job; a resumed job has a new handle."""
        return self._first.job

    def display(self) -> None:
        """Show the card and follow its job."""
        self._add(self._first)

    def add(self, job: Job) -> None:
        """Show another job below the others, and follow it."""
        self._add(_CardEntry(job))

    def redraw(self) -> None:
        """Show the card again, for a page that has lost it."""
        self._draw()

    def close(self) -> None:
        """Stop following the jobs; the jobs go on."""
        self._is_closed = True
        for entry in self._entries:
            entry.stop()
        if self._place is not None:
            self._place.close()

    def _add(self, entry: _CardEntry) -> None:
        if self._output.updates == "end":  # later updates are not saved there
            make_preview(entry.job.state, self._embed)
        with self._drawing:
            self._entries.append(entry)
            self._draw()
        self._follow(entry)

    def _follow(self, entry: _CardEntry) -> None:
        if lacks_preview(entry.shown, self._embed):
            draw_later(self._log_errors, self._complete, entry)
        elif has_ended(entry.shown):
            self._settle(entry)
        # Ended jobs as well: the balance watch may still report, and a clip can be changed.
        entry.stop = entry.job.observe(lambda event: self._handle_event(entry, event))
        state = entry.job.state
        if has_ended(state) and state != entry.shown:
            self._handle_event(entry, Event(entry.job.id, state))

    def _handle_event(self, entry: _CardEntry, event: Event) -> None:
        """Handle an event of the job, on the background loop; never blocks it."""
        state = event.state
        updates, before = self._output.updates, entry.shown
        if has_ended(state):
            draw_later(self._log_errors, self._end, entry)
        elif updates == "text" and _state_key(state) != _state_key(before):
            entry.mark_shown(state)
            self._output.show(card_bundle(entry.job.record, state, self._embed))
        elif updates == "live" and entry.needs_message(state):
            entry.mark_shown(state)
            # Redraw the saved HTML, so that a saved notebook has the task id.
            renews = isinstance(state, Waiting) and _state_key(state) != _state_key(before)
            has_new_actions = type(state) is not type(before) or not isinstance(state, Waiting)
            draw_later(self._log_errors, self._renew, entry, renews, has_new_actions)

    def _renew(self, entry: _CardEntry, renews: bool, has_new_actions: bool) -> None:
        with self._drawing:
            if has_ended(entry.shown):
                return
            if renews:
                self._draw(sends_actions=False)
            if has_new_actions:
                self._send_actions(entry)

    def _end(self, entry: _CardEntry) -> None:
        with self._drawing:
            state = entry.job.state
            if (entry.shown, entry.title) == (state, entry.job.record.title):
                return
            entry.mark_shown(state)
        try:
            if self._output.updates == "end":
                make_preview(state, self._embed)
            self._draw(ended=entry)
        finally:
            self._complete(entry)

    def _complete(self, entry: _CardEntry) -> None:
        """Make the preview of a large clip, which takes seconds, and show it."""
        try:
            if make_preview(entry.job.state, self._embed):
                self._draw()
        finally:
            self._settle(entry)

    def _settle(self, entry: _CardEntry) -> None:
        if entry is self._first and not self.settled.done():
            self.settled.set_result(None)
        self._on_end()

    def _draw(self, *, ended: _CardEntry | None = None, sends_actions: bool = True) -> None:
        """Show all cards in their current state, and on live pages the actions below them."""
        with self._drawing:
            if self._place is not None:
                self._place.start_version()
            is_text = self._output.updates == "text"
            bundle = self._bundle([ended or self._entries[-1]] if is_text else self._entries)
            # First, since a page keeps the actions until their card arrives.
            if sends_actions:
                self._send_actions(*self._entries)
            self._output.show(bundle)

    def _bundle(self, entries: list[_CardEntry]) -> Bundle:
        bundle = join_bundles(
            [
                card_bundle(each.job.record, each.job.state, self._embed, makes_preview=False)
                for each in entries
            ]
        )
        return bundle if self._place is None else self._place.wrap(bundle)

    def _send_actions(self, *entries: _CardEntry, bundle: Bundle | None = None) -> None:
        if self._place is None:
            return
        now = datetime.now().astimezone()
        actions = {
            each.job.id: html.render_actions(
                each.job.record, each.job.state, now=now, status=each.status
            )
            for each in entries
        }
        cells = {each.job.id: each.job.record.cell for each in entries if each.job.record.cell}
        self._place.send_update(bundle, feet=actions, cells=cells)

    def _receive(self, message: Mapping[str, Any]) -> None:
        """Handle a message of a page; called on the kernel's thread, which must stay free."""
        match message:
            case {"do": "seen", "version": int(version)}:
                draw_later(self._log_errors, self._catch_up, version)
            case {"do": "show"}:
                draw_later(self._log_errors, self._catch_up, -1)
            case {"do": str(word), "job": str(job_id), "turn": int(turn)}:
                entry = next((each for each in self._entries if each.job.id == job_id), None)
                if entry is not None:
                    self._click(entry, word, turn)

    def _catch_up(self, version: int) -> None:
        with self._drawing:
            if self._is_closed:
                return
            is_behind = self._place is not None and version < self._place.version
            self._send_actions(
                *self._entries, bundle=self._bundle(self._entries) if is_behind else None
            )

    def _click(self, entry: _CardEntry, word: str, turn: int) -> None:
        """Handle a click once, even if the same button is clicked on two pages."""
        acts = {"take": self._take, "resume": self._resume, "file": self._show_file}
        labels = {"take": "Requesting another take…", "resume": "Checking…"}
        is_free = turn == entry.status.turn and not entry.status.pending
        if word == "detach":
            entry.job.detach()
        elif word in acts and is_free:
            pending = labels.get(word, "")
            entry.status = replace(entry.status, turn=turn + 1, pending=pending, error="")
            work_later(self._log_errors, self._run_action, entry, acts[word])
        else:
            draw_later(self._log_errors, self._send_actions, entry)

    def _run_action(self, entry: _CardEntry, act: Callable[[_CardEntry], None]) -> None:
        if entry.status.pending:
            self._send_actions(entry)
        message = ""
        try:
            act(entry)
        except KlingError as error:
            message = str(error)
        except Exception as error:
            _log.exception("a click on the card of job %s failed", entry.job.id)
            message = f"Failed: {error}"
        entry.status = replace(entry.status, pending="", error=message)
        self._send_actions(entry)

    def _take(self, entry: _CardEntry) -> None:
        job = entry.job.another_take()
        if self._on_take is None:
            self.add(job)
        else:
            self._on_take(job)

    def _resume(self, entry: _CardEntry) -> None:
        """Resume the job as `%kling resume ID` does, and follow it in the same entry."""
        controller = entry.job.controller
        # A job without a controller has a closed session; the default session replaced it.
        job = controller.resume() if controller else default_session().resume(entry.job.id)[0]
        entry.stop()
        with self._drawing:
            entry.job = job
            entry.mark_shown(job.state)
            self._draw()
        self._follow(entry)
        self._on_end()

    def _show_file(self, entry: _CardEntry) -> None:
        state = entry.job.state
        if entry.status.path or not isinstance(state, Saved):
            entry.status = replace(entry.status, path="", href="")
            return
        path = Path(state.clip.path).resolve()
        if not path.is_file():
            raise KlingError(
                f"{path} no longer exists. Run the cell again to download it: 0 credits."
            )
        entry.status = replace(entry.status, path=str(path), href=relative_link(path))

    def _log_errors(self, work: Callable[..., None], *args: Any) -> None:
        try:
            if not self._is_closed:
                work(*args)
        except Exception:
            _log.exception("the card of job %s could not be shown", self.job.id)


def show_card(job: Job, shell: Any, embed: Embed = "auto", handle: Any = None) -> Card:
    """Display a job's card in the running cell, in place of the display of `handle` if given."""
    card = Card(job, output_for(front_end(shell), handle), embed)
    card.display()
    return card
