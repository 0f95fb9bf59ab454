"""The saved view of a panel: a notice in place of the live panel, and the clips it made.

Uses two outputs. The first is the output of the live panel; without a kernel it says what to do.
The second contains the cards of the clips; it is hidden while the live panel shows them. It has a
display of its own, so that a finished clip does not redraw the form while the user edits it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import display
from markupsafe import Markup

from kling_nb.core.job_state import has_ended
from kling_nb.display.cards.mimebundle import Bundle, card_bundle, join_bundles
from kling_nb.display.comm import CardContainer, mount_widget
from kling_nb.display.front_end import present_front_end
from kling_nb.display.html.markup import tag
from kling_nb.display.notice import notice_bundle
from kling_nb.display.threads import draw_later
from kling_nb.jobs.job import Job

MISSED = "This page was reloaded: display the panel again to save its clips in the notebook."

_MOST_CHARS = 15_000_000
"""Limit for the HTML of a panel's clips in a notebook; above it, older clips are posters."""

_log = logging.getLogger("kling_nb")


class SavedView:
    """The saved view of a panel in the output of one cell."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._place: CardContainer | None = None
        self._saved = _records([])
        self._whole: dict[str, Bundle] = {}
        self._updating = threading.Lock()

    def display(self, panel: Any, title: str) -> None:
        """Display a panel in the running cell."""
        lines = ["Run this cell again to use it. `%kling jobs` lists all clips of this folder."]
        display(mount_widget(panel, notice_bundle("info", title, lines)), raw=True)
        with self._updating:
            if self._place is not None:  # of an earlier display, which stays as it is
                self._place.close()
            is_alive = present_front_end() != "headless"
            self._place = CardContainer(self._on_message, MISSED) if is_alive else None
            self._handle = display(self._current_bundle(), raw=True, display_id=True)

    def update(self, jobs: Sequence[Job]) -> None:
        """Save the clips of these jobs, newest first; may be called from any thread."""
        if self._handle is None:
            return
        try:
            with self._updating:
                self._saved = _records(self._bundles(jobs))
                if self._place is not None:
                    self._place.start_version()
                self._handle.update(self._current_bundle(), raw=True)
                if self._place is not None:
                    self._place.send_update()
        except Exception:
            _log.exception("the clips of a panel could not be saved in its notebook")

    def _on_message(self, message: Mapping[str, Any]) -> None:
        """Handle a message of a page, which may have missed an update."""
        if message.get("do") in ("seen", "show"):
            draw_later(self._send, message.get("version"))

    def _send(self, version: object) -> None:
        with self._updating:
            if self._place is not None:
                is_behind = version != self._place.version
                self._place.send_update(self._current_bundle() if is_behind else None)

    def _current_bundle(self) -> Bundle:
        return self._saved if self._place is None else self._place.wrap(self._saved)

    def _bundles(self, jobs: Sequence[Job]) -> list[Bundle]:
        kept, room = [], _MOST_CHARS
        for job in jobs:
            if has_ended(job.state):
                bundle = self._bundle(job, room)
                room -= len(bundle["text/html"])
                kept.append(bundle)
        return kept

    def _bundle(self, job: Job, room: int) -> Bundle:
        key = f"{job.id} {job.state.name}"
        if key not in self._whole:
            self._whole[key] = card_bundle(job.record, job.state)
        whole = self._whole[key]
        if len(whole["text/html"]) <= room:
            return whole
        return card_bundle(job.record, job.state, "never")


def _records(kept: Sequence[Bundle]) -> Bundle:
    if not kept:
        none = "No clips yet."
        return {"text/html": _hidden(tag("p", "quiet", none)), "text/plain": none}
    bundle = join_bundles(kept)
    return bundle | {"text/html": _hidden(Markup(bundle["text/html"]))}


def _hidden(inside: Markup) -> str:
    """Return markup that the style sheet of a live panel hides."""
    return str(tag("div", "", inside, classes="kling-panel-saved"))
