"""The job registry of a session: at most one handle, one submission and one poller per job.

The asynchronous half of a session; everything here runs on the portal's loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat

from kling_nb.core import poll_schedule
from kling_nb.core.budgets import least_left
from kling_nb.core.errors import AlreadyPaid, LedgerError
from kling_nb.core.job_state import ENDED, SUBMITTING, Detached, Stage
from kling_nb.core.money import Funds
from kling_nb.kie.http import Downloader
from kling_nb.storage import Intent, JobRecord

from .background_loop import BackgroundLoop, in_thread
from .balance_watch import BalanceSample, balance_or_none
from .job import Job
from .job_from_record import error_of, facts_of, is_on_disk, state_of
from .other_folders import OtherFolders
from .poller import Poller
from .prepare import Prepared, Quote, Wish, prepare, quote_of
from .recovery import Recovery, check_service
from .submit import Context, Request, submit
from .takes import check_retakeable, keep_sources, numbers, retaken, wish_of

__all__ = ["JobRegistry"]

_NOTE_AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to note an accepted task; the last value repeats."""


@dataclass(slots=True)
class JobRegistry:
    """The jobs of one session.

    Args:
        context: What every job works with.
        portal: Where they are followed.
        service: `live` or `emulator`; jobs of the other are shown as they are noted, no more.
        pictures: Fetches pictures, videos and sounds that are given as a URL.
        elsewhere: What this user paid for in other folders.
        usual_s: How long a clip takes while the ledger knows of none.
        notebook: The name of the notebook that asks; empty where it is not known.
    """

    context: Context
    portal: BackgroundLoop
    service: str
    pictures: Downloader
    elsewhere: OtherFolders
    usual_s: Callable[[str], float]
    notebook: Callable[[], str] = str
    _jobs: dict[str, Job] = field(default_factory=dict)
    _requests: dict[str, Request] = field(default_factory=dict)
    _sending: set[asyncio.Future[None]] = field(default_factory=set)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _noting: set[asyncio.Task[None]] = field(default_factory=set)
    _is_closed: bool = False

    @property
    def recovery(self) -> Recovery:
        """Finds again what was lost."""
        return Recovery(self.context, self.service, self.elsewhere)

    @property
    def is_sending(self) -> bool:
        """Whether a submission is under way."""
        return bool(self._sending)

    async def prepare(self, wish: Wish, given_up: threading.Event | None = None) -> Job:
        """Check a request and note the intent, or find the job that answers it already.

        Args:
            wish: What was asked for.
            given_up: Set when nobody waits for the job any more; then nothing is noted.
        """
        prepared = await prepare(wish, service=self.service, pictures=self.pictures)
        self._check_open()
        balance = BalanceSample()
        known = await in_thread(self.context.ledger.blocking, *prepared.intent.fingerprints)
        # One that was never sent may turn out to be left over, and then this is a new request.
        if known is None or known.stage in SUBMITTING:
            await in_thread(self._refuse_paid, prepared)
            balance = await self.context.witness.read()
        async with self._one_at_a_time:
            if given_up is not None and given_up.is_set():
                raise asyncio.CancelledError
            row, is_new = await in_thread(self._intend, prepared.intent, balance)
            job = self._add_new(row, prepared) if is_new else await self._take(row)
        # Not before a budget has let it in: what is refused leaves nothing behind.
        await in_thread(keep_sources, self.context.ledger, job.id, prepared)
        return job

    async def another_take(self, job_id: str) -> Job:
        """Make the request of a job once more, for another result; it is being sent on return."""
        self._check_open()
        row = check_service(await in_thread(self.context.ledger.row, job_id), self.service)
        await in_thread(check_retakeable, row)
        wish = wish_of(row)
        prepared = await prepare(wish, service=self.service, pictures=self.pictures)
        if row.fingerprint not in prepared.intent.fingerprints:
            raise LedgerError(
                f"job {row.id} cannot be asked for exactly as it was: this version reads its "
                f"request in another way. Run its cell with `--take {row.take + 1}`"
            )
        balance = await self.context.witness.read()
        async with self._one_at_a_time:
            job = await self._intend_next(row, wish, prepared, balance)
        await in_thread(keep_sources, self.context.ledger, job.id, prepared)
        self._run(self.submit(job))
        return job

    async def _intend_next(
        self, row: JobRecord, wish: Wish, prepared: Prepared, balance: BalanceSample
    ) -> Job:
        """Note the first take that nothing answers, here or in the user's other folders."""
        answered = await in_thread(self.context.ledger.takes, row.model, row.service)
        takes = numbers(row, answered, lambda n: retaken(prepared, wish, n).intent.fingerprints)
        while True:
            next_one = retaken(prepared, wish, next(takes))
            try:
                await in_thread(self.elsewhere.refuse_paid, next_one.intent)
            except AlreadyPaid:
                continue
            # Another kernel may have been quicker: then this number is no longer free.
            noted, is_new = await in_thread(self._intend, next_one.intent, balance)
            if is_new:
                return self._add_new(noted, next_one)

    async def quote(self, wish: Wish) -> Quote:
        """What a request would cost; nothing is noted. Refuses what `prepare` would refuse."""
        prepared = await prepare(wish, service=self.service, pictures=self.pictures)
        existing = await in_thread(self.context.ledger.blocking, *prepared.intent.fingerprints)
        if existing is None:
            await in_thread(self._refuse_paid, prepared)
        return quote_of(prepared, existing, await self.funds())

    def _refuse_paid(self, prepared: Prepared) -> None:
        names_of = partial(prepared.request.fingerprints, self.service)
        self.elsewhere.refuse_paid(prepared.intent, names_of)

    async def funds(self) -> Funds:
        """What the account has and what the tightest budget leaves, as far as that is known."""
        accounts = self.context.ledger.accounts
        standings = await in_thread(accounts.standings, self.service, self.notebook())
        return Funds(await balance_or_none(self.context.client), least_left(standings))

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
            row = await submit(self.context, job, request, expected_s, self.elsewhere)
            await self._accept(job, row, expected_s)
        except Exception as error:
            task_id = job.task_id
            job.abandon(error)  # whoever joined the job must not wait for ever
            if task_id and isinstance(error, LedgerError):
                self._noting.add(self._run(self._note_late(job, task_id)))
            raise
        finally:
            self._sending.discard(done)
            done.set_result(None)

    async def _note_late(self, job: Job, task_id: str) -> None:
        """Note an accepted task; retry until the ledger takes it, then follow the task."""
        for wait_s in chain(_NOTE_AGAIN_S, repeat(_NOTE_AGAIN_S[-1])):
            await self.context.sleep(wait_s)
            with suppress(LedgerError):
                row = await in_thread(self.recovery.accept_late, job.facts, task_id)
                await self.attach(row)
                return

    async def withdraw(self, job: Job) -> None:
        """Take back a prepared job; nothing happens for one that is being sent, or was."""
        if self._requests.pop(job.id, None) is None:
            return
        reason = "It was stopped before anything was sent; nothing was charged."
        try:
            note = self.context.ledger.advance
            row = await in_thread(note, job.id, Stage.DISCARDED, reason=reason)
            job.fail(state_of(row), error_of(row))
            await in_thread(self.elsewhere.note, row)
        except LedgerError as error:
            job.abandon(error)  # the next one who asks for the same settles the row

    async def _resume(self, job_id: str) -> Job:
        return await self.attach(await self.recovery.revive(job_id))

    async def adopt(self, task_id: str, job_id: str) -> Job:
        """Bring in a task that exists at the service; see `Session.adopt`."""
        if job_id:
            row = await in_thread(self.context.ledger.row, job_id)
            if self._is_stranded(row):  # only here is it known that nobody is sending it
                await in_thread(self._settle_stranded, row)
        return await self.attach(await self.recovery.adopt(task_id, job_id))

    async def attach(self, row: JobRecord) -> Job:
        """The handle of a row: the running one, or a new one that ends or follows."""
        self._check_open()
        async with self._one_at_a_time:
            return await self._take(row)

    async def close(self) -> None:
        """Follow nothing any more, once what is being sent has been answered."""
        self._is_closed = True
        for job in list(self._jobs.values()):
            job.on_resume = None
            job.detach()
        for noting in self._noting:
            noting.cancel()
        under_way = [*self._sending, *self._running, *self.context.watches.stop()]
        if under_way:
            await asyncio.wait(under_way)

    async def _accept(self, job: Job, row: JobRecord, expected_s: float) -> None:
        await in_thread(self.elsewhere.note, row)
        if row.stage is not Stage.ACCEPTED:
            return
        self._follow(job, expected_s)
        if self._is_closed:
            job.detach()

    def _intend(self, intent: Intent, balance: BalanceSample) -> tuple[JobRecord, bool]:
        ledger, intent = self.context.ledger, replace(intent, notebook=self.notebook())
        row, is_new = ledger.intend(intent)
        if not is_new and self._is_stranded(row):
            row = self._settle_stranded(row)
            if row.stage is Stage.DISCARDED:
                row, is_new = ledger.intend(intent)
        return (ledger.note(row.id, **balance.facts()) if is_new else row), is_new

    async def _take(self, row: JobRecord) -> Job:
        running = self._jobs.get(row.id)
        if running is not None and (not running.done() or self.context.watches.covers(row)):
            return running
        is_ours = row.service == self.service
        if self._is_stranded(row):
            row = await in_thread(self._settle_stranded, row)
        if is_ours and row.stage is Stage.SAVED and not await in_thread(is_on_disk, row):
            row = await in_thread(self.context.ledger.advance, row.id, Stage.SUCCEEDED)
        row = await in_thread(self.elsewhere.complete, row)
        await in_thread(self.elsewhere.note, row)
        expected_s = await self._expected_s(row.model)
        job = self._add(row, expected_s)
        if row.stage in ENDED:
            Poller(self.context, job, expected_s).tell_end(row, already=True)
            if is_ours:
                await self.context.witness.take_up(job, row)
        elif is_ours:
            self._follow(job, expected_s)
        else:
            reason = f"It is a job of the {row.service} service; this session is {self.service}."
            job.fail(Detached(row.task_id, reason), LedgerError(f"job {row.id}: {reason}"))
        return job

    def _is_stranded(self, row: JobRecord) -> bool:
        """Whether a row is ours and half sent, and nobody is sending it: a note had failed."""
        if row.stage not in SUBMITTING or row.owner != self.context.ledger.owner:
            return False
        job = self._jobs.get(row.id)
        return job is None or job.done()

    def _settle_stranded(self, row: JobRecord) -> JobRecord:
        job = self._jobs.get(row.id)
        return self.recovery.settle_stranded(row, job.task_id if job else "")

    async def _expected_s(self, model: str) -> float:
        past = await in_thread(self.context.ledger.durations_s, model, self.service)
        return poll_schedule.expected_s(past, self.usual_s(model))

    def _add_new(self, row: JobRecord, prepared: Prepared) -> Job:
        self._requests[row.id] = prepared.request
        return self._add(row, 0.0, prepared.warnings)

    def _add(self, row: JobRecord, expected_s: float, warnings: tuple[str, ...] = ()) -> Job:
        facts = replace(facts_of(row), warnings=warnings)
        job = self._jobs[row.id] = Job(facts, state_of(row, expected_s), self.portal)
        job.on_another_take = lambda: self.portal.call(self.another_take(row.id))
        job.on_resume = lambda: self.portal.call(self._resume(row.id))
        return job

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start what nobody awaits; how it ends is told by its job."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def _follow(self, job: Job, expected_s: float) -> None:
        loop = asyncio.get_running_loop()
        follower = Poller(self.context, job, expected_s)
        following = self._run(follower.run())

        def stop() -> None:
            loop.call_soon_threadsafe(following.cancel)

        def ask() -> None:
            loop.call_soon_threadsafe(follower.ask_now)

        job.on_detach, job.on_ask = stop, ask
        if self.service == "live":
            tell = self.elsewhere.tell_end
            job.add_done_callback(lambda ended: self.portal.submit(in_thread(tell, ended.id)))

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerError("this session is closed; use the session that replaced it")
