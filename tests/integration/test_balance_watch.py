"""What `balance_watch` promises: looks in time, notes each, tells what changes, and stops."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from kling_nb.core.charge_evidence import (
    SAMPLE_TIMES_S,
    BalanceHistory,
    Likelihood,
    Reason,
    TimedBalance,
    judge,
)
from kling_nb.core.job_state import Event, Failed, Stage, Unknown
from kling_nb.jobs.job import Job
from kling_nb.jobs.job_from_record import error_of, evidence_of, state_of
from kling_nb.jobs.poller import Poller
from kling_nb.jobs.submit import submit
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.service import RECORD, SCHEDULE, World


async def finish(world: World) -> None:
    """Wait for every watch to end by itself."""
    while world.context.balance_watch._tasks:
        await asyncio.gather(*world.context.balance_watch._tasks.values())


def hold(world: World) -> asyncio.Event:
    """Return what ends the waits of the balance watches: what is done before comes in between."""
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        await world.sleep(seconds)

    world.context.balance_watch.sleep = sleep
    return gate


def lose(world: World, fault: str = "lose-answer") -> tuple[Job, JobRecord]:
    """A job with a lost answer, watched to the end; its row."""
    world.account.inject(fault)
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=world.account.balance())

    async def play() -> None:
        await submit(world.context, job, prepared, SCHEDULE)
        await finish(world)

    asyncio.run(play())
    return job, world.ledger.row(job.id)


def test_requests_at_the_same_time_share_a_query(world: World) -> None:
    """It is sent after each of them began; a request that comes later gets a later one."""
    sent: list[httpx.Request] = []
    late: list[asyncio.Future[object]] = []
    watcher = world.context.balance_watch

    def follow(request: httpx.Request) -> None:
        sent.append(request)
        if len(sent) == 1:
            late.append(asyncio.ensure_future(watcher.read()))

    async def play() -> None:
        early = await asyncio.gather(*(watcher.read() for _ in range(5)))
        assert {sample.credits for sample in early} == {world.account.balance()}
        await late[0]
        assert len(sent) == 2

    world.wire.listeners.append(follow)
    asyncio.run(play())


def test_looks_at_the_agreed_times(world: World) -> None:
    """At once, after 15, 30 and 60 seconds, and then no more."""
    _, row = lose(world)
    assert [look.after_s for look in row.watch.looks] == [0, 15, 30, 60]
    assert world.waits == [15, 15, 30]
    assert row.watch.began_at == row.sent_at


@pytest.mark.parametrize(
    ("fault", "likelihood"),
    [
        ("lose-answer", Likelihood.PAID),
        ("create-502", Likelihood.PAID),
        ("drop", Likelihood.NOT_PAID),
    ],
)
def test_the_verdict(world: World, fault: str, likelihood: Likelihood) -> None:
    """As the account say, and the job has it too."""
    job, row = lose(world, fault)
    assert judge(evidence_of(row)).likelihood is likelihood
    assert (likelihood is Likelihood.PAID) == (world.account.count_tasks() == 1)
    assert job.state == state_of(row)


def test_the_job_is_told_when_the_verdict_comes(world: World) -> None:
    """Observers get a change and the end of the watch, not each sample."""
    world.account.inject("drop")
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=world.account.balance())
    heard: list[Event] = []
    gate = hold(world)

    async def play() -> None:
        await submit(world.context, job, prepared, SCHEDULE)
        job.observe(heard.append)
        gate.set()
        await finish(world)

    asyncio.run(play())
    grounds = [judge(event.state.evidence).reason for event in heard]  # type: ignore[union-attr]
    assert grounds[-1] is Reason.STILL
    assert job.exception(0) is not None


def test_another_job_meanwhile_spoils_the_evidence(world: World) -> None:
    """It was sent while the balance was watched."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare("Lost")
    other, sent = world.prepare("Meanwhile")
    world.ledger.note(job.id, balance_before=world.account.balance())
    gate = hold(world)

    async def play() -> None:
        await submit(world.context, job, prepared, SCHEDULE)
        await submit(world.context, other, sent, SCHEDULE)
        gate.set()
        await finish(world)

    asyncio.run(play())
    row = world.ledger.row(job.id)
    assert judge(evidence_of(row)).reason is Reason.OTHERS


