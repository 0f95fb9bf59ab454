"""Index of paid requests: the folders of this user that paid for each, across all ledgers.

The ledgers are authoritative. If the index cannot be read or written, a warning is logged and no
error is raised. It contains fingerprints, folders, times and the ids of jobs and tasks; the caller
decides what is recorded, claimed and refused.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from kling_nb.core.errors import AlreadyPaid
from kling_nb.core.files import ensure_file, make_folder
from kling_nb.core.forks import no_fork

from .connections import FileKind
from .job_record import encode_time
from .sqlite_file import shared_file

T = TypeVar("T")

_LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S = 5.0
"""Short: the index is only a second source."""

_JUST_NOW = timedelta(minutes=10)
"""The age up to which a payment is reported as in progress: its answer may be outstanding."""

_TASK_ID_WIDTH = 512
"""Bytes that are preallocated for a task id. The ids of the service have 32."""

TABLE = """
    CREATE TABLE IF NOT EXISTS paid (
        fingerprint TEXT PRIMARY KEY, folder TEXT NOT NULL, at TEXT NOT NULL
    )
"""

_ADDED_COLUMNS = ("job_id", "task_id")
"""Text or NULL. Older versions neither read nor write them, and keep working.

`task_id` is NULL until a claimed request is sent, then blank, then the id.
"""

_CHANGES_ENTRY = """
    (excluded.at >= paid.at AND NOT (
        paid.folder = excluded.folder AND paid.at = excluded.at AND paid.job_id IS excluded.job_id
        AND (paid.task_id IS excluded.task_id OR (
            paid.task_id IS NOT NULL AND paid.job_id IS NOT NULL
            AND trim(excluded.task_id) IN ('', trim(paid.task_id))
        ))
    ))
"""
"""Whether a payment changes the entry of its request. Most payments are recorded several times;
without a change SQLite writes and syncs nothing."""

_UPSERT = f"""
    ON CONFLICT (fingerprint) DO UPDATE SET
        folder = excluded.folder, at = excluded.at,
        task_id = CASE
            WHEN trim(coalesce(excluded.task_id, '')) = '' AND paid.job_id = excluded.job_id
            THEN coalesce(paid.task_id, excluded.task_id) ELSE excluded.task_id END,
        job_id = excluded.job_id
    WHERE {_CHANGES_ENTRY}
"""

_NOTE = f"""
    INSERT INTO paid (fingerprint, folder, at, job_id, task_id) VALUES (?, ?, ?, ?, ?) {_UPSERT}
"""

_SELECT_PAGE = """
    SELECT json_extract(value, '$[0]') AS fingerprint, ? AS folder,
        json_extract(value, '$[1]') AS at, json_extract(value, '$[2]') AS job_id,
        json_extract(value, '$[3]') AS task_id
    FROM json_each(?)
"""

_NOTE_PAGE = f"""
    INSERT INTO paid (fingerprint, folder, at, job_id, task_id)
    SELECT * FROM ({_SELECT_PAGE}) WHERE true {_UPSERT}
"""

_CHANGES_INDEX = f"""
    SELECT EXISTS (
        SELECT 1 FROM ({_SELECT_PAGE}) AS excluded LEFT JOIN paid USING (fingerprint)
        WHERE paid.fingerprint IS NULL OR {_CHANGES_ENTRY}
    )
"""

_CLAIM = """
    INSERT INTO paid (fingerprint, folder, at, job_id, task_id) VALUES (?, ?, ?, ?, NULL)
    ON CONFLICT (fingerprint) DO UPDATE SET
        at = max(paid.at, excluded.at), job_id = excluded.job_id, task_id = NULL
    WHERE paid.folder = excluded.folder
"""

_WRITE_TASK_ID = """
    UPDATE paid SET task_id = ? WHERE fingerprint = ? AND folder = ? AND job_id = ?
"""

_Columns = tuple[str | None, ...]

_FILE_ERRORS = (OSError, ValueError, TypeError, sqlite3.Error)
"""Errors of a file that is unusable or has other content."""

_DROP = "DELETE FROM paid WHERE fingerprint = ? AND folder = ? AND at = coalesce(?, at)"


@dataclass(frozen=True, slots=True)
class Payment:
    """The last payment for a request."""

    folder: Path
    """The folder of the ledger; it may have been moved or deleted since."""
    at: datetime
    """Aware, in UTC."""
    job_id: str = ""
    """The job in that folder's ledger; empty in entries of older versions."""
    task_id: str = ""
    """Empty until the service has accepted."""
    is_sent: bool = False
    """Whether the request was sent; False also in entries of older versions."""


