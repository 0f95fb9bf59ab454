"""Create the emulator's files and folders: private, or with the permissions of a shared folder.

Files have the bits 0600 and folders 0700. In a folder that its group or others may write to, unless
it has the sticky bit, they get the bits of that folder.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
        if os.name == "posix":
            _widen(os.open(folder, os.O_RDONLY | os.O_NOFOLLOW), folder.parent, 0o777)


def make_file(path: Path) -> None:
    """Create an empty file if it does not exist."""
    with suppress(FileExistsError):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _widen(number, path.parent, 0o666)


def _widen(number: int, parent: Path, most: int) -> None:
    """Set the group and the bits of a shared folder, at most these; close the descriptor."""
    try:
        around = parent.stat()
        is_shared = around.st_mode & _OTHERS and not around.st_mode & stat.S_ISVTX
        if is_shared and os.name == "posix":
            with suppress(OSError):
                os.fchown(number, -1, around.st_gid)
                os.fchmod(number, stat.S_IMODE(around.st_mode) & most)
    finally:
        os.close(number)
