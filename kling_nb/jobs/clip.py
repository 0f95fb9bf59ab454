"""Clip: a video on disk, with its request and the measurements of its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kling_nb.core.console import readable
from kling_nb.core.errors import LedgerError
from kling_nb.core.formatting import to_one_line
from kling_nb.core.job_state import ClipFacts, Deleted, JobState, Saved
from kling_nb.storage.job_record import JobRecord

from .mimebundle import render_mimebundle

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipController(Protocol):
    """What the session of a clip does for it. Called from any thread."""

    def rename(self, title: str) -> JobRecord:
        """Set the title; return the new record."""
        ...

    def delete(self, *, permanently: bool = False) -> JobRecord:
        """Delete the files; return the new record."""
        ...


@dataclass(slots=True)
class Clip:
    """A video on disk, with the measurements of its file."""

    request: JobRecord
    """The request."""
    facts: ClipFacts
    """The measurements of the file."""
    task_id: str
    url: str
    """URL at the service; it may expire after 24 hours, the file after 14 days (source: D)."""
    credits: float | None
    """The cost that the service reports; None if it reports none."""
    finished_at: datetime
    others: tuple[Path, ...] = ()
    """Further clips of the same result, saved beside it."""
    controller: ClipController | None = field(default=None, repr=False, compare=False)
    """None for a clip without a session."""

    def __repr__(self) -> str:
        """Return one line with the most important facts."""
        size = f"{self.width_px}×{self.height_px}"
        name = to_one_line(self.title or self.request.prompt, 60)
        return readable(f"<Clip {self.path.name} {self.duration_s:.1f} s {size}: {name!r}>")

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        state: JobState = Saved(self.task_id, self.facts, self.credits, self.finished_at)
        if self.request.deleted_at is not None:
            state = Deleted(self.task_id, self.request.deleted_at, self.request.kept_until)
        return render_mimebundle(self.request, state)

    def _repr_html_(self) -> str:
        """Return the saved card, for front ends without IPython, e.g. marimo."""
        return str(self._repr_mimebundle_()["text/html"])

    @property
    def title(self) -> str:
        """The title that `rename` has set; empty without one."""
        return self.request.title

    def rename(self, title: str) -> None:
        """Set the title, which the card and the gallery show; an empty text removes it.

        The file keeps its name, since saved notebooks link to it.

        Raises:
            InvalidInput: The title is not one line of at most 120 characters.
            LedgerError: The clip has no open session, or the ledger cannot be written.
        """
        self.request = self._open_controller().rename(title)

    def delete(self, *, permanently: bool = False) -> None:
        """Move the clip, further clips of its job and their posters to the system's trash.

        The ledger keeps the payment: running the cell again sends nothing, and
        `kling.resume(id)` downloads the clip again while the service keeps it. Saved notebooks
        that contain the clip do not change.

        Args:
            permanently: Delete the files instead.

        Raises:
            NoTrash: The system has no trash for the file; it was not deleted.
            LedgerError: The clip has no open session, or the file cannot be deleted.
        """
        self.request = self._open_controller().delete(permanently=permanently)

    def _open_controller(self) -> ClipController:
        if self.controller is None:
            job = f"kling.job({self.request.id!r})"
            raise LedgerError(f"this clip has no open session; `{job}.result()` returns one")
        return self.controller

    @property
    def path(self) -> Path:
        """The MP4 file."""
        return Path(self.facts.path)

    @property
    def duration_s(self) -> float:
        """Length in seconds, as measured in the file."""
        return self.facts.duration_s

    @property
    def width_px(self) -> int:
        """Width in pixels."""
        return self.facts.width_px

    @property
    def height_px(self) -> int:
        """Height in pixels."""
        return self.facts.height_px

    def frame(self, index: int) -> Image:
        """Return one frame as an RGB PIL image; a negative index counts from the end.

        As the input of a request, the frame is identified by the request of this clip and its
        position: if another PyAV version decodes it differently, the request stays the same.

        Raises:
            IndexError: There is no such frame.
            MediaError: The file is missing or is no video.
        """
        from kling_nb.media import clips, image_sources, input_store

        image, position = clips.decode_frame(self.path, index)
        sha256 = input_store.content_hash(self.path)
        is_unchanged = sha256 == self.facts.sha256 and bool(self.request.fingerprint)
        origin = self.request.fingerprint if is_unchanged else f"file {sha256}"
        return image_sources.mark_frame(image, origin, position)
