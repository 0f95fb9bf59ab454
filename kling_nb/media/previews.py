"""Make the H.264 preview of a clip once, beside it, and again when the clip changes.

Large clips need one, and clips that some browsers cannot play. The previews are in a hidden folder,
so that a search for clips does not find them. Must not depend on jobs or notebooks.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

from kling_nb.core.files import make_folder
from kling_nb.core.forks import renew_in_child
from kling_nb.core.job_state import Encoding

from . import clips
from .input_store import write_whole

WHOLE_BYTES: Final = 2_000_000
"""The largest clip that is embedded whole."""
_PREVIEW_BYTES: Final = 1_500_000

_FOLDER: Final = ".previews"

# One at a time: an encoder uses all processors, and a second request for the same preview waits.
_making = threading.Lock()
_log = logging.getLogger("kling_nb")


def _start_child() -> None:
    global _making  # noqa: PLW0603 - a thread of the parent may have held it at the fork
    _making = threading.Lock()


renew_in_child(_start_child)


def needs_preview(path: Path, *, at_any_size: bool = False) -> bool:
    """Return whether a clip needs a preview: it is large, or some browsers cannot play it.

    Args:
        path: The clip.
        at_any_size: A large clip needs none.

    Raises:
        MediaError: The file is not a video.
        OSError: The file cannot be read.
    """
    is_large = path.stat().st_size > WHOLE_BYTES and not at_any_size
    return is_large or not encoding_of(path).plays_everywhere


def encoding_of(path: Path) -> Encoding:
    """Return how a clip is encoded; read once until the file changes.

    Raises:
        MediaError: The file is not a video.
        OSError: The file cannot be read.
    """
    found = path.stat()
    return _read_encoding(path, found.st_size, found.st_mtime_ns)


def stored_preview(path: Path) -> bytes:
    """Return the existing preview of the clip as it is now; empty if there is none."""
    try:
        return _preview_path(path).read_bytes()
    except OSError:
        return b""


def preview(path: Path) -> bytes:
    """Return the preview; making it takes seconds.

    Raises:
        MediaError: The clip cannot be played.
        OSError: The clip cannot be read.
    """
    with _making:
        preview_path = _preview_path(path)
        content = stored_preview(path)
        if not content:
            content = clips.preview(path, max_bytes=_PREVIEW_BYTES)
            _store(preview_path, content)
        return content


@lru_cache(maxsize=1000)
def _read_encoding(path: Path, _size_bytes: int, _changed_ns: int) -> Encoding:
    return clips.read_encoding(path)


def _preview_path(path: Path) -> Path:
    """Return the path of a preview; its name changes with the clip's size and time."""
    found = path.stat()
    digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:12]
    return path.parent / _FOLDER / f"{path.stem}-{digest}.mp4"


def _store(path: Path, content: bytes) -> None:
    """Write a preview and delete the earlier ones of the clip; only log a failure."""
    try:
        make_folder(path.parent, within=path.parent.parent)
        for old in path.parent.glob(f"{glob.escape(path.stem[:-12])}{'?' * 12}.mp4"):
            old.unlink(missing_ok=True)
        write_whole(path, content)
    except OSError as error:
        _log.info("the preview %s cannot be stored: %s", path, error)
