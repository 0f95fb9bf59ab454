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

from kling_nb.core.charge_evidence import LOOKS_S, Watch, judge
from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import Stage
from kling_nb.kie.client import Client
from kling_nb.storage import JobRecord, Ledger

from .background_loop import in_thread
from .job import Job
from .job_from_record import evidence_of, state_of

__all__ = ["BalanceSample", "BalanceWatcher", "BalanceWatches", "balance_or_none"]

_BALANCE_WAIT_S = 10.0

_log = logging.getLogger("kling_nb")


async def balance_or_none(client: Client) -> float | None:
    """The balance, or None when it cannot be had soon: no job waits for it."""
    try:
        # Not `wait_for`: in Python 3.11 it may lose a cancellation, and a session would not close.
        async with asyncio.timeout(_BALANCE_WAIT_S):
            return await client.balance()
    except (KlingError, TimeoutError):
        return None


@dataclass(frozen=True, slots=True)
class BalanceSample:
    """The balance as it was read, or not."""

    credits: float | None = None
    at: datetime | None = None
    """When it was asked for: what moved it before that is in it."""

    def facts(self) -> dict[str, object]:
        """What a request's row keeps of it."""
        return {"balance_before": self.credits} | ({"balance_at": self.at} if self.at else {})


@dataclass(slots=True)
class BalanceWatches:
    """The watches that are going on. Belongs to the loop that they run on."""

    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _is_stopped: bool = False

    def begin(self, job_id: str, task: asyncio.Task[None]) -> None:
        """Keep a watch until it ends, in the place of an earlier one of the same job.

        Once they are stopped none begins: nothing would end it.
        """
        if before := self._tasks.pop(job_id, None):
            before.cancel()
        if self._is_stopped:
            task.cancel()
            return
        self._tasks[job_id] = task
        task.add_done_callback(lambda _: self._end(job_id, task))

    def covers(self, row: JobRecord) -> bool:
        """Whether a row is being watched, and is still in a stage in which that says something."""
        return row.id in self._tasks and row.stage in {Stage.UNKNOWN, Stage.FAILED}

    def _end(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job_id) is task:
            del self._tasks[job_id]

    def stop(self) -> list[asyncio.Task[None]]:
        """Break all off, for good: the ledger keeps what was seen, and the next session goes on."""
        self._is_stopped = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        return tasks


@dataclass(frozen=True, slots=True)
class BalanceWatcher:
    """BalanceWatches the balance of one account for the jobs of one ledger."""

    client: Client
    ledger: Ledger
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    watches: BalanceWatches

    async def read(self) -> BalanceSample:
        """Read the balance for a request that is about to be made."""
        at = self.now()
        return BalanceSample(await balance_or_none(self.client), at)

    async def look(self, row: JobRecord, after_s: float = 0.0) -> JobRecord:
        """Look at the balance once and note it.

        Args:
            row: The job that was lost, or failed.
            after_s: Seconds since the first look.
        """
        watch = row.watch or Watch(self.now())
        balance = await balance_or_none(self.client)
        # Asked after the balance: what moved it is on disk by then, or is being sent.
        others = await in_thread(self.ledger.accounts.others_moved, row)
        watch = watch.add(after_s, balance, others_moved=others)
        if watch.others_moved or balance is None:
            return await in_thread(self.ledger.note, row.id, watch=watch)
        return await in_thread(self.ledger.note, row.id, watch=watch, balance_after=balance)

    def watch(self, job: Job, row: JobRecord, at_s: Sequence[float]) -> None:
        """Go on looking in the background.

        Args:
            job: Is told of each change of the verdict, and of the last one.
            row: The job as it ended.
            at_s: When to look, in seconds from the first look.
        """
        watching = asyncio.get_running_loop().create_task(self._watch(job, row, at_s))
        self.watches.begin(row.id, watching)

    async def take_up(self, job: Job, row: JobRecord) -> None:
        """Go on with the watch of a lost job that nobody keeps up: its kernel died, or was closed.

        Looks at once, in the background, and then for as long as anything is to be seen.
        """
        is_over = row.watch is not None and row.watch.is_over
        if row.stage is not Stage.UNKNOWN or row.balance_before is None or is_over:
            return
        is_ours = row.owner == self.ledger.owner
        if is_ours or not await in_thread(self.ledger.owner_lives, row.owner):
            age_s = row.watch.age_s(self.now()) if row.watch else 0.0
            self.watch(job, row, (age_s, *(at_s for at_s in LOOKS_S if at_s > age_s)))

    async def _watch(self, job: Job, row: JobRecord, at_s: Sequence[float]) -> None:
        try:
            passed_s = row.watch.age_s(self.now()) if row.watch else 0.0
            for after_s in at_s:
                if after_s > passed_s:
                    await self.sleep(after_s - passed_s)
                passed_s = after_s
                known = await in_thread(self.ledger.row, row.id)
                if known.stage is not row.stage:
                    return  # adopted or forgotten meanwhile: nobody asks any more
                seen = await self.look(known, after_s)
                is_over = seen.watch is not None and seen.watch.is_over
                if is_over or judge(evidence_of(seen)) != judge(evidence_of(known)):
                    job.amend(state_of(seen))
                if is_over:
                    return
        except KlingError as error:
            _log.warning("the balance after job %s is watched no more: %s", row.id, error)
