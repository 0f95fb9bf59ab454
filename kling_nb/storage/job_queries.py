"""Query a ledger: jobs by id, task, request and stage, and columns of many jobs.

A query that may match many rows reads them in pages, with only the columns it needs.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from kling_nb.core.job_state import Stage

from .clip_search import SAVED_CLIP, ClipSearch
from .job_record import Column, JobRecord, adopted_fingerprint, parse_record, parse_sources
from .jobs_table import ALL_COLUMNS, PAGE_ROWS, JobsTable, read_pages

_INPUT_NAME = re.compile(r"\b[0-9a-f]{64}\.[0-9a-z]+")
"""Names in `pictures/`: the hash of the content, with a suffix."""


class JobQueries(ABC):
    """Queries for the jobs of one folder. Safe in any thread.

    Every method raises `LedgerError` if the file cannot be used.

    Args:
        folder: The folder of the ledger; paths are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clip_search = ClipSearch(self._reading)

    @abstractmethod
    def _reading(self) -> AbstractContextManager[JobsTable]:
        """Open the table of jobs for one read."""

    def row(self, job_id: str) -> JobRecord:
        """Return the job with this id, or the only one with an id that starts with these digits.

        Raises:
            LedgerError: No job, or more than one, has such an id.
        """
        with self._reading() as jobs:
            return jobs.find(job_id)

    def by_task(self, task_id: str, service: str) -> JobRecord | None:
        """Return the newest job with this task of a service, `live` or `emulator`."""
        with self._reading() as jobs:
            return jobs.with_task(task_id, service)

    def by_callback_token(self, nonce: str) -> JobRecord | None:
        """Return the job that has this callback token, or None."""
        with self._reading() as jobs:
            return jobs.first("nonce = ? AND nonce <> ''", nonce)

    def blocking(self, *fingerprints: str) -> JobRecord | None:
        """Return the job that already has this request, by the first matching fingerprint."""
        with self._reading() as jobs:
            return jobs.blocking(*fingerprints)

    def with_fingerprint(self, fingerprint: str) -> list[JobRecord]:
        """Return the jobs of this request in all stages, newest first."""
        with self._reading() as jobs:
            return jobs.select("fingerprint = ?", fingerprint)

    def rows(self, *stages: Stage, limit: int = 100) -> list[JobRecord]:
        """Return the jobs in these stages, or all, newest first."""
        where = f"stage IN ({', '.join('?' * len(stages))})" if stages else "1"
        return self._records(where, *stages, limit=limit)

    def clips(self, limit: int = -1, *, include_hidden: bool = False) -> list[JobRecord]:
        """Return the jobs with saved clips, newest first; -1 is no limit."""
        where = f"{SAVED_CLIP} AND hidden <= ?"
        return self._records(where, int(include_hidden), limit=limit)

    def of_panel(self, panel: str, notebook: str, service: str) -> list[JobRecord]:
        """Return the jobs that a panel of a notebook sent, newest first; omit hidden clips.

        Args:
            panel: Its name or its cell, as `JobRecord.panel`; an empty one has no jobs.
            notebook: As `JobRecord.notebook`.
            service: `live` or `emulator`.
        """
        # Without `panel <> ''`, SQLite does not use the partial index.
        where = "panel = ? AND panel <> '' AND notebook = ? AND service = ? AND hidden = 0"
        return self._records(where, panel, notebook, service, limit=-1)

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return {row["id"] for row in read_pages(self._reading, "id", "1")}

    def paid_requests(self, *stages: Stage) -> Iterator[str]:
        """Yield the live requests in these stages in pages, newest first; omit adopted tasks.

        A page is JSON: a list of `[fingerprint, time, job id, task id]`. The time is that of
        sending; showing an old clip does not change it. SQLite builds the JSON: otherwise the
        `sqlite3` module would acquire the GIL for each row while a commit waits.
        """
        # By default SQLite uses the index of the service, and sorts all rows for each page. A `+`
        # excludes a condition from the choice of an index.
        query = f"""
            SELECT json_group_array(json_array(fingerprint, at, id, task_id)) FROM (
                SELECT fingerprint, coalesce(sent_at, accepted_at, created_at) AS at, id, task_id
                FROM jobs WHERE +service = 'live' AND fingerprint <> ? || task_id
                AND +stage IN ({", ".join("?" * len(stages))}) AND number >= ? AND number < ?
                ORDER BY number DESC
            )
        """
        with self._reading() as jobs:
            (end,) = jobs.connection.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM jobs"
            ).fetchone()
        while end > 0:
            begin = end - PAGE_ROWS
            values = adopted_fingerprint(""), *stages, begin, end
            with self._reading() as jobs:
                (page,) = jobs.connection.execute(query, values).fetchone()
            if page != "[]":
                yield page
            end = begin

    def source_sha256_of(self, url: str) -> str:
        """Return the hash of the content that a URL last had as an input, or ""."""
        rows = read_pages(self._reading, "sources", "instr(sources, ?)", json.dumps(url))
        inputs = (
            stored
            for row in rows
            for sources in parse_sources(row["sources"], self.folder).values()
            for stored in sources
        )
        return next((stored.source_sha256 for stored in inputs if stored.url == url), "")

    def shares_file(self, record: JobRecord) -> bool:
        """Return whether another saved job has the same file as its clip."""
        if record.clip is None:
            return False
        name = json.dumps(Path(record.clip.path).name)[1:-1]  # as in the column
        where = f"{SAVED_CLIP} AND id <> ? AND instr(clip, ?)"
        rows = self._records(where, record.id, name, limit=-1)
        return any(row.clip and row.clip.path == record.clip.path for row in rows)

    def input_names(self) -> set[str]:
        """Return the names of stored inputs that the jobs refer to, in any column.

        A cell may name a stored file, too: the panel writes its path.
        """
        rows = read_pages(self._reading, 'sources, cell, "values"', "1")
        texts = (f"{row['sources']} {row['cell']} {row['values']}" for row in rows)
        return {name for text in texts for name in _INPUT_NAME.findall(text)}

    def last_take(
        self, model: str, service: str, fingerprints_of: Callable[[int], Collection[str]]
    ) -> int:
        """Return the highest take of a request that already has a job, or 0 if none has.

        Args:
            model: The model of the request.
            service: Its service, `live` or `emulator`.
            fingerprints_of: Returns every fingerprint of the request as a take.
        """
        with self._reading() as jobs:
            takes = jobs.takes(model, service)
        found = (take for take in (*reversed(takes), 1) if self.blocking(*fingerprints_of(take)))
        return next(found, 0)

    def events(self, job_id: str) -> list[tuple[datetime, Stage, str]]:
        """Return the history of a job: time, stage and reason, oldest first."""
        with self._reading() as jobs:
            return jobs.events(jobs.find(job_id))

    def durations_s(self, model: str, service: str, limit: int = 20) -> list[float]:
        """Return the durations of past tasks in seconds, newest first."""
        with self._reading() as jobs:
            return jobs.durations_s(model, service, limit)

    def _records(self, where: str, *values: Column, limit: int) -> list[JobRecord]:
        """Return the jobs that match an SQL condition, newest first; -1 is no limit."""
        rows = read_pages(self._reading, ALL_COLUMNS, where, *values, limit=limit)
        return [parse_record(dict(row), self.folder) for row in rows]
