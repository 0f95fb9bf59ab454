"""The ledger: the jobs of one folder, as saved on disk.

`Ledger` decides which changes of a row are allowed and which session owns it. Must not depend on
the service: callers report what happened, and each call returns after the change is on disk.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kling_nb.core.errors import LedgerError
from kling_nb.core.forks import OwnProcess
from kling_nb.core.job_state import BLOCKING, FOLLOWED, SUBMITTING, Stage
from kling_nb.core.stored_input import StoredInput

from .clip_search import SAVED_CLIP, ClipSearch
from .database import Database
from .id_slots import IdSlots
from .job_record import (
    Column,
    JobRecord,
    adopted_fingerprint,
    encode_facts,
    encode_sources,
    parse_record,
    parse_sources,
)
from .jobs_table import ALL_COLUMNS, PAGE_ROWS, JobsTable
from .session_lock import SessionLocks
from .spending import Spending, check_budgets
from .task_matching import TaskMatching

_LOG = logging.getLogger("kling_nb")

_AFTER_ALL = 2**63 - 1
"""The largest number of a row."""


class PaidRequest(NamedTuple):
    """A request that is or may be paid, for the user's index."""

    fingerprint: str
    at: datetime
    """When it was sent; showing an old clip does not change it."""
    job_id: str
    task_id: str


