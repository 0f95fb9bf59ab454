"""Watch the balance after a request was lost, or failed without a reported cost.

Takes balance samples for a while, records each in the ledger and reports the verdict to the job.
It sends no status requests and nothing that costs credits; `core/charge_evidence` computes the
verdict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kling_nb.core.charge_evidence import SAMPLE_TIMES_S, BalanceHistory, judge
from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import Stage
from kling_nb.kie.client import Client
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

from .background_loop import in_thread
from .job import Job
from .job_from_record import evidence_of, state_of

_BALANCE_WAIT_S = 10.0

_log = logging.getLogger("kling_nb")


async def balance_or_none(client: Client) -> float | None:
    """Return the balance, or None if there is no answer soon: no job waits for it."""
    try:
        # Not `wait_for`: in Python 3.11 it may lose a cancellation, and a session would not close.
        async with asyncio.timeout(_BALANCE_WAIT_S):
            return await client.balance()
    except (KlingError, TimeoutError):
        return None


@dataclass(frozen=True, slots=True)
class BalanceSample:
    """The balance at one time."""

    credits: float | None = None
    """None if it could not be read."""
    at: datetime | None = None
    """When the query was sent: the balance contains every earlier change."""


@dataclass(slots=True)
class BalanceWatcher:
    """Watches the balance of one account for the jobs of one ledger.

    Belongs to the event loop that its watches run on.
    """

    client: Client
    ledger: Ledger
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _next: asyncio.Task[BalanceSample] | None = field(default=None, init=False)
    """The query that has not been sent yet."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _is_stopped: bool = field(default=False, init=False)

    async def read(self) -> BalanceSample:
        """Read the balance before a request; concurrent requests share one query."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._read_next())
        try:
            async with asyncio.timeout(_BALANCE_WAIT_S):
                return await asyncio.shield(self._next)
        except TimeoutError:  # the query before it has no answer yet
            return BalanceSample()

    async def _read_next(self) -> BalanceSample:
        async with self._reading:
            self._next = None  # later requests need a new query
            at = self.now()
            return BalanceSample(await balance_or_none(self.client), at)

    async def look(self, record: JobRecord, after_s: float = 0.0) -> JobRecord:
        """Take one balance sample and record it.

        Args:
            record: A job that was lost, or failed.
            after_s: Seconds since the first sample.
        """
        watch = record.watch or BalanceHistory(self.now())
        balance = await balance_or_none(self.client)
        # Queried after the balance: whatever changed it is on disk by then, or is being sent.
        others = await in_thread(self.ledger.spending.others_moved, record)
        watch = watch.add(after_s, balance, others_moved=others)
        if watch.others_moved or balance is None:
            return await in_thread(self.ledger.note, record.id, watch=watch)
        return await in_thread(self.ledger.note, record.id, watch=watch, balance_after=balance)

    def watch(self, job: Job, record: JobRecord, at_s: Sequence[float]) -> None:
        """Take samples in the background. Replaces an earlier watch of the same job.

        Args:
            job: Gets each change of the verdict, and the last one.
            record: The job as it ended.
            at_s: When to take samples, in seconds from the first one.
        """
        if self._is_stopped:
            return
        if before := self._tasks.pop(job.id, None):
            before.cancel()
        task = asyncio.get_running_loop().create_task(self._watch(job, record, at_s))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._end(job.id, task))

    def covers(self, record: JobRecord) -> bool:
        """Return whether a record is watched, and still in a stage in which that has a use."""
        return record.id in self._tasks and record.stage in {Stage.UNKNOWN, Stage.FAILED}

    async def resume(self, job: Job, record: JobRecord) -> None:
        """Resume the watch of a lost job if its kernel died or its session was closed.

        Takes a sample at once, in the background, and then goes on until the watch is over.
        """
        is_over = record.watch is not None and record.watch.is_over
        if record.stage is not Stage.UNKNOWN or record.balance_before is None or is_over:
            return
        is_ours = record.owner == self.ledger.owner
        if is_ours or not await in_thread(self.ledger.owner_is_alive, record.owner):
            age_s = record.watch.age_s(self.now()) if record.watch else 0.0
            self.watch(job, record, (age_s, *(at_s for at_s in SAMPLE_TIMES_S if at_s > age_s)))

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel all watches for good. The ledger keeps the samples; the next session resumes."""
        self._is_stopped = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        return tasks

    def _end(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job_id) is task:
            del self._tasks[job_id]

    async def _watch(self, job: Job, record: JobRecord, at_s: Sequence[float]) -> None:
        try:
            passed_s = record.watch.age_s(self.now()) if record.watch else 0.0
            for after_s in at_s:
                if after_s > passed_s:
                    await self.sleep(after_s - passed_s)
                passed_s = after_s
                known = await in_thread(self.ledger.row, record.id)
                if known.stage is not record.stage:
                    return  # adopted or forgotten meanwhile
                seen = await self.look(known, after_s)
                is_over = seen.watch is not None and seen.watch.is_over
                if is_over or judge(evidence_of(seen)) != judge(evidence_of(known)):
                    job.amend(state_of(seen))
                if is_over:
                    return
        except KlingError as error:
            _log.warning("the balance after job %s is no longer checked: %s", record.id, error)
