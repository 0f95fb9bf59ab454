"""The file of a ledger: connections, transactions, numbered migrations, and what went wrong.

A connection lives for one operation. Journal mode DELETE, because WAL is not safe on network
homes; `synchronous=EXTRA`, because a commit that a crash undoes can cost money. No raw sqlite3
error leaves this module. What the rows mean is not known here.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import LedgerError

__all__ = ["BUSY_TIMEOUT_S", "MIGRATIONS", "Database", "advice_for"]

BUSY_TIMEOUT_S = 30.0
"""How long an operation waits for the other sessions of the folder."""

FIRST_TABLES = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        fingerprint TEXT NOT NULL,
        service TEXT NOT NULL,
        model TEXT NOT NULL,
        "values" TEXT NOT NULL,
        take INTEGER NOT NULL,
        price_credits REAL,
        thumbnail BLOB NOT NULL,
        callback_url TEXT NOT NULL,
        cell TEXT NOT NULL,
        stage TEXT NOT NULL,
        owner TEXT NOT NULL,
        task_id TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        sent_at TEXT,
        accepted_at TEXT,
        finished_at TEXT,
        balance_before REAL,
        balance_after REAL,
        credits REAL,
        reason TEXT NOT NULL DEFAULT '',
        code TEXT NOT NULL DEFAULT '',
        result_url TEXT NOT NULL DEFAULT '',
        clip TEXT
    )
    """,
    # A second guard beside the transaction of `Ledger.intend`: even a program that skips it
    # cannot write a request twice.
    """
    CREATE UNIQUE INDEX one_job_a_request ON jobs (fingerprint) WHERE stage IN (
        'intended', 'sending', 'accepted', 'unknown', 'succeeded', 'vanished', 'saved', 'expired'
    )
    """,
    "CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint)",
    "CREATE INDEX jobs_by_task ON jobs (task_id)",
    """
    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        job_id TEXT NOT NULL REFERENCES jobs (id),
        at TEXT NOT NULL,
        stage TEXT NOT NULL,
        text TEXT NOT NULL
    )
    """,
    "CREATE INDEX events_by_job ON events (job_id)",
    # Without a report the price counts, except for failures: those are given back.
    """
    CREATE VIEW spend AS
    SELECT substr(coalesce(accepted_at, created_at), 1, 10) AS day, model, service,
           count(*) AS jobs, total(coalesce(credits, price_credits)) AS credits
    FROM jobs
    WHERE CASE WHEN credits IS NULL THEN accepted_at IS NOT NULL AND stage <> 'failed'
               ELSE credits > 0 END
    GROUP BY day, model, service
    """,
)


def create_first_tables(connection: sqlite3.Connection) -> None:
    """Makes jobs, events and spend, in an empty file."""
    for statement in FIRST_TABLES:
        connection.execute(statement)


