"""Test `rate_limit`: all kernels share the limits of an account, and no limit stops a clip."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest

from kling_nb.core.errors import RateLimited
from kling_nb.core.rate_limits import LONGEST_HOLD_S, NEW_TASKS, STATUS_REQUESTS, Rate
from kling_nb.core.secret import Key
from kling_nb.emulator import UNLIMITED, Limits
from kling_nb.jobs import settings
from kling_nb.jobs.connect import account_of, rate_limiter_of
from kling_nb.jobs.session import Session
from kling_nb.kie import rate_limit
from kling_nb.kie import slots as store
from kling_nb.kie.rate_limit import RateLimiter, Turn
from kling_nb.kie.slots import Account
from kling_nb.kie.urls import API_URL
from tests.support.service import KEY, Clock, take_turn

ACCOUNT = Account("https://api.example", Key(KEY))
NewKernel = Callable[..., "Kernel"]


@pytest.fixture(autouse=True)
def nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own memory."""
    monkeypatch.setattr(store, "IN_MEMORY", store.SlotMemory())


class Kernel:
    """A rate limiter as another process has it; waiting moves the shared clock."""

    def __init__(self, path: Path, clock: Clock, account: Account = ACCOUNT) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.budget = RateLimiter(account, path=path, clock=clock.epoch, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Let time pass for all kernels."""
        self.waits.append(seconds)
        self.clock.move(seconds)

    def create(self, count: int = 1) -> list[float]:
        """Wait for so many new tasks; return their times in epoch seconds."""

        async def queue() -> list[float]:
            times = []
            for _ in range(count):
                await take_turn(self.budget.new_tasks)
                times.append(self.clock.epoch())
            return times

        return asyncio.run(queue())

    def rejected(self, retry_after_s: float | None = None) -> None:
        """Process a 429 of the service."""
        asyncio.run(self.budget.new_tasks.hold_back(retry_after_s))


@pytest.fixture
def clock() -> Clock:
    """Return a clock that only waiting moves."""
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the shared file."""
    return tmp_path / "state" / "rates.sqlite3"


@pytest.fixture
def kernel(path: Path, clock: Clock) -> NewKernel:
    """Return a function that creates kernels with one file."""
    return lambda account=ACCOUNT: Kernel(path, clock, account)


def test_the_first_twenty_go_at_once(kernel: NewKernel) -> None:
    """The next ones wait for the next window, with a margin."""
    one = kernel()
    times = one.create(41)
    assert Counter(round(at - times[0], 3) for at in times) == {0: 20, 11: 20, 22: 1}
    assert one.waits == pytest.approx([11.0, 11.0])


def test_two_kernels_share_the_limit(kernel: NewKernel) -> None:
    """Tasks of one count for the other."""
    one, two = kernel(), kernel()
    one.create(15)
    times = two.create(6)
    assert two.waits == [pytest.approx(11.0)]
    assert times[4] < times[5]


def test_status_requests_and_tasks_have_separate_limits(kernel: NewKernel) -> None:
    """Ten status requests a second, however many tasks."""
    one = kernel()
    one.create(20)
    for _ in range(10):
        asyncio.run(take_turn(one.budget.status_requests))
    assert one.waits == []
    asyncio.run(take_turn(one.budget.status_requests))
    assert one.waits == [pytest.approx(STATUS_REQUESTS.kept_s)]


@pytest.mark.parametrize(
    "other",
    [
        Account("https://api.example", Key("another-key")),
        Account("http://127.0.0.1:8787", Key(KEY)),
        Account("https://api.example"),
    ],
    ids=["key", "place", "no key"],
)
def test_other_accounts_have_their_own(kernel: NewKernel, other: Account) -> None:
    """Another key or another service has its own limit."""
    kernel().create(20)
    second = kernel(other)
    second.create(20)
    assert second.waits == []


def test_waiters_are_served_in_order(kernel: NewKernel, path: Path, clock: Clock) -> None:
    """First come, first served; each process reserves only one slot ahead."""
    kernel().create(20)
    order: list[int] = []

    async def ahead(seconds: float) -> None:
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT count(*) FROM slots WHERE at > ?"
            assert connection.execute(query, (clock.epoch(),)).fetchone() == (1,)
        clock.move(seconds)

    budget = RateLimiter(ACCOUNT, path=path, clock=clock.epoch, sleep=ahead)

    async def take(number: int) -> None:
        await take_turn(budget.new_tasks)
        order.append(number)

    async def all_at_once() -> None:
        await asyncio.gather(*(take(number) for number in range(3)))

    asyncio.run(all_at_once())
    assert order == [0, 1, 2]


def test_a_cancelled_wait_lets_the_next_one_through(
    kernel: NewKernel, path: Path, clock: Clock
) -> None:
    """A cell that is cancelled while it waits blocks no other."""
    kernel().create(20)

    async def sleep(_seconds: float) -> None:
        asleep.set()
        await rested.wait()

    asleep, rested = asyncio.Event(), asyncio.Event()
    budget = RateLimiter(ACCOUNT, path=path, clock=clock.epoch, sleep=sleep)

    async def play() -> None:
        first = asyncio.ensure_future(take_turn(budget.new_tasks))
        second = asyncio.ensure_future(take_turn(budget.new_tasks))
        await asleep.wait()
        first.cancel()
        rested.set()
        await asyncio.wait_for(second, 10)

    asyncio.run(play())


def test_slots_end_with_the_window(kernel: NewKernel, clock: Clock) -> None:
    """Also those of a process that ended."""
    kernel().create(20)
    clock.move(NEW_TASKS.kept_s)
    later = kernel()
    later.create(20)
    assert later.waits == []


@pytest.mark.parametrize("jump_s", [-3600.0, -30.0, -5.0, 5.0, 3600.0])
def test_a_clock_that_jumps(kernel: NewKernel, clock: Clock, jump_s: float) -> None:
    """No wait is long, and the limit is kept afterwards."""
    one = kernel()
    one.create(20)
    clock.move(jump_s)
    one.create()
    assert sum(one.waits) <= NEW_TASKS.longest_wait_s
    clock.move(60)
    one.waits.clear()
    times = one.create(21)
    assert one.waits == [pytest.approx(NEW_TASKS.kept_s)]
    assert times[0] == times[19]


@pytest.mark.parametrize(
    ("retry_after_s", "waited_s"),
    [(None, NEW_TASKS.kept_s / 4), (7.0, 7.0), (600.0, LONGEST_HOLD_S)],
)
def test_a_429_holds_back_all_kernels(
    kernel: NewKernel, retry_after_s: float | None, waited_s: float
) -> None:
    """The service counts other programs, too; `Retry-After` is used within bounds."""
    one, two = kernel(), kernel()
    one.rejected(retry_after_s)
    two.create()
    assert two.waits == [pytest.approx(waited_s)]


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_shorter_hold_does_not_end_a_longer_one(
    kernel: NewKernel, path: Path, clock: Clock, in_memory: bool
) -> None:
    """The service sent one kernel `Retry-After: 30`, and another one a 429 without it."""
    if in_memory:
        blocked_file(path)
    one, two = kernel(), kernel()
    one.rejected(30.0)
    two.rejected()
    clock.move(1.0)
    one.create()
    assert one.waits == [pytest.approx(29.0)]
    one.rejected(2.0)
    one.rejected(5.0)
    two.create()
    assert two.waits == [pytest.approx(5.0)], "a longer one counts, and an old one is over"


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_hold_from_the_future_does_not_outlast_a_new_one(
    kernel: NewKernel, path: Path, clock: Clock, in_memory: bool
) -> None:
    """The clock was an hour ahead when it was saved; the new one counts."""
    if in_memory:
        blocked_file(path)
    one, two = kernel(), kernel()
    one.rejected(30.0)
    clock.move(-3600)
    two.rejected(4.0)
    two.create()
    assert two.waits == [pytest.approx(4.0)]


STRANGE = {
    "salt": "CREATE TABLE salt (one INTEGER PRIMARY KEY, salt); INSERT INTO salt VALUES (1, 'no')",
    "slots": "CREATE TABLE slots (a)",
    "holds": "CREATE TABLE holds (account, rate, until)",
}


@pytest.mark.parametrize("table", STRANGE)
def test_a_file_with_other_tables_is_no_error(
    kernel: NewKernel, path: Path, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """A warning is logged, and the limit is kept in memory."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(STRANGE[table])
    one = kernel()
    one.rejected(3.0)
    one.create()
    assert one.waits in ([pytest.approx(3.0)], [])
    assert "cannot be used" in caplog.text


def test_times_that_are_no_numbers_do_not_count(kernel: NewKernel, path: Path) -> None:
    """Another program has written them into the file."""
    one = kernel()
    one.create(20)
    one.rejected(3.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE slots SET at = 'x'; UPDATE holds SET until = 'x'")
    two = kernel()
    two.create()
    assert two.waits == []
    one.rejected(3.0)
    two.create()
    assert two.waits == [pytest.approx(3.0)]


def test_the_file_has_no_key(kernel: NewKernel, path: Path) -> None:
    """Neither the key nor the service can be read from it; the salt differs between files."""
    kernel().create()
    kernel().rejected()
    content = path.read_bytes()
    assert KEY.encode() not in content
    assert b"api.example" not in content
    assert ACCOUNT.digest(b"1" * 16) != ACCOUNT.digest(b"2" * 16)


def test_old_slots_are_deleted(kernel: NewKernel, path: Path, clock: Clock) -> None:
    """Those of other accounts included, so that the file stays small."""
    kernel(Account("elsewhere")).create(5)
    kernel().create(5)
    clock.move(90_000)
    kernel().create()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM slots").fetchone() == (1,)


def test_threads_take_slots_one_by_one(path: Path, clock: Clock) -> None:
    """Forty at the same moment: twenty now, twenty in the next window."""

    def book(_number: int) -> float:
        (wait_s,) = store.Slots(ACCOUNT, path, clock.epoch).reserve(NEW_TASKS)
        return wait_s

    with ThreadPoolExecutor(8) as threads:
        waits = Counter(round(wait_s, 3) for wait_s in threads.map(book, range(40)))
    assert waits == {0: 20, 11: 20}


def blocked_folder(path: Path) -> None:
    """Create a file in the place of the folder."""
    path.parent.write_text("")


def blocked_file(path: Path) -> None:
    """Create a folder in the place of the file."""
    path.mkdir(parents=True)


@pytest.mark.parametrize("block", [blocked_folder, blocked_file])
def test_without_a_file_the_limit_is_kept_in_memory(
    kernel: NewKernel,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    block: Callable[[Path], None],
) -> None:
    """One warning is logged, and all sessions of the process share the limit."""
    block(path)
    one, two = kernel(), kernel()
    with caplog.at_level(logging.WARNING, logger="kling_nb"):
        one.create(15)
        assert len(caplog.messages) == 1
    assert "rates.sqlite3 cannot be used" in caplog.text
    assert KEY not in caplog.text
    two.create(6)
    assert two.waits == [pytest.approx(NEW_TASKS.kept_s)]
    two.rejected(5.0)
    one.create()
    assert one.waits == [pytest.approx(5.0)]


def test_a_file_that_can_be_created_later_is_used(
    kernel: NewKernel, path: Path, clock: Clock
) -> None:
    """The next attempt is a minute later."""
    blocked_folder(path)
    one = kernel()
    one.create()
    path.parent.unlink()
    one.create()
    assert not path.parent.exists()
    clock.move(store.RETRY_FILE_S)
    one.create()
    assert path.is_file()


def test_a_broken_file_is_replaced(kernel: NewKernel, path: Path) -> None:
    """It is deleted, and the next kernels share a new one."""
    path.parent.mkdir()
    path.write_bytes(b"my shopping list" * 100)
    kernel().create()
    assert not path.exists()
    kernel().create(20)
    other = kernel()
    other.create()
    assert other.waits == [pytest.approx(NEW_TASKS.kept_s)]


def test_a_locked_file_blocks_no_kernel(
    kernel: NewKernel, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for the lock of another program is short."""
    monkeypatch.setattr(store, "BUSY_TIMEOUT_S", 0.05)
    kernel().create()
    one = kernel()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        one.create(2)
    assert one.waits == []


class Account429:
    """A service that counts all requests together, as seen from a limiter in virtual time.

    Each request takes `ANSWER_S`; above 20 in 10 s the answer is 429 with `Retry-After`.
    """

    ANSWER_S = 0.05

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.numbers = itertools.count()
        self.sleepers: list[tuple[float, int, asyncio.Event]] = []
        self.answered: list[float] = []
        self.rejected: list[tuple[float, float]] = []
        """When a 429 arrived, and the first allowed time."""
        self.sent: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        woken = asyncio.Event()
        number = next(self.numbers)
        heapq.heappush(self.sleepers, (self.clock.epoch() + seconds, number, woken))
        await woken.wait()

    async def pass_time(self) -> None:
        """Wake sleepers in order, whenever nothing else can run."""
        while True:
            for _ in range(50):
                await asyncio.sleep(0)
            if self.sleepers:
                at, _, woken = heapq.heappop(self.sleepers)
                self.clock.move(max(at - self.clock.epoch(), 0.0))
                woken.set()

    async def request(self, turn: Turn) -> None:
        """Send a request; raise `RateLimited` if it is too many."""
        async with turn:
            now = self.clock.epoch()
            self.sent.append(now)
            recent = [at for at in self.answered if at > now - 10.0]
            if len(recent) >= 20:
                wait_s = float(math.ceil(recent[-20] + 10.0 - now))
                await self.sleep(self.ANSWER_S)
                self.rejected.append((now, now + self.ANSWER_S + wait_s))
                raise RateLimited(429, "too often", retry_after_s=wait_s)
            self.answered.append(now)
            await self.sleep(self.ANSWER_S)


def check_refusals(service: Account429) -> None:
    """Check that one request at most was refused for each `Retry-After`, and the next soon sent."""
    first_at = service.rejected[0][0]
    at_first = [at for at, _ in service.rejected if at <= first_at + service.ANSWER_S]
    later = service.rejected[len(at_first) :]
    allowed_at = [max(until for _, until in service.rejected[: len(at_first)])]
    allowed_at += [until for _, until in later]
    assert all(at >= until - 1e-3 for (at, _), until in zip(later, allowed_at, strict=False))
    next_at = [min(at for at in service.sent if at >= until - 1e-3) for until in allowed_at]
    assert all(at - until <= 1.0 for at, until in zip(next_at, allowed_at, strict=True))


def test_after_a_429_one_request_finds_out(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service allows 20 requests of all kinds in 10 s, and 20 jobs create, poll and read.

    Only requests that were already sent at the first 429 may get one, too; then one at most for
    each `Retry-After`, and the next request is sent within a second of that time.
    """

    async def call_here(call: Callable[[], object]) -> object:
        """No thread: virtual time would pass meanwhile."""
        return call()

    monkeypatch.setattr(rate_limit, "_in_worker", call_here)
    service = Account429(clock)
    limiter = RateLimiter(ACCOUNT, path=path, clock=clock.epoch, sleep=service.sleep)

    async def send(turn: Callable[[], Turn]) -> None:
        while True:
            with suppress(RateLimited):
                return await service.request(turn())

    async def job() -> None:
        await send(limiter.other_calls.turn)
        await send(limiter.new_tasks.turn)
        for _ in range(4):
            await send(lambda: limiter.status_requests.turn(2.0))

    async def play() -> None:
        passing = asyncio.ensure_future(service.pass_time())
        await asyncio.gather(*(job() for _ in range(20)))
        passing.cancel()

    asyncio.run(asyncio.wait_for(play(), 60))
    assert len(service.answered) == 20 * 6
    check_refusals(service)


def test_a_job_near_its_end_goes_first(path: Path, clock: Clock) -> None:
    """Of those that are due; one that is polled rarely still gets its turn."""
    order: list[str] = []

    async def sleep(seconds: float) -> None:
        clock.move(seconds)

    limiter = RateLimiter(ACCOUNT, path=path, clock=clock.epoch, sleep=sleep)

    async def poll(name: str, interval_s: float, times: int) -> None:
        for _ in range(times):
            async with limiter.status_requests.turn(interval_s):
                order.append(name)

    async def play() -> None:
        near = (poll(f"near {number}", 0.5, 40) for number in range(8))
        await asyncio.gather(poll("far", 20.0, 2), *near)

    asyncio.run(play())
    assert "far" not in order[:100]
    assert order.index("far") < len(order) - 8, "it does not wait until the others have ended"


def test_a_turn_can_be_hurried(clock: Clock) -> None:
    """It is sent at once; a turn that was sent says that another one is needed."""
    limiter = RateLimiter.unlimited(clock=clock.epoch, sleep=asyncio.sleep)

    async def play() -> None:
        turn = limiter.status_requests.turn(3600.0)
        sending = asyncio.ensure_future(turn.__aenter__())
        await asyncio.sleep(0)
        assert turn.hurry()
        await asyncio.wait_for(sending, 10)
        assert not turn.hurry()

    asyncio.run(play())


def test_a_clock_that_is_set_back_delays_no_turn(clock: Clock) -> None:
    """A job is polled after its interval, whatever the time of day."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.move(-3600.0)

    limiter = RateLimiter.unlimited(clock=clock.epoch, sleep=sleep)

    async def play() -> None:
        for _ in range(3):
            async with limiter.status_requests.turn(5.0):
                pass

    asyncio.run(play())
    assert waits == pytest.approx([5.0, 5.0, 5.0])


def test_requests_that_are_cancelled_free_their_place(clock: Clock) -> None:
    """Before and after they may be sent."""
    limiter = RateLimiter.unlimited(clock=clock.epoch, sleep=asyncio.sleep)
    queue = limiter.other_calls

    async def unanswered() -> None:
        async with queue.turn():
            await asyncio.Event().wait()

    async def play() -> None:
        for steps in range(12):
            sending = [asyncio.ensure_future(unanswered()) for _ in range(20)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for each in sending:
                each.cancel()
            await asyncio.wait(sending)
            await asyncio.wait_for(asyncio.gather(*(take_turn(queue) for _ in range(20))), 10)

    asyncio.run(play())


def test_high_limits_take_slots_in_blocks(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shared file is not opened for each request."""
    counts: list[int] = []
    reserve = store.Slots.reserve

    def count(slots: store.Slots, rate: Rate, number: int = 1) -> list[float]:
        counts.append(number)
        return reserve(slots, rate, number)

    monkeypatch.setattr(store.Slots, "reserve", count)
    many = replace(STATUS_REQUESTS, limit=100_000)
    limiter = RateLimiter(ACCOUNT, NEW_TASKS, many, path=path, clock=clock.epoch)

    async def play() -> None:
        await asyncio.gather(*(take_turn(limiter.status_requests) for _ in range(640)))

    asyncio.run(play())
    assert counts == [64] * 10


def test_an_error_of_the_queue_reaches_all_that_wait(clock: Clock) -> None:
    """None waits for ever."""

    async def broken(_seconds: float) -> None:
        raise ZeroDivisionError("a bug")

    limiter = RateLimiter.unlimited(clock=clock.epoch, sleep=broken)

    async def play() -> list[BaseException | None]:
        turns = (limiter.status_requests.turn(seconds) for seconds in (1.0, 2.0))
        entering = (turn.__aenter__() for turn in turns)
        return await asyncio.gather(*entering, return_exceptions=True)

    assert [type(each) for each in asyncio.run(play())] == [ZeroDivisionError] * 2


def test_no_limit_touches_nothing(nothing_paid_before: Path) -> None:
    """A client or emulator without limits never waits and writes nothing."""
    budget = RateLimiter.unlimited()

    async def play() -> None:
        for line in (budget.new_tasks, budget.status_requests):
            for _ in range(200):
                await take_turn(line)
            await line.hold_back(None)

    asyncio.run(play())
    assert not nothing_paid_before.exists()


def test_at_exit_nothing_waits(kernel: NewKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python closes its worker pools first; then the calls of the ledger stop the job."""

    async def closed(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(asyncio, "to_thread", closed)
    one = kernel()
    one.create()
    one.rejected()
    assert one.waits == []


def test_the_file_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the file is in the user's state directory, for all folders of clips."""
    monkeypatch.setattr(platformdirs, "user_state_path", lambda name: tmp_path / name)
    asyncio.run(take_turn(RateLimiter(ACCOUNT).new_tasks))
    assert (tmp_path / "kling_nb" / "rates.sqlite3").is_file()


def resolved(tmp_path: Path, **given: str) -> settings.Settings:
    """Return settings without an environment."""
    return settings.resolve(environ={}, cwd=tmp_path, **given)  # type: ignore[arg-type]


def test_what_identifies_an_account(tmp_path: Path) -> None:
    """Live key and service; for a served emulator its URL; in this process its folder."""
    url = "http://127.0.0.1:8787"
    assert account_of(resolved(tmp_path, mode="live", api_key=KEY)) == Account(API_URL, Key(KEY))
    assert account_of(resolved(tmp_path, mode="emulator", api_url=url)) == Account(url)
    local = resolved(tmp_path, mode="emulator", folder="clips")
    assert account_of(local) == Account(str(tmp_path / "clips"))


def test_an_emulator_in_this_process_has_its_own_limits(tmp_path: Path, clock: Clock) -> None:
    """They replace those of the service."""
    emulated = resolved(tmp_path, mode="emulator")
    terms = Limits(tasks_per_window=3, task_window_s=2.0, status_requests_per_window=4)
    budget = rate_limiter_of(emulated, terms, clock, asyncio.sleep)
    assert (budget.new_tasks.rate.limit, budget.new_tasks.rate.window_s) == (3, 2.0)
    assert (budget.status_requests.rate.limit, budget.status_requests.rate.window_s) == (4, 1.0)
    free = rate_limiter_of(emulated, UNLIMITED, clock, asyncio.sleep)
    assert math.isinf(free.new_tasks.rate.limit)
    plain = rate_limiter_of(emulated, None, clock, asyncio.sleep)
    assert (plain.new_tasks.rate, plain.status_requests.rate) == (NEW_TASKS, STATUS_REQUESTS)


def test_a_live_session_has_the_limits_of_its_settings(tmp_path: Path, clock: Clock) -> None:
    """Larger accounts have other limits."""
    live = resolved(tmp_path, mode="live", api_key=KEY, rate_limits="create=2/5,status=30/2")
    budget = rate_limiter_of(live, None, clock, asyncio.sleep)
    assert budget.new_tasks.rate == replace(NEW_TASKS, limit=2, window_s=5.0)
    assert budget.status_requests.rate == replace(STATUS_REQUESTS, limit=30, window_s=2.0)


def test_an_emulator_in_this_process_has_the_limits_of_the_settings(tmp_path: Path) -> None:
    """The emulator rejects, and the session waits."""
    limits = "create=3/7,status=5/2"
    with closing(Session(mode="emulator", folder=tmp_path, rate_limits=limits)) as session:
        assert session.emulator is not None
        terms = session.emulator.account.limits
        new_tasks = session._context.client._rate_limiter.new_tasks.rate
    assert (terms.tasks_per_window, terms.task_window_s) == (3, 7.0)
    assert (terms.status_requests_per_window, terms.status_window_s) == (5, 2.0)
    assert (new_tasks.limit, new_tasks.window_s) == (3, 7.0)
