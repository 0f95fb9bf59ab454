"""Whether the file of a ledger is sound; nothing is changed and nothing is made."""

from __future__ import annotations

from pathlib import Path

from .database import Database

__all__ = ["inspect"]


def inspect(folder: Path) -> list[str]:
    """Returns what SQLite finds damaged in a folder's ledger; nothing where it is intact.

    Raises:
        LedgerError: There is no ledger, or it cannot be read; says what to do.
    """
    with Database(folder / "ledger.sqlite3").reading() as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return [] if found == ["ok"] else found
