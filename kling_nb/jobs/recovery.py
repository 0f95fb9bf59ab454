"""Recover interrupted jobs: resume, adopt and forget. Ledger rows in, ledger rows out.

Nothing here sends createTask; the service only receives status requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from kling_nb.core import poll_schedule
from kling_nb.core.charge_evidence import Likelihood, format_verdict, judge
from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.job_state import FOLLOWED, FORGETTABLE, Stage
from kling_nb.core.task_status import TaskMissing
from kling_nb.storage.job_record import JobRecord

from .background_loop import in_thread
from .clip_changes import restore_clip
from .context import Context
from .job_from_record import evidence_of

_POLL_AGAIN_S = (1.0, 2.0, 4.0)
"""Seconds between polls of a task that the service does not know."""

_POLLED_AGAIN_AS = {Stage.VANISHED: Stage.ACCEPTED, Stage.EXPIRED: Stage.SUCCEEDED}

_GIVEN_UP = frozenset({Stage.VANISHED, Stage.FORGOTTEN})
"""Stages whose task must exist at the service before it is polled again."""

_ID_CHARS = 128
_SHOWN_CHARS = 60
"""The most characters of a wrong id in a message."""

_MAY_LACK_TASK = _GIVEN_UP | {Stage.SENDING, Stage.UNKNOWN, Stage.REFUSED}
"""Stages in which a callback may name a task that the record lacks."""


def check_service(record: JobRecord, service: str) -> JobRecord:
    """Return the record if a session of this service (`live` or `emulator`) can poll its job.

    Raises:
        LedgerError: It is a job of the other service.
    """
    if record.service != service:
        switch = "on" if record.service == "emulator" else "off"
        raise LedgerError(
            f"job {record.id} is a job of the {record.service} service; this session is {service}. "
            f"Run `%kling emulate {switch}` first"
        )
    return record


def _check_task_id(task_id: str) -> None:
    """Check that a text can be the id of a task, before a request is sent.

    Recorded ids are 32 hexadecimal digits; any text in one word is let through. Source: L, 2026-04.

    Raises:
        InvalidInput: It is empty, too long, several words, or a URL.
    """
    is_word = task_id.isprintable() and not any(map(str.isspace, task_id))
    if is_word and 0 < len(task_id) <= _ID_CHARS and "/" not in task_id:
        return
    shown = repr(task_id[:_SHOWN_CHARS]) + ("…" if len(task_id) > _SHOWN_CHARS else "")
    raise InvalidInput.of(
        "task id",
        shown,
        f"allowed: one word of 1 to {_ID_CHARS} characters without a slash, as listed on the logs "
        "page of your account, e.g. `%kling adopt 56074f12319c68b246e5a03e05608f31`",
    )


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery for one service (`live` or `emulator`) in one folder."""

    context: Context

    async def left_rows(self) -> list[JobRecord]:
        """Return the unfinished tasks; first recovers the jobs of dead sessions."""
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.recover_orphans)
        if self.context.service == "live":
            await in_thread(self.context.other_folders.note_all)
        records = await in_thread(ledger.rows, *FOLLOWED, limit=-1)
        return [record for record in records if record.service == self.context.service]

    async def revive(self, job_id: str) -> JobRecord:
        """Return one job to be polled again, also if it had vanished or expired, or was deleted."""
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.recover_orphans)
        record = check_service(await in_thread(ledger.row, job_id), self.context.service)
        record = await in_thread(restore_clip, ledger, record)
        again = _POLLED_AGAIN_AS.get(record.stage)
        if again is None:
            return record
        return await in_thread(partial(ledger.advance, record.id, again, deleted_at=None))

    async def adopt(self, task_id: str, job_id: str) -> JobRecord:
        """Return the record of a task that exists at the service; see `Session.adopt`."""
        _check_task_id(task_id)
        ledger = self.context.ledger
        if job_id:
            check_service(await in_thread(ledger.row, job_id), self.context.service)
        known = await in_thread(ledger.by_task, task_id, self.context.service)
        if (known is None or known.stage in _GIVEN_UP) and not await self._may_exist(
            task_id, job_id
        ):
            raise LedgerError(f"the service does not know a task {task_id!r}; check the id")
        return await in_thread(ledger.task_matching.adopt, task_id, self.context.service, job_id)

    async def called_back(self, task_id: str, token: str) -> JobRecord | None:
        """Return the job of a callback; it has the task id if the service confirms the task.

        A callback may arrive before the answer to the request, and for a job that was lost or
        forgotten: its clip is paid.

        Args:
            task_id: The task that the callback names.
            token: Its callback token.

        Returns:
            None if the token is unknown, or the task belongs to another job.
        """
        ledger = self.context.ledger
        await in_thread(self.context.other_folders.recover_orphans)
        record = await in_thread(ledger.by_callback_token, token)
        if record is None or record.service != self.context.service:
            return None
        if record.stage in _MAY_LACK_TASK and record.task_id in ("", task_id):
            if not await self._exists(task_id):
                return None
            record = await in_thread(ledger.task_matching.assign_task, record.id, task_id)
        return record if record.task_id == task_id else None

    def recover_orphan(self, record: JobRecord, task_id: str) -> JobRecord:
        """End a submission of this session that broke off. No other session can.

        A request that certainly was not sent is discarded. Another is unknown, unless its task id
        is known.

        Args:
            record: The record, `intended` or `sending`.
            task_id: From the job's handle; empty if it has none.
        """
        ledger = self.context.ledger
        task_id = task_id or ledger.id_slots.read(record.id)
        if task_id:  # also where an older copy of the ledger has the row as `intended`
            record = ledger.accept(record.id, task_id)
        elif record.stage is Stage.INTENDED:
            reason = "The submission was aborted; nothing was sent."
            record = ledger.advance(record.id, Stage.DISCARDED, reason=reason)
        else:
            reason = "Its outcome could not be saved"
            record = ledger.task_matching.conclude(
                record.id, Stage.UNKNOWN, reason=reason, code="", answer=""
            )
        ledger.id_slots.free(record.id)
        record = self.context.other_folders.complete(record)
        self.context.other_folders.note(record)
        return record

    def accept_late(self, record: JobRecord, task_id: str) -> JobRecord:
        """Record an accepted task after the ledger could not be written.

        Raises:
            LedgerError: It still cannot; the id is written to the folder and the index if those
                can take it.
        """
        ledger = self.context.ledger
        ledger.id_slots.write(record.id, task_id)
        self.context.other_folders.write_task_id(record, task_id)
        record = ledger.accept(record.id, task_id)
        ledger.id_slots.free(record.id)
        self.context.other_folders.note(record)
        return record

    def forget(self, job_id: str, *, yes: bool = False) -> JobRecord:
        """Allow the request of a lost job to be paid for again; see `Session.forget`."""
        record = self.context.ledger.row(job_id)
        if record.stage not in FORGETTABLE:
            allowed = ", ".join(sorted(FORGETTABLE))
            raise LedgerError(
                f"job {record.id} is {record.stage}; only these jobs can be forgotten: {allowed}. "
                "`clip.delete()` deletes a clip, `%kling gallery` can hide it."
            )
        evidence = evidence_of(record)
        if evidence.task_ids and not yes:
            raise LedgerError(
                f"the answer to job {record.id} names a task: `%kling adopt {evidence.task_ids[0]} "
                f"{record.id}` downloads its clip for 0 credits. To pay again anyway: "
                f"`%kling forget {record.id} --yes`."
            )
        verdict = judge(evidence)
        if record.stage is Stage.UNKNOWN and verdict.likelihood is Likelihood.PAID and not yes:
            raise LedgerError(
                f"job {record.id} was very probably paid for. {format_verdict(verdict)} Find the "
                f"task on the logs page of your account; `%kling adopt TASK_ID {record.id}` then "
                "downloads its clip for 0 credits. To pay again anyway: "
                f"`%kling forget {record.id} --yes`."
            )
        # The folder may have been moved: an entry under its old path could not be dropped.
        self.context.other_folders.note(record)
        reason = "you allowed a new task"
        record = self.context.ledger.advance(record.id, Stage.FORGOTTEN, reason=reason)
        self.context.other_folders.drop(record)
        return record

    async def _may_exist(self, task_id: str, job_id: str) -> bool:
        """Return whether the service knows a task, or may not know it yet.

        At first it does not know a new task (source: C). The task of a job that was sent just now
        is left to its poller, which waits for the whole grace period.
        """
        for wait_s in (*_POLL_AGAIN_S, None):
            if await self._exists(task_id) or await in_thread(self._is_new, job_id):
                return True
            if wait_s is not None:
                await self.context.sleep(wait_s)
        return False

    def _is_new(self, job_id: str) -> bool:
        """Return whether a job is so new that the service may not know its task yet."""
        record = self.context.ledger.row(job_id) if job_id else None
        if record is None or record.stage not in {Stage.SENDING, Stage.UNKNOWN}:
            return False
        age = self.context.now() - (record.sent_at or record.created_at)
        return age.total_seconds() <= poll_schedule.GRACE_S

    async def _exists(self, task_id: str) -> bool:
        """Return whether the service knows a task."""
        return not isinstance(await self.context.client.task(task_id), TaskMissing)
