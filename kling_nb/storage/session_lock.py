"""Session locks: distinguish living sessions from dead ones.

A session holds an operating-system lock on `owners/UUID.lock` while it lives. If another process
can acquire that lock, the session is dead, however it ended. filelock's own locks are per object
here, never shared: two sessions in one process are two owners.

Must not depend on jobs or the database. Callers hold the ledger's write transaction around every
call: a probe holds the lock for an instant, and would misjudge a session that another one probes at
that instant, or that has created its file and not locked it yet.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from kling_nb.core.errors import LedgerError
from kling_nb.core.files import ensure_file, make_folder

# Not per thread: a session may be opened in one thread and closed in another.
_new_lock = partial(FileLock, thread_local=False, is_singleton=False)


class SessionLocks:
    """The locks of the sessions that use a folder.

    Args:
        folder: The folder of the lock files, one for each session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, BaseFileLock] = {}

    def acquire(self, owner: str) -> None:
        """Lock a session of this process until `release`, or until the process ends.

        Raises:
            LedgerError: The lock cannot be acquired.
        """
        path = self._path(owner)
        lock = _new_lock(path)
        try:
            make_folder(self.folder, within=self.folder.parent)
            ensure_file(path)
            lock.acquire(blocking=False)
        except (OSError, Timeout) as error:
            raise LedgerError(
                f"{path}: the lock of this session cannot be acquired ({error}). Choose a folder "
                "on a disk with file locks: argument `folder` or KLING_NB_FOLDER."
            ) from error
        self._held[owner] = lock

    def release(self, owner: str) -> None:
        """Release the lock and delete its file; do nothing if this object does not hold it."""
        lock = self._held.pop(owner, None)
        if lock is not None:
            lock.release()
            self._delete(owner)

    def is_held(self, owner: str) -> bool:
        """Return whether this object holds the lock."""
        return owner in self._held

    def is_alive(self, owner: str) -> bool:
        """Return whether the session is alive; without a name or a file it is not."""
        if owner in self._held:
            return True
        path = self._path(owner)
        if not owner or not path.exists():
            return False
        lock = _new_lock(path)
        try:
            lock.acquire(blocking=False)
        # A lock that cannot be probed may be a living session's: its jobs cost money twice if
        # they are taken over.
        except (OSError, Timeout):
            return True
        lock.release()
        return False

    def remove_dead(self) -> None:
        """Delete the files of dead sessions."""
        for path in self.folder.glob("*.lock"):
            if not self.is_alive(path.stem):
                self._delete(path.stem)

    def _path(self, owner: str) -> Path:
        return self.folder / f"{owner}.lock"

    def _delete(self, owner: str) -> None:
        # A file that cannot be deleted does no harm: its lock can still be acquired.
        with suppress(OSError):
            self._path(owner).unlink(missing_ok=True)