class UserIndex:
    """The requests that this user has paid for in any folder. Safe in any thread.

    Args:
        path: The file, created by the first entry; None is in the user's data directory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_data_path("kling_nb") / "paid.sqlite3"
        self._file = shared_file(self.path, FileKind(_prepare))
        self._is_created = False
        """Whether this object has created the file, or corrected its mode."""

    def note(
        self, fingerprint: str, folder: Path, at: datetime, *, job_id: str = "", task_id: str = ""
    ) -> None:
        """Save the folder of the last payment for a request; ignore an older payment.

        The same payment in another folder replaces the entry: the folder was moved.
        """
        job = (job_id, task_id) if job_id else (None, None)
        self._write(_NOTE, (fingerprint, _folder_key(folder), encode_time(at), *job))

    def find(self, fingerprint: str) -> Payment | None:
        """Return the last payment for a request, or None if it is not known."""
        return self.payments(fingerprint).get(fingerprint)

    def payments(self, *fingerprints: str) -> dict[str, Payment]:
        """Return the last payments for some requests, by fingerprint; omit unknown ones."""
        found: dict[str, Payment] = {}
        try:
            if not self.path.exists():
                return found
            with self._file.reading(BUSY_TIMEOUT_S) as connection:
                rows = _find_rows(connection, *fingerprints)
        except _FILE_ERRORS as error:
            self._warn("read", error)
            return found
        for row in rows:
            try:
                found[row["fingerprint"]] = _parse_payment(row)
            except _FILE_ERRORS as error:
                self._warn("read", error)
        return found

    def drop(self, fingerprint: str, folder: Path, at: datetime | None = None) -> None:
        """Delete the entry of a request in a folder: it was not paid for, or may be paid again.

        An entry of another folder stays.

        Args:
            fingerprint: The request.
            folder: The folder of the ledger.
            at: Delete only the entry of this time; None deletes any.
        """
        if self._exists():  # a missing file is not created for this
            row = (fingerprint, _folder_key(folder), None if at is None else encode_time(at))
            self._write(_DROP, row)

    def claim(
        self, fingerprint: str, folder: Path, at: datetime, *, take: int, job_id: str = ""
    ) -> None:
        """Save that a folder pays for a request now; refuse if another folder does, or has.

        Of several programs that call this at the same time, one succeeds. If the file can be read
        but not written, its entries still refuse a request.

        Raises:
            AlreadyPaid: Says where, and what to do; nothing is saved.
        """
        values = (fingerprint, _folder_key(folder), encode_time(at), job_id or None)
        try:
            paid = self._run(lambda connection: _claim(connection, fingerprint, values))
        except _FILE_ERRORS as error:
            self._warn("written", error)
            paid = self.find(fingerprint)
        if paid is not None and paid.folder != folder.absolute():
            raise already_paid_error(paid, folder, take + 1, now=at)

    def preallocate(self, fingerprint: str, folder: Path, job_id: str) -> None:
        """Save that a claimed request is sent now, and reserve space for its task id."""
        self._write(_WRITE_TASK_ID, (_padded(""), fingerprint, _folder_key(folder), job_id))

    def write_task_id(self, fingerprint: str, folder: Path, job_id: str, task_id: str) -> bool:
        """Write the id of an accepted task into the space that `preallocate` reserved.

        A rollback journal needs space on the disk. If it cannot be written, the journal is in
        memory: the id is as long as the blanks, so that SQLite overwrites them in place.

        Returns:
            Whether the id is on the disk.
        """
        row = (_padded(task_id), fingerprint, _folder_key(folder), job_id)
        try:
            try:
                return self._run(lambda connection: _change(connection, _WRITE_TASK_ID, [row]))
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY:
                    raise
                with open_file(self.path, "rw") as connection:
                    connection.execute("PRAGMA journal_mode = MEMORY")
                    with connection:
                        connection.execute("BEGIN IMMEDIATE")
                        return _change(connection, _WRITE_TASK_ID, [row])
        except _FILE_ERRORS as error:
            self._warn("written", error)
            return False

    def note_all(self, folder: Path, pages: Iterable[str]) -> None:
        """Save many payments of a folder, from the pages of `Ledger.paid_requests`.

        Usually the index has them all. The comparison takes a read lock for one page at a time, and
        each new page is a transaction of its own, so that no claim waits long.
        """
        key = _folder_key(folder)
        try:
            for page in pages:
                if self._is_changed_by(key, page):
                    self._run(partial(_change, statement=_NOTE_PAGE, rows=[(key, page)]))
        except _FILE_ERRORS as error:  # e.g. locked: not tried again for each page
            self._warn("written", error)

    def _is_changed_by(self, key: str, page: str) -> bool:
        """Return whether a page of payments changes the index, or must first change its table."""
        if not self._exists():
            return True
        try:
            with self._file.reading(BUSY_TIMEOUT_S) as connection:
                return bool(connection.execute(_CHANGES_INDEX, (key, page)).fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            return True  # a new file without the table, or one of an older version

    def _write(self, statement: str, *rows: _Columns) -> None:
        """Run a statement for each row; log an error."""
        try:
            self._run(lambda connection: _change(connection, statement, rows))
        except _FILE_ERRORS as error:
            self._warn("written", error)

    def _run(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if not self._is_created or not self.path.exists():
            _create_file(self.path)
            self._is_created = True
        return self._file.write(change, BUSY_TIMEOUT_S)

    def _exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError:  # e.g. a folder that this account cannot read
            return False

    def _warn(self, action: str, error: Exception) -> None:
        _LOG.warning(
            "%s could not be %s (%s): requests paid for in other folders are not recognised. "
            "Delete the file if it is broken; it will be created again.",
            self.path,
            action,
            error,
        )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = DELETE")


def _change(connection: sqlite3.Connection, statement: str, rows: Sequence[_Columns]) -> bool:
    """Run a statement for each row; return whether an entry has changed."""
    try:
        changed = connection.executemany(statement, rows).rowcount
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        # A new file without the table, or a file of an older version without a column.
        connection.execute(TABLE)
        _add_columns(connection)
        changed = connection.executemany(statement, rows).rowcount
    return changed > 0


def _claim(connection: sqlite3.Connection, fingerprint: str, values: _Columns) -> Payment | None:
    """Save a claim; return the entry of another folder that prevents it, or None."""
    if _change(connection, _CLAIM, [values]):
        return None
    return next(map(_parse_payment, _find_rows(connection, fingerprint)), None)


def _folder_key(folder: Path) -> str:
    """Return the key of a folder in the index."""
    return str(folder.absolute())


def _padded(task_id: str) -> str:
    """Return a task id with blanks up to the bytes that are preallocated."""
    return task_id + " " * (_TASK_ID_WIDTH - len(task_id.encode()))


def _add_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that a file of an older version lacks."""
    known = {column[1] for column in connection.execute("PRAGMA table_info(paid)")}
    for name in _ADDED_COLUMNS:
        if name not in known:
            connection.execute(f"ALTER TABLE paid ADD COLUMN {name} TEXT")


