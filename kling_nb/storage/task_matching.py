"""Find the job of a task id that is not from the answer to its createTask request.

The id comes from the user or from a callback. This module writes it to a row, in one transaction
with all checks. The caller checks before whether the task exists.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import Stage

from .job_record import REQUEST, JobRecord, adopted_fingerprint, encode_text, encode_time
from .jobs_table import JobsTable


class TaskMatching:
    """Assigns tasks to jobs of one ledger. Safe in any thread.

    Args:
        write: Runs a change of the table of jobs in a transaction.
        owner: The session that owns adopted jobs.
        end_if_orphaned: Ends the submission of a row if its session is dead.
    """

    def __init__(
        self,
        write: Callable[[Callable[[JobsTable], JobRecord]], JobRecord],
        owner: str,
        end_if_orphaned: Callable[[JobsTable, JobRecord], JobRecord],
    ) -> None:
        self._write, self._owner = write, owner
        self._end_if_orphaned = end_if_orphaned

    def adopt(self, task_id: str, service: str, job_id: str = "") -> JobRecord:
        """Assign a task to the job that lost it, or to a new job.

        Args:
            task_id: A task that exists, or may.
            service: The service of the task, `live` or `emulator`.
            job_id: The job, as the user names it; empty for the only unknown one.

        Returns:
            The row that has the task: accepted, or unchanged if it had the task before.

        Raises:
            LedgerError: Another job has the task, or this job cannot have it.
        """
        return self._write(lambda jobs: self._adopt(jobs, task_id, service, job_id))

    def _adopt(self, jobs: JobsTable, task_id: str, service: str, job_id: str) -> JobRecord:
        named = jobs.find(job_id) if job_id else None
        if named is not None and named.stage is Stage.SENDING:
            named = self._end_if_orphaned(jobs, named)
        known = jobs.with_task(task_id, service)
        if known is not None:
            return self._adopt_known(jobs, known, named)
        row = named or _only_unknown(jobs, task_id, service)
        if row is None:
            intent = JobRecord(adopted_fingerprint(task_id), service, "", {}, 1, None)
            return self._add(jobs, intent, task_id)
        _check_adoptable(row, task_id)
        return self._accept(jobs, row, task_id)

    def assign_task(self, job_id: str, task_id: str) -> JobRecord:
        """Assign the task that a callback names to the job with its callback token.

        While the request is being sent, only writes the id to the row: the session that sends it
        ends the submission. A forgotten or refused job keeps its stage; the task becomes a new
        job, since its clip is paid for.

        Returns:
            The row that has the task; the job's own row, unchanged, if the task cannot be its.
        """
        return self._write(lambda jobs: self.assign_task_in(jobs, jobs.find(job_id), task_id))

    def assign_task_in(self, jobs: JobsTable, row: JobRecord, task_id: str) -> JobRecord:
        """Do the same as `assign_task` in the transaction of the caller."""
        known = jobs.with_task(task_id, row.service)
        if known is not None and known.id != row.id:
            return known if row.task_id == task_id else row
        if row.task_id not in ("", task_id):
            return row
        match row.stage:
            case Stage.SENDING if not row.task_id:
                identified = jobs.update(row, task_id=encode_text(task_id))
                jobs.log(identified, "a callback named the id of its task")
                return identified
            case Stage.UNKNOWN | Stage.VANISHED:
                # The task is as old as its request: `durations_s` uses this time.
                return self._accept(jobs, row, task_id, row.sent_at)
            case Stage.FORGOTTEN | Stage.REFUSED:
                over = jobs.mark(row, task_id=encode_text(task_id))
                return self._add(jobs, _request_of(over), task_id)
            case _:
                return row

    def conclude(
        self, job_id: str, stage: Stage, *, reason: str, code: str, answer: str
    ) -> JobRecord:
        """End a submission whose answer names no task; see `JobsTable.conclude`."""
        texts = {
            "reason": encode_text(reason), "code": encode_text(code), "answer": encode_text(answer)
        }  # fmt: skip
        return self._write(lambda jobs: jobs.conclude(jobs.find(job_id), stage, **texts))

    def _adopt_known(self, jobs: JobsTable, known: JobRecord, named: JobRecord | None) -> JobRecord:
        """Return the row that has the task; poll the task again if that was given up."""
        if named is not None and named.id != known.id:
            raise LedgerError(
                f"task {known.task_id} belongs to job {known.id} ({known.stage}), so it cannot "
                f"belong to job {named.id}. `%kling show {known.id}` shows it; check the id"
            )
        match known.stage:
            case Stage.FORGOTTEN:
                return self._add(jobs, _request_of(known), known.task_id)
            case Stage.VANISHED:
                return self._accept(jobs, known, known.task_id)
            case _:
                return known

    def _add(self, jobs: JobsTable, intent: JobRecord, task_id: str) -> JobRecord:
        """Make a task a new job; no budget is checked, since the task is already paid."""
        row = jobs.step(jobs.insert(intent, self._owner), Stage.SENDING)
        return self._accept(jobs, row, task_id)

    def _accept(
        self, jobs: JobsTable, row: JobRecord, task_id: str, at: datetime | None = None
    ) -> JobRecord:
        return jobs.step(
            row,
            Stage.ACCEPTED,
            owner=self._owner,
            task_id=encode_text(task_id),
            accepted_at=encode_time(at or jobs.now()),
        )


def _only_unknown(jobs: JobsTable, task_id: str, service: str) -> JobRecord | None:
    """Return the only unknown job of a service, or None.

    Raises:
        LedgerError: There are several.
    """
    unknown = [row for row in jobs.in_stages(Stage.UNKNOWN) if row.service == service]
    if len(unknown) > 1:
        ids = ", ".join(row.id for row in unknown)
        raise LedgerError(
            f"several jobs are unknown ({ids}); name one: `%kling adopt {task_id} ID`"
        )
    return next(iter(unknown), None)


def _check_adoptable(row: JobRecord, task_id: str) -> None:
    """Check that a job may get this task.

    Raises:
        LedgerError: It has another task, or has not lost its own; says what to do.
    """
    alone = f"`%kling adopt {task_id}` alone creates a new job for the task, for 0 credits"
    if row.stage is Stage.SENDING:
        raise LedgerError(
            f"job {row.id} is being sent by another session: wait a minute or two for its answer, "
            f"or close that kernel; then `%kling adopt {task_id} {row.id}`"
        )
    if row.stage not in {Stage.UNKNOWN, Stage.VANISHED}:
        raise LedgerError(
            f"job {row.id} is {row.stage}; only unknown and vanished jobs can get a task. {alone}"
        )
    if row.task_id not in ("", task_id):
        raise LedgerError(
            f"job {row.id} already has task {row.task_id}; `%kling resume {row.id}` polls it "
            f"again. {alone}"
        )


def _request_of(row: JobRecord) -> JobRecord:
    """Return the request for a new job, with the task and the price of a job that was given up.

    Another job may answer the same request by now, so only the task identifies the new job.
    """
    facts = {name: getattr(row, name) for name in REQUEST}
    own = {
        "fingerprint": adopted_fingerprint(row.task_id),
        "cell": "",
        "callback_url": "",
        "sources": {},
    }
    return JobRecord(**facts | own)
