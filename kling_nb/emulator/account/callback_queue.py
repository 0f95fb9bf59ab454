"""Store the callbacks to send, the process that sends each, and the attempts.

Several processes may share the file: a process claims a callback before it sends it, and the claim
expires. Contains no HTTP.
"""

from __future__ import annotations

import dataclasses
import sqlite3

from .account import EmulatedAccount, insert
from .callbacks import CallbackAttempt, PendingCallback

_PENDING = """SELECT letters.*, tasks.created_at, tasks.ended_at, tasks.unseen_s FROM letters
    JOIN tasks USING (task_id) WHERE NOT settled ORDER BY letters.id"""
_POSTS = """SELECT task_id, kind, letter, attempt, started_at, answered_at, status, words
    FROM posts WHERE task_id = ? OR ? = '' ORDER BY id"""
_CLAIM = "UPDATE letters SET claimed_until = ? WHERE id = ? AND claimed_until <= ? AND NOT settled"
_RELEASE = "UPDATE letters SET claimed_until = 0 WHERE id = ?"
_FINISH = "UPDATE letters SET tries = ?, claimed_until = 0, settled = ?, due_at = ? WHERE id = ?"
_CLAIM_MARGIN_S = 5.0


class CallbackQueue:
    """The callbacks of an account, for any process and thread."""

    def __init__(self, account: EmulatedAccount) -> None:
        """Use the file, the clock and the limits of this account."""
        self.account = account

    def posts(self, task_id: str = "") -> list[CallbackAttempt]:
        """Return the attempts for one task, or for all, in the order of their ends."""
        with self.account.database.reading() as connection:
            rows = connection.execute(_POSTS, (task_id, task_id)).fetchall()
        return [CallbackAttempt(**dict(row)) for row in rows]

    def pending(self) -> list[PendingCallback]:
        """Return the callbacks that are still to send; none if the file does not exist."""
        if not self.account.database.path.is_file():
            return []
        with self.account.database.reading() as connection:
            return [_read_callback(row) for row in connection.execute(_PENDING)]

    def claim(self, callback: PendingCallback) -> bool:
        """Claim a callback to send it; return False if another process has it."""
        now = self.account.clock()
        until = now + self.account.limits.callback_limit_s + _CLAIM_MARGIN_S
        with self.account.database.transaction() as connection:
            return connection.execute(_CLAIM, (until, callback.number, now)).rowcount == 1

    def release(self, callback: PendingCallback) -> None:
        """Give up the claim on a callback, if its folder still exists."""
        if self.account.database.path.is_file():
            with self.account.database.transaction() as connection:
                connection.execute(_RELEASE, (callback.number,))

    def add_attempt(self, post: CallbackAttempt) -> None:
        """Store an attempt; an HTTP 2xx answer, or the last attempt, finishes the callback."""
        accepted = post.status is not None and 200 <= post.status < 300
        waits = self.account.limits.callback_waits_s
        is_last = post.attempt > len(waits)
        due_at = self.account.clock() + (0.0 if is_last else waits[post.attempt - 1])
        with self.account.database.transaction() as connection:
            insert(connection, "posts", dataclasses.asdict(post))
            connection.execute(_FINISH, (post.attempt, accepted or is_last, due_at, post.letter))


def _read_callback(row: sqlite3.Row) -> PendingCallback:
    """Return the callback of a row of `_PENDING`."""
    values = {name: row[name] for name in ("task_id", "url", "kind", "tries")}
    return PendingCallback(number=row["id"], due_at=due_at(row), **values)


def due_at(row: sqlite3.Row) -> float | None:
    """Return when to send a callback: not before its task has ended, unless it is forged."""
    earliest: float = max(row["due_at"], row["claimed_until"])
    if row["kind"] == "forged":
        return earliest
    if row["ended_at"] is None:
        return None
    # The callback is not sent before recordInfo knows the task.
    ended_at: float = max(row["ended_at"], row["created_at"] + row["unseen_s"])
    late_until: float = ended_at + row["after_s"]
    return max(earliest, late_until)
