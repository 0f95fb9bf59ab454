"""Preallocated files for task ids, one for each request that is being sent.

The ledger may not be writable when the service accepts a request: the disk is full, or the file is
locked, damaged or gone. The id of a paid task must not be lost then. The file of a request is on
disk before the request is sent: blanks for the id, then the row. Writing the id over the blanks
needs no space. A ledger that lost the row restores it from this file.

Some file systems do not write in place (btrfs and ZFS copy a block); the user's index is the second
place for the id.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.files import make_folder, open_plain, write_new
from kling_nb.core.job_state import Stage

from .job_record import JobRecord, encode_record, parse_record

_LOG = logging.getLogger("kling_nb")

_ID_BYTES = 512
"""Blanks for the task id as JSON; the ids of the service have 32 bytes."""

_MAX_BYTES = 1_000_000
"""Largest file that is read; a row has some kilobytes."""

_FAULTS = (OSError, ValueError, TypeError, LookupError)
"""Errors of a file that is unusable or has other content."""


class IdSlots:
    """The files of one folder's ledger. Safe in any thread, for different jobs at once.

    Args:
        path: The folder of the files; created with the first file.
        folder: The folder of the ledger.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path, folder
        self._open: dict[str, tuple[int, bytes]] = {}

    def allocate(self, row: JobRecord) -> None:
        """Create the file of a request that is about to be sent, and sync it to disk.

        Args:
            row: The row as it is while the request is being sent.

        Raises:
            LedgerError: The file cannot be created.
        """
        content = _encode_slot(row, self._folder)
        try:
            self._open[row.id] = (self._create(row.id, content), content)
        except OSError as error:
            raise LedgerError(
                f"{self._file(row.id)}: cannot reserve space for the task id ({error}). No task "
                "was created and nothing was charged. Check the disk and the folder's permissions, "
                "then run again."
            ) from error

    def write(self, job_id: str, task_id: str) -> bool:
        """Write the id of an accepted task in place; return whether it is on the disk.

        Writes to the open file, so that the id stays with a ledger whose folder was moved. If
        the file was deleted, creates a new one.
        """
        if job_id not in self._open:
            return False
        number, content = self._open[job_id]
        try:
            if os.fstat(number).st_nlink == 0:
                os.close(number)
                number = self._create(job_id, content)
                self._open[job_id] = (number, content)
            os.lseek(number, 0, os.SEEK_SET)
            os.write(number, encode_id(task_id))
            os.fsync(number)
        except OSError as error:
            _LOG.warning("job %s: its task id could not be written: %s", job_id, error)
            return False
        return True

    def read(self, job_id: str) -> str:
        """Return the task id that was written for a job; empty if there is none."""
        try:
            return _parse_id(content_of(self._file(job_id)))
        except _FAULTS:
            return ""

    def rows(self) -> list[JobRecord]:
        """Return the rows of all files, as they were when their requests were sent."""
        found = []
        for file in self._files():
            try:
                found.append(_parse_slot(content_of(file), self._folder))
            except _FAULTS as error:
                _LOG.warning("%s cannot be read and is not changed: %r", file, error)
        return found

    def job_ids(self) -> list[str]:
        """Return the jobs that have a file."""
        return [file.stem for file in self._files()]

    def free(self, job_id: str) -> None:
        """Delete the file of a job, if it exists."""
        self._close(job_id)
        # A file that cannot be deleted is only read again at each start.
        with suppress(OSError):
            self._file(job_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files and leave them to the next session."""
        for job_id in list(self._open):
            self._close(job_id)

    def _close(self, job_id: str) -> None:
        number, _ = self._open.pop(job_id, (None, b""))
        if number is not None:
            with suppress(OSError):
                os.close(number)

    def _create(self, job_id: str, content: bytes) -> int:
        file = self._file(job_id)
        make_folder(self._folder)
        make_folder(self.path, within=self._folder)
        try:
            write_new(file, content)
            number = os.open(file, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            file.unlink(missing_ok=True)
            raise
        try:
            os.fsync(number)
            _sync_folders(self.path, self._folder)
        except OSError:
            os.close(number)
            file.unlink(missing_ok=True)
            raise
        return number

    def _files(self) -> Iterator[Path]:
        return iter(sorted(self.path.glob("*.json")))

    def _file(self, job_id: str) -> Path:
        return self.path / f"{job_id}.json"


def content_of(file: Path) -> bytes:
    """Return the content of a file, without waiting for a pipe or a device."""
    with open_plain(file, _MAX_BYTES) as opened:
        return opened.read()


def encode_id(task_id: str) -> bytes:
    """Return a task id as JSON, with blanks up to the bytes that are preallocated."""
    return json.dumps(task_id).encode().ljust(_ID_BYTES - 1) + b"\n"


def _parse_id(content: bytes) -> str:
    """Return the task id of a file; empty if none was written.

    Raises:
        ValueError: It was written in part.
    """
    task_id = json.loads(content.split(b"\n", 1)[0])
    if not isinstance(task_id, str):
        raise ValueError(f"{task_id!r} is not a task id")
    return task_id


def _encode_slot(row: JobRecord, folder: Path) -> bytes:
    """Return the content before the request is sent: blanks for the id, and the row."""
    columns = encode_record(row, folder)
    del columns["thumbnail"]
    return encode_id("") + json.dumps(columns).encode()


def _parse_slot(content: bytes, folder: Path) -> JobRecord:
    """Return the row of a file, in stage `sending` and without a task.

    Raises:
        ValueError, TypeError, LookupError: It has other content.
    """
    row = parse_record(dict(json.loads(content.split(b"\n", 1)[1])), folder)
    encode_record(row, folder)  # raises if a value has the wrong type
    return replace(row, stage=Stage.SENDING, task_id="")


def _sync_folders(*folders: Path) -> None:
    """Sync the names of new files to disk; Windows does that by itself."""
    if os.name == "nt":
        return
    for folder in folders:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
