"""The jobs of one folder, as the disk knows them.

`Ledger` decides what may happen to a row and who answers for it. It knows no service and waits
for nobody: it is told what happened, and everything it was told is on the disk on return.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from ..errors import LedgerError
from ..states import BLOCKING, FOLLOWED, SUBMITTING, Stage
from .database import Database
from .owners import Owners
from .records import Intent, Row, Spent, encode_facts
from .table import Jobs

__all__ = ["Ledger"]


def now() -> datetime:
    """Returns the time, aware, in UTC."""
    return datetime.now(UTC)


class Ledger:
    """The jobs of one folder, shared by every session that uses it. Safe in any thread.

    Nothing is touched before the first use. Every method raises `LedgerError` when the file
    cannot be used.

    Args:
        folder: Where the clips, `ledger.sqlite3` and `owners/` are.
        clock: Gives the time, aware.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = now) -> None:
        # A kernel may change its working directory later; the folder stays.
        self.folder = folder.absolute()
        self.owner = str(uuid.uuid4())
        """The name of this session in the rows that it answers for."""
        self._clock = clock
        self._database = Database(self.folder / "ledger.sqlite3")
        self._owners = Owners(self.folder / "owners")
        self._opening = threading.Lock()
        self._is_closed = False

    def open(self) -> None:
        """Makes what is missing on disk and takes this session's lock; every change begins so.

        Raises:
            LedgerError: The session was closed; it does not come to life again, since others
                would take its jobs for followed.
        """
        with self._opening:
            if self._is_closed:
                raise LedgerError("this session was closed; use the one that took its place")
            if not self._owners.holds(self.owner):
                self._database.create()
                with self._database.writing():
                    self._owners.hold(self.owner)

    def close(self) -> None:
        """Ends the session: its jobs may be taken over by the next one."""
        with self._opening:
            self._is_closed = True
            if not self._owners.holds(self.owner):
                return
            try:
                with self._database.writing():
                    self._owners.let_go(self.owner)
            except LedgerError:
                # The folder is gone or locked up. That is no reason to seem alive for ever.
                self._owners.let_go(self.owner)

    # What a session does with its own jobs.

    def intend(self, intent: Intent) -> tuple[Row, bool]:
        """Notes that a request is about to be made, unless it was made before.

        Returns:
            The new row and True, or the row that answers the request already and False.
        """
        with self._writing() as jobs:
            row = self._first_blocking(jobs, intent.fingerprint)
            if row is not None:
                row = self._bury(jobs, row)
                if row.stage in BLOCKING:
                    return row, False
            return jobs.insert(intent, self.owner), True

    def advance(self, job_id: str, stage: Stage, **facts: object) -> Row:
        """Takes one step, with what was learnt at it; this session answers for the job from then.

        Give `finished_at` by the service's clock where it is known: `durations_s` learns from it.
        `reason` and `code` belong to a stage, and are empty in the next unless they are given.

        Args:
            job_id: The job, or the first digits of its id.
            stage: One of `NEXT_STAGES` of the stage it is in.
            **facts: `task_id`, `balance_before`, `balance_after`, `credits`, `reason`, `code`,
                `result_url`, `clip`, `sent_at`, `accepted_at`, `finished_at`.

        Raises:
            LedgerError: There is no such job, or no such step.
            TypeError: A fact that no row has, or one of the wrong type.
        """
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.step(jobs.find(job_id), stage, owner=self.owner, **columns)

    def note(self, job_id: str, **facts: object) -> Row:
        """Adds what was learnt of a job, without a step; facts as for `advance`."""
        columns = encode_facts(facts, self.folder)
        with self._writing() as jobs:
            return jobs.update(jobs.find(job_id), **columns)

    # What is known.

    def row(self, job_id: str) -> Row:
        """Returns a job by its id, or by the first four digits or more.

        Raises:
            LedgerError: No job, or several, begin so.
        """
        with self._reading() as jobs:
            return jobs.find(job_id)

    def by_task(self, task_id: str) -> Row | None:
        """Returns the newest job with the service's task id."""
        with self._reading() as jobs:
            found = jobs.select("task_id = ? AND task_id <> ''", task_id, limit=1)
            return found[0] if found else None

    def blocking(self, fingerprint: str) -> Row | None:
        """Returns the job that answers this request already."""
        with self._reading() as jobs:
            return self._first_blocking(jobs, fingerprint)

    def rows(self, *stages: Stage, limit: int = 100) -> list[Row]:
        """Returns the jobs in these stages, or all, newest first."""
        with self._reading() as jobs:
            return jobs.in_stages(*(stages or Stage), limit=limit)

    def events(self, job_id: str) -> list[tuple[datetime, Stage, str]]:
        """Returns the history of a job: when, in which stage, why; oldest first."""
        query = "SELECT at, stage, text FROM events WHERE job_id = ? ORDER BY number"
        with self._reading() as jobs:
            found = jobs.connection.execute(query, (jobs.find(job_id).id,))
            return [(datetime.fromisoformat(at), Stage(name), text) for at, name, text in found]

    def spend(self) -> list[Spent]:
        """Returns what was spent per day, model and service, newest day first.

        What the service reported counts, else the price. Failures without a report count nothing,
        and neither do jobs whose fate is unknown.
        """
        query = "SELECT * FROM spend ORDER BY day DESC, model, service"
        with self._reading() as jobs:
            found = jobs.connection.execute(query)
            return [Spent(date.fromisoformat(day), *rest) for day, *rest in found]

    def durations_s(self, model: str, service: str, limit: int = 20) -> list[float]:
        """Returns how long the service took for past clips, in seconds, newest first."""
        where = """
            model = ? AND service = ? AND stage IN ('succeeded', 'saved', 'expired')
            AND finished_at > accepted_at
        """
        with self._reading() as jobs:
            return [
                (row.finished_at - row.accepted_at).total_seconds()
                for row in jobs.select(where, model, service, limit=limit)
                if row.finished_at and row.accepted_at
            ]

    # Who answers for a job.

    def settle(self, service: str) -> list[Row]:
        """Sorts out what dead sessions left: nothing of theirs stays in between.

        What they intended is discarded, what they were sending is unknown, and what was accepted
        or succeeded is this session's. Jobs that somebody released stay as they are: `claim`
        takes them.

        Args:
            service: Which accepted jobs this session can follow, `live` or `emulator`; those of
                the other are left to a session that can.

        Returns:
            The rows that changed, newest first.
        """
        with self._writing() as jobs:
            left = jobs.in_stages(*SUBMITTING, *FOLLOWED)
            dead = {owner for owner in {row.owner for row in left} if not self._owners.lives(owner)}
            theirs = [row for row in left if row.owner in dead - {""}]
            can_do = [row for row in theirs if row.service == service or row.stage not in FOLLOWED]
            settled = [self._inherit(jobs, row) for row in can_do]
            self._owners.sweep()
            return settled

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
        if not self._is_closed:
            self.open()
        with self._database.reading() as connection:
            yield Jobs(connection, self.folder, self._clock)

    @contextmanager
    def _writing(self) -> Iterator[Jobs]:
        self.open()
        with self._database.writing() as connection:
            yield Jobs(connection, self.folder, self._clock)

    def _first_blocking(self, jobs: Jobs, fingerprint: str) -> Row | None:
        found = jobs.select("fingerprint = ?", fingerprint)
        return next((row for row in found if row.stage in BLOCKING), None)

    def _inherit(self, jobs: Jobs, row: Row) -> Row:
        if row.stage in FOLLOWED:
            taken = jobs.update(row, owner=self.owner)
            jobs.log(taken, "taken up from a session that ended")
            return taken
        return self._bury(jobs, row)

    def _bury(self, jobs: Jobs, row: Row) -> Row:
        # What a dead session was about to do, surely never happens; what it was doing at its
        # death may have happened.
        if row.stage not in SUBMITTING or self._owners.lives(row.owner):
            return row
        if row.stage is Stage.INTENDED:
            reason = "The kernel ended before anything was sent; nothing was charged."
            return jobs.step(row, Stage.DISCARDED, reason=reason)
        since = row.sent_at or row.updated_at
        return jobs.step(
            row,
            Stage.UNKNOWN,
            reason=f"The kernel died while sending, at {since:%Y-%m-%d %H:%M:%S} UTC; "
            "the task may exist and may be paid.",
        )