def add_sources_and_marks(connection: sqlite3.Connection) -> None:
    """Adds the pictures of each request, and what a person thinks of its clip."""
    for column in (
        "sources TEXT NOT NULL DEFAULT '{}'",
        "starred INTEGER NOT NULL DEFAULT 0",
        "hidden INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(f"ALTER TABLE jobs ADD COLUMN {column}")


def add_budgets(connection: sqlite3.Connection) -> None:
    """Adds which notebook asked, what its budget had left, and the budgets themselves."""
    connection.execute("ALTER TABLE jobs ADD COLUMN notebook TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE jobs ADD COLUMN budget_before REAL")
    connection.execute(
        """
        CREATE TABLE budgets (
            service TEXT NOT NULL,
            scope TEXT NOT NULL,
            notebook TEXT NOT NULL,
            limit_credits REAL NOT NULL,
            set_at TEXT NOT NULL,
            PRIMARY KEY (service, scope, notebook)
        )
        """
    )
    # Every new request adds up what was spent; with this index no picture is read for that.
    connection.execute(
        """
        CREATE INDEX jobs_by_cost
        ON jobs (service, created_at, notebook, stage, credits, price_credits)
        """
    )
    # What counts as spent is written once, in `accounts`, and days are local ones there.
    connection.execute("DROP VIEW spend")


def add_evidence(connection: sqlite3.Connection) -> None:
    """Adds what a callback is known by, raw answers, and what was seen of the balance."""
    for column in (
        "nonce TEXT NOT NULL DEFAULT ''",
        "answer TEXT NOT NULL DEFAULT ''",
        "watch TEXT",
    ):
        connection.execute(f"ALTER TABLE jobs ADD COLUMN {column}")
    connection.execute("CREATE UNIQUE INDEX one_job_a_nonce ON jobs (nonce) WHERE nonce <> ''")


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (
    create_first_tables,
    add_sources_and_marks,
    add_budgets,
    add_evidence,
)
"""Number n leads from version n to version n + 1. What was released is never changed."""

ADVICE = {
    "SQLITE_BUSY": "Another program kept it locked too long. Close what holds it, then run again.",
    "SQLITE_FULL": "The disk is full. Make room, then run again.",
    "SQLITE_READONLY": "It cannot be written. Allow writing, or choose another folder.",
    "SQLITE_CANTOPEN": "It cannot be opened. Put the file back if it was moved; else restart the "
    "kernel, or choose another folder: argument `folder` or KLING_NB_FOLDER.",
    "SQLITE_NOTADB": "It is no ledger. Put the right file back, or move this one away: a new "
    "ledger begins then, which does not know what was paid before.",
    "SQLITE_CORRUPT": "It is damaged. Put a copy back, or move this one away: a new ledger begins "
    "then, which does not know what was paid before.",
}


def advice_for(error: sqlite3.Error) -> str:
    """Returns what happened to the file and what to do next, in words."""
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, advice in ADVICE.items():
        if name.startswith(prefix):
            return f"{advice} ({error})"
    return f"{error}. Check the disk and the folder's permissions, then run again."


class Database:
    """The SQLite file of one ledger.

    Args:
        path: The file; its folder is made by `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # The threads of a process queue here. SQLite lets those who wait try now and then, and
        # whoever is unlucky may find it taken every time.
        self._turn = threading.Lock()

    def create(self) -> None:
        """Makes the folder and the file where there are none, and brings the tables up to date.

        Raises:
            LedgerError: The folder or the file cannot be used, or a newer kling_nb wrote it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"{self.path.parent}: the folder cannot be made ({error}). "
                "Choose another one: argument `folder` or KLING_NB_FOLDER."
            ) from error
        with self._transaction("rwc") as connection:
            version = read_version(connection)
            for migrate in MIGRATIONS[version:]:
                migrate(connection)
            if version < len(MIGRATIONS):
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection for one operation.

        Raises:
            LedgerError: The file cannot be used; says why, and what to do.
        """
        # Mode `rw` makes no file. An empty ledger in the place of one that vanished would let
        # everything be paid for again.
        with self._connection("rw") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection in a transaction that is on the disk when the block is left.

        Raises:
            LedgerError: The file cannot be used; nothing was changed.
        """
        with self._transaction("rw") as connection:
            yield connection

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[sqlite3.Connection]:
        # IMMEDIATE: what is read inside stays true until the commit, and two transactions never
        # wait for each other in a circle.
        with self._turn, self._connection(mode) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connect(mode)) as connection:
                self._prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {advice_for(error)}") from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        # Transactions are begun by hand: Python's own begin late, and not IMMEDIATE.
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA foreign_keys = ON")
        # Before the journal mode, which is kept in the file: a newer version's file stays as it is.
        if read_version(connection) > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path} was written by a newer kling_nb. Upgrade this one, or "
                "choose another folder: argument `folder` or KLING_NB_FOLDER."
            )
        connection.execute("PRAGMA journal_mode = DELETE")


def read_version(connection: sqlite3.Connection) -> int:
    """Returns how many migrations the file has had; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
