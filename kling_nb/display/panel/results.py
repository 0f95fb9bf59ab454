"""The clips of a panel: cards of the jobs it submitted, and recent clips to start from.

Reads files: call it in a worker thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import ipywidgets as widgets

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import one_line
from kling_nb.display.cards import Bundle, Card
from kling_nb.display.cards.card import TakeShower
from kling_nb.display.cards.outputs import Wants
from kling_nb.display.html.markup import data_uri
from kling_nb.jobs.job import Job
from kling_nb.jobs.job_from_record import clip_of
from kling_nb.jobs.session import Session
from kling_nb.media import images
from kling_nb.media.image_sources import frame_png
from kling_nb.storage import JobRecord

__all__ = [
    "SHOWN",
    "Result",
    "last_frame",
    "recent_clips",
]

SHOWN = 6
"""How many are offered."""

_log = logging.getLogger("kling_nb")


def recent_clips(session: Session) -> list[dict[str, str]]:
    """Id, poster and prompt of the newest clips; those without a readable poster are left out."""
    found: list[dict[str, str]] = []
    for row in session.clips(2 * SHOWN):
        poster = _poster(row)
        if poster and len(found) < SHOWN:
            prompt = one_line(row.prompt, 120) or row.model
            found.append({"id": row.id, "src": data_uri(poster), "prompt": prompt})
    return found


def last_frame(row: JobRecord) -> tuple[bytes, str]:
    """The last picture of a clip as a PNG, and what it is called.

    Raises:
        MediaError: The clip's file is gone or cannot be read.
    """
    path = _path(row)
    if path is None or not path.is_file():
        raise MediaError(f"the file of clip {row.id} is gone; `%kling resume {row.id}` fetches it")
    return frame_png(clip_of(row).frame(-1)), f"last frame of {path.name}"


def _poster(row: JobRecord) -> bytes:
    path = _path(row)
    if path is None:
        return b""
    try:
        return images.read_picture(path.with_suffix(".jpg")).thumbnail
    except MediaError as error:
        _log.info("clip %s has no poster: %s", row.id, error)
        return b""


def _path(row: JobRecord) -> Path | None:
    return Path(row.clip.path) if row.clip is not None else None


class HtmlScreen:
    """Draws a card into an HTML widget."""

    wants: Wants = "life"

    def __init__(self) -> None:
        self.widget = widgets.HTML()

    def show(self, bundle: Bundle) -> None:
        """Put the record there; a widget's value reaches a reloaded page as well."""
        self.widget.value = bundle["text/html"]


class Result:
    """One job in the panel.

    Args:
        job: The job.
        on_take: Shows another take that was asked for here; without it the take comes below.
        on_end: Called when an end was shown, and when a job that had ended goes on.
    """

    def __init__(
        self,
        job: Job,
        on_take: TakeShower | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        screen = HtmlScreen()
        self._card = Card(job, screen, on_take=on_take, on_end=on_end)
        self._card.display()
        self.box = widgets.VBox([screen.widget])
        self.box.add_class("kling-result")

    @property
    def job(self) -> Job:
        """The job as it is followed now."""
        return self._card.job

    @property
    def settled(self) -> Future[None]:
        """Done when the last card of the job is shown."""
        return self._card.settled

    def close(self) -> None:
        """Take the card away; the job goes on."""
        self._card.close()
        for child in self.box.children:
            child.close()
        self.box.close()
