"""Session locks: distinguish living sessions from dead ones.

A session holds an operating-system lock on `owners/UUID.lock` while it lives. If another process
can take that lock, the session is dead, however it ended. filelock's own locks are per object
here, never shared: two sessions in one process are two owners.

Must not depend on jobs or the database. Callers hold the ledger's write transaction around every
call: a probe takes the lock for an instant, and a second probe at that instant, or a session that
has created its file and not locked it yet, would be misjudged.
"""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from kling_nb.core.errors import LedgerError
from kling_nb.core.files import ensure_file, make_folder

__all__ = ["Owners"]


def new_lock(path: Path) -> BaseFileLock:
    # Not per thread: a session may be opened in one thread and closed in another.
    return FileLock(path, thread_local=False, is_singleton=False)


class Owners:
    """The sessions that have used a folder.

    Args:
        folder: Where the lock files are, one for each living session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, BaseFileLock] = {}

    def hold(self, owner: str) -> None:
        """Takes the lock of a session of this process until `let_go`, or the process's death.

        Raises:
            LedgerError: The lock cannot be had.
        """
        lock = new_lock(self._path(owner))
        try:
            make_folder(self.folder, within=self.folder.parent)
            ensure_file(self._path(owner))
            lock.acquire(blocking=False)
        except (OSError, Timeout) as error:
            raise LedgerError(
                f"{self._path(owner)}: the lock of this session cannot be taken ({error}). Choose "
                "a folder on a disk with file locks: argument `folder` or KLING_NB_FOLDER."
            ) from error
        self._held[owner] = lock

    def let_go(self, owner: str) -> None:
        """Gives up the lock and removes its file; nothing happens when it is not held."""
        lock = self._held.pop(owner, None)
        if lock is not None:
            lock.release()
            self._remove(self._path(owner))

    def holds(self, owner: str) -> bool:
        """Whether the lock is held by this very object."""
        return owner in self._held

    def lives(self, owner: str) -> bool:
        """Whether the session exists; an empty name and a missing file mean that it does not."""
        if owner in self._held:
            return True
        path = self._path(owner)
        if not owner or not path.exists():
            return False
        lock = new_lock(path)
        try:
            lock.acquire(blocking=False)
        # A lock that cannot be tried may be a living session's: taking its jobs could cost money.
        except (OSError, Timeout):
            return True
        lock.release()
        return False

    def sweep(self) -> None:
        """Removes the files that dead sessions left."""
        for path in self.folder.glob("*.lock"):
            if not self.lives(path.stem):
                self._remove(path)

    def _path(self, owner: str) -> Path:
        return self.folder / f"{owner}.lock"

    def _remove(self, path: Path) -> None:
        # A file that cannot be removed is untidy and no more: its lock can still be taken.
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return
