"""Store the send times of requests, shared by all kernels of an account on this machine.

A file stores the past and reserved send times (slots) of the account; `core/rate_limits` computes
the next ones. No lock is held while a request waits for its slot: a killed kernel leaves at most
one block of slots unused. Waits are bounded even if the clock is set. If the file cannot be used,
this module logs a warning and uses memory. Must not depend on the content of requests.
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
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from kling_nb.core.files import ensure_file, make_folder
from kling_nb.core.forks import no_fork, renew_in_child
from kling_nb.core.rate_limits import LONGEST_HOLD_S, Rate, next_slots
from kling_nb.core.secret import Key

T = TypeVar("T")

_LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S: Final = 2.0
"""Maximum wait for the file; another kernel locks it for about 1 ms."""
RETRY_FILE_S: Final = 60.0
"""How long to use memory after the file failed, before the next try."""
_DAY_S: Final = 86_400.0

_TABLES: Final = (
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
_CLEAN: Final = """
    DELETE FROM slots WHERE account = :account AND rate = :rate AND (at <= :from OR at > :to)
        OR at < :now - :day OR at > :now + :day
"""
_READ: Final = "SELECT at FROM slots WHERE account = ? AND rate = ?"
_READ_HOLD: Final = """
    SELECT coalesce(max(until), 0) FROM holds
    WHERE account = ? AND rate = ? AND typeof(until) = 'real'
"""
_HOLD: Final = """
    INSERT INTO holds VALUES (:account, :rate, :until)
    ON CONFLICT (account, rate) DO UPDATE SET until =
        CASE WHEN typeof(until) = 'real' AND until BETWEEN :until AND :latest
        THEN until ELSE :until END
"""
"""Keeps the longest hold, but replaces one so long that it comes from a wrong clock."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that has the limits: a service, with the key if keys identify accounts."""

    place: str
    """URL of the service, or folder of an emulator."""
    key: Key | None = None

    def digest(self, salt: bytes) -> str:
        """Return the account's id on disk, a digest that does not reveal key or place."""
        secret = salt if self.key is None else self.key.digest(salt)
        return hmac.digest(secret, self.place.encode("utf-8", "replace"), "sha256").hex()


@dataclass(frozen=True, slots=True)
class _SlotFile:
    """The slots that all processes of this user have reserved. Safe in any thread.

    Journal mode is DELETE, SQLite's default, because WAL is not safe on network file systems. The
    file is not synced: after a power cut all slots are in the past. The first use creates the file.
    If the file cannot be used, each method raises OSError or sqlite3.Error.
    """

    path: Path

    def reserve(self, account: Account, rate: Rate, now: float, count: int) -> list[float]:
        """Reserve the next slots in one transaction, and return their times."""
        with self._transaction() as connection:
            mine = (_account_id_in(connection, account), rate.name)
            bounds = {"from": now - rate.kept_s, "to": now + rate.longest_wait_s}
            named = {"account": mine[0], "rate": mine[1], "now": now, "day": _DAY_S}
            connection.execute(_CLEAN, bounds | named)
            taken = [at for (at,) in connection.execute(_READ, mine)]
            (held_until,) = connection.execute(_READ_HOLD, mine).fetchone()
            slots = next_slots(taken, now, rate, held_until, count)
            rows = [(*mine, slot) for slot in slots]
            connection.executemany("INSERT INTO slots VALUES (?, ?, ?)", rows)
        return slots

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Reserve no slot for this many seconds; keep a longer hold."""
        with self._transaction() as connection:
            mine = {"account": _account_id_in(connection, account), "rate": rate.name}
            times = {"until": now + seconds, "latest": now + LONGEST_HOLD_S}
            connection.execute(_HOLD, mine | times)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        make_folder(self.path.parent)
        ensure_file(self.path)
        try:
            connect = partial(sqlite3.connect, self.path, isolation_level=None)
            with no_fork(), closing(connect(timeout=BUSY_TIMEOUT_S)) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    connection.execute(table)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
                self.path.unlink(missing_ok=True)  # loses a few seconds of slots
            raise


class SlotMemory:
    """The slots that this process reserved while the file could not be used."""

    def __init__(self) -> None:
        self.renew()
        self._reserved: dict[tuple[Account, str], list[float]] = {}
        self._held: dict[tuple[Account, str], float] = {}

    def renew(self) -> None:
        """Replace the lock; in a forked child the thread that holds it does not exist."""
        self._lock = threading.Lock()

    def reserve(self, account: Account, rate: Rate, now: float, count: int) -> list[float]:
        """Reserve the next slots and return their times."""
        mine = (account, rate.name)
        with self._lock:
            taken = self._reserved.get(mine, [])
            slots = next_slots(taken, now, rate, self._held.get(mine, 0.0), count)
            # The limit counts no older slots.
            self._reserved[mine] = sorted([*taken, *slots])[-int(rate.limit) :]
        return slots

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Reserve no slot for this many seconds; keep a longer hold."""
        with self._lock:
            known = self._held.get((account, rate.name), 0.0)
            plausible_until = known if known <= now + LONGEST_HOLD_S else 0.0
            self._held[account, rate.name] = max(plausible_until, now + seconds)


IN_MEMORY: Final = SlotMemory()
"""One for all sessions of the process."""
renew_in_child(IN_MEMORY.renew)


class Slots:
    """The slots of one account: in the file, or in memory while the file cannot be used."""

    def __init__(self, account: Account, path: Path, clock: Callable[[], float]) -> None:
        self._account = account
        self._file = _SlotFile(path)
        self._clock = clock
        self._failed_at = -math.inf

    def reserve(self, rate: Rate, count: int = 1) -> list[float]:
        """Reserve the next slots and return the seconds until each."""
        slots = self._try(lambda store: store.reserve(self._account, rate, self._clock(), count))
        # Read the clock now: waiting for the file takes time, and the clock may have been set.
        now, longest_s = self._clock(), max(rate.longest_wait_s, LONGEST_HOLD_S)
        return [min(max(slot - now, 0.0), longest_s) for slot in slots]

    def hold(self, rate: Rate, seconds: float) -> None:
        """Reserve no slot for this many seconds."""
        now = self._clock()
        self._try(lambda store: store.hold(self._account, rate, now, seconds))

    def _try(self, use: Callable[[_SlotFile | SlotMemory], T]) -> T:
        if abs(self._clock() - self._failed_at) >= RETRY_FILE_S:
            try:
                return use(self._file)
            except (OSError, sqlite3.Error) as error:
                _LOG.warning(
                    "%s cannot be used (%s): rate limits apply to this kernel only. With several "
                    "kernels, the service may answer 429. Jobs continue.",
                    self._file.path,
                    error,
                )
                self._failed_at = self._clock()
        return use(IN_MEMORY)


def _account_id_in(connection: sqlite3.Connection, account: Account) -> str:
    """Return the account's id in this file; create the salt at the first use."""
    new = secrets.token_bytes(16)
    connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (new,))
    (salt,) = connection.execute("SELECT salt FROM salt").fetchone()
    if not isinstance(salt, bytes):
        raise sqlite3.DataError("the salt is not valid")
    return account.digest(salt)
