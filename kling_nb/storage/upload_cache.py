"""Cache recent uploads, so that the same content is not uploaded twice while it is available.

Saved in the ledger, for all sessions of the folder. The caller knows how long the service keeps an
upload. This module creates no file, so that a deleted folder stays deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from .database import Database
from .job_record import encode_time


class UploadCache:
    """The uploads of one folder. Safe in any thread and in any process.

    Every method raises `LedgerError` if the ledger cannot be used.

    Args:
        folder: The folder of an existing ledger.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "ledger.sqlite3")

    def find(
        self, service: str, sha256: str, mime_type: str, since: datetime, now: datetime
    ) -> str:
        """Return the URL of uploaded content; empty if there is none.

        Args:
            service: The service and its host.
            sha256: The hash of the content.
            mime_type: The MIME type of the upload.
            since: Ignores older uploads.
            now: Ignores later uploads: the clock was put back since.
        """
        with self._database.reading() as connection:
            found = connection.execute(
                """
                SELECT url FROM uploads
                WHERE service = ? AND sha256 = ? AND mime_type = ? AND at BETWEEN ? AND ?
                """,
                (service, sha256, mime_type, encode_time(since), encode_time(now)),
            ).fetchone()
        return str(found["url"]) if found else ""

    def note(self, service: str, sha256: str, mime_type: str, url: str, at: datetime) -> None:
        """Save the URL of content whose upload began at `at`; parameters as for `find`."""
        row = service, sha256, mime_type, url, encode_time(at)
        self._change("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", *row)

    def drop(self, service: str, contents: Collection[str] | None = None) -> None:
        """Delete the entries of a service for the hashes `contents`; None is all of them."""
        query = "DELETE FROM uploads WHERE service = ?"
        if contents is not None:
            query += f" AND sha256 IN ({', '.join('?' * len(contents))})"
        self._change(query, service, *(contents or ()))

    def prune(self, before: datetime) -> None:
        """Delete the entries of older uploads."""
        self._change("DELETE FROM uploads WHERE at < ?", encode_time(before))

    def _change(self, statement: str, *values: str) -> None:
        self._database.write(lambda connection: connection.execute(statement, values).close())