def test_a_balance_that_comes_late(world: World) -> None:
    """The service is away for a minute: looked at until it is back."""
    world.account.inject("unreachable", times=4, argument="other")
    _, row = lose(world, "drop")
    assert [look.after_s for look in row.watch.looks] == [SAMPLE_TIMES_S[4]]
    assert judge(evidence_of(row)).likelihood is Likelihood.NOT_PAID


def test_a_balance_that_never_comes(world: World) -> None:
    """Given up in the end, with nothing to tell."""
    world.account.inject("unreachable", times=100, argument="other")
    _, row = lose(world)
    assert judge(evidence_of(row)).reason is Reason.UNSEEN
    assert len(world.waits) == len(SAMPLE_TIMES_S) - 1


def test_nobody_watches_what_was_adopted(world: World) -> None:
    """The watch ends at its next look; the row stays as the adoption left it."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    gate = hold(world)

    async def play() -> None:
        await submit(world.context, job, prepared, SCHEDULE)
        world.ledger.advance(job.id, Stage.ACCEPTED, task_id="t1")
        gate.set()
        await finish(world)

    asyncio.run(play())
    row = world.ledger.row(job.id)
    assert row.stage is Stage.ACCEPTED
    assert len(row.watch.looks) == 1
    assert isinstance(job.state, Unknown)


def test_what_is_watched_is_known_until_it_is_stopped(world: World) -> None:
    """Only lost and failed rows are covered; a stop keeps what was seen until then."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    world.context = world.context_with(sleep=asyncio.sleep)
    watches = world.context.balance_watch

    async def play() -> None:
        row = await submit(world.context, job, prepared, SCHEDULE)
        assert watches.covers(row)
        assert not watches.covers(replace(row, stage=Stage.ACCEPTED))
        await asyncio.wait(watches.stop())
        assert not watches.covers(row)

    asyncio.run(play())
    watch = world.ledger.row(job.id).watch
    assert len(watch.looks) == 1


def test_a_watch_that_begins_when_all_are_stopped(world: World) -> None:
    """The session was closed while the answer was waited for: nothing outlives it."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    world.context = world.context_with(sleep=asyncio.sleep)

    async def play() -> None:
        assert world.context.balance_watch.stop() == []
        row = await submit(world.context, job, prepared, SCHEDULE)
        assert not world.context.balance_watch.covers(row)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())


def test_a_job_has_one_watch(world: World) -> None:
    """A second one replaces the first."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    world.context = world.context_with(sleep=asyncio.sleep)
    watches = world.context.balance_watch

    async def play() -> None:
        row = await submit(world.context, job, prepared, SCHEDULE)
        [first] = watches._tasks.values()
        watches.watch(job, row, (600.0,))
        await asyncio.wait([first])
        assert first.cancelled()
        [second] = watches.stop()
        assert second is not first
        await asyncio.wait([second])

    asyncio.run(play())


def left(world: World, fault: str, after_s: float) -> JobRecord:
    """A lost job of a kernel that died so long ago, before its first balance sample."""
    world.account.inject(fault)
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=world.account.balance(), balance_at=world.clock())
    asyncio.run(submit(world.context, job, prepared, SCHEDULE))
    world.ledger.note(job.id, watch=None)
    world.ledger.close()
    world.ledger = Ledger(world.ledger.folder, clock=world.clock)
    world.context = world.context_with(ledger=world.ledger)
    world.clock.move(after_s)
    world.waits.clear()
    return world.ledger.row(job.id)


def take_up(world: World, row: JobRecord) -> tuple[Job, JobRecord]:
    """The job, watched to the end in the session that found it."""
    job = world.handle(row)

    async def play() -> None:
        job.fail(state_of(row), error_of(row))
        await world.context.balance_watch.resume(job, row)
        await finish(world)

    asyncio.run(play())
    return job, world.ledger.row(row.id)


@pytest.mark.parametrize(
    ("fault", "likelihood"), [("lose-answer", Likelihood.PAID), ("drop", Likelihood.NOT_PAID)]
)
def test_a_dead_kernels_job_is_watched(world: World, fault: str, likelihood: Likelihood) -> None:
    """By the session that finds it: at once, and for the whole time."""
    job, row = take_up(world, left(world, fault, 3600))
    assert [look.after_s for look in row.watch.looks] == [0, 15, 30, 60]
    assert judge(evidence_of(row)).likelihood is likelihood
    assert job.state == state_of(row)


