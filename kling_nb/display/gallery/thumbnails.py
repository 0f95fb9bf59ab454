"""Read the poster of a clip, and a video that is small enough to send, for the gallery page.

Also keeps some of them in memory. Slow if a preview has to be made: call it in worker threads,
never in the kernel's main thread.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from kling_nb.core.errors import MediaError
from kling_nb.media import clips, images, previews
from kling_nb.storage import JobRecord

__all__ = ["Film", "fault_of", "film", "still"]

STILL_PX: Final = (400, 400)
STILL_BYTES: Final = 17_000
"""Two dozen of them, written as text, are 550 kB in a saved notebook."""

AGAIN: Final = "Run its cell again: it is fetched for 0 credits."

Film = tuple[bytes, bool]
"""An MP4, and whether it is a smaller copy."""


def fault_of(row: JobRecord) -> str:
    """Why a clip's file cannot be played, as far as a look at the folder tells; else empty."""
    if row.clip is None:
        return "There is no clip yet."
    path = Path(row.clip.path)
    if path.is_file():
        return "" if path.stat().st_size else f"{path.name} is empty. {AGAIN}"
    return f"{path.name} is not there any more. {AGAIN}"


def still(row: JobRecord) -> bytes:
    """A small JPEG of a clip: from the poster beside it, from the clip, or from its picture."""
    if row.clip is None:
        return row.thumbnail
    path = Path(row.clip.path)
    for source in (path.with_suffix(".jpg"), path):
        try:
            return _shrunk(source, source.stat().st_mtime_ns)
        except (MediaError, OSError):
            continue
    return row.thumbnail


def film(row: JobRecord) -> Film:
    """The clip, whole up to 2 MB; as a preview above that or where not every browser plays it.

    Raises:
        MediaError: Its file is not there or does not play.
    """
    fault = fault_of(row)
    if fault or row.clip is None:
        raise MediaError(fault)
    path = Path(row.clip.path)
    if previews.needs_preview(path):
        return previews.preview(path), True
    content = path.read_bytes()
    # The page would only show a black frame; here the reader says what is wrong.
    clips.probe_clip(path)
    return content, False


@lru_cache(maxsize=1000)
def _shrunk(path: Path, _changed_ns: int) -> bytes:
    content = path.read_bytes() if path.suffix == ".jpg" else clips.poster(path)
    return images.shrink(content, STILL_PX, max_bytes=STILL_BYTES)
