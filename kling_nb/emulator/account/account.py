"""The emulated account: tasks, balance, waiting faults and request counts, in one SQLite file.

Several processes may share the folder: each change is one transaction. Contains no HTTP and no
rendering.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kling_nb.emulator.faults import (
    CallbackFault,
    Endpoint,
    InjectedFault,
    TaskFault,
    endpoint_for,
    find_fault,
)

from .callbacks import CallbackForm, plan_callbacks
from .database import Database
from .tasks import Fail, Task, TaskRequest, read_task

_START_CREDITS = 5_916.0
_COUNT_RECENT = "SELECT count(*) FROM tasks WHERE created_at > ?"
_SUM_CHARGED = """SELECT coalesce(sum(credits), 0) FROM tasks
    WHERE fail_msg = '' OR ended_at IS NULL OR ended_at > ?"""
_COUNT_REQUEST = """INSERT INTO requests VALUES (?, 1)
    ON CONFLICT (path) DO UPDATE SET number = number + 1"""
_END_TASK = """UPDATE tasks SET ended_at = max(ready_at, ?), clip = ?, fail_code = ?, fail_msg = ?
    WHERE task_id = ? AND ended_at IS NULL"""


class TooOften(Exception):
    """There are more new tasks or status requests than the limits allow."""


class CreditsInsufficient(Exception):
    """The balance is below the price."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Rate limits, lifetimes and callback settings. Source: D, unless a line has another."""

    tasks_per_window: float = 20
    """New tasks of an account in one window."""
    task_window_s: float = 10.0
    status_requests_per_window: float = 10
    """recordInfo requests of one key in one window."""
    status_window_s: float = 1.0
    upload_life_s: float = 24 * 3600.0
    clip_life_s: float = 14 * 24 * 3600.0
    link_life_s: float = 20 * 60.0
    """The lifetime of a link from download-url."""
    webhook_key: str = field(default="", repr=False)
    """Signs the callbacks; empty for unsigned ones."""
    callback_form: CallbackForm = "documented"
    callback_limit_s: float = 15.0
    """How long a callback waits for its answer. Documented for other kie products only (D)."""
    callback_waits_s: tuple[float, ...] = (2.0, 8.0, 30.0)
    """The waits before each retry. Three retries are documented, for other kie products (D); the
    lengths are this emulator's."""


UNLIMITED = Limits(tasks_per_window=math.inf, status_requests_per_window=math.inf)
"""The same service without rate limits, for load tests."""
_RATE_LIMIT_FIELDS = {
    "create": ("tasks_per_window", "task_window_s"),
    "status": ("status_requests_per_window", "status_window_s"),
}


def parse_rate_limits(limits: Limits, text: str) -> Limits:
    """Return the limits with the rates in a text such as `create=20/10,status=10/1`, or one rate.

    Raises:
        ValueError: The text has another format, or a number is 0.
    """
    rates: dict[str, Any] = {}
    for part in text.split(","):
        name, _, rate = part.strip().partition("=")
        count, _, window = rate.partition("/")
        is_decimal = window.isascii() and window.replace(".", "", 1).isdecimal()
        if name not in _RATE_LIMIT_FIELDS or not count.isdecimal() or not is_decimal:
            raise ValueError(f"{text!r} is not allowed; try create=20/10,status=10/1")
        rates |= zip(_RATE_LIMIT_FIELDS[name], (int(count), float(window)), strict=True)
    if min(rates.values()) <= 0:
        raise ValueError(f"{text!r} is not allowed; every number must be above 0")
    return replace(limits, **rates)


