"""Cache recent uploads, so that the same content is not uploaded twice while it is available.

Saved beside the jobs, for all sessions of the folder. The service decides how long an upload
exists; this module does not know it. Nothing here creates a file, so that a deleted folder stays
deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from .database import Database
from .job_record import encode_time

__all__ = ["Uploads"]


class Uploads:
    """The uploads of one folder. Safe in any thread and in any process.

    Every method raises `LedgerError` when the ledger cannot be used.

    Args:
        folder: Of a ledger that exists.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "ledger.sqlite3")

    def find(
        self, service: str, sha256: str, mime_type: str, since: datetime, now: datetime
    ) -> str:
        """The URL of a content that was uploaded; empty where there is none.

        Args:
            service: Which service has it, and on which host.
            sha256: Of the content.
            mime_type: As which it was uploaded.
            since: Older uploads do not count.
            now: Nor do those of a clock that has been put back since.
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
        """Keep where a content is.

        Args:
            service: Which service has it, and on which host.
            sha256: Of the content.
            mime_type: As which it was uploaded.
            url: Where it is.
            at: When its upload began.
        """
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)",
                (service, sha256, mime_type, url, encode_time(at)),
            )

    def drop(self, service: str, contents: Collection[str] | None = None) -> None:
        """Know no more of these uploads.

        Args:
            service: Whose.
            contents: SHA-256 of each; None is every one of that service.
        """
        query = "DELETE FROM uploads WHERE service = ?"
        given = [service]
        if contents is not None:
            query += f" AND sha256 IN ({', '.join('?' * len(contents))})"
            given += contents
        with self._database.writing() as connection:
            connection.execute(query, given)

    def prune(self, before: datetime) -> None:
        """Know no more of uploads that are older."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM uploads WHERE at < ?", (encode_time(before),))
