"""The outbox: which callbacks are owed, who carries which, and what was answered.

Owns the rows of letters and posts. Several processes may share them: a letter is claimed before it
is sent, and a claim ends with its process. Must not know HTTP.
"""

from __future__ import annotations

import sqlite3

from .account import Books
from .callback_plan import Letter, Post

__all__ = ["Outbox"]

OPEN = """SELECT letters.*, tasks.created_at, tasks.ended_at, tasks.unseen_s FROM letters
    JOIN tasks USING (task_id) WHERE NOT settled ORDER BY letters.id"""
POSTS = """SELECT task_id, kind, letter, attempt, started_at, answered_at, status, words
    FROM posts WHERE task_id = ? OR ? = '' ORDER BY id"""
CLAIM = "UPDATE letters SET claimed_until = ? WHERE id = ? AND claimed_until <= ? AND NOT settled"
SETTLE = """UPDATE letters SET tries = :attempt, claimed_until = 0, settled = :settled,
    due_at = :due_at WHERE id = :letter"""
CLAIM_MARGIN_S = 5.0


class Outbox:
    """The callbacks of one account, readable and changeable from any process and thread."""

    def __init__(self, books: Books) -> None:
        """Use the file, the clock and the terms of these books."""
        self.books = books

    def posts(self, task_id: str = "") -> list[Post]:
        """Every try to call back for one task, or for all, in the order of their ends."""
        with self.books.database.reading() as connection:
            rows = connection.execute(POSTS, (task_id, task_id)).fetchall()
        return [Post(**dict(row)) for row in rows]

    def open_letters(self) -> list[Letter]:
        """What is not settled yet; nothing where there is no file yet."""
        if not self.books.database.path.is_file():
            return []
        with self.books.database.reading() as connection:
            rows = connection.execute(OPEN).fetchall()
        return [read_letter(row) for row in rows]

    def claim(self, letter: Letter) -> bool:
        """Take a letter to carry it; False where somebody else has it."""
        now = self.books.clock()
        until = now + self.books.terms.callback_limit_s + CLAIM_MARGIN_S
        with self.books.database.transaction() as connection:
            return connection.execute(CLAIM, (until, letter.number, now)).rowcount == 1

    def release(self, letter: Letter) -> None:
        """Put a letter back that could not be carried to its end, if its folder is still there."""
        if not self.books.database.path.is_file():
            return
        with self.books.database.transaction() as connection:
            connection.execute(
                "UPDATE letters SET claimed_until = 0 WHERE id = ?", (letter.number,)
            )

    def note(self, post: Post) -> None:
        """Keep a try: it settles its letter if it was answered well, or if it was the last."""
        answered = post.status is not None and 200 <= post.status < 300
        waits = self.books.terms.callback_waits_s
        last = post.attempt > len(waits)
        wait_s = 0.0 if last else waits[post.attempt - 1]
        with self.books.database.transaction() as connection:
            add_post(connection, post)
            connection.execute(
                SETTLE,
                {
                    "attempt": post.attempt,
                    "settled": answered or last,
                    "due_at": self.books.clock() + wait_s,
                    "letter": post.letter,
                },
            )


def read_letter(row: sqlite3.Row) -> Letter:
    """The letter of one row."""
    return Letter(
        number=row["id"],
        task_id=row["task_id"],
        url=row["url"],
        kind=row["kind"],
        tries=row["tries"],
        due_at=due_at(row),
    )


def due_at(row: sqlite3.Row) -> float | None:
    """When a letter may go: a forgery at its time, any other when its task has ended, too."""
    earliest: float = max(row["due_at"], row["claimed_until"])
    if row["kind"] == "forged":
        return earliest
    if row["ended_at"] is None:
        return None
    # The end of a task is not told before recordInfo knows the task.
    ended_at: float = max(row["ended_at"], row["created_at"] + row["unseen_s"])
    late_until: float = ended_at + row["after_s"]
    return max(earliest, late_until)


def add_post(connection: sqlite3.Connection, post: Post) -> None:
    """Insert the row of a try."""
    connection.execute(
        "INSERT INTO posts (task_id, kind, letter, attempt, started_at, answered_at, status, words)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            post.task_id,
            post.kind,
            post.letter,
            post.attempt,
            post.started_at,
            post.answered_at,
            post.status,
            post.words,
        ),
    )
