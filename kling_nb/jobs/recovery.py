"""Recover interrupted jobs: resume, adopt and forget. Ledger rows in, ledger rows out.

Nothing here sends createTask; the service only receives status requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from kling_nb.core import poll_schedule
from kling_nb.core.charge_evidence import Likelihood, judge, verdict_words
from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.job_state import FOLLOWED, FORGETTABLE, Stage
from kling_nb.core.task_status import TaskMissing
from kling_nb.storage import JobRecord

from .background_loop import in_thread
from .context import Context
from .job_from_record import evidence_of

__all__ = ["Recovery", "check_service"]

_ASK_AGAIN_S = (1.0, 2.0, 4.0)
"""When to ask again about a task that the service does not know; seconds from the last time."""

_ASK_ONCE_MORE = {Stage.VANISHED: Stage.ACCEPTED, Stage.EXPIRED: Stage.SUCCEEDED}

_GIVEN_UP = frozenset({Stage.VANISHED, Stage.FORGOTTEN})
"""Stages whose task is asked for before it is followed again."""

_ID_CHARS = 128
_TOLD_CHARS = 60
"""The most characters of a wrong id in a message."""

_HEARS = _GIVEN_UP | {Stage.SENDING, Stage.UNKNOWN, Stage.REFUSED}
"""Stages in which a notification tells more than the row has."""


def check_service(row: JobRecord, service: str) -> JobRecord:
    """The row, if a session of this service (`live` or `emulator`) can ask about it.

    Raises:
        LedgerError: It is a job of the other one.
    """
    if row.service != service:
        switch = "on" if row.service == "emulator" else "off"
        raise LedgerError(
            f"job {row.id} is a job of the {row.service} service and this session is "
            f"{service}: `%kling emulate {switch}` first"
        )
    return row


def check_task_id(task_id: str) -> None:
    """Check that a text can be the id of a task, before a request is sent.

    Recorded ids are 32 hexadecimal digits; any text in one word is let through. Source: L, 2026-04.

    Raises:
        InvalidInput: It is empty, too long, several words, or a URL.
    """
    is_word = task_id.isprintable() and not any(map(str.isspace, task_id))
    if is_word and 0 < len(task_id) <= _ID_CHARS and "/" not in task_id:
        return
    given = repr(task_id[:_TOLD_CHARS]) + ("…" if len(task_id) > _TOLD_CHARS else "")
    raise InvalidInput.of(
        "task id",
        given,
        f"one word of 1 to {_ID_CHARS} characters without a slash, as listed on the logs page "
        "of your account, e.g. `%kling adopt 56074f12319c68b246e5a03e05608f31`",
    )


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery for one service (`live` or `emulator`) in one folder."""

    context: Context

    async def left_rows(self) -> list[JobRecord]:
        """The tasks that exist and are not over, those of dead kernels settled first."""
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.settle)
        if self.context.service == "live":
            await in_thread(self.context.other_folders.fill_in)
        rows = await in_thread(ledger.rows, *FOLLOWED, limit=-1)
        return [row for row in rows if row.service == self.context.service]

    async def revive(self, job_id: str) -> JobRecord:
        """One job, to be asked about again even when it had vanished or expired."""
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.settle)
        row = check_service(await in_thread(ledger.row, job_id), self.context.service)
        again = _ASK_ONCE_MORE.get(row.stage)
        return row if again is None else await in_thread(ledger.advance, row.id, again)

    async def adopt(self, task_id: str, job_id: str) -> JobRecord:
        """The row of a task that exists at the service; see `Session.adopt`."""
        check_task_id(task_id)
        ledger = self.context.ledger
        if job_id:
            check_service(await in_thread(ledger.row, job_id), self.context.service)
        known = await in_thread(ledger.by_task, task_id, self.context.service)
        if (known is None or known.stage in _GIVEN_UP) and not await self._may_exist(
            task_id, job_id
        ):
            raise LedgerError(f"the service does not know a task {task_id!r}; check the id")
        return await in_thread(ledger.adoptions.adopt, task_id, self.context.service, job_id)

    async def called_back(self, task_id: str, nonce: str) -> JobRecord | None:
        """The job that a notification is about; it has the task's id once the service knows that.

        A notification may be quicker than the answer to the request, and may come to a job that
        was lost, or given up: its clip is paid for.

        Args:
            task_id: The task that the notification names.
            nonce: The one-time value that came with it.

        Returns:
            None where the value is none of ours, or the task is not that job's.
        """
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.settle)
        row = await in_thread(ledger.by_nonce, nonce)
        if row is None or row.service != self.context.service:
            return None
        if row.stage in _HEARS and row.task_id in ("", task_id):
            if not await self._exists(task_id):
                return None
            row = await in_thread(ledger.adoptions.identify, row.id, task_id)
        return row if row.task_id == task_id else None

    def recover_orphan(self, row: JobRecord, task_id: str) -> JobRecord:
        """End a submission of this very session that broke off: nobody else can.

        What is surely not sent is discarded; what may be is unknown, unless its id is known.

        Args:
            row: The row, `intended` or `sending`.
            task_id: As the job's handle has it; empty where it has none.
        """
        ledger = self.context.ledger
        task_id = task_id or ledger.id_slots.read(row.id)
        if task_id:  # also where an older copy of the ledger has the row as `intended`
            row = ledger.accept(row.id, task_id)
        elif row.stage is Stage.INTENDED:
            reason = "It broke off; nothing was sent."
            row = ledger.advance(row.id, Stage.DISCARDED, reason=reason)
        else:
            reason = "What became of it could not be noted"
            row = ledger.adoptions.conclude(
                row.id, Stage.UNKNOWN, reason=reason, code="", answer=""
            )
        ledger.id_slots.free(row.id)
        row = self.context.other_folders.complete(row)
        self.context.other_folders.note(row)
        return row

    def accept_late(self, job_id: str, fingerprint: str, task_id: str) -> JobRecord:
        """Record an accepted task after the ledger could not be written.

        Raises:
            LedgerError: It still cannot; the id is written to the folder and the index if those
                can take it.
        """
        ledger = self.context.ledger
        ledger.id_slots.write(job_id, task_id)
        self.context.other_folders.write_task_id(job_id, fingerprint, task_id)
        row = ledger.accept(job_id, task_id)
        ledger.id_slots.free(job_id)
        self.context.other_folders.note(row)
        return row

    def forget(self, job_id: str, *, yes: bool = False) -> JobRecord:
        """Allow the request of a lost job to be paid for again; see `Session.forget`."""
        row = self.context.ledger.row(job_id)
        if row.stage not in FORGETTABLE:
            allowed = ", ".join(sorted(FORGETTABLE))
            raise LedgerError(f"job {row.id} is {row.stage}; only these are forgotten: {allowed}")
        evidence = evidence_of(row)
        if evidence.task_ids and not yes:
            raise LedgerError(
                f"the answer to job {row.id} names a task: `%kling adopt {evidence.task_ids[0]} "
                f"{row.id}` downloads its clip for 0 credits. To pay again anyway: "
                f"`%kling forget {row.id} --yes`."
            )
        verdict = judge(evidence)
        if row.stage is Stage.UNKNOWN and verdict.likelihood is Likelihood.PAID and not yes:
            raise LedgerError(
                f"job {row.id} was very probably paid. {verdict_words(verdict)} Find the task on "
                f"the logs page of your account, then `%kling adopt TASK_ID {row.id}` fetches its "
                f"clip for 0 credits. To pay again all the same: `%kling forget {row.id} --yes`."
            )
        # The folder may have been moved: what is noted under its old place could not be dropped.
        self.context.other_folders.note(row)
        reason = "a person allowed a new task"
        row = self.context.ledger.advance(row.id, Stage.FORGOTTEN, reason=reason)
        self.context.other_folders.drop(row)
        return row

    async def _may_exist(self, task_id: str, job_id: str) -> bool:
        """Whether the service knows a task, or may not know it yet.

        In the first moments of a task it does not (source: C). One that is said to be of a job
        that was sent just now is left to its follower, which gives it the whole grace.
        """
        for wait_s in (*_ASK_AGAIN_S, None):
            if await self._exists(task_id) or await in_thread(self._is_new, job_id):
                return True
            if wait_s is not None:
                await self.context.sleep(wait_s)
        return False

    def _is_new(self, job_id: str) -> bool:
        """Whether a job was sent so lately that the service may not know its task yet."""
        row = self.context.ledger.row(job_id) if job_id else None
        if row is None or row.stage not in {Stage.SENDING, Stage.UNKNOWN}:
            return False
        age = self.context.now() - (row.sent_at or row.created_at)
        return age.total_seconds() <= poll_schedule.GRACE_S

    async def _exists(self, task_id: str) -> bool:
        """Whether the service knows a task."""
        return not isinstance(await self.context.client.task(task_id), TaskMissing)