class EmulatedAccount:
    """The emulated account, for any process and thread."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, limits: Limits | None = None
    ) -> None:
        """Use this folder; the first use creates the files."""
        self.folder = Path(folder)
        self.database = Database(self.folder / "books.sqlite3", _START_CREDITS)
        self.clock = clock
        self.limits = limits or Limits()

    def tasks(self) -> list[Task]:
        """Return all tasks in their present state, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT * FROM tasks ORDER BY created_at, rowid").fetchall()
        return [read_task(row, self.clock()) for row in rows]

    def task(self, task_id: str) -> Task | None:
        """Return a task in its present state, or None."""
        with self.database.reading() as connection:
            query = "SELECT * FROM tasks WHERE task_id = ?"
            row = connection.execute(query, (task_id,)).fetchone()
        return read_task(row, self.clock()) if row else None

    def count_tasks(self) -> int:
        """Return the number of tasks ever created."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])

    def balance(self) -> float:
        """Return the credits left: those paid in, less the price of each task not failed by now."""
        with self.database.reading() as connection:
            return self.balance_in(connection)

    def set_balance(self, credits: float) -> None:
        """Change the credits paid in so that the balance is `credits`."""
        with self.database.transaction() as connection:
            missing = credits - self.balance_in(connection)
            connection.execute("UPDATE account SET paid_in = paid_in + ?", (missing,))

    def balance_in(self, connection: sqlite3.Connection) -> float:
        """Return the balance as this connection reads it."""
        # Derived from the tasks, so that no crash can charge or refund one twice.
        (charged,) = connection.execute(_SUM_CHARGED, (self.clock(),)).fetchone()
        (paid_in,) = connection.execute("SELECT paid_in FROM account").fetchone()
        return float(paid_in - charged)

    def open_task(self, request: TaskRequest, seconds: float) -> Task:
        """Create and charge a task that takes `seconds`.

        Raises:
            TooOften: There are more than 20 new tasks in 10 s on the account (D).
            CreditsInsufficient: The balance is below the price.
        """
        now = self.clock()
        with self.database.transaction() as connection:
            since = now - self.limits.task_window_s
            (recent,) = connection.execute(_COUNT_RECENT, (since,)).fetchone()
            if recent >= self.limits.tasks_per_window:
                raise TooOften
            if self.balance_in(connection) < request.credits:
                raise CreditsInsufficient
            row = _new_row(request, now, seconds, _take_fault(connection, "task"))
            insert(connection, "tasks", row)
            injected = _take_fault(connection, "callback") if row["callback_url"] else None
            effect = injected.effect if injected else None
            fault = effect if isinstance(effect, CallbackFault) else None
            for callback in plan_callbacks(row, fault):
                insert(connection, "letters", callback)
        return read_task({**row, "clip": ""}, now)

    def close_task(self, task_id: str, *, clip: str = "", fail: Fail | None = None) -> None:
        """Store the clip, or the failure; the task does not end before `ready_at`."""
        fail = fail or Fail("", "")
        with self.database.transaction() as connection:
            connection.execute(_END_TASK, (self.clock(), clip, fail.code, fail.msg, task_id))

    def count_status_request(self, key: str) -> None:
        """Count a recordInfo request of this key.

        Raises:
            TooOften: There are more than 10 in a second (D), or than the limits allow.
        """
        asker, now = hashlib.sha256(key.encode()).hexdigest()[:16], self.clock()
        with self.database.transaction() as connection:
            connection.execute(
                "DELETE FROM questions WHERE asked_at <= ?", (now - self.limits.status_window_s,)
            )
            query = "SELECT count(*) FROM questions WHERE asker = ?"
            (recent,) = connection.execute(query, (asker,)).fetchone()
            if recent >= self.limits.status_requests_per_window:
                raise TooOften
            connection.execute("INSERT INTO questions VALUES (?, ?)", (asker, now))

    def count_request(
        self, path: str, endpoint: Endpoint, *, leaked: bool = False
    ) -> InjectedFault | None:
        """Count a request, store the path of a leaked key, and take the fault that waits for it."""
        with self.database.transaction() as connection:
            connection.execute(_COUNT_REQUEST, (path,))
            if leaked:
                connection.execute("INSERT INTO leaks (path) VALUES (?)", (path,))
            return _take_fault(connection, endpoint)

    def requests(self, path: str) -> int:
        """Return the number of requests for a path; for all below it if it ends with a slash."""
        return sum(
            number
            for known, number in self.all_requests().items()
            if known == path or (path.endswith("/") and known.startswith(path))
        )

    def all_requests(self) -> dict[str, int]:
        """Return the number of requests for each path."""
        with self.database.reading() as connection:
            return dict(connection.execute("SELECT path, number FROM requests").fetchall())

    def leaks(self) -> list[str]:
        """Return the file paths that were requested with an Authorization header, in order."""
        with self.database.reading() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM leaks ORDER BY id")]

    def inject(self, name: str, *, times: int = 1, argument: str = "") -> None:
        """Apply a fault to the next `times` requests of its endpoint.

        Raises:
            ValueError: The name is unknown, `times` is below 1, or the argument is not accepted.
        """
        endpoint = endpoint_for(find_fault(name), argument)
        if times < 1:
            raise ValueError(f"times: {times} is not allowed; use 1 or more")
        row = {"name": name, "endpoint": endpoint, "times_left": times, "argument": argument}
        with self.database.transaction() as connection:
            insert(connection, "faults", row)

    def faults(self) -> list[InjectedFault]:
        """Return the faults that still wait, first injected first."""
        query = "SELECT name, times_left, argument FROM faults ORDER BY id"
        with self.database.reading() as connection:
            return [InjectedFault(*row) for row in connection.execute(query)]

    def clear_faults(self) -> None:
        """Delete all faults that still wait."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM faults")


def _take_fault(connection: sqlite3.Connection, endpoint: Endpoint) -> InjectedFault | None:
    """Use up the oldest fault that waits for the endpoint and return it, or None."""
    query = "SELECT id, name, times_left, argument FROM faults WHERE endpoint = ? ORDER BY id"
    row = connection.execute(query, (endpoint,)).fetchone()
    if row is None:
        return None
    connection.execute("UPDATE faults SET times_left = times_left - 1 WHERE id = ?", (row["id"],))
    connection.execute("DELETE FROM faults WHERE times_left = 0")
    return InjectedFault(row["name"], row["times_left"] - 1, row["argument"])


def _new_row(
    request: TaskRequest, now: float, seconds: float, injected: InjectedFault | None
) -> dict[str, str | float | None]:
    """Return the row of a new task; a fault may decide its end at once."""
    fault = injected.effect if injected and isinstance(injected.effect, TaskFault) else None
    needs_clip = fault is None or fault.ending not in ("fail", "no-url", "vanish")
    return {
        "task_id": secrets.token_hex(16),
        "model": request.model,
        "input": json.dumps(request.input),
        "callback_url": request.callback_url,
        "credits": request.credits,
        "fate": fault.ending if fault else "",
        "unseen_s": fault.seconds if fault else 0.0,
        "created_at": now,
        "ready_at": now + seconds,
        "ended_at": None if needs_clip else now + seconds,
        "fail_code": fault.fail_code if fault else "",
        "fail_msg": fault.fail_msg if fault else "",
    }


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    """Insert a row; its keys are the names of our columns."""
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
