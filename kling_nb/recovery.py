"""What was lost or left: take up, adopt, forget. Ledger rows in, ledger rows out.

Nothing here sends createTask; the service is only asked what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import pace
from .errors import LedgerError
from .evidence import Likelihood, judge
from .history import evidence_of
from .html import verdict_words
from .ledger import Intent, Row
from .portal import in_thread
from .states import FOLLOWED, FORGETTABLE, Stage
from .submission import Context
from .tasks import TaskMissing

__all__ = ["Recovery", "check_service"]

_ASK_AGAIN_S = (1.0, 2.0, 4.0)
"""When to ask again about a task that the service does not know; seconds from the last time."""

_ASK_ONCE_MORE = {Stage.VANISHED: Stage.ACCEPTED, Stage.EXPIRED: Stage.SUCCEEDED}


def check_service(row: Row, service: str) -> Row:
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


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery for one service (`live` or `emulator`) in one folder."""

    context: Context
    service: str

    async def left_rows(self) -> list[Row]:
        """The tasks that exist and are not over, those of dead kernels settled first."""
        ledger = self.context.ledger
        await in_thread(ledger.settle, self.service)
        rows = await in_thread(ledger.rows, *FOLLOWED, limit=-1)
        return [row for row in rows if row.service == self.service]

    async def revive(self, job_id: str) -> Row:
        """One job, to be asked about again even when it had vanished or expired."""
        ledger = self.context.ledger
        await in_thread(ledger.settle, self.service)
        row = check_service(await in_thread(ledger.row, job_id), self.service)
        again = _ASK_ONCE_MORE.get(row.stage)
        return row if again is None else await in_thread(ledger.advance, row.id, again)

    async def adopt(self, task_id: str, job_id: str) -> Row:
        """The row of a task that exists at the service; see `Session.adopt`."""
        ledger = self.context.ledger
        known = await in_thread(ledger.by_task, task_id)
        if known is not None:
            return known
        if not await self._may_exist(task_id, job_id):
            raise LedgerError(f"the service does not know a task {task_id!r}; check the id")
        row = await in_thread(self._row_for, task_id, job_id)
        now = self.context.now()
        return await in_thread(
            ledger.advance, row.id, Stage.ACCEPTED, task_id=task_id, accepted_at=now
        )

    async def called_back(self, task_id: str, nonce: str) -> Row | None:
        """The job that a notification is about; a lost one is accepted once the service knows it.

        Args:
            task_id: The task that the notification names.
            nonce: The one-time value that came with it.

        Returns:
            None where the value is none of ours, or the task is not that job's.
        """
        ledger = self.context.ledger
        await in_thread(ledger.settle, self.service)
        row = await in_thread(ledger.by_nonce, nonce)
        if row is None or row.service != self.service:
            return None
        if row.stage is Stage.UNKNOWN:
            if await in_thread(ledger.by_task, task_id) or not await self._exists(task_id):
                return None
            row = await self.adopt(task_id, row.id)
        return row if row.task_id == task_id else None

    def forget(self, job_id: str, *, yes: bool = False) -> Row:
        """Allow the request of a lost job to be paid for again; see `Session.forget`."""
        row = self.context.ledger.row(job_id)
        if row.stage not in FORGETTABLE:
            allowed = ", ".join(sorted(FORGETTABLE))
            raise LedgerError(f"job {row.id} is {row.stage}; only these are forgotten: {allowed}")
        verdict = judge(evidence_of(row))
        if row.stage is Stage.UNKNOWN and verdict.likelihood is Likelihood.PAID and not yes:
            raise LedgerError(
                f"job {row.id} was very probably paid. {verdict_words(verdict)} Find the task on "
                f"the logs page of your account, then `%kling adopt TASK_ID {row.id}` fetches its "
                f"clip for 0 credits. To pay again all the same: `%kling forget {row.id} --yes`."
            )
        return self.context.ledger.advance(
            row.id, Stage.FORGOTTEN, reason="a person allowed a new task"
        )

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
        return age.total_seconds() <= pace.GRACE_S

    async def _exists(self, task_id: str) -> bool:
        """Whether the service knows a task."""
        return not isinstance(await self.context.client.task(task_id), TaskMissing)

    def _row_for(self, task_id: str, job_id: str) -> Row:
        """The unknown job the task belongs to, or a new one when none is unknown."""
        ledger = self.context.ledger
        if job_id:
            return check_service(ledger.row(job_id), self.service)
        unknown = [
            row for row in ledger.rows(Stage.UNKNOWN, limit=-1) if row.service == self.service
        ]
        if len(unknown) > 1:
            ids = ", ".join(row.id for row in unknown)
            raise LedgerError(f"several jobs are unknown ({ids}): `%kling adopt {task_id} ID`")
        if unknown:
            return unknown[0]
        stranger = Intent(f"adopted {task_id}", self.service, "", {}, 1, None)
        row, _ = ledger.intend(stranger, exists=True)
        return ledger.advance(row.id, Stage.SENDING)
