"""Find the job of a task id that is not from the answer to its createTask request.

The id comes from the user or from a callback. The row gets it here, in one transaction with every
check that may forbid it. The caller checks beforehand whether the task exists.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields

from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import Stage

from .job_record import Column, Intent, JobRecord, adopted_name, encode_text, encode_time
from .jobs_table import Jobs

__all__ = ["Adoptions"]


class Adoptions:
    """The ways of a task's id into one ledger. Safe in any thread.

    Args:
        writing: Gives the table of jobs in a transaction.
        owner: The session that answers for what is adopted.
        bury: Ends the submission of a row where its session is dead; called in a transaction.
    """

    def __init__(
        self,
        writing: Callable[[], AbstractContextManager[Jobs]],
        owner: str,
        bury: Callable[[Jobs, JobRecord], JobRecord],
    ) -> None:
        self._writing, self._owner, self._bury = writing, owner, bury

    def adopt(self, task_id: str, service: str, job_id: str = "") -> JobRecord:
        """Gives a task to the job that lost it, or makes it a job of its own.

        Args:
            task_id: A task that exists, or may.
            service: Whose task it is, `live` or `emulator`.
            job_id: The job that it is said to belong to; empty for the only lost one.

        Returns:
            The row that has the task: accepted, or as it was where it had the task already.

        Raises:
            LedgerError: The task is another job's, or it cannot be this job's.
        """
        with self._writing() as jobs:
            named = jobs.find(job_id) if job_id else None
            if named is not None and named.stage is Stage.SENDING:
                named = self._bury(jobs, named)
            known = jobs.with_task(task_id, service)
            if known is not None:
                return self._known(jobs, known, named)
            row = named or only_lost(jobs, task_id, service)
            if row is None:
                stranger = Intent(adopted_name(task_id), service, "", {}, 1, None)
                return self._take_in(jobs, stranger, task_id)
            check_free(row, task_id)
            return self._accept(jobs, row, task_id, encode_time(jobs.now()))

    def identify(self, job_id: str, task_id: str) -> JobRecord:
        """Notes what a notification to a job tells: the id of its task, which exists.

        While the request is being sent, the id only waits in the row: how the submission ends is
        its own session's to say. A job that was forgotten stays so, and one that was refused, as
        the answer said; the task becomes a job of its own, since its clip is paid for.

        Returns:
            The row that has the task; the job's own, as it was, where the task cannot be its.
        """
        with self._writing() as jobs:
            return self.identify_in(jobs, jobs.find(job_id), task_id)

    def identify_in(self, jobs: Jobs, row: JobRecord, task_id: str) -> JobRecord:
        """Do the same in the transaction of the caller."""
        known = jobs.with_task(task_id, row.service)
        if known is not None and known.id != row.id:
            return known if row.task_id == task_id else row
        if row.task_id not in ("", task_id):
            return row
        match row.stage:
            case Stage.SENDING if not row.task_id:
                told = jobs.update(row, task_id=encode_text(task_id))
                jobs.log(told, "a notification told the id of its task")
                return told
            case Stage.UNKNOWN | Stage.VANISHED:
                # The task is as old as its request, and so is what it teaches of durations.
                return self._accept(jobs, row, task_id, encode_time(row.sent_at or jobs.now()))
            case Stage.FORGOTTEN | Stage.REFUSED:
                over = jobs.mark(row, task_id=encode_text(task_id))
                return self._take_in(jobs, heir_of(over), task_id)
            case _:
                return row

    def conclude(
        self, job_id: str, stage: Stage, *, reason: str, code: str, answer: str
    ) -> JobRecord:
        """Ends a submission that was not answered with a task; see `Jobs.conclude`."""
        with self._writing() as jobs:
            return jobs.conclude(
                jobs.find(job_id),
                stage,
                reason=encode_text(reason),
                code=encode_text(code),
                answer=encode_text(answer),
            )

    def _known(self, jobs: Jobs, known: JobRecord, named: JobRecord | None) -> JobRecord:
        """The row of a task that has one; asked about anew where that was given up."""
        if named is not None and named.id != known.id:
            raise LedgerError(
                f"task {known.task_id} is that of job {known.id} ({known.stage}), so it cannot be "
                f"that of job {named.id}. `%kling show {known.id}` shows it; check the id"
            )
        match known.stage:
            case Stage.FORGOTTEN:
                return self._take_in(jobs, heir_of(known), known.task_id)
            case Stage.VANISHED:
                return self._accept(jobs, known, known.task_id, encode_time(jobs.now()))
            case _:
                return known

    def _take_in(self, jobs: Jobs, intent: Intent, task_id: str) -> JobRecord:
        """Makes a task a job of its own; no budget forbids it, since it is paid already."""
        row = jobs.step(jobs.insert(intent, self._owner), Stage.SENDING)
        return self._accept(jobs, row, task_id, encode_time(jobs.now()))

    def _accept(self, jobs: Jobs, row: JobRecord, task_id: str, at: Column) -> JobRecord:
        known = encode_text(task_id)
        return jobs.step(row, Stage.ACCEPTED, owner=self._owner, task_id=known, accepted_at=at)


def only_lost(jobs: Jobs, task_id: str, service: str) -> JobRecord | None:
    """Returns the one job that lost its task; None where there is none.

    Raises:
        LedgerError: There are several.
    """
    unknown = [row for row in jobs.in_stages(Stage.UNKNOWN) if row.service == service]
    if len(unknown) > 1:
        ids = ", ".join(row.id for row in unknown)
        raise LedgerError(f"several jobs are unknown ({ids}): `%kling adopt {task_id} ID`")
    return next(iter(unknown), None)


def check_free(row: JobRecord, task_id: str) -> None:
    """Sees that a job may be given this task.

    Raises:
        LedgerError: It has another one, or is not lost; says what to do.
    """
    alone = f"`%kling adopt {task_id}` alone makes the task a job of its own, for 0 credits"
    if row.stage is Stage.SENDING:
        raise LedgerError(
            f"job {row.id} is being sent by a session that lives: wait for its answer, a minute "
            f"or two, or close that kernel; then `%kling adopt {task_id} {row.id}`"
        )
    if row.stage not in {Stage.UNKNOWN, Stage.VANISHED}:
        raise LedgerError(
            f"job {row.id} is {row.stage}; only unknown and vanished jobs are given a task. {alone}"
        )
    if row.task_id not in ("", task_id):
        raise LedgerError(
            f"job {row.id} has task {row.task_id} and keeps it: `%kling resume {row.id}` asks "
            f"about that again. {alone}"
        )


def heir_of(row: JobRecord) -> Intent:
    """Returns the request of a job that was given up and whose task came back, with its price.

    Its request may be another job's by now, so that nothing but the task makes it what it is.
    """
    facts = {part.name: getattr(row, part.name) for part in fields(Intent)}
    own = {"fingerprint": adopted_name(row.task_id), "cell": "", "callback_url": "", "sources": {}}
    return Intent(**facts | own)
