"""Files on disk: set the permissions of our files, and read files safely in shared folders.

Only the user's account can access our files: files have mode 0600, folders 0700. A folder is
shared if its group or others may write to it; our files in it get its permissions and its group.

Databases and lock files are different: a program that can only read one can hold a lock on it,
which blocks a commit or makes a dead session look alive. In a shared folder, only accounts that can
write to them can read them. If such a file is ours and has another mode, because an earlier version
created it or the folder was shared later, its mode is corrected when it is used. The mode of other
files is not changed.

A file is created with mode 0600, whatever the umask, and gets wider permissions afterwards. On file
systems without permission bits nothing is set.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Final

from .forks import no_fork

_ENSURING: Final = threading.Lock()

_FILE_BITS = 0o600
_FOLDER_BITS = 0o700


def make_folder(folder: Path, within: Path | None = None) -> None:
    """Create a folder of ours if it does not exist.

    Args:
        folder: The folder. It is private, unless `within` is shared.
        within: The parent folder of ours; if it is shared, a new folder gets its bits.

    Raises:
        OSError: It cannot be made.
    """
    is_new = not folder.is_dir()
    if is_new:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(_FOLDER_BITS, exist_ok=True)
    if within is not None:
        around = within.stat()
        bits = stat.S_IMODE(around.st_mode) if _is_shared(around) else _FOLDER_BITS
        _give(folder, bits, around)
    elif is_new:
        _give(folder, _FOLDER_BITS, folder.stat())


def new_file(path: Path) -> BufferedWriter:
    """Replace a file with a new one of ours, and open it for writing.

    Raises:
        OSError: It cannot be made.
    """
    path.unlink(missing_ok=True)
    return create_file(path)


def create_file(path: Path, *, locked: bool = False) -> BufferedWriter:
    """Create a file of ours and open it for writing.

    Args:
        path: In a folder that exists.
        locked: Whether programs lock it.

    Raises:
        FileExistsError: Something has the name.
        OSError: It cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    file = os.fdopen(os.open(path, flags, _FILE_BITS), "wb")
    try:
        _give(path, *_bits_in(path.parent, locked=locked))
    except BaseException:
        file.close()
        raise
    return file


def write_new(path: Path, content: bytes) -> None:
    """Replace a file with a new one of ours with this content."""
    with new_file(path) as file:
        file.write(content)


def ensure_file(path: Path) -> None:
    """Create an empty lock file, or correct the bits of the existing one.

    No thread of this process locks a new file before it is closed here: that gives up its locks.

    Raises:
        OSError: It cannot be made.
    """
    with no_fork(), _ENSURING:
        try:
            create_file(path, locked=True).close()
        except FileExistsError:
            _give(path, *_bits_in(path.parent, locked=True))


def _is_shared(folder: os.stat_result) -> bool:
    return bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _bits_in(folder: Path, *, locked: bool) -> tuple[int, os.stat_result]:
    """Return the bits for a file in a folder of ours, and the `stat` result of the folder."""
    around = folder.stat()
    if not _is_shared(around):
        return _FILE_BITS, around
    bits = around.st_mode & 0o666 | _FILE_BITS
    if locked:
        for read, write in ((stat.S_IRGRP, stat.S_IWGRP), (stat.S_IROTH, stat.S_IWOTH)):
            bits = bits | read if bits & write else bits & ~read
    return bits, around


def _give(path: Path, bits: int, around: os.stat_result) -> None:
    """Set the bits of a file or folder of this account, and the group of its parent folder.

    Where the group cannot be given, this account's own group gets no bits. A link and a file with a
    second name are left alone: in a shared folder they may stand for a private file.
    """
    with suppress(OSError), _pinned(path) as (place, found):
        is_alone = stat.S_ISDIR(found.st_mode) or found.st_nlink == 1
        if stat.S_ISLNK(found.st_mode) or not is_alone or not _is_ours(found):
            return
        if bits & stat.S_IRWXG and found.st_gid != around.st_gid:
            try:
                os.chown(place, -1, around.st_gid)
            except OSError:
                bits &= ~stat.S_IRWXG
        if stat.S_IMODE(found.st_mode) & ~stat.S_ISGID != bits & ~stat.S_ISGID:
            os.chmod(place, bits)


def _is_ours(found: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and found.st_uid == os.geteuid()


@contextmanager
def _pinned(path: Path) -> Iterator[tuple[str | Path, os.stat_result]]:
    """Yield a path that stays valid if the file is renamed, and the `stat` result of the file.

    The file is not opened: closing a database would give up the locks that SQLite holds on it in
    this process. Outside Linux it is the given path.
    """
    if not hasattr(os, "O_PATH"):
        yield path, path.lstat()
        return
    number = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{number}", os.fstat(number)
    finally:
        os.close(number)


def is_plain(path: Path, max_bytes: int) -> bool:
    """Return whether this is a regular file of at most `max_bytes`.

    A link may only point into its own folder.
    """
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
            return False
        return path.is_file() and path.stat().st_size <= max_bytes
    except (OSError, ValueError, RuntimeError):  # RuntimeError: Python 3.12 and before, a loop
        return False


def open_plain(path: Path, max_bytes: int) -> BufferedReader:
    """Open a regular file for reading; follow a link.

    Does not wait for a pipe or a device. The file is checked after it is opened, so that nothing
    can replace it in between.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger; `strerror` says which.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_size <= max_bytes:
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISREG(found.st_mode):
        raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes; allowed: {max_bytes:,}")
    raise OSError(errno.EINVAL, "it is not a regular file")


_BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows only."""
