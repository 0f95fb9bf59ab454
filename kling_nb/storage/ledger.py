"""The ledger: the jobs of one folder, as saved on disk.

`Ledger` decides which changes of a row are allowed and which session owns it. Must not depend on
the service, and does not wait for it: callers report what happened, and each call returns after
the change is on disk.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.forks import OwnProcess
from kling_nb.core.job_state import BLOCKING, FOLLOWED, SUBMITTING, Stage
from kling_nb.core.stored_input import StoredInput

from .database import Database
from .id_slots import IdSlots
from .job_record import Intent, JobRecord, encode_facts, encode_sources
from .jobs_table import Jobs
from .session_lock import Owners
from .spending import Accounts, room_for
from .task_matching import Adoptions

__all__ = ["Ledger"]

LOG = logging.getLogger("kling_nb")


class Ledger:
    """The jobs of one folder, shared by every session that uses it. Safe in any thread.

    Nothing is touched before the first use. Every method raises `LedgerError` when the file
    cannot be used.

    Args:
        folder: Where the clips, `ledger.sqlite3` and `owners/` are.
        clock: Gives the time, aware.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        # A kernel may change its working directory later; the folder stays.
        self.folder = folder.absolute()
        self.owner = str(uuid.uuid4())
        """The name of this session in the rows that it answers for."""
        self._clock = clock
        self._database = Database(self.folder / "ledger.sqlite3")
        self._owners = Owners(self.folder / "owners")
        self._opening = threading.Lock()
        self._process = OwnProcess()
        self._is_closed = False
        self.accounts = Accounts(self._reading, self._writing, clock)
        self.adoptions = Adoptions(self._writing, self.owner, self._bury)
        self.id_slots = IdSlots(self.folder / "sending", self.folder)

    def open(self) -> None:
        """Makes what is missing on disk and takes this session's lock; every change begins so.

        Raises:
            LedgerError: The session was closed; it does not come to life again, since others
                would take its jobs for followed. Or it is that of the parent of this process.
        """
        self._process.check()
        with self._opening:
            if self._is_closed:
                raise LedgerError("this session is closed; use the session that replaced it")
            if not self._owners.holds(self.owner):
                self._database.create()
                with self._database.writing() as connection:
                    self._owners.hold(self.owner)
                    self._restore(Jobs(connection, self.folder, self._clock))

    def close(self) -> None:
        """Ends the session: its jobs may be taken over by the next one.

        In a forked child nothing happens: the session is the parent's, and goes on.
        """
        if not self._process.is_here:
            return
        with self._opening:
            self._is_closed = True
            self.id_slots.close()
            if not self._owners.holds(self.owner):
                return
            try:
                with self._database.writing():
                    self._owners.let_go(self.owner)
            except LedgerError:
                # The folder is gone or locked up. That is no reason to seem alive for ever.
                self._owners.let_go(self.owner)

    # What a session does with its own jobs.

    def intend(self, intent: Intent) -> tuple[JobRecord, bool]:
        """Notes that a request is about to be made, unless it was made before.

        Args:
            intent: The request.

        Returns:
            The new row and True, or the row that answers the request already and False.

        Raises:
            BudgetExceeded: A budget has not enough left; nothing is noted.
        """
        with self._writing() as jobs:
            row = jobs.blocking(*intent.fingerprints)
            if row is not None:
                row = self._bury(jobs, row)
                if row.stage in BLOCKING:
                    return row, False
            left = room_for(jobs, intent, self._clock(), partial(self._bury, jobs))
            row = jobs.insert(intent, self.owner)
            return row if left is None else jobs.mark(row, budget_before=left), True

    def advance(self, job_id: str, stage: Stage, **facts: object) -> JobRecord:
        """Takes one step, with what was learnt at it; this session answers for the job from then.

        Give `finished_at` by the service's clock where it is known: `durations_s` learns from it.
        `reason` and `code` belong to a stage, and are empty in the next unless they are given.

        Args:
            job_id: The job, or the first digits of its id.
            stage: One of `NEXT_STAGES` of the stage it is in.
            **facts: As in `job_record.FACTS`: `task_id`, `credits`, `reason`, `clip` and others.

        Raises:
            LedgerError: There is no such job, or no such step.
            TypeError: A fact that no row has, or one of the wrong type.
        """
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.step(jobs.find(job_id), stage, owner=self.owner, **columns)

    def accept(self, job_id: str, task_id: str) -> JobRecord:
        """Note the accepted task of a request after the ledger could not be written.

        Returns:
            The row that has the task, `accepted`; or as it is where it was noted since.
        """
        with self._writing() as jobs:
            self._restore(jobs)
            row = jobs.find(job_id)
            if row.stage in SUBMITTING:
                row = jobs.update(jobs.bury(row, task_id), owner=self.owner)
            return self.adoptions.identify_in(jobs, row, task_id)

    def note(self, job_id: str, **facts: object) -> JobRecord:
        """Adds what was learnt of a job, without a step; facts as for `advance`."""
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.update(jobs.find(job_id), **columns)

    def mark(
        self, job_id: str, *, starred: bool | None = None, hidden: bool | None = None
    ) -> JobRecord:
        """Notes what a person thinks of a clip; None leaves a mark as it is, and so all else."""
        marks = {"starred": starred, "hidden": hidden}
        with self._writing() as jobs:
            row = jobs.find(job_id)
            columns = {name: int(on) for name, on in marks.items() if on is not None}
            return jobs.mark(row, **columns) if columns else row

    def note_sources(self, job_id: str, sources: Mapping[str, Sequence[StoredInput]]) -> JobRecord:
        """Notes where the pictures of a request are kept; else the row stays as it is."""
        with self._writing() as jobs:
            return jobs.mark(jobs.find(job_id), sources=encode_sources(sources, self.folder))

    def bring(self, row: JobRecord) -> JobRecord | None:
        """Takes in a job that another ledger had; None where this one has it or its request."""
        with self._writing() as jobs:
            return jobs.bring(row)

    # What is known.

    def row(self, job_id: str) -> JobRecord:
        """Returns a job by its id, or by the first four digits or more.

        Raises:
            LedgerError: No job, or several, begin so.
        """
        with self._reading() as jobs:
            return jobs.find(job_id)

    def by_task(self, task_id: str, service: str) -> JobRecord | None:
        """Returns the newest job with this task of a service, `live` or `emulator`."""
        with self._reading() as jobs:
            return jobs.with_task(task_id, service)

    def by_nonce(self, nonce: str) -> JobRecord | None:
        """Returns the job whose callback's URL carries this one-time value."""
        with self._reading() as jobs:
            return next(iter(jobs.select("nonce = ? AND nonce <> ''", nonce)), None)

    def blocking(self, *fingerprints: str) -> JobRecord | None:
        """Returns the job that answers this request already, by the first of its fingerprints."""
        with self._reading() as jobs:
            return jobs.blocking(*fingerprints)

    def of_request(self, fingerprint: str) -> list[JobRecord]:
        """Return every job of this request in any stage, newest first."""
        with self._reading() as jobs:
            return jobs.select("fingerprint = ?", fingerprint)

    def rows(self, *stages: Stage, limit: int = 100) -> list[JobRecord]:
        """Returns the jobs in these stages, or all, newest first."""
        with self._reading() as jobs:
            return jobs.in_stages(*(stages or Stage), limit=limit)

    def clips(self, limit: int = -1, *, include_hidden: bool = False) -> list[JobRecord]:
        """Returns the jobs whose clips are saved, newest first; -1 is no limit."""
        with self._reading() as jobs:
            where = "stage = ? AND clip IS NOT NULL AND hidden <= ?"
            return jobs.select(where, Stage.SAVED, int(include_hidden), limit=limit)

    def takes(self, model: str, service: str) -> list[tuple[int, str]]:
        """Returns take and fingerprint of every request of a model that is answered already."""
        with self._reading() as jobs:
            return jobs.takes(model, service)

    def events(self, job_id: str) -> list[tuple[datetime, Stage, str]]:
        """Returns the history of a job: when, in which stage, why; oldest first."""
        with self._reading() as jobs:
            return jobs.events(jobs.find(job_id))

    def durations_s(self, model: str, service: str, limit: int = 20) -> list[float]:
        """Returns how long the service took for past clips, in seconds, newest first."""
        with self._reading() as jobs:
            return jobs.durations_s(model, service, limit)

    # Who answers for a job.

    def settle(self, service: str) -> list[JobRecord]:
        """Sorts out what dead sessions left: nothing of theirs stays in between.

        What they intended is discarded, what they were sending is unknown, or accepted where its
        task is known, and what was accepted or succeeded is this session's. Released jobs stay as
        they are: `claim` takes them.

        Args:
            service: Which accepted jobs this session can follow, `live` or `emulator`; those of
                the other are left to a session that can.

        Returns:
            The rows that changed, newest first.
        """
        with self._writing() as jobs:
            self._restore(jobs)
            left = jobs.in_stages(*SUBMITTING, *FOLLOWED)
            dead = {owner for owner in {row.owner for row in left} if not self._owners.lives(owner)}
            theirs = [row for row in left if row.owner in dead - {""}]
            can_do = [row for row in theirs if row.service == service or row.stage not in FOLLOWED]
            settled = [self._inherit(jobs, row, service) for row in can_do]
            identified, spent = self._read_slots(jobs, service)
            self._owners.sweep()
        # Once the ledger has what was in them, and that is on the disk.
        for job_id in spent:
            self.id_slots.free(job_id)
        return settled + identified

    def claim(self, job_id: str) -> bool:
        """Makes a job this session's, unless a living one has it or nothing is left to follow.

        Returns:
            Whether this session has to follow the job now.
        """
        with self._writing() as jobs:
            row = jobs.find(job_id)
            if row.stage not in FOLLOWED:
                return False
            if row.owner != self.owner:
                if self._owners.lives(row.owner):
                    return False
                jobs.update(row, owner=self.owner)
            return True

    def release(self, job_id: str) -> None:
        """Leaves a job of this session to whoever claims it; nothing happens to another's.

        Raises:
            LedgerError: The job is being submitted; only its own session can know how that ends.
        """
        with self._writing() as jobs:
            row = jobs.find(job_id)
            if row.owner != self.owner:
                return
            if row.stage in SUBMITTING:
                raise LedgerError(
                    f"job {row.id} is {row.stage}: it can be left alone once the service has "
                    "answered, a second or so from now"
                )
            jobs.update(row, owner="")

    def owner_lives(self, owner: str) -> bool:
        """Whether the session of this name exists, in any process."""
        with self._writing():
            return self._owners.lives(owner)

    @contextmanager
    def _reading(self) -> Iterator[Jobs]:
        self._process.check()
        if not self._is_closed:
            self.open()
        with self._database.reading() as connection:
            yield Jobs(connection, self.folder, self._clock)

    @contextmanager
    def _writing(self) -> Iterator[Jobs]:
        self.open()
        with self._database.writing() as connection:
            yield Jobs(connection, self.folder, self._clock)

    def _inherit(self, jobs: Jobs, row: JobRecord, service: str) -> JobRecord:
        row = self._bury(jobs, row)
        if row.stage not in FOLLOWED or row.service != service:
            return row
        taken = jobs.update(row, owner=self.owner)
        jobs.log(taken, "taken up from a session that ended")
        return taken

    def _bury(self, jobs: Jobs, row: JobRecord) -> JobRecord:
        if row.stage not in SUBMITTING or self._owners.lives(row.owner):
            return row
        return jobs.bury(row, self.id_slots.read(row.id))

    def _restore(self, jobs: Jobs) -> None:
        """Restore the requests that were being sent when the ledger lost them."""
        for row in self.id_slots.rows():
            if jobs.bring(row) is not None:
                LOG.warning("job %s was not in the ledger and is restored", row.id)

    def _read_slots(self, jobs: Jobs, service: str) -> tuple[list[JobRecord], list[str]]:
        """Add the task ids from files; return the rows, and the jobs with a file to delete.

        An older version may have settled a row without looking there.
        """
        identified, spent = [], []
        for job_id in self.id_slots.job_ids():
            row = next(iter(jobs.select("id = ?", job_id)), None)
            if row is None or row.stage in SUBMITTING or row.service != service:
                continue
            task_id = self.id_slots.read(job_id)
            if task_id and not row.task_id:
                identified.append(self.adoptions.identify_in(jobs, row, task_id))
            spent.append(job_id)
        return identified, spent
