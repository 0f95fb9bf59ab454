"""The newest clips of the folder, as something to start from.

Reads files: always called beside the kernel's thread. How they are shown is the matter of
`controls.Recents`.
"""

from __future__ import annotations

import logging
from pathlib import Path

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import one_line
from kling_nb.display.html.markup import data_uri
from kling_nb.jobs.job_from_record import clip_of
from kling_nb.jobs.session import Session
from kling_nb.media import images as media
from kling_nb.media.image_sources import frame_png
from kling_nb.storage import Row

__all__ = ["SHOWN", "last_frame", "recent_clips"]

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


def last_frame(row: Row) -> tuple[bytes, str]:
    """The last picture of a clip as a PNG, and what it is called.

    Raises:
        MediaError: The clip's file is gone or cannot be read.
    """
    path = _path(row)
    if path is None or not path.is_file():
        raise MediaError(f"the file of clip {row.id} is gone; `%kling resume {row.id}` fetches it")
    return frame_png(clip_of(row).frame(-1)), f"last frame of {path.name}"


def _poster(row: Row) -> bytes:
    path = _path(row)
    if path is None:
        return b""
    try:
        return media.read_picture(path.with_suffix(".jpg")).thumbnail
    except MediaError as error:
        _log.info("clip %s has no poster: %s", row.id, error)
        return b""


def _path(row: Row) -> Path | None:
    return Path(row.clip.path) if row.clip is not None else None
