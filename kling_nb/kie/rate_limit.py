"""Rate limits shared by all kernels of an account on this machine.

A file has the send times of the account's requests, past and reserved; `core/rate_limits` computes
the next slot. Requests of one kind wait in one queue per process. Only the first takes a slot, and
no lock is held while it waits: a kernel that dies leaves at most one slot unused. A rate limit
never blocks a clip: waits are bounded whatever the clock does, and if the file cannot be used, a
warning is logged and memory is used instead. Must not depend on the content of requests.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import secrets
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import platformdirs

from kling_nb.core.files import ensure_file, make_folder
from kling_nb.core.forks import no_fork, renew_in_child
from kling_nb.core.rate_limits import (
    NEW_TASKS,
    STATUS_REQUESTS,
    Rate,
    next_slot,
    rate_limit_back_off_s,
)
from kling_nb.core.secret import Key

T = TypeVar("T")

_LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S: Final = 2.0
"""Short: another kernel holds the file for about a millisecond."""
RETRY_FILE_S: Final = 60.0
"""How long the file is not tried again after it failed."""
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
"""The longest hold counts, unless it is so long that only a wrong clock can explain it."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that is limited: a service, with a key where keys identify accounts."""

    place: str
    """The URL of the service, or the folder of an emulator."""
    key: Key | None = None

    def digest(self, salt: bytes) -> str:
        """Return the account's id on disk, a digest that reveals neither key nor place."""
        secret = salt if self.key is None else self.key.digest(salt)
        return hmac.digest(secret, self.place.encode("utf-8", "replace"), "sha256").hex()


@dataclass(frozen=True, slots=True)
class _SlotFile:
    """The slots that all processes of this user have taken. Safe in any thread.

    Journal mode DELETE, SQLite's default, since WAL is not safe on network file systems. Not
    synced: after a power cut all slots are in the past. The file is created at the first use; if it
    cannot be used, each method raises OSError or sqlite3.Error.
    """

    path: Path

    def reserve(self, account: Account, rate: Rate, now: float) -> float:
        """Take the next slot, in one transaction, and return its time."""
        with self._transaction() as connection:
            mine = (_account_id_in(connection, account), rate.name)
            bounds = {"from": now - rate.kept_s, "to": now + rate.longest_wait_s}
            named = {"account": mine[0], "rate": mine[1], "now": now, "day": _DAY_S}
            connection.execute(_CLEAN, bounds | named)
            taken = [at for (at,) in connection.execute(_READ, mine)]
            (held_until,) = connection.execute(_READ_HOLD, mine).fetchone()
            slot = next_slot(taken, now, rate, held_until)
            connection.execute("INSERT INTO slots VALUES (?, ?, ?)", (*mine, slot))
        return slot

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Reserve no slot for that many seconds; keep a longer hold."""
        with self._transaction() as connection:
            mine = {"account": _account_id_in(connection, account), "rate": rate.name}
            times = {"until": now + seconds, "latest": now + rate.longest_wait_s}
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
                self.path.unlink(missing_ok=True)  # only a few seconds of slots are lost
            raise


class SlotMemory:
    """The slots that this process has taken while the file could not be used."""

    def __init__(self) -> None:
        self.renew()
        self._reserved: dict[tuple[Account, str], list[float]] = {}
        self._held: dict[tuple[Account, str], float] = {}

    def renew(self) -> None:
        """Replace the lock: in a forked child the thread that holds it does not exist."""
        self._lock = threading.Lock()

    def reserve(self, account: Account, rate: Rate, now: float) -> float:
        """Take the next slot and return its time."""
        mine = (account, rate.name)
        with self._lock:
            taken = self._reserved.get(mine, [])
            slot = next_slot(taken, now, rate, self._held.get(mine, 0.0))
            # Older slots than the limit counts do not matter.
            self._reserved[mine] = sorted([*taken, slot])[-int(rate.limit) :]
        return slot

    def hold(self, account: Account, rate: Rate, now: float, seconds: float) -> None:
        """Reserve no slot for that many seconds; keep a longer hold."""
        with self._lock:
            known = self._held.get((account, rate.name), 0.0)
            plausible_until = known if known <= now + rate.longest_wait_s else 0.0
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

    def reserve(self, rate: Rate) -> float:
        """Take the next slot and return the seconds until then."""
        slot = self._try(lambda store: store.reserve(self._account, rate, self._clock()))
        # The time now: the file may have been locked for a while, or the clock set.
        return min(max(slot - self._clock(), 0.0), rate.longest_wait_s)

    def hold(self, rate: Rate, seconds: float) -> None:
        """Reserve no slot for that many seconds."""
        now = self._clock()
        self._try(lambda store: store.hold(self._account, rate, now, seconds))

    def _try(self, use: Callable[[_SlotFile | SlotMemory], T]) -> T:
        if abs(self._clock() - self._failed_at) >= RETRY_FILE_S:
            try:
                return use(self._file)
            except (OSError, sqlite3.Error) as error:
                _LOG.warning(
                    "%s cannot be used (%s): rate limits apply to this kernel alone; with several "
                    "kernels the service may ask to wait. Jobs continue.",
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
        raise sqlite3.DataError("its salt is not valid")
    return account.digest(salt)


class _RequestQueue:
    """The queue of this process for one kind of request, first in, first out.

    Only the first request in the queue takes a slot, so that a killed process leaves at most one
    unused, and kernels take turns however long their queues are.
    """

    def __init__(self, rate: Rate, slots: Slots, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.rate = rate
        self._slots = slots
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one request may be sent."""
        if math.isinf(self.rate.limit):
            return
        async with self._turn:
            wait_s = await _in_worker(lambda: self._slots.reserve(self.rate))
            if wait_s:
                await self._sleep(wait_s)

    async def hold_back(self, retry_after_s: float | None) -> None:
        """Hold back the account's requests after an answer with status 429."""
        if not math.isinf(self.rate.limit):
            held_s = rate_limit_back_off_s(self.rate, retry_after_s)
            await _in_worker(lambda: self._slots.hold(self.rate, held_s))


class RateLimiter:
    """The rate limits of one account, for all processes of this user on this machine together.

    Args:
        account: The account.
        new_tasks: The limit for new tasks.
        status_requests: The limit for status requests.
        path: The file that the processes share; by default in the user's state directory.
        clock: Returns the time in epoch seconds, the same for all processes.
        sleep: Waits.
    """

    def __init__(
        self,
        account: Account,
        new_tasks: Rate = NEW_TASKS,
        status_requests: Rate = STATUS_REQUESTS,
        *,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        path = path or platformdirs.user_state_path("kling_nb") / "rates.sqlite3"
        slots = Slots(account, path, clock)
        self.new_tasks = _RequestQueue(new_tasks, slots, sleep)
        self.status_requests = _RequestQueue(status_requests, slots, sleep)

    @classmethod
    def unlimited(cls) -> Self:
        """Return a limiter that never waits and uses no file."""
        return cls(
            Account(""),
            replace(NEW_TASKS, limit=math.inf),
            replace(STATUS_REQUESTS, limit=math.inf),
        )


async def _in_worker(call: Callable[[], T]) -> T | None:
    """Call a function that uses the disk in a worker thread; None if Python is shutting down."""
    try:
        return await asyncio.to_thread(call)
    except RuntimeError as error:
        if "shutdown" in str(error):
            return None
        raise
