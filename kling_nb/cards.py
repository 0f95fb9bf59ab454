"""The display of jobs and clips: record, live part, video.

Two layers: the record is HTML behind a display handle and is what a notebook keeps; the live part
is a widget in the same output. When the job ends the record becomes the clip and the live part
goes. This module decides what is shown and when; `html` says how it looks.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from IPython.display import Video, display

from . import clips, html
from .errors import MediaError
from .jobs import Clip, Job
from .portal import in_thread, portal
from .states import (
    Downloading,
    Event,
    JobFacts,
    JobState,
    OutOfSight,
    Saved,
    Uploading,
    Waiting,
    has_ended,
)

if TYPE_CHECKING:
    from .live import LiveView

__all__ = ["Card", "Embed", "FrontEnd", "card_bundle", "front_end", "register", "show"]

Embed = Literal["auto", "always", "never"]
FrontEnd = Literal["terminal", "headless", "notebook"]
Bundle = dict[str, str]

_WHOLE_BYTES = 2_000_000
_PREVIEW_BYTES = 1_500_000
_QUIET_S = 2.0
_NOTHING: Bundle = {"text/html": "", "text/plain": ""}

_log = logging.getLogger("kling_nb")


def front_end(shell: Any) -> FrontEnd:
    """What shows the output of this shell.

    A headless run (nbclient, papermill, nbconvert) sends `allow_stdin: false` with each request;
    nothing that arrives after a cell has ended is saved there.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    content = kernel.get_parent("shell").get("content", {})
    return "notebook" if content.get("allow_stdin", True) else "headless"


def card_bundle(facts: JobFacts, state: JobState, embed: Embed = "auto") -> Bundle:
    """The record of a job as a mimebundle of `text/html` and `text/plain`.

    Args:
        facts: What was asked for.
        state: Where it stands.
        embed: How much of a clip goes in: `auto` the whole up to 2 MB and else a preview of at
            most 1.5 MB, `always` the whole, `never` a poster.
    """
    now = datetime.now().astimezone()
    player, href = _player(facts, state, embed) if isinstance(state, Saved) else ("", "")
    return {
        "text/html": html.render_record(facts, state, now=now, player=player, file_href=href),
        "text/plain": html.render_text(facts, state, now=now),
    }


class Card:
    """The display of one job in one cell.

    Args:
        job: The job.
        embed: See `card_bundle`.
        place: What shows it.
    """

    def __init__(self, job: Job, embed: Embed, place: FrontEnd) -> None:
        self.job = job
        self.settled: Future[None] = Future()
        """Done when the last display has been sent."""
        # A running future cannot be cancelled by a waiter that is interrupted.
        self.settled.set_running_or_notify_cancel()
        self._embed = embed
        self._place = place
        self._live: LiveView | None = None
        self._live_handle: Any = None
        self._last = (_meaning(job.state), time.monotonic())
        self._handle: Any = None
        self._ending = threading.Lock()

    def display(self) -> None:
        """Show the card as an output of the running cell."""
        state = self.job.state
        if self._place == "terminal":
            print(html.render_text(self.job.facts, state, now=datetime.now().astimezone()))
        else:
            bundle = card_bundle(self.job.facts, state, self._embed)
            self._handle = display(bundle, raw=True, display_id=True)
        if has_ended(state):
            self.settled.set_result(None)
            return
        if self._place == "notebook":
            self._show_live(state)
        stop = self.job.observe(self.take_in)
        self.settled.add_done_callback(lambda _: stop())
        if has_ended(self.job.state):
            self.take_in(Event(self.job.id, self.job.state))

    def take_in(self, event: Event) -> None:
        """Observer: show what has changed; called on the portal's thread and never blocks it."""
        state = event.state
        if has_ended(state):
            portal().submit(in_thread(self._end, state))
            return
        meaning, (before, at) = _meaning(state), self._last
        is_new = meaning != before
        if not is_new and not (_moves(state) and time.monotonic() - at >= _QUIET_S):
            return
        self._last = (meaning, time.monotonic())
        if self._live is not None:
            self._follow(self._live, state, before[0])
        elif is_new and self._place == "terminal":
            self._print(state)

    def _follow(self, live: LiveView, state: JobState, before: str) -> None:
        """What a notebook shows of a running job."""
        if isinstance(state, Waiting):
            # The record is what a saved notebook keeps: from now on with the task's id.
            self._handle.update(card_bundle(self.job.facts, state, self._embed), raw=True)
            if before == "Waiting":
                # Another word of the service: the badge above says it, the bar moves by itself.
                return
        live.html = self._live_html(state)

    def _end(self, state: JobState) -> None:
        with self._ending:
            if not self.settled.done():
                self._show_end(state)
                self.settled.set_result(None)

    def _show_end(self, state: JobState) -> None:
        try:
            if self._place == "terminal":
                self._print(state)
                return
            bundle = card_bundle(self.job.facts, state, self._embed)
            self._handle.update(bundle, raw=True)
            if self._live is not None:
                with self._live.hold_sync():
                    self._live.html = self._live_html(state)
                    self._live.ended = True
                self._live_handle.update(_NOTHING, raw=True)
        except Exception:
            _log.exception("the card of job %s could not be shown", self.job.id)

    def _show_live(self, state: JobState) -> None:
        from .live import LiveView

        self._live = LiveView(self.job.id, self._live_html(state), self._answer)
        self._live_handle = display(self._live, display_id=True)

    def _answer(self, word: str) -> None:
        """A click, or a reloaded page that asks for the finished card."""
        if word == "detach":
            self.job.detach()
        elif word == "show" and self._live is not None:
            portal().submit(in_thread(self._send_card, self._live))

    def _send_card(self, live: LiveView) -> None:
        bundle = card_bundle(self.job.facts, self.job.state, self._embed)
        live.send({"card": bundle["text/html"]})

    def _live_html(self, state: JobState) -> str:
        return html.render_live(self.job.facts, state, now=datetime.now().astimezone())

    def _print(self, state: JobState) -> None:
        print(html.render_text(self.job.facts, state, now=datetime.now().astimezone()))


