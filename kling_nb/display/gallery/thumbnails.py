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

__all__ = ["Video", "find_fault", "read_poster", "read_video"]

POSTER_PX: Final = (400, 400)
POSTER_BYTES: Final = 17_000
"""24 of them, as base64, are 550 kB in a saved notebook."""

AGAIN: Final = "Run its cell again to download it for 0 credits."

Video = tuple[bytes, bool]
"""An MP4, and whether it is a preview."""


def find_fault(row: JobRecord) -> str:
    """Return why a clip's file cannot be played; empty if it seems playable."""
    if row.clip is None:
        return "There is no clip yet."
    path = Path(row.clip.path)
    if path.is_file():
        return "" if path.stat().st_size else f"{path.name} is empty. {AGAIN}"
    return f"{path.name} does not exist any more. {AGAIN}"


def read_poster(row: JobRecord) -> bytes:
    """Return a small JPEG of a clip: its poster, a frame of the clip, or its input image."""
    if row.clip is None:
        return row.thumbnail
    path = Path(row.clip.path)
    for source in (path.with_suffix(".jpg"), path):
        try:
            return _shrink(source, source.stat().st_mtime_ns)
        except (MediaError, OSError):
            continue
    return row.thumbnail


def read_video(row: JobRecord) -> Video:
    """Return the clip, whole up to 2 MB; else, or if some browsers cannot play it, a preview.

    Raises:
        MediaError: The file does not exist or does not play.
    """
    fault = find_fault(row)
    if fault or row.clip is None:
        raise MediaError(fault)
    path = Path(row.clip.path)
    if previews.needs_preview(path):
        return previews.preview(path), True
    content = path.read_bytes()
    # The page would only show a black frame; the error says what is wrong.
    clips.probe_clip(path)
    return content, False


@lru_cache(maxsize=1000)
def _shrink(path: Path, _changed_ns: int) -> bytes:
    content = path.read_bytes() if path.suffix == ".jpg" else clips.poster(path)
    return images.shrink(content, POSTER_PX, max_bytes=POSTER_BYTES)
