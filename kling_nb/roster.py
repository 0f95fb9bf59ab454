"""The jobs in hand: for each at most one handle, one submission, one follower.

The asynchronous half of a session; everything here runs on the portal's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from . import pace
from .errors import LedgerError
from .fetcher import Fetcher
from .follower import Follower
from .history import facts_of, is_on_disk, state_of
from .index import PaidIndex
from .jobs import Job
from .ledger import Intent, Row
from .portal import Portal, in_thread
from .preparation import Quote, Wish, prepare, quote_of
from .states import BLOCKING, ENDED, SUBMITTING, Detached, Stage
from .submission import Context, Request, balance_or_none, submit

__all__ = ["Roster"]


@dataclass(slots=True)
class Roster:
    """The jobs of one session.

    Args:
        context: What every job works with.
        portal: Where they are followed.
        service: `live` or `emulator`; jobs of the other are shown as they are noted, no more.
        pictures: Fetches pictures that are given as a URL.
        index: What this user paid for in other folders.
        usual_s: How long a clip takes while the ledger knows of none.
    """

    context: Context
    portal: Portal
    service: str
    pictures: Fetcher
    index: PaidIndex
    usual_s: Callable[[str], float]
    _jobs: dict[str, Job] = field(default_factory=dict)
    _requests: dict[str, Request] = field(default_factory=dict)
    _sending: set[asyncio.Future[None]] = field(default_factory=set)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _following: set[asyncio.Task[None]] = field(default_factory=set)
    _is_closed: bool = False

    @property
    def is_sending(self) -> bool:
        """Whether a submission is under way."""
        return bool(self._sending)

    async def prepare(self, wish: Wish) -> Job:
        """Check a request and note the intent, or find the job that answers it already."""
        prepared = await prepare(wish, service=self.service, pictures=self.pictures)
        self._check_open()
        balance = None
        known = await in_thread(self.context.ledger.blocking, prepared.intent.fingerprint)
        # One that was never sent may turn out to be left over, and then this is a new request.
        if known is None or known.stage in SUBMITTING:
            await self._refuse_paid_elsewhere(prepared.intent)
            balance = await balance_or_none(self.context.client)
        async with self._one_at_a_time:
            row, is_new = await in_thread(self._intend, prepared.intent, balance)
            if not is_new:
                return await self._take(row)
            self._requests[row.id] = prepared.request
            return self._add(row, 0.0)

    async def quote(self, wish: Wish) -> Quote:
        """What a request would cost; nothing is noted. Refuses what `prepare` would refuse."""
        prepared = await prepare(wish, service=self.service, pictures=self.pictures)
        existing = await in_thread(self.context.ledger.blocking, prepared.intent.fingerprint)
        if existing is None:
            await self._refuse_paid_elsewhere(prepared.intent)
        return quote_of(prepared, existing, await balance_or_none(self.context.client))

    async def submit(self, job: Job) -> None:
        """Send a prepared job, once; nothing happens for one that was sent before."""
        request = self._requests.pop(job.id, None)
        if request is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._sending.add(done)
        try:
            self._check_open()
            expected_s = await self._expected_s(request.spec.name)
            row = await submit(self.context, job, request, expected_s)
            await self._accept(job, row, expected_s)
        except Exception as error:
            job.abandon(error)  # whoever joined the job must not wait for ever
            raise
        finally:
            self._sending.discard(done)
            done.set_result(None)

    async def attach(self, row: Row) -> Job:
        """The handle of a row: the running one, or a new one that ends or follows."""
        self._check_open()
        async with self._one_at_a_time:
            return await self._take(row)

    async def close(self) -> None:
        """Follow nothing any more, once what is being sent has been answered."""
        self._is_closed = True
        for job in list(self._jobs.values()):
            job.detach()
        under_way = [*self._sending, *self._following]
        if under_way:
            await asyncio.wait(under_way)

    async def note_paid(self, row: Row) -> None:
        """Let this user's other folders know of a request that is, or may be, paid for."""
        if self.service == "live" and row.stage in BLOCKING:
            now, folder = self.context.now(), self.context.ledger.folder
            await in_thread(self.index.note, row.fingerprint, folder, now)

    async def _accept(self, job: Job, row: Row, expected_s: float) -> None:
        await self.note_paid(row)
        if row.stage is not Stage.ACCEPTED:
            return
        self._follow(job, expected_s)
        if self._is_closed:
            job.detach()

    async def _refuse_paid_elsewhere(self, intent: Intent) -> None:
        if self.service == "live":
            folder = self.context.ledger.folder
            await in_thread(self.index.refuse_paid, intent.fingerprint, folder, take=intent.take)

    def _intend(self, intent: Intent, balance: float | None) -> tuple[Row, bool]:
        ledger = self.context.ledger
        row, is_new = ledger.intend(intent)
        if not is_new and self._is_stranded(row):
            row = self._settle_stranded(row)
            if row.stage is Stage.DISCARDED:
                row, is_new = ledger.intend(intent)
        return (ledger.note(row.id, balance_before=balance) if is_new else row), is_new

    async def _take(self, row: Row) -> Job:
        running = self._jobs.get(row.id)
        if running is not None and not running.done():
            return running
        is_ours = row.service == self.service
        if self._is_stranded(row):
            row = await in_thread(self._settle_stranded, row)
        if is_ours and row.stage is Stage.SAVED and not await in_thread(is_on_disk, row):
            row = await in_thread(self.context.ledger.advance, row.id, Stage.SUCCEEDED)
        expected_s = await self._expected_s(row.model)
        job = self._add(row, expected_s)
        if row.stage in ENDED:
            Follower(self.context, job, expected_s).tell_end(row, already=True)
        elif is_ours:
            self._follow(job, expected_s)
        else:
            reason = f"It is a job of the {row.service} service; this session is {self.service}."
            job.fail(Detached(row.task_id, reason), LedgerError(f"job {row.id}: {reason}"))
        return job

    def _is_stranded(self, row: Row) -> bool:
        """Whether a row is ours and half sent, and nobody is sending it: a note had failed."""
        if row.stage not in SUBMITTING or row.owner != self.context.ledger.owner:
            return False
        job = self._jobs.get(row.id)
        return job is None or job.done()

    def _settle_stranded(self, row: Row) -> Row:
        """What is surely not sent is discarded, what may be is unknown."""
        advance = self.context.ledger.advance
        if row.stage is Stage.INTENDED:
            return advance(row.id, Stage.DISCARDED, reason="It broke off; nothing was sent.")
        return advance(row.id, Stage.UNKNOWN, reason="What became of it could not be noted")

    async def _expected_s(self, model: str) -> float:
        past = await in_thread(self.context.ledger.durations_s, model, self.service)
        return pace.expected_s(past, self.usual_s(model))

    def _add(self, row: Row, expected_s: float) -> Job:
        job = Job(facts_of(row), state_of(row, expected_s), self.portal)
        self._jobs[row.id] = job
        return job

    def _follow(self, job: Job, expected_s: float) -> None:
        loop = asyncio.get_running_loop()
        following = loop.create_task(Follower(self.context, job, expected_s).run())
        self._following.add(following)
        following.add_done_callback(self._following.discard)

        def stop() -> None:
            loop.call_soon_threadsafe(following.cancel)

        job.on_detach = stop
        if self.service == "live":
            job.add_done_callback(
                lambda ended: self.portal.submit(in_thread(self._drop_failed, ended.id))
            )

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerError("this session was closed; use the one that took its place")

    def _drop_failed(self, job_id: str) -> None:
        """A task that failed was not paid for: its request may be made in any folder."""
        row = self.context.ledger.row(job_id)
        if row.stage is Stage.FAILED:
            self.index.drop(row.fingerprint)
