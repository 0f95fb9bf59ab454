"""Files on disk: which ones are read that others may have put there."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

__all__ = ["is_plain", "open_plain"]


def is_plain(path: Path, max_bytes: int) -> bool:
    """Return whether this is a regular file of at most so many bytes.

    A link is followed inside its own folder; one that leads elsewhere is no such file.
    """
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
            return False
        return path.is_file() and path.stat().st_size <= max_bytes
    except (OSError, ValueError, RuntimeError):  # RuntimeError: Python 3.12 and before, a loop
        return False


def open_plain(path: Path, max_bytes: int) -> BufferedReader:
    """Open a regular file for reading. A link is followed.

    Neither a pipe nor a device is waited for: the file is opened first and looked at then, so that
    nothing can take its place in between.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger; `strerror` says so.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY), "rb")
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size <= max_bytes:
        return file
    file.close()
    if stat.S_ISREG(found.st_mode):
        raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes; {max_bytes:,} are allowed")
    raise OSError(errno.EINVAL, "it is no regular file")


_BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows only."""