def test_a_watch_that_was_cut_off_goes_on(world: World) -> None:
    """From its first look on: what is left of the time is enough."""
    row = left(world, "drop", 0)
    world.ledger.note(
        row.id, watch=BalanceHistory(world.clock(), (TimedBalance(0, world.account.balance()),))
    )
    world.clock.move(20)
    _, row = take_up(world, world.ledger.row(row.id))
    assert [look.after_s for look in row.watch.looks] == [0, 20, 30, 60]
    assert world.waits == [10, 30]


def test_what_needs_no_watch(world: World) -> None:
    """Its own session lives; or it was watched to the end; or no balance is known from before."""
    row = left(world, "drop", 0)
    over = BalanceHistory(world.clock(), (TimedBalance(60, 5916.0),))
    living = Ledger(world.ledger.folder, clock=world.clock)
    living.open()
    for given in (
        replace(row, owner=living.owner),
        replace(row, watch=over),
        replace(row, balance_before=None),
        replace(row, stage=Stage.FORGOTTEN),
    ):
        asyncio.run(world.context.balance_watch.resume(world.handle(row), given))
        assert not world.context.balance_watch.covers(row)
    living.close()


class Failing(httpx.AsyncBaseTransport):
    """The service, except that every task has failed."""

    def __init__(self, behind: httpx.AsyncBaseTransport, **more: object) -> None:
        self.behind = behind
        self.data = {"state": "fail", "failCode": "500", "failMsg": "Internal Error", **more}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer questions about tasks; pass on all else."""
        if request.url.path != RECORD:
            return await self.behind.handle_async_request(request)
        return httpx.Response(200, json={"code": 200, "msg": "success", "data": self.data})


def fail(world: World, *, gives_back: bool = False, **data: object) -> tuple[Job, JobRecord]:
    """A task that fails; followed, and watched to the end where it is watched."""
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=world.account.balance())
    world.wire.behind = Failing(world.wire.behind, **data)

    async def play() -> None:
        await submit(world.context, job, prepared, SCHEDULE)
        if gives_back:
            world.account.set_balance(world.account.balance() + 55)
        await Poller(world.context, job, SCHEDULE).run()
        await finish(world)

    asyncio.run(play())
    return job, world.ledger.row(job.id)


@pytest.mark.parametrize(
    ("gives_back", "likelihood"), [(False, Likelihood.PAID), (True, Likelihood.NOT_PAID)]
)
def test_what_a_failure_cost(world: World, gives_back: bool, likelihood: Likelihood) -> None:
    """The service does not say: the balance at once, and again after a minute."""
    job, row = fail(world, gives_back=gives_back)
    assert [look.after_s for look in row.watch.looks] == [0, 60]
    assert judge(evidence_of(row)).likelihood is likelihood
    assert isinstance(job.state, Failed)
    assert job.state == state_of(row)


def test_the_services_own_figure_is_enough(world: World) -> None:
    """A failure that reports its cost is not watched."""
    _, row = fail(world, creditsConsumed=0)
    assert (row.credits, row.watch) == (0, None)


def test_a_failure_keeps_its_raw_answer(world: World) -> None:
    """Without the echo of our own request, which may hold a secret of the callback's address."""
    job, row = fail(world, param="https://my.example/?token=secret")
    assert json.loads(row.answer) == {
        "state": "fail",
        "failCode": "500",
        "failMsg": "Internal Error",
    }
    assert isinstance(job.state, Failed)
    assert job.state.evidence.answer == row.answer


def test_a_lost_task_that_was_adopted_and_failed(world: World) -> None:
    """What was seen when it was lost says nothing of whether its credits came back."""
    job, row = lose(world)
    world.ledger.advance(row.id, Stage.ACCEPTED, task_id="t1")
    world.wire.behind = Failing(world.wire.behind, creditsConsumed=None)
    again = world.handle(world.ledger.row(job.id))

    async def play() -> None:
        await Poller(world.context, again, SCHEDULE).run()
        assert isinstance(again.state, Failed)
        assert again.state.evidence.watch is None
        await finish(world)

    asyncio.run(play())
    watch = world.ledger.row(job.id).watch
    assert [look.after_s for look in watch.looks] == [0, 60]
