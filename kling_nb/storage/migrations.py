"""The tables of a ledger, and the numbered migrations from an empty file to them.

`job_record` documents the columns; `database` decides when migrations run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

_ROWS_PER_STEP = 200
"""Number of rows that a migration reads per step to move their thumbnails."""

_FIRST_TABLES = (
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
    # A second check besides the transaction of `Ledger.intend`: a program that skips that cannot
    # write a request twice.
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
    # Without reported credits the price counts, except for failures: those are refunded.
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


def _create_first_tables(connection: sqlite3.Connection) -> None:
    """Create the jobs, events and spend in an empty file."""
    for statement in _FIRST_TABLES:
        connection.execute(statement)


def _add_columns(connection: sqlite3.Connection, *columns: str) -> None:
    """Add columns to the table `jobs`; a new one needs a field in `JobRecord`, too."""
    for column in columns:
        connection.execute(f"ALTER TABLE jobs ADD COLUMN {column}")


def _add_sources_and_marks(connection: sqlite3.Connection) -> None:
    """Add the stored inputs of each request, and the user's marks of its clip."""
    _add_columns(
        connection,
        "sources TEXT NOT NULL DEFAULT '{}'",
        "starred INTEGER NOT NULL DEFAULT 0",
        "hidden INTEGER NOT NULL DEFAULT 0",
    )


def _add_budgets(connection: sqlite3.Connection) -> None:
    """Add budgets; the notebook of a request, and the credits left in its budget."""
    _add_columns(connection, "notebook TEXT NOT NULL DEFAULT ''", "budget_before REAL")
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
    # Every new request sums up the expenses; with this index SQLite reads no thumbnails for that.
    connection.execute(
        """
        CREATE INDEX jobs_by_cost
        ON jobs (service, created_at, notebook, stage, credits, price_credits)
        """
    )
    # `spending` defines the expenses alone, and by local days.
    connection.execute("DROP VIEW spend")


def _add_evidence(connection: sqlite3.Connection) -> None:
    """Add callback tokens, raw answers, and the balance samples of a balance watch."""
    _add_columns(
        connection,
        "nonce TEXT NOT NULL DEFAULT ''",
        "answer TEXT NOT NULL DEFAULT ''",
        "watch TEXT",
    )
    connection.execute("CREATE UNIQUE INDEX one_job_a_nonce ON jobs (nonce) WHERE nonce <> ''")


def _add_uploads(connection: sqlite3.Connection) -> None:
    """Add the URLs of recent uploads."""
    connection.execute(
        """
        CREATE TABLE uploads (
            service TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            mime_type TEXT NOT NULL,
            url TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (service, sha256, mime_type)
        )
        """
    )


def _add_notifications(connection: sqlite3.Connection) -> None:
    """Add stored callbacks."""
    connection.execute(
        """
        CREATE TABLE notifications (
            number INTEGER PRIMARY KEY, nonce TEXT NOT NULL, body BLOB NOT NULL, at TEXT NOT NULL
        )
        """
    )


def _add_readings(connection: sqlite3.Connection) -> None:
    """Add the time of a balance, and index the evidence for a charge."""
    _add_columns(connection, "balance_at TEXT")
    connection.execute("DROP INDEX jobs_by_cost")
    connection.execute(
        """
        CREATE INDEX jobs_by_cost ON jobs (
            service, created_at, notebook, stage, credits, price_credits,
            task_id, balance_before, watch
        )
        """
    )


def _add_result_urls(connection: sqlite3.Connection) -> None:
    """Add every URL of a result, as a JSON list; empty in older rows."""
    _add_columns(connection, "result_urls TEXT NOT NULL DEFAULT '[]'")


def _separate_thumbnails(connection: sqlite3.Connection) -> None:
    """Move the thumbnails to their own table, and add indexes for the queries for jobs and clips.

    A row with a thumbnail fills several pages. Without it, a query reads fewer pages, and a change
    of stage writes fewer. The column `thumbnail` of `jobs` stays, always empty.
    """
    connection.execute(
        "CREATE TABLE thumbnails (number INTEGER PRIMARY KEY, content BLOB NOT NULL)"
    )
    last = connection.execute("SELECT coalesce(max(number), 0) FROM jobs").fetchone()[0]
    # In steps, so that the file does not grow: the pages freed by one step store the thumbnails of
    # the next.
    for start in range(0, last + 1, _ROWS_PER_STEP):
        step = {"start": start, "end": start + _ROWS_PER_STEP}
        connection.execute(
            """
            INSERT INTO thumbnails SELECT number, thumbnail FROM jobs
            WHERE number >= :start AND number < :end AND thumbnail <> x''
            """,
            step,
        )
        connection.execute(
            "UPDATE jobs SET thumbnail = x'' WHERE number >= :start AND number < :end", step
        )
    connection.execute("CREATE INDEX jobs_by_model ON jobs (model, service)")
    connection.execute("CREATE INDEX jobs_by_stage ON jobs (stage)")
    connection.execute(
        """
        CREATE INDEX clips ON jobs (model, hidden, starred)
        WHERE stage = 'saved' AND clip IS NOT NULL
        """
    )


def _add_partial_indices(connection: sqlite3.Connection) -> None:
    """Index what durations and another take search for, without the rows that they skip."""
    connection.execute("DROP INDEX IF EXISTS jobs_by_model")
    connection.execute(
        """
        CREATE INDEX jobs_with_results ON jobs (model, service)
        WHERE stage IN ('succeeded', 'saved', 'expired')
        """
    )
    connection.execute("CREATE INDEX further_takes ON jobs (model, service, take) WHERE take <> 1")


def _add_titles(connection: sqlite3.Connection) -> None:
    """Add the user's titles of clips."""
    _add_columns(connection, "title TEXT NOT NULL DEFAULT ''")


def _add_deletions(connection: sqlite3.Connection) -> None:
    """Add when the user deleted a clip."""
    _add_columns(connection, "deleted_at TEXT")


def _add_panels(connection: sqlite3.Connection) -> None:
    """Add the panel that sent a request; empty in older rows."""
    _add_columns(connection, "panel TEXT NOT NULL DEFAULT ''")
    connection.execute("CREATE INDEX jobs_of_panels ON jobs (panel) WHERE panel <> ''")


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (
    _create_first_tables,
    _add_sources_and_marks,
    _add_budgets,
    _add_evidence,
    _add_uploads,
    _add_notifications,
    _add_readings,
    _add_result_urls,
    _separate_thumbnails,
    _add_partial_indices,
    _add_titles,
    _add_deletions,
    _add_panels,
)
"""Migration n changes version n to version n + 1. A released migration is never changed."""