def show(job: Job, shell: Any, embed: Embed = "auto") -> Card:
    """Display a job's card in the running cell."""
    card = Card(job, embed, front_end(shell))
    card.display()
    return card


def register(shell: Any, show_job: Callable[[Job], object]) -> None:
    """Teach a shell how jobs and clips are displayed; registering again changes nothing."""
    formatter = shell.display_formatter
    formatter.ipython_display_formatter.for_type(Job, show_job)
    formatter.mimebundle_formatter.for_type(Clip, _clip_bundle)


def _meaning(state: JobState) -> tuple[str, str]:
    """What of a state is worth a message: its kind, and the service's word for it."""
    return type(state).__name__, getattr(state, "word", "")


def _moves(state: JobState) -> bool:
    """Whether a state has figures that change; a waiting bar moves by CSS alone."""
    return isinstance(state, Uploading | Downloading | OutOfSight)


def _clip_bundle(clip: Clip, **_: object) -> Bundle:
    """A clip by itself: the same card as its job's, made from what the clip knows."""
    return card_bundle(
        clip.request, Saved(clip.task_id, clip.facts, clip.credits, clip.finished_at)
    )


def _player(facts: JobFacts, state: Saved, embed: Embed) -> tuple[str, str]:
    """The markup of the video or poster, and the link to the whole file."""
    path = Path(state.clip.path)
    try:
        poster = _poster(path)
        video = b"" if embed == "never" else _video_bytes(path, embed)
    except (MediaError, OSError) as error:
        _log.warning("clip %s cannot be shown: %s", path, error)
        return "", ""
    href = "" if len(video) == state.clip.size_bytes else _relative(path)
    if not video:
        return html.poster_image(facts, poster), href
    # With embed=True IPython writes <source src="data:…">, which JupyterLab removes from a
    # notebook that is not trusted; on <video src> the data stays and plays.
    url = "data:video/mp4;base64," + base64.b64encode(video).decode("ascii")
    attributes = html.video_attributes(facts, poster=poster)
    shown = Video(url=url, mimetype="video/mp4", html_attributes=attributes)
    return str(shown._repr_html_()), href


def _video_bytes(path: Path, embed: Embed) -> bytes:
    if embed == "always" or path.stat().st_size <= _WHOLE_BYTES:
        return path.read_bytes()
    return clips.preview(path, max_bytes=_PREVIEW_BYTES)


def _poster(path: Path) -> bytes:
    kept = path.with_suffix(".jpg")
    return kept.read_bytes() if kept.is_file() else clips.poster(path)


def _relative(path: Path) -> str:
    """The file as a link from the notebook, which starts its kernel in its own folder."""
    try:
        return Path(os.path.relpath(path)).as_posix()
    except ValueError:  # another drive
        return ""
