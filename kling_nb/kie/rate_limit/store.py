"""Send times of an account's requests, past and reserved, in a file that all kernels share.

If the file cannot be used, a warning is logged, no error is raised, and memory is used instead.
`core/poll_schedule` chooses the next slot; `limiter` waits for it.
"""

from __future__ import annotations

import hmac
import logging
import math
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from kling_nb.core.files import ensure_file, make_folder
from kling_nb.core.forks import no_fork, renew_in_child
from kling_nb.core.poll_schedule import Rate, next_slot
from kling_nb.core.secret import Key

__all__ = ["Account", "SlotFile", "SlotMemory", "Slots"]

T = TypeVar("T")

LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S: Final = 2.0
"""Short: another kernel holds the file for about a millisecond."""
FILE_PAUSE_S: Final = 60.0
"""For how long a file that could not be used is left alone."""
DAY_S: Final = 86_400.0

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS salt (one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS slots (
        account TEXT NOT NULL, rate TEXT NOT NULL, at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS holds (
        account TEXT NOT NULL, rate TEXT NOT NULL, until REAL NOT NULL,
        PRIMARY KEY (account, rate)
    )
    """,
)
CLEAN: Final = """
    DELETE FROM slots WHERE account = :account AND rate = :rate AND (at <= :from OR at > :to)
        OR at < :now - :day OR at > :now + :day
"""
READ: Final = "SELECT at FROM slots WHERE account = ? AND rate = ?"
READ_HOLD: Final = """
    SELECT coalesce(max(until), 0) FROM holds
    WHERE account = ? AND rate = ? AND typeof(until) = 'real'
"""
HOLD: Final = """
    INSERT INTO holds VALUES (:account, :rate, :until)
    ON CONFLICT (account, rate) DO UPDATE SET until =
        CASE WHEN typeof(until) = 'real' AND until BETWEEN :until AND :latest
        THEN until ELSE :until END
"""
"""The longest counts, unless only a clock that was wrong can have noted it."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who is counted: requests to one place, with one key where keys tell accounts apart."""

    place: str
    """The URL of the service, or the folder of an emulator."""
    key: Key | None = None

    def mark(self, salt: bytes) -> str:
        """What stands for the account on disk: neither key nor place can be read from it."""
        secret = salt if self.key is None else self.key.digest(salt)
        return hmac.digest(secret, self.place.encode("utf-8", "replace"), "sha256").hex()


class SlotFile:
    """The slots that all processes of this user have taken. Safe in any thread.

    Journal mode DELETE, SQLite's own, since WAL is not safe on network homes. Not synced: what a
    power cut takes with it is over when the machine is back.

    Args:
        path: The file; made at the first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def book(self, account: Account, rate: Rate, now: float) -> float:
        """Takes the next slot, in one transaction, and returns when it is.

        Raises:
            OSError: The file cannot be used.
            sqlite3.Error: The same.
        """
        with self._transaction() as connection:
            mine = (mark_in(connection, account), rate.name)
            bounds = {"from": now - rate.kept_s, "to": now + rate.longest_wait_s}
            named = {"account": mine[0], "rate": mine[1], "now": now, "day": DAY_S}
            connection.execute(CLEAN, bounds | named)
            taken = [at for (at,) in connection.execute(READ, mine)]
            (held_until,) = connection.execute(READ_HOLD, mine).fetchone()
            slot = next_slot(taken, now, rate, held_until)
            connection.execute("INSERT INTO slots VALUES (?, ?, ?)", (*mine, slot))
        return slot

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Lets nobody take a slot for that long; a longer hold stays as it is.

        Raises:
            OSError: The file cannot be used.
            sqlite3.Error: The same.
        """
        with self._transaction() as connection:
            mine = {"account": mark_in(connection, account), "rate": rate.name}
            times = {"until": now + seconds, "latest": now + rate.longest_wait_s}
            connection.execute(HOLD, mine | times)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        make_folder(self.path.parent)
        ensure_file(self.path)
        try:
            with (
                no_fork(),
                closing(
                    sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
                ) as connection,
            ):
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("BEGIN IMMEDIATE")
                for table in TABLES:
                    connection.execute(table)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
                self.path.unlink(missing_ok=True)  # seconds of slots are all that is lost
            raise


class SlotMemory:
    """The slots that this process has taken, for when the file cannot be used."""

    def __init__(self) -> None:
        self.renew()
        self._taken: dict[tuple[Account, str], list[float]] = {}
        self._held: dict[tuple[Account, str], float] = {}

    def renew(self) -> None:
        """Forgets which thread uses it: in a forked child that thread does not exist."""
        self._turn = threading.Lock()

    def book(self, account: Account, rate: Rate, now: float) -> float:
        """Takes the next slot and returns when it is."""
        mine = (account, rate.name)
        with self._turn:
            taken = self._taken.get(mine, [])
            slot = next_slot(taken, now, rate, self._held.get(mine, 0.0))
            # As many as the limit decide; those before them never do.
            self._taken[mine] = sorted([*taken, slot])[-int(rate.limit) :]
        return slot

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Lets nobody in this process take a slot for that long; a longer hold stays."""
        with self._turn:
            known = self._held.get((account, rate.name), 0.0)
            believed = known if known <= now + rate.longest_wait_s else 0.0
            self._held[account, rate.name] = max(believed, now + seconds)


HERE: Final = SlotMemory()
"""One for all sessions of the process."""
renew_in_child(HERE.renew)


class Slots:
    """The slots of one account: in the file, or while that cannot be used in memory.

    Args:
        account: Who is counted.
        path: The file.
        clock: Gives the time in epoch seconds.
    """

    def __init__(self, account: Account, path: Path, clock: Callable[[], float]) -> None:
        self._account = account
        self._file = SlotFile(path)
        self._clock = clock
        self._broke_at = -math.inf

    def book(self, rate: Rate) -> float:
        """Takes the next slot and returns in how many seconds it is."""
        slot = self._try(lambda store: store.book(self._account, rate, self._clock()))
        # After the file: it may have kept us waiting, and the clock may have been set meanwhile.
        return min(max(slot - self._clock(), 0.0), rate.longest_wait_s)

    def hold(self, rate: Rate, seconds: float) -> None:
        """Lets nobody take a slot for that long."""
        now = self._clock()
        self._try(lambda store: store.hold(self._account, rate, now, seconds))

    def _try(self, use: Callable[[SlotFile | SlotMemory], T]) -> T:
        if abs(self._clock() - self._broke_at) >= FILE_PAUSE_S:
            try:
                return use(self._file)
            except (OSError, sqlite3.Error) as error:
                self._warn(error)
                self._broke_at = self._clock()
        return use(HERE)

    def _warn(self, error: Exception) -> None:
        LOG.warning(
            "%s cannot be used (%s): the rate limits of the account are kept for this kernel "
            "alone; with several kernels the service may ask to wait. Jobs go on.",
            self._file.path,
            error,
        )


def mark_in(connection: sqlite3.Connection, account: Account) -> str:
    """The account as this file knows it; the first one to ask makes the salt."""
    new = secrets.token_bytes(16)
    connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (new,))
    (salt,) = connection.execute("SELECT salt FROM salt").fetchone()
    if not isinstance(salt, bytes):
        raise sqlite3.DataError("its salt is none of ours")
    return account.mark(salt)
