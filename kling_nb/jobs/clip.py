"""Clip: a video on disk, with its request and the measurements of its file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kling_nb.core.console import readable
from kling_nb.core.job_state import ClipFacts, Saved
from kling_nb.storage.job_record import JobRecord

from .mimebundle import render_mimebundle

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Clip:
    """A video on disk, with the measurements of its file."""

    request: JobRecord
    """The request."""
    facts: ClipFacts
    """The measurements of the file."""
    task_id: str
    url: str
    """URL at the service; it expires after hours or days."""
    credits: float | None
    """The cost that the service reports; None if it reports none."""
    finished_at: datetime
    others: tuple[Path, ...] = ()
    """Further clips of the same result, saved beside it."""

    def __repr__(self) -> str:
        """Return one line with the most important facts."""
        size = f"{self.width_px}×{self.height_px}"
        return readable(
            f"<Clip {self.path.name} {self.duration_s:.1f} s {size}: {self.request.prompt[:60]!r}>"
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return render_mimebundle(
            self.request, Saved(self.task_id, self.facts, self.credits, self.finished_at)
        )

    def _repr_html_(self) -> str:
        """Return the saved card, for front ends without IPython, e.g. marimo."""
        return str(self._repr_mimebundle_()["text/html"])

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