class Ledger:
    """The jobs of one folder, shared by all its sessions. Safe in any thread.

    Opens no file before the first use. Every method raises `LedgerError` if the file cannot be
    used.

    Args:
        folder: The folder of the clips, `ledger.sqlite3` and `owners/`.
        clock: Returns the time, aware.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        # Absolute: a kernel may change its working directory later.
        self.folder = folder.absolute()
        self.owner = str(uuid.uuid4())
        """The name of this session in the rows that it owns."""
        self._clock = clock
        self._database = Database(self.folder / "ledger.sqlite3")
        self._session_locks = SessionLocks(self.folder / "owners")
        self._open_lock = threading.Lock()
        self._process = OwnProcess()
        self._is_closed = False
        self.spending = Spending(self._reading, self._writing)
        self.task_matching = TaskMatching(self._writing, self.owner, self._end_if_orphaned)
        self.clip_search = ClipSearch(self._reading, self._pages)
        self.id_slots = IdSlots(self.folder / "sending", self.folder)

    def open(self) -> None:
        """Create missing files and acquire this session's lock; every change calls this first.

        Raises:
            LedgerError: The session is closed, and does not open again: other sessions would
                expect it to follow its jobs. Or it belongs to the parent of this process.
        """
        self._process.check()
        with self._open_lock:
            if self._is_closed:
                raise LedgerError("this session is closed; use the session that replaced it")
            if not self._session_locks.is_held(self.owner):
                self._database.create()
                with self._database.writing() as connection:
                    self._session_locks.acquire(self.owner)
                    self._restore(self._table(connection))

    def close(self) -> None:
        """End the session; another one may take over its jobs.

        Do nothing in a forked child: the session is the parent's.
        """
        if not self._process.is_here:
            return
        with self._open_lock:
            self._is_closed = True
            self.id_slots.close()
            if not self._session_locks.is_held(self.owner):
                return
            with suppress(LedgerError), self._database.writing():
                self._session_locks.release(self.owner)
            # The folder may be gone or locked; the session must not seem alive for ever.
            self._session_locks.release(self.owner)

    # Changes of the session's own jobs.

    def intend(self, request: JobRecord) -> tuple[JobRecord, bool]:
        """Add a row for a request that is about to be sent, unless a row answers it.

        Returns:
            The new row and True, or the row that already answers the request and False.

        Raises:
            BudgetExceeded: The request exceeds a budget; no row is added.
        """
        with self._writing() as jobs:
            row = jobs.blocking(*request.fingerprints)
            if row is not None:
                row = self._end_if_orphaned(jobs, row)
                if row.stage in BLOCKING:
                    return row, False
            left = check_budgets(jobs, request, partial(self._end_if_orphaned, jobs))
            row = jobs.insert(request, self.owner)
            return row if left is None else jobs.mark(row, budget_before=left), True

    def advance(self, job_id: str, stage: Stage, **facts: object) -> JobRecord:
        """Move a job to its next stage; this session owns the job from now on.

        Give `finished_at` by the service's clock if it is known: `durations_s` uses it. `reason`
        and `code` belong to a stage: they are cleared if they are not given.

        Args:
            job_id: The id of the job, or its first digits.
            stage: One of `NEXT_STAGES` of the job's stage.
            **facts: Columns that `encode_facts` takes: `task_id`, `credits`, `reason`, `clip` ….

        Raises:
            LedgerError: There is no such job, or the stage may not follow.
            TypeError: The name of a fact is unknown, or its value has the wrong type.
        """
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.step(jobs.find(job_id), stage, owner=self.owner, **columns)

    def accept(self, job_id: str, task_id: str) -> JobRecord:
        """Save the accepted task of a request after the ledger could not be written.

        Returns:
            The row that has the task: `accepted`, or unchanged if it was saved since.
        """
        with self._writing() as jobs:
            self._restore(jobs)
            row = jobs.find(job_id)
            if row.stage in SUBMITTING:
                row = jobs.update(jobs.end_orphaned(row, task_id), owner=self.owner)
            return self.task_matching.assign_task_in(jobs, row, task_id)

    def note(self, job_id: str, **facts: object) -> JobRecord:
        """Change columns of a job without a change of stage; facts as for `advance`."""
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.update(jobs.find(job_id), **columns)

    def mark(
        self, job_id: str, *, starred: bool | None = None, hidden: bool | None = None
    ) -> JobRecord:
        """Set the user's marks of a clip; None leaves a mark unchanged."""
        marks = {"starred": starred, "hidden": hidden}
        columns = {name: int(is_set) for name, is_set in marks.items() if is_set is not None}
        with self._writing() as jobs:
            row = jobs.find(job_id)
            return jobs.mark(row, **columns) if columns else row

    def save_sources(self, job_id: str, sources: Mapping[str, Sequence[StoredInput]]) -> JobRecord:
        """Save which inputs of a request are stored, and where."""
        with self._writing() as jobs:
            return jobs.mark(jobs.find(job_id), sources=encode_sources(sources, self.folder))

    def import_record(self, row: JobRecord) -> JobRecord | None:
        """Add a job of another ledger; None if this one has the job, or one with its request."""
        with self._writing() as jobs:
            return jobs.import_record(row)

    # Queries.

    def row(self, job_id: str) -> JobRecord:
        """Return the job of an id, or of its first four digits or more.

        Raises:
            LedgerError: No job, or several, have an id that begins so.
        """
        with self._reading() as jobs:
            return jobs.find(job_id)

    def by_task(self, task_id: str, service: str) -> JobRecord | None:
        """Return the newest job with this task of a service, `live` or `emulator`."""
        with self._reading() as jobs:
            return jobs.with_task(task_id, service)

    def by_callback_token(self, nonce: str) -> JobRecord | None:
        """Return the job that was sent with this callback token, or None."""
        with self._reading() as jobs:
            return jobs.first("nonce = ? AND nonce <> ''", nonce)

    def blocking(self, *fingerprints: str) -> JobRecord | None:
        """Return the job that already answers this request, by the first of its fingerprints."""
        with self._reading() as jobs:
            return jobs.blocking(*fingerprints)

    def with_fingerprint(self, fingerprint: str) -> list[JobRecord]:
        """Return every job of this request in any stage, newest first."""
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

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return {row["id"] for row in self._pages("id", "1")}

    def paid_requests(self, *stages: Stage) -> Iterator[PaidRequest]:
        """Yield the live requests in these stages, newest first, without adopted tasks."""
        columns = "fingerprint, id, task_id, coalesce(sent_at, accepted_at, created_at) AS paid_at"
        adopted = adopted_fingerprint("")
        where = f"""
            service = 'live' AND fingerprint <> ? || task_id
            AND stage IN ({", ".join("?" * len(stages))})
        """
        for row in self._pages(columns, where, adopted, *stages):
            at = datetime.fromisoformat(row["paid_at"])
            yield PaidRequest(row["fingerprint"], at, row["id"], row["task_id"])

    def source_sha256_of(self, url: str) -> str:
        """Return the hash of the content that a URL had as an input, the last time, or ""."""
        rows = self._pages("sources", "instr(sources, ?)", json.dumps(url))
        inputs = (
            stored
            for row in rows
            for sources in parse_sources(row["sources"], self.folder).values()
            for stored in sources
        )
        return next((stored.source_sha256 for stored in inputs if stored.url == url), "")

    def takes(self, model: str, service: str) -> list[tuple[int, str]]:
        """Return take and fingerprint of every request of a model that is already answered."""
        with self._reading() as jobs:
            return jobs.takes(model, service)

    def events(self, job_id: str) -> list[tuple[datetime, Stage, str]]:
        """Return the history of a job: time, stage and reason, oldest first."""
        with self._reading() as jobs:
            return jobs.events(jobs.find(job_id))

    def durations_s(self, model: str, service: str, limit: int = 20) -> list[float]:
        """Return how long the service took for past clips, in seconds, newest first."""
        with self._reading() as jobs:
            return jobs.durations_s(model, service, limit)

    # Ownership of jobs.

    def recover_orphans(self, service: str) -> list[JobRecord]:
        """Recover the jobs of dead sessions.

        An intended request is discarded. One that was being sent is unknown, or accepted if its
        task is known. This session takes over accepted and succeeded jobs. Released jobs do not
        change: `claim` takes them.

        Args:
            service: The service of the accepted jobs that this session can follow, `live` or
                `emulator`; the others are left to another session.

        Returns:
            The rows that changed, newest first.
        """
        with self._writing() as jobs:
            self._restore(jobs)
            rows = jobs.in_stages(*SUBMITTING, *FOLLOWED)
            is_alive = {
                owner: self._session_locks.is_alive(owner) for owner in {row.owner for row in rows}
            }
            recovered = [
                self._take_over(jobs, row, service)
                for row in rows
                if row.owner
                and not is_alive[row.owner]
                and (row.service == service or row.stage not in FOLLOWED)
            ]
            identified, spent = self._read_slots(jobs, service)
            self._session_locks.remove_dead()
        # Not before the ids in these files are in the ledger and on disk.
        for job_id in spent:
            self.id_slots.free(job_id)
        return recovered + identified

    def claim(self, job_id: str) -> bool:
        """Take over a job, unless a living session owns it or there is nothing to follow.

        Returns:
            Whether this session must follow the job now.
        """
        with self._writing() as jobs:
            row = jobs.find(job_id)
            if row.stage not in FOLLOWED:
                return False
            if row.owner != self.owner:
                if self._session_locks.is_alive(row.owner):
                    return False
                jobs.update(row, owner=self.owner)
            return True

    def release(self, job_id: str) -> None:
        """Give up a job of this session, so that another may claim it; ignore another's job.

        Raises:
            LedgerError: The job is being submitted; only its own session learns how that ends.
        """
        with self._writing() as jobs:
            row = jobs.find(job_id)
            if row.owner != self.owner:
                return
            if row.stage in SUBMITTING:
                raise LedgerError(
                    f"job {row.id} is {row.stage}: it can be detached when the service has "
                    "answered, in a second or so"
                )
            jobs.update(row, owner="")

    def owner_is_alive(self, owner: str) -> bool:
        """Return whether the session of this name is alive, in any process."""
        with self._writing():
            return self._session_locks.is_alive(owner)

    def _table(self, connection: sqlite3.Connection) -> JobsTable:
        return JobsTable(connection, self.folder, self._clock)

    def _pages(
        self, columns: str, where: str, *values: Column, limit: int = -1
    ) -> Iterator[sqlite3.Row]:
        """Yield columns of the jobs that match an SQL condition, newest first; -1 is no limit.

        Reads a page at a time: a commit waits for readers.
        """
        before = _AFTER_ALL
        while limit:
            count = PAGE_ROWS if limit < 0 else min(limit, PAGE_ROWS)
            with self._reading() as jobs:
                rows = jobs.page(columns, where, *values, before=before, limit=count)
            yield from rows
            if len(rows) < count:
                return
            before, limit = rows[-1]["number"], limit - count if limit > 0 else limit

    def _records(self, where: str, *values: Column, limit: int) -> list[JobRecord]:
        """Return the jobs that match an SQL condition, newest first; -1 is no limit."""
        rows = self._pages(ALL_COLUMNS, where, *values, limit=limit)
        return [parse_record(dict(row), self.folder) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[JobsTable]:
        self._process.check()
        if not self._is_closed:
            self.open()
        with self._database.reading() as connection:
            yield self._table(connection)

    @contextmanager
    def _writing(self) -> Iterator[JobsTable]:
        self.open()
        with self._database.writing() as connection:
            yield self._table(connection)

    def _take_over(self, jobs: JobsTable, row: JobRecord, service: str) -> JobRecord:
        row = self._end_if_orphaned(jobs, row)
        if row.stage not in FOLLOWED or row.service != service:
            return row
        taken = jobs.update(row, owner=self.owner)
        jobs.log(taken, "taken over from a session that ended")
        return taken

    def _end_if_orphaned(self, jobs: JobsTable, row: JobRecord) -> JobRecord:
        if row.stage not in SUBMITTING or self._session_locks.is_alive(row.owner):
            return row
        return jobs.end_orphaned(row, self.id_slots.read(row.id))

    def _restore(self, jobs: JobsTable) -> None:
        """Restore the requests that were being sent when the ledger lost them."""
        for row in self.id_slots.rows():
            if jobs.import_record(row) is not None:
                _LOG.warning("job %s was not in the ledger and is restored", row.id)

    def _read_slots(self, jobs: JobsTable, service: str) -> tuple[list[JobRecord], list[str]]:
        """Add the task ids from files; return the rows, and the jobs with a file to delete.

        An older version may have recovered a row without reading its file.
        """
        identified, spent = [], []
        for job_id in self.id_slots.job_ids():
            row = jobs.first("id = ?", job_id)
            if row is None or row.stage in SUBMITTING or row.service != service:
                continue
            task_id = self.id_slots.read(job_id)
            if task_id and not row.task_id:
                identified.append(self.task_matching.assign_task_in(jobs, row, task_id))
            spent.append(job_id)
        return identified, spent
