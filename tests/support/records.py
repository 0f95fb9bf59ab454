"""Records of jobs, for tests of what is made from them."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from kling_nb.core.job_state import NEXT_STAGES, Stage
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

__all__ = ["advance_to", "copy_jobs", "record_of"]


def record_of(
    job_id: str,
    model: str,
    prompt: str,
    created_at: datetime,
    *,
    emulated: bool = False,
    **more: Any,
) -> JobRecord:
    """The record of a job that was just reserved."""
    return JobRecord(
        more.pop("fingerprint", ""),
        "emulator" if emulated else "live",
        model,
        {"prompt": prompt, **more.pop("values", {})},
        more.pop("take", 1),
        more.pop("price_credits", None),
        id=job_id,
        created_at=created_at,
        updated_at=created_at,
        **more,
    )


def advance_to(ledger: Ledger, row: JobRecord, stage: Stage) -> JobRecord:
    """Move a row to a stage by the shortest way."""
    ways: dict[Stage, tuple[Stage, ...]] = {row.stage: ()}
    while stage not in ways:
        ways |= {
            after: (*way, after)
            for before, way in ways.items()
            for after in NEXT_STAGES[before]
            if after not in ways
        }
    for step in ways[stage]:
        row = ledger.advance(row.id, step)
    return row


def copy_jobs(connection: sqlite3.Connection, copies: int, **own: str) -> None:
    """Copy all jobs of a ledger in all tables; each copy has its own id, fingerprint and task.

    The rows of a job are found by `job_id` or by the job's `number`.

    Args:
        connection: The connection, in a transaction.
        copies: How many copies of each job.
        own: SQL of other columns that differ; `copy` is the number of the copy, from 1.
    """
    last = connection.execute("SELECT max(number) FROM jobs").fetchone()[0]
    own |= {
        "number": f"number + copy * {last}",
        "id": "id || printf('%06x', copy)",
        "job_id": "job_id || printf('%06x', copy)",
        "fingerprint": "fingerprint || ' copy ' || copy",
        "task_id": "CASE task_id WHEN '' THEN '' ELSE task_id || ' copy ' || copy END",
    }
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in sorted(tables, key=lambda row: row[0] != "jobs"):
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        if "job_id" in names and "number" in names:
            names.remove("number")  # an id of the row itself, which SQLite sets
        if {"job_id", "number"} & set(names):
            values = ", ".join(own.get(name, f'"{name}"') for name in names)
            quoted = ", ".join(f'"{name}"' for name in names)
            connection.execute(
                f"WITH RECURSIVE copies (copy) AS (VALUES (1) UNION ALL SELECT copy + 1 FROM "
                f"copies WHERE copy < ?) INSERT INTO {table} ({quoted}) "
                f"SELECT {values} FROM copies, {table}",
                (copies,),
            )
