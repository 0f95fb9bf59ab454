"""The account's books: tasks, balance, faults to come, and who asked what.

Owns every row except uploads. Several processes may share one folder: each change is one
transaction. Must not know HTTP or how clips are made.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kling_nb.emulator.faults.effects import Endpoint, Errand, Fate
from kling_nb.emulator.faults.injection import InjectedFault, add_fault, take_fault, waiting_faults

from .callback_plan import plan_letters
from .database import Database
from .limits import Terms
from .tasks import Fail, Order, Task, read_task

__all__ = ["START_CREDITS", "Books", "CreditsInsufficient", "TooOften"]

START_CREDITS = 5_916.0
COUNT_RECENT = "SELECT count(*) FROM tasks WHERE created_at > ?"
SUM_CHARGED = """SELECT coalesce(sum(credits), 0) FROM tasks
    WHERE fail_msg = '' OR ended_at IS NULL OR ended_at > ?"""


class TooOften(Exception):
    """More new tasks, or more questions, than the terms allow."""


class CreditsInsufficient(Exception):
    """The balance is below the price."""


class Books:
    """What the emulated account holds, readable and changeable from any process and thread."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, terms: Terms | None = None
    ) -> None:
        """Name the folder; nothing is made on disk before the first use."""
        self.folder = Path(folder)
        self.database = Database(self.folder / "books.sqlite3", START_CREDITS)
        self.clock = clock
        self.terms = terms or Terms()

    def tasks(self) -> list[Task]:
        """All tasks, oldest first, each as it stands now."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT * FROM tasks ORDER BY created_at, rowid").fetchall()
        return [read_task(row, self.clock()) for row in rows]

    def task(self, task_id: str) -> Task | None:
        """One task as it stands now, or None."""
        with self.database.reading() as connection:
            query = "SELECT * FROM tasks WHERE task_id = ?"
            row = connection.execute(query, (task_id,)).fetchone()
        return read_task(row, self.clock()) if row else None

    def count_tasks(self) -> int:
        """How many tasks were ever made."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])

    def balance(self) -> float:
        """Credits left: those paid in, less the price of each task that has not failed by now."""
        with self.database.reading() as connection:
            return self.balance_in(connection)

    def set_balance(self, credits: float) -> None:
        """Pay in, or take away, until the balance is `credits`."""
        with self.database.transaction() as connection:
            missing = credits - self.balance_in(connection)
            connection.execute("UPDATE account SET paid_in = paid_in + ?", (missing,))

    def balance_in(self, connection: sqlite3.Connection) -> float:
        """The balance as this connection sees it."""
        # Derived from the tasks, so that no crash can charge or refund one twice.
        (charged,) = connection.execute(SUM_CHARGED, (self.clock(),)).fetchone()
        (paid_in,) = connection.execute("SELECT paid_in FROM account").fetchone()
        return float(paid_in - charged)

    def open_task(self, order: Order, seconds: float) -> Task:
        """Make and charge a task that will take `seconds`.

        Raises:
            TooOften: more than 20 new tasks in 10 s on the account (D).
            CreditsInsufficient: the balance is below the price.
        """
        now = self.clock()
        with self.database.transaction() as connection:
            since = now - self.terms.task_window_s
            (recent,) = connection.execute(COUNT_RECENT, (since,)).fetchone()
            if recent >= self.terms.tasks_per_window:
                raise TooOften
            if self.balance_in(connection) < order.credits:
                raise CreditsInsufficient
            row = new_row(order, now, seconds, take_fault(connection, "task"))
            insert(connection, "tasks", row)
            for letter in owed(row, connection):
                insert(connection, "letters", letter)
        return read_task({**row, "clip": ""}, now)

    def close_task(self, task_id: str, *, clip: str = "", fail: Fail | None = None) -> None:
        """Note that the clip is made, or why it cannot be; the end is never before `ready_at`."""
        fail = fail or Fail("", "")
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET ended_at = max(ready_at, ?), clip = ?, fail_code = ?,"
                " fail_msg = ? WHERE task_id = ? AND ended_at IS NULL",
                (self.clock(), clip, fail.code, fail.msg, task_id),
            )

    def note_question(self, key: str) -> None:
        """Count a recordInfo question of that key.

        Raises:
            TooOften: more than 10 in a second (D), or what the terms say.
        """
        asker, now = hashlib.sha256(key.encode()).hexdigest()[:16], self.clock()
        with self.database.transaction() as connection:
            connection.execute(
                "DELETE FROM questions WHERE asked_at <= ?", (now - self.terms.question_window_s,)
            )
            query = "SELECT count(*) FROM questions WHERE asker = ?"
            (recent,) = connection.execute(query, (asker,)).fetchone()
            if recent >= self.terms.questions_per_window:
                raise TooOften
            connection.execute("INSERT INTO questions VALUES (?, ?)", (asker, now))

    def note_arrival(
        self, path: str, endpoint: Endpoint, *, leaked: bool = False
    ) -> InjectedFault | None:
        """Count a request, note a key where none belongs, and take the fault that waits for it."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO requests VALUES (?, 1)"
                " ON CONFLICT (path) DO UPDATE SET number = number + 1",
                (path,),
            )
            if leaked:
                connection.execute("INSERT INTO leaks (path) VALUES (?)", (path,))
            return take_fault(connection, endpoint)

    def requests(self, path: str) -> int:
        """How many requests came for that path; for all below it, if it ends with a slash."""
        return sum(
            number
            for known, number in self.all_requests().items()
            if known == path or (path.endswith("/") and known.startswith(path))
        )

    def all_requests(self) -> dict[str, int]:
        """How many requests came for each path."""
        with self.database.reading() as connection:
            return dict(connection.execute("SELECT path, number FROM requests").fetchall())

    def leaks(self) -> list[str]:
        """The file paths at which an Authorization header arrived; it never belongs there."""
        with self.database.reading() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM leaks ORDER BY id")]

    def inject(self, name: str, *, times: int = 1, argument: str = "") -> None:
        """Let the next `times` requests that match meet the fault.

        Raises:
            ValueError: no fault has that name, `times` is below 1, or the argument means nothing.
        """
        with self.database.transaction() as connection:
            add_fault(connection, name, times, argument)

    def faults(self) -> list[InjectedFault]:
        """The faults that still wait, first injected first."""
        with self.database.reading() as connection:
            return waiting_faults(connection)

    def clear_faults(self) -> None:
        """Forget all faults that still wait."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM faults")


