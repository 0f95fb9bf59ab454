"""What was lost or left: take up, adopt, forget. Ledger rows in, ledger rows out.

Nothing here sends createTask; the service is only asked what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import LedgerError
from .ledger import Intent, Row
from .portal import in_thread
from .states import FOLLOWED, FORGETTABLE, Stage
from .submission import Context
from .tasks import TaskMissing

__all__ = ["Recovery"]

_ASK_ONCE_MORE = {Stage.VANISHED: Stage.ACCEPTED, Stage.EXPIRED: Stage.SUCCEEDED}


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
        row = self._checked(await in_thread(ledger.row, job_id))
        again = _ASK_ONCE_MORE.get(row.stage)
        return row if again is None else await in_thread(ledger.advance, row.id, again)

    async def adopt(self, task_id: str, job_id: str) -> Row:
        """The row of a task that exists at the service; see `Session.adopt`."""
        ledger = self.context.ledger
        known = await in_thread(ledger.by_task, task_id)
        if known is not None:
            return known
        if isinstance(await self.context.client.task(task_id), TaskMissing):
            raise LedgerError(f"the service does not know a task {task_id!r}; check the id")
        row = await in_thread(self._row_for, task_id, job_id)
        now = self.context.now()
        return await in_thread(
            ledger.advance, row.id, Stage.ACCEPTED, task_id=task_id, accepted_at=now
        )

    def forget(self, job_id: str) -> Row:
        """Allow the request of a lost job to be paid for again."""
        row = self.context.ledger.row(job_id)
        if row.stage not in FORGETTABLE:
            allowed = ", ".join(sorted(FORGETTABLE))
            raise LedgerError(f"job {row.id} is {row.stage}; only these are forgotten: {allowed}")
        return self.context.ledger.advance(
            row.id, Stage.FORGOTTEN, reason="a person allowed a new task"
        )

    def _checked(self, row: Row) -> Row:
        """The row, if this session's service can be asked about it."""
        if row.service != self.service:
            switch = "on" if row.service == "emulator" else "off"
            raise LedgerError(
                f"job {row.id} is a job of the {row.service} service and this session is "
                f"{self.service}: `%kling emulate {switch}` first"
            )
        return row

    def _row_for(self, task_id: str, job_id: str) -> Row:
        """The unknown job the task belongs to, or a new one when none is unknown."""
        ledger = self.context.ledger
        if job_id:
            return self._checked(ledger.row(job_id))
        unknown = [
            row for row in ledger.rows(Stage.UNKNOWN, limit=-1) if row.service == self.service
        ]
        if len(unknown) > 1:
            ids = ", ".join(row.id for row in unknown)
            raise LedgerError(f"several jobs are unknown ({ids}): `%kling adopt {task_id} ID`")
        if unknown:
            return unknown[0]
        stranger = Intent(f"adopted {task_id}", self.service, "", {}, 1, None)
        row, _ = ledger.intend(stranger)
        return ledger.advance(row.id, Stage.SENDING)
