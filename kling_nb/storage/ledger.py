"""The ledger: the jobs of one folder, as saved on disk.

`Ledger` decides which changes of a row are allowed and which session owns it. Must not depend on
the service: callers report what happened, and each call returns after the change is on disk.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from kling_nb.core.errors import KlingError, LedgerError
from kling_nb.core.forks import OwnProcess
from kling_nb.core.job_state import BLOCKING, FOLLOWED, SUBMITTING, Stage
from kling_nb.core.stored_input import StoredInput

from .clip_events import ClipChange, report_changes
from .database import Database
from .id_slots import IdSlots
from .job_queries import JobQueries
from .job_record import Column, JobRecord, encode_facts, encode_sources, encode_text
from .jobs_table import JobsTable
from .session_lock import SessionLocks
from .spending import Spending, check_budgets
from .task_matching import TaskMatching

_LOG = logging.getLogger("kling_nb")

P = ParamSpec("P")
T = TypeVar("T")


class Ledger(JobQueries):
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
        super().__init__(folder.absolute())
        self.owner = str(uuid.uuid4())
        """The name of this session in the rows that it owns."""
        self._clock = clock
        self._database = Database(self.folder / "ledger.sqlite3")
        self._session_locks = SessionLocks(self.folder / "owners")
        self._open_lock = threading.Lock()
        self._process = OwnProcess()
        self._is_closed = False
        self._changes: list[ClipChange] = []
        """The changes of clips in the transaction that the writer's thread is running."""
        self.spending = Spending(self._reading, self._write)
        self.task_matching = TaskMatching(self._write, self.owner, self._end_if_orphaned)
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
                self._database.write(self._begin)

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
            with suppress(LedgerError):
                self._database.write(lambda _: self._session_locks.release(self.owner))
            # The folder may be gone or locked; the session must not seem alive for ever.
            self._session_locks.release(self.owner)
            self._database.close()

    def submit(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a change for the writer and return immediately; several calls share a commit.

        Args:
            change: A method that changes rows, such as `advance`, or a function that calls several
                in one transaction. Not `recover_orphans`, which deletes files after its commit.
            *args: Positional arguments of the change.
            **kwargs: Keyword arguments of the change.

        Returns:
            The result of the change after the commit is synced, or its error; `LedgerError` if the
            session is closed.
        """
        try:
            self.open()
        except KlingError as error:
            refused: Future[T] = Future()
            refused.set_exception(error)
            return refused
        changes: list[ClipChange] = []

        def report(done: Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                report_changes(changes)

        collecting = self._collecting(changes, lambda _: change(*args, **kwargs))
        queued = self._database.submit(collecting)
        queued.add_done_callback(report)
        return queued

    # Changes of the session's own jobs.

    def intend(self, request: JobRecord) -> tuple[JobRecord, bool]:
        """Add a row for a request that is about to be sent, unless a row answers it.

        Returns:
            The new row and True, or the row that already answers the request and False.

        Raises:
            BudgetExceeded: The request exceeds a budget; no row is added.
        """
        return self._write(lambda jobs: self._intend(jobs, request))

    def _intend(self, jobs: JobsTable, request: JobRecord) -> tuple[JobRecord, bool]:
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
        return self._write(
            lambda jobs: jobs.step(jobs.find(job_id), stage, owner=self.owner, **columns)
        )

    def accept(self, job_id: str, task_id: str) -> JobRecord:
        """Save the accepted task of a request after the ledger could not be written.

        Returns:
            The row that has the task: `accepted`, or unchanged if it was saved since.
        """
        return self._write(lambda jobs: self._accept(jobs, job_id, task_id))

    def _accept(self, jobs: JobsTable, job_id: str, task_id: str) -> JobRecord:
        self._restore(jobs)
        row = jobs.find(job_id)
        if row.stage in SUBMITTING:
            row = jobs.update(jobs.end_orphaned(row, task_id), owner=self.owner)
        return self.task_matching.assign_task_in(jobs, row, task_id)

    def note(self, job_id: str, **facts: object) -> JobRecord:
        """Change columns of a job without a change of stage; facts as for `advance`."""
        columns = encode_facts(facts, self.folder)
        return self._write(lambda jobs: jobs.update(jobs.find(job_id), **columns))

    def mark(
        self,
        job_id: str,
        *,
        starred: bool | None = None,
        hidden: bool | None = None,
        title: str | None = None,
    ) -> JobRecord:
        """Set the user's marks of a clip, and its title; None leaves a value unchanged."""
        marks = {"starred": starred, "hidden": hidden}
        columns: dict[str, Column] = {
            name: int(is_set) for name, is_set in marks.items() if is_set is not None
        }
        if title is not None:
            columns["title"] = encode_text(title)
        if not columns:
            return self.row(job_id)
        return self._write(lambda jobs: jobs.mark(jobs.find(job_id), **columns))

    def save_sources(self, job_id: str, sources: Mapping[str, Sequence[StoredInput]]) -> JobRecord:
        """Save which inputs of a request are stored, and where."""
        encoded = encode_sources(sources, self.folder)
        return self._write(lambda jobs: jobs.mark(jobs.find(job_id), sources=encoded))

    def import_record(self, row: JobRecord) -> JobRecord | None:
        """Add a job of another ledger; None if this one has the job, or one with its request."""
        return self._write(lambda jobs: jobs.import_record(row))

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
        recovered, spent = self._write(lambda jobs: self._recover(jobs, service))
        # Not before the ids in these files are in the ledger and on disk.
        for job_id in spent:
            self.id_slots.free(job_id)
        return recovered

    def _recover(self, jobs: JobsTable, service: str) -> tuple[list[JobRecord], list[str]]:
        """Recover the jobs of dead sessions; return them and the ids of the files to delete."""
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
        return recovered + identified, spent

    def claim(self, job_id: str) -> bool:
        """Take over a job, unless a living session owns it or there is nothing to follow.

        Returns:
            Whether this session must follow the job now.
        """
        return self._write(lambda jobs: self._claim(jobs, job_id))

    def _claim(self, jobs: JobsTable, job_id: str) -> bool:
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
        self._write(lambda jobs: self._release(jobs, job_id))

    def _release(self, jobs: JobsTable, job_id: str) -> None:
        row = jobs.find(job_id)
        if row.owner != self.owner:
            return
        if row.stage in SUBMITTING:
            raise LedgerError(
                f"job {row.id} is {row.stage}: the service has not answered yet; "
                "try again in a second"
            )
        jobs.update(row, owner="")

    @property
    def file_stamp(self) -> str:
        """Return a text that another process changes when it changes a job; empty without a file.

        The file is not opened: closing it would end the locks of this process on it.
        """
        try:
            found = self._database.path.stat()
        except OSError:
            return ""
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"

    def owner_is_alive(self, owner: str) -> bool:
        """Return whether the session of this name is alive, in any process."""
        return self._write(lambda _: self._session_locks.is_alive(owner))

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin the session; runs again if another change makes the transaction fail."""
        if not self._session_locks.is_held(self.owner):
            self._session_locks.acquire(self.owner)
        self._restore(self._table(connection))

    def _table(self, connection: sqlite3.Connection) -> JobsTable:
        return JobsTable(connection, self.folder, self._clock, self._changes)

    @contextmanager
    def _reading(self) -> Iterator[JobsTable]:
        self._process.check()
        if not self._is_closed and not self._database.is_changing:
            self.open()
        with self._database.reading() as connection:
            yield self._table(connection)

    def _write(self, change: Callable[[JobsTable], T]) -> T:
        """Run a change in a transaction; return its result after it is on disk."""

        def run(connection: sqlite3.Connection) -> T:
            return change(self._table(connection))

        # Do not open the session inside a change: `close` may be waiting for that change.
        if self._database.is_changing:
            return self._database.write(run)
        self.open()
        changes: list[ClipChange] = []
        result = self._database.write(self._collecting(changes, run))
        report_changes(changes)
        return result

    def _collecting(
        self, changes: list[ClipChange], change: Callable[[sqlite3.Connection], T]
    ) -> Callable[[sqlite3.Connection], T]:
        """Return a change that collects its changes of clips; it may run more than once."""

        def run(connection: sqlite3.Connection) -> T:
            changes.clear()
            self._changes = changes
            return change(connection)

        return run

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
