"""Make the H.264 preview of a clip once, beside it, and again when the clip changes.

Decides which clips need one: large clips, and clips that some browsers cannot play. The previews
are in a folder whose name begins with a dot, so that a search for clips does not find them. Must
not depend on jobs or notebooks.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from kling_nb.core.files import make_folder, write_new
from kling_nb.core.forks import renew_in_child
from kling_nb.core.job_state import Encoding

from . import clips

__all__ = [
    "PREVIEW_BYTES",
    "WHOLE_BYTES",
    "encoding_of",
    "kept_preview",
    "needs_preview",
    "preview",
]

WHOLE_BYTES: Final = 2_000_000
"""Up to so many bytes a clip is shown whole."""
PREVIEW_BYTES: Final = 1_500_000

_FOLDER: Final = ".previews"

# One at a time: each takes all the processors there are, and two who want the same wait for one.
_making = threading.Lock()
_log = logging.getLogger("kling_nb")


def _start_child() -> None:
    global _making  # noqa: PLW0603 - a thread of the parent may have held it at the fork
    _making = threading.Lock()


renew_in_child(_start_child)


def needs_preview(path: Path, *, at_any_size: bool = False) -> bool:
    """Return whether a clip needs an H.264 copy: it is large, or some browsers cannot play it.

    Args:
        path: The clip.
        at_any_size: Show a large clip whole.

    Raises:
        MediaError: The file is no video.
        OSError: The file is not there.
    """
    is_large = path.stat().st_size > WHOLE_BYTES and not at_any_size
    return is_large or not encoding_of(path).plays_everywhere


def encoding_of(path: Path) -> Encoding:
    """Return how a clip is encoded, read once for each content of the file.

    Raises:
        MediaError: The file is no video.
        OSError: The file is not there.
    """
    found = path.stat()
    return _read_encoding(path, found.st_size, found.st_mtime_ns)


def kept_preview(path: Path) -> bytes:
    """The copy that was made of the clip as it is now; empty where there is none."""
    try:
        return _place_of(path).read_bytes()
    except OSError:
        return b""


def preview(path: Path) -> bytes:
    """The copy, made now if it has to be: that takes seconds.

    Raises:
        MediaError: The clip does not play.
        OSError: The clip's file is not there.
    """
    with _making:
        place = _place_of(path)
        content = kept_preview(path)
        if not content:
            content = clips.preview(path, max_bytes=PREVIEW_BYTES)
            _keep(place, content)
        return content


@lru_cache(maxsize=1000)
def _read_encoding(path: Path, _size_bytes: int, _changed_ns: int) -> Encoding:
    return clips.read_encoding(path)


def _place_of(path: Path) -> Path:
    """Where the copy lies; the name tells which content it was made of."""
    found = path.stat()
    mark = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:12]
    return path.parent / _FOLDER / f"{path.stem}-{mark}.mp4"


def _keep(place: Path, content: bytes) -> None:
    """Write beside and rename, so that nobody ever reads half of one; a full disk does no harm."""
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        make_folder(place.parent, within=place.parent.parent)
        for old in place.parent.glob(f"{glob.escape(place.stem[:-12])}{'?' * 12}.mp4"):
            old.unlink(missing_ok=True)
        write_new(part, content)
        part.replace(place)
    except OSError as error:
        _log.info("the preview %s is not kept: %s", place, error)
        with suppress(OSError):
            part.unlink()
