"""The job registry of a session: at most one handle, one submission and one poller per job.

The asynchronous half of a session; everything here runs on the background loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat
from weakref import WeakValueDictionary

from kling_nb.core import poll_schedule
from kling_nb.core.budgets import least_left
from kling_nb.core.errors import LedgerError
from kling_nb.core.job_state import ENDED, SUBMITTING, Detached, Stage
from kling_nb.core.money import Funds
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.spec import describe_named
from kling_nb.storage.job_record import JobRecord

from .background_loop import BackgroundLoop, in_thread
from .balance_watch import BalanceSample, balance_or_none
from .clip_changes import check_title, delete_clip, restore_clip
from .context import Context
from .job import Job
from .job_from_record import error_of, is_on_disk, state_of
from .poller import Poller
from .prepare import PreparedRequest, Quote, prepare
from .recovery import Recovery, check_service
from .reserve import check_unpaid, read_balance, reserve, unpaid_takes
from .submit import submit
from .takes import check_repeatable, request_of, store_inputs

_RECORD_AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to record an accepted task; the last value repeats."""


@dataclass(slots=True)
class JobRegistry:
    """The jobs of one session.

    Args:
        context: The parts of the session.
        loop: Runs the jobs.
        recovery: Recovers interrupted jobs.
        emulated_s: How long an emulated clip takes, in seconds; None for the real service.
    """

    context: Context
    loop: BackgroundLoop
    recovery: Recovery
    emulated_s: float | None
    _jobs: dict[str, Job] = field(default_factory=dict)
    _sending: set[asyncio.Future[None]] = field(default_factory=set)
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By fingerprint: held while a row is added or attached, until it has its job."""
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _recording: set[asyncio.Task[None]] = field(default_factory=set)
    _is_closed: bool = False

    @property
    def is_sending(self) -> bool:
        """Whether a submission is in progress."""
        return bool(self._sending)

    async def reserve(
        self, request: ClipRequest, notebook: str = "", given_up: threading.Event | None = None
    ) -> Job:
        """Prepare and reserve a request, or return the existing job of the same request.

        Args:
            request: What the user asked for.
            notebook: Path of the notebook, from the parent of the clip folder; empty if unknown.
            given_up: Set when the caller does not wait any more; then nothing is recorded.
        """
        prepared = await self._prepare(request)
        self._check_open()
        balance = await read_balance(self.context, prepared)
        async with self._lock(prepared.record.fingerprint):
            if given_up is not None and given_up.is_set():
                raise asyncio.CancelledError
            record, is_new = await self._reserve(prepared, notebook, balance)
        job = self._jobs[record.id] if is_new else await self.attach(record)
        # After the budgets have been checked: a request that is refused leaves nothing behind.
        await self._store_inputs(job, prepared)
        return job

    async def another_take(self, job_id: str) -> Job:
        """Make the request of a job as another take; it is being sent on return."""
        self._check_open()
        record = await in_thread(self.context.ledger.row, job_id)
        check_service(record, self.context.service)
        await in_thread(check_repeatable, record)
        prepared = await self._prepare(request_of(record))
        if record.fingerprint not in prepared.record.fingerprints:
            raise LedgerError(
                f"job {record.id} cannot be repeated exactly: this version reads its request "
                f"differently. Run its cell with `--take {record.take + 1}`"
            )
        balance = await self.context.balance_watch.read()
        async with aclosing(unpaid_takes(self.context, record, prepared)) as takes:
            async for take in takes:
                async with self._lock(take.record.fingerprint):
                    # Another kernel may have reserved this take meanwhile.
                    reserved, is_new = await self._reserve(take, self.context.notebook(), balance)
                if is_new:
                    break
        job = self._jobs[reserved.id]
        await self._store_inputs(job, take)
        self._run(self.submit(job))
        return job

    async def quote(self, request: ClipRequest) -> Quote:
        """Return what a request would cost. Records nothing; refuses what `reserve` refuses."""
        prepared = await self._prepare(request)
        existing = await in_thread(self.context.ledger.blocking, *prepared.record.fingerprints)
        if existing is None:
            await in_thread(check_unpaid, self.context, prepared)
        record, funds = prepared.record, await self.funds()
        return Quote(
            model=record.model,
            inputs=describe_named(request.spec, record.values),
            emulated=record.service == "emulator",
            price_credits=record.price_credits,
            balance_credits=funds.balance_credits,
            budget_credits=funds.budget_credits,
            existing=existing,
            warnings=prepared.warnings,
        )

    async def funds(self) -> Funds:
        """Return the account's balance and what the tightest budget leaves, as far as known."""
        accounts, context = self.context.ledger.spending, self.context
        budgets = await in_thread(accounts.budget_statuses, context.service, context.notebook())
        return Funds(await balance_or_none(context.client), least_left(budgets))

    async def submit(self, job: Job) -> None:
        """Send a reserved job, once; no effect for a job that was sent before."""
        request, job.unsent = job.unsent, None
        if request is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._sending.add(done)
        try:
            self._check_open()
            schedule = await self._schedule(job.record.model)
            record = await submit(self.context, job, request, schedule)
            self._poll_accepted(job, record, schedule)
        except Exception as error:
            task_id = job.task_id
            job.abandon(error)  # another cell may wait for the same job
            if task_id and isinstance(error, LedgerError):
                self._recording.add(self._run(self._record_late(job, task_id)))
            raise
        finally:
            self._sending.discard(done)
            done.set_result(None)

    async def withdraw(self, job: Job) -> None:
        """Discard a reserved job; no effect for a job that is being sent, or was."""
        request, job.unsent = job.unsent, None
        if request is None:
            return
        reason = "It was stopped before anything was sent; nothing was charged."
        try:
            advance = self.context.ledger.advance
            record = await in_thread(advance, job.id, Stage.DISCARDED, reason=reason)
            job.fail(state_of(record), error_of(record))
            await in_thread(self.context.other_folders.note, record)
        except LedgerError as error:
            job.abandon(error)  # the next session that makes the same request recovers the row

    async def resume(self, job_id: str) -> Job:
        """Poll a job again, also if it had vanished or expired, or its clip was deleted."""
        return await self.attach(await self.recovery.revive(job_id))

    async def adopt(self, task_id: str, job_id: str) -> Job:
        """Add a task that exists at the service; see `Session.adopt`."""
        if job_id:
            record = await in_thread(self.context.ledger.row, job_id)
            await in_thread(self._recover_orphan, record)
        return await self.attach(await self.recovery.adopt(task_id, job_id))

    async def rename(self, job_id: str, title: str) -> JobRecord:
        """Set the title of a job's clip; see `Session.rename`."""
        self._check_open()
        mark = partial(self.context.ledger.mark, job_id, title=check_title(title))
        return self._renew(await in_thread(mark))

    async def delete(self, job_id: str, *, permanently: bool) -> JobRecord:
        """Delete the clip of a job; see `Session.delete`."""
        self._check_open()
        ledger, now = self.context.ledger, self.context.now()
        record = await in_thread(ledger.row, job_id)
        async with self._lock(record.fingerprint):
            delete = partial(delete_clip, ledger, record.id, now, permanently=permanently)
            return self._renew(await in_thread(delete))

    def controller(self, job_id: str) -> _Controller:
        """Return a controller for a job that is not polled, e.g. for its clip."""
        return _Controller(self, job_id)

    async def attach(self, record: JobRecord) -> Job:
        """Return the handle of a record: the running one, or a new one that ends or is polled."""
        self._check_open()
        async with self._lock(record.fingerprint):
            return await self._attach(await in_thread(self.context.ledger.row, record.id))

    async def close(self) -> None:
        """Stop polling, once the submissions in progress have been answered."""
        self._is_closed = True
        for job in list(self._jobs.values()):
            self._release(job)
        for task in self._recording:
            task.cancel()
        in_progress = [*self._sending, *self._running, *self.context.balance_watch.stop()]
        if in_progress:
            await asyncio.wait(in_progress)

    def _lock(self, fingerprint: str) -> asyncio.Lock:
        """Return the lock for the rows of a fingerprint."""
        return self._locks.setdefault(fingerprint, asyncio.Lock())

    async def _reserve(
        self, request: PreparedRequest, notebook: str, balance: BalanceSample
    ) -> tuple[JobRecord, bool]:
        """Reserve a request, and add its job if it is new; the caller holds the lock.

        Without the lock, another caller would find the row before its job, and take it for one that
        broke off.
        """
        record, is_new = await reserve(
            self.context, request, notebook, balance, self._recover_orphan
        )
        if is_new:
            self._add_new(record, request)
        return record, is_new

    async def _store_inputs(self, job: Job, request: PreparedRequest) -> None:
        if request.media:
            await in_thread(store_inputs, self.context.ledger, job.id, request)

    async def _prepare(self, request: ClipRequest) -> PreparedRequest:
        return await prepare(request, service=self.context.service, downloads=self.context.inputs)

    async def _record_late(self, job: Job, task_id: str) -> None:
        """Record an accepted task; retry until the ledger takes it, then poll the task."""
        for wait_s in chain(_RECORD_AGAIN_S, repeat(_RECORD_AGAIN_S[-1])):
            await self.context.sleep(wait_s)
            with suppress(LedgerError):
                accept = self.recovery.accept_late
                await self.attach(await in_thread(accept, job.record, task_id))
                return

    def _poll_accepted(self, job: Job, record: JobRecord, schedule: PollSchedule) -> None:
        if record.stage is not Stage.ACCEPTED:
            return
        self._poll(job, schedule, record)
        if self._is_closed:
            self._release(job)

    def _release(self, job: Job) -> None:
        job.detach()
        job.controller = None

    async def _attach(self, record: JobRecord) -> Job:
        running = self._jobs.get(record.id)
        is_watched = self.context.balance_watch.covers(record)
        if running is not None and (is_watched or not running.done()):
            return running
        ledger, other_folders = self.context.ledger, self.context.other_folders
        is_ours = record.service == self.context.service
        record = await in_thread(self._recover_orphan, record)
        record = await in_thread(restore_clip, ledger, record)
        if is_ours and record.stage is Stage.SAVED and not await in_thread(is_on_disk, record):
            record = await in_thread(ledger.advance, record.id, Stage.SUCCEEDED)
        record = await in_thread(other_folders.complete, record)
        await in_thread(other_folders.note, record)
        schedule = await self._schedule(record.model)
        job = self._add(record, schedule)
        if record.stage in ENDED:
            Poller(self.context, job, schedule).report_end(record, already=True)
            if is_ours:
                await self.context.balance_watch.resume(job, record)
        elif is_ours:
            self._poll(job, schedule)
        else:
            reason = (
                f"It is a job of the {record.service} service; this session is "
                f"{self.context.service}."
            )
            job.fail(Detached(record.task_id, reason), LedgerError(f"job {record.id}: {reason}"))
        return job

    def _recover_orphan(self, record: JobRecord) -> JobRecord:
        """End a submission of this session that broke off; return other records as they are.

        Only this session knows that nothing is sending it: recording a step had failed.
        """
        job = self._jobs.get(record.id)
        is_ours = record.stage in SUBMITTING and record.owner == self.context.ledger.owner
        if not is_ours or (job is not None and not job.done()):
            return record
        return self.recovery.recover_orphan(record, job.task_id if job else "")

    async def _schedule(self, model: str) -> PollSchedule:
        past = await in_thread(self.context.ledger.durations_s, model, self.context.service)
        usual_s = self.emulated_s
        if usual_s is None:
            usual_s = CATALOGUE.get(model, IMAGE_TO_VIDEO).usual_s
        return poll_schedule.learn_schedule(tuple(past), usual_s)

    def _add_new(self, record: JobRecord, request: PreparedRequest) -> None:
        job = self._add(replace(record, warnings=request.warnings))
        job.unsent = request

    def _add(self, record: JobRecord, schedule: PollSchedule | None = None) -> Job:
        job = self._jobs[record.id] = Job(record, state_of(record, schedule), self.loop)
        job.controller = self.controller(job.id)
        return job

    def _renew(self, record: JobRecord) -> JobRecord:
        """Show a change of a clip on its card; return the record."""
        if job := self._jobs.get(record.id):
            job.renew(record, state_of(record) if record.is_deleted else None)
        return record

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task that nothing awaits; its job reports how it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def _poll(self, job: Job, schedule: PollSchedule, record: JobRecord | None = None) -> None:
        poller = Poller(self.context, job, schedule)
        task = self._run(poller.run(record))
        job.controller = _PollingController(self, job.id, asyncio.get_running_loop(), poller, task)
        if self.context.service == "live":
            report = self.context.other_folders.report_end
            job.add_done_callback(lambda ended: self.loop.submit(in_thread(report, ended.id)))

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerError("this session is closed; use the session that replaced it")


@dataclass(frozen=True, slots=True)
class _Controller:
    """Controls a job that is not polled."""

    registry: JobRegistry
    job_id: str

    def detach(self) -> bool:
        return False

    def rename(self, title: str) -> JobRecord:
        return self.registry.loop.call(self.registry.rename(self.job_id, title))

    def delete(self, *, permanently: bool = False) -> JobRecord:
        deleting = self.registry.delete(self.job_id, permanently=permanently)
        return self.registry.loop.call(deleting)

    def another_take(self) -> Job:
        return self.registry.loop.call(self.registry.another_take(self.job_id))

    def resume(self) -> Job:
        return self.registry.loop.call(self.registry.resume(self.job_id))

    def poll_now(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _PollingController(_Controller):
    """Controls a job that is polled on `event_loop`."""

    event_loop: asyncio.AbstractEventLoop
    poller: Poller
    task: asyncio.Task[None]

    def detach(self) -> bool:
        with suppress(RuntimeError):  # the loop is closed: nothing is polled any more
            self.event_loop.call_soon_threadsafe(self.task.cancel)
        return True

    def poll_now(self) -> None:
        self.event_loop.call_soon_threadsafe(self.poller.poll_now)