def new_row(
    order: Order, now: float, seconds: float, injected: InjectedFault | None
) -> dict[str, str | float | None]:
    """The row of a task that is made now, its end already written where a fault decides it."""
    fate = injected.effect if injected and isinstance(injected.effect, Fate) else None
    needs_clip = fate is None or fate.ending not in ("fail", "no-url", "vanish")
    return {
        "task_id": secrets.token_hex(16),
        "model": order.model,
        "input": json.dumps(order.input),
        "callback_url": order.callback_url,
        "credits": order.credits,
        "fate": fate.ending if fate else "",
        "unseen_s": fate.seconds if fate else 0.0,
        "created_at": now,
        "ready_at": now + seconds,
        "ended_at": None if needs_clip else now + seconds,
        "fail_code": fate.fail_code if fate else "",
        "fail_msg": fate.fail_msg if fate else "",
    }


def owed(
    row: Mapping[str, str | float | None], connection: sqlite3.Connection
) -> list[dict[str, str | float]]:
    """The letters that a new task owes whoever asked to be called back."""
    if not row["callback_url"]:
        return []
    injected = take_fault(connection, "callback")
    errand = injected.effect if injected and isinstance(injected.effect, Errand) else None
    return plan_letters(row, errand)


def insert(
    connection: sqlite3.Connection, table: str, row: Mapping[str, str | float | None]
) -> None:
    """Add a row; its keys are our own names of columns."""
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