def _find_rows(connection: sqlite3.Connection, *fingerprints: str) -> list[dict[str, Any]]:
    """Return the rows of the last payments for some requests."""
    connection.row_factory = sqlite3.Row
    query = f"SELECT * FROM paid WHERE fingerprint IN ({', '.join('?' * len(fingerprints))})"
    return list(map(dict, connection.execute(query, fingerprints).fetchall()))


def _parse_payment(columns: Mapping[str, Any]) -> Payment:
    """Return the payment of a row; a file of an older version has fewer columns."""
    task_id = columns.get("task_id")
    return Payment(
        Path(columns["folder"]),
        datetime.fromisoformat(columns["at"]),
        columns.get("job_id") or "",
        (task_id or "").strip(),
        task_id is not None,
    )


def already_paid_error(
    paid: Payment, folder: Path, free_take: int, *, now: datetime | None = None
) -> AlreadyPaid:
    """Return the error for a request that is already paid for.

    Args:
        paid: The last payment.
        folder: The folder of the new request. If it paid before, its ledger has lost the record.
        free_take: The first take that is not paid for.
        now: The current time; a payment of the last minutes may still be in progress.
    """
    day = f"{paid.at.day} {paid.at:%B %Y}"
    another = f"another result for the same request is `--take {free_take}`."
    if paid.folder == folder.absolute():
        task = f"`%kling adopt {paid.task_id}` downloads its clip for 0 credits; "
        return AlreadyPaid(
            f"The same request was, or may have been, paid for on {day} in this folder, but the "
            f"ledger in {paid.folder} has no record of it. The request was not sent. Restore that "
            "`ledger.sqlite3` from a copy, or run `%kling recover *.ipynb` to rebuild it from "
            f"saved notebooks; {task if paid.task_id else ''}{another}"
        )
    is_new = now is not None and now - paid.at <= _JUST_NOW
    how = "is being, or was just now," if is_new else "was, or may have been,"
    when = "" if is_new else f"on {day} "
    return AlreadyPaid(
        f"The same request {how} paid for {when}in {paid.folder}. Copy the clip here or use that "
        f"folder (KLING_NB_FOLDER); {another}"
    )


def _create_file(path: Path) -> None:
    """Create a file that only the user can access, or correct the mode of an existing one."""
    make_folder(path.parent)
    ensure_file(path)


@contextmanager
def open_file(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a small file of the user; mode `rwc` creates it, `rw` does not."""
    if mode == "rwc":
        _create_file(path)
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with (
        no_fork(),
        closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as connection,
    ):
        yield connection
