"""The clips of a panel: cards of the jobs it submitted, and recent clips to start from.

`earlier_jobs`, `recent_clips` and `last_frame` read files: call them in a worker thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import to_one_line
from kling_nb.core.job_state import FOLLOWED, SUBMITTING, Stage
from kling_nb.display.cards.card import Card, ShowTake
from kling_nb.display.cards.mimebundle import Bundle, Updates
from kling_nb.display.html.markup import data_uri
from kling_nb.jobs.job import Job
from kling_nb.jobs.job_from_record import clip_of
from kling_nb.jobs.session import Session
from kling_nb.media import images
from kling_nb.media.image_sources import frame_png
from kling_nb.storage.job_record import JobRecord

RECENT_CLIPS = 6
"""Number of recent clips shown."""

EARLIER_CLIPS = 12
"""Number of cards that a panel shows of its earlier jobs."""

_log = logging.getLogger("kling_nb")


def recent_clips(session: Session) -> list[dict[str, str]]:
    """Return id, poster and prompt of the newest clips that have a readable poster."""
    found: list[dict[str, str]] = []
    for record in session.ledger.clips(2 * RECENT_CLIPS):
        poster = _poster(record)
        if poster and len(found) < RECENT_CLIPS:
            prompt = to_one_line(record.title or record.prompt, 120) or record.model
            found.append({"id": record.id, "src": data_uri(poster), "prompt": prompt})
    return found


def earlier_jobs(session: Session, panel: str) -> tuple[list[Job], int]:
    """Return the newest jobs that a panel of this notebook sent earlier, and how many more it has.

    These are running jobs, which are followed from then on, lost ones, and clips whose file exists.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    records = session.ledger.of_panel(panel, session.notebook, session.service)
    kept = [record for record in records if _is_kept(record, session.ledger.owner)]
    jobs = [session.job(record.id) for record in kept[:EARLIER_CLIPS]]
    return jobs, len(kept) - len(jobs)


def _is_kept(record: JobRecord, owner: str) -> bool:
    if record.stage is Stage.SAVED:  # a clip without its file would be downloaded again
        path = _path(record)
        return path is not None and path.is_file()
    if record.stage in SUBMITTING:  # only its own session can follow it
        return record.owner == owner
    return record.stage in FOLLOWED or record.stage is Stage.UNKNOWN


def last_frame(record: JobRecord) -> tuple[bytes, str]:
    """Return the last frame of a clip as a PNG, and its name.

    Raises:
        MediaError: The clip's file is gone or cannot be read.
    """
    path = _path(record)
    if path is None or not path.is_file():
        raise MediaError(
            f"The file of clip {record.id} is missing; `%kling resume {record.id}` downloads it"
        )
    return frame_png(clip_of(record).frame(-1)), f"last frame of {path.name}"


def _poster(record: JobRecord) -> bytes:
    path = _path(record)
    if path is None:
        return b""
    try:
        return images.read_image(path.with_suffix(".jpg")).thumbnail
    except MediaError as error:
        _log.info("clip %s has no poster: %s", record.id, error)
        return b""


def _path(record: JobRecord) -> Path | None:
    return Path(record.clip.path) if record.clip is not None else None


class _WidgetOutput:
    """Draws a card into an HTML widget."""

    updates: Updates = "live"

    def __init__(self) -> None:
        self.widget = widgets.HTML()

    def show(self, bundle: Bundle) -> None:
        """Set the card's HTML; the value of a widget reaches a reloaded page as well."""
        self.widget.value = bundle["text/html"]


class Result(Card):
    """A card in the panel; for the arguments see `Card`."""

    def __init__(
        self,
        job: Job,
        on_take: ShowTake | None = None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        output = _WidgetOutput()
        self.box = widgets.VBox([output.widget]).add_class("kling-result")
        super().__init__(job, output, on_take=on_take, on_end=on_end)
        self.display()

    def close(self) -> None:
        """Remove the card; the job goes on."""
        super().close()
        for child in self.box.children:
            child.close()
        self.box.close()
