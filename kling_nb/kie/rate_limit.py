"""Queue the requests of an account, and send them when they are due and within its rate limits.

Each process has one queue per kind of request. The next request is the due one with the longest
delay relative to its own interval: a job that is polled often, because it will end soon, comes
before one that is polled rarely, and no request waits forever. After a 429, no request is sent
before `Retry-After`; then requests are sent one at a time. `slots` stores the send times that
processes share. Must not depend on the content of requests.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, TypeVar

import platformdirs

from kling_nb.core.errors import RateLimited
from kling_nb.core.rate_limits import NEW_TASKS, STATUS_REQUESTS, Rate, rate_limit_back_off_s

from .slots import Account, Slots

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_IN_FLIGHT: Final = 8
"""Maximum number of unanswered requests of one kind; httpx's pool is slow with long queues."""
_NEW_TASKS_IN_FLIGHT: Final = 20
"""A higher maximum: createTask may take minutes and opens its own connection."""
_CAUTIOUS_S: Final = 600.0
"""How long requests are sent one at a time after a 429."""
_ANSWER_S: Final = 2.0
"""How long the next request then waits for the answer to the previous one."""
_LEAST_INTERVAL_S: Final = 0.1
"""The interval of a request that is not repeated."""
_BLOCK: Final = 64
"""Maximum number of slots that are reserved at once."""


class _Time:
    """A monotonic time, derived from a clock that may be set back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clock_s = self._time_s = clock()
        self._added_s = 0.0

    def __call__(self) -> float:
        """Return the time; it never decreases."""
        now = self._clock()
        self._added_s += max(self._clock_s - now, 0.0)
        self._clock_s = now
        self._time_s = max(self._time_s, now + self._added_s)
        return self._time_s

    def reach(self, at: float) -> None:
        """Advance the time to at least `at`, after a wait until then."""
        self._added_s += max(at - self(), 0.0)
        self._time_s = max(self._time_s, at)  # the sum may be rounded down


class _Alarm:
    """Waits that `ring` ends early."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """End all waits."""
        for waiter in self._waiters:
            _set(waiter)

    async def wait(self, seconds: float = math.inf) -> bool:
        """Wait for this many seconds or for `ring`; return whether the time has passed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        sleeping = asyncio.ensure_future(self._sleep(seconds)) if seconds < math.inf else None
        if sleeping is not None:
            sleeping.add_done_callback(lambda _: _set(waiter))
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            has_passed = sleeping is not None and sleeping.done()
            if sleeping is not None and not has_passed:
                sleeping.cancel()
        if sleeping is not None and has_passed:
            sleeping.result()
        return has_passed


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class _BackOff:
    """Holds back all requests of an account after a 429."""

    def __init__(self, now: _Time, sleep: Sleep) -> None:
        self.repeats = 0
        """Number of consecutive 429 answers."""
        self._now = now
        self._freed = _Alarm(sleep)
        self._held_until = self._cautious_until = -math.inf
        self._in_flight = 0
        self._sent_at = -math.inf

    @property
    def is_cautious(self) -> bool:
        """Whether requests are sent one at a time."""
        return self._now() < self._cautious_until

    async def wait(self) -> None:
        """Wait until a request may be sent."""
        while (until := self._free_at()) > self._now():
            if await self._freed.wait(until - self._now()):
                self._now.reach(until)

    async def begin(self) -> None:
        """Wait until a request may be sent, and count it."""
        await self.wait()
        self._in_flight += 1
        self._sent_at = self._now()

    def end(self) -> None:
        """Count the answer to a request."""
        self._in_flight -= 1
        self._freed.ring()

    def reject(self, retry_after_s: float) -> None:
        """Block requests for this many seconds, then allow one at a time."""
        now = self._now()
        self.repeats += 1
        self._held_until = max(self._held_until, now + retry_after_s)
        self._cautious_until = now + _CAUTIOUS_S

    def _free_at(self) -> float:
        if self._in_flight and self.is_cautious:
            return max(self._held_until, self._sent_at + _ANSWER_S)
        return self._held_until


class Turn:
    """One request in a queue: `async with` waits until it may be sent, and ends after the answer.

    Args:
        queue: The queue.
        due_at: When the request is due, by the queue's time.
        interval_s: The interval between requests of this job.
    """

    def __init__(self, queue: RequestQueue, due_at: float, interval_s: float) -> None:
        self.due_at = due_at
        self.interval_s = interval_s
        self._queue = queue
        self._allowed: asyncio.Future[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the request is waiting in the queue."""
        return self._allowed is not None and not self._allowed.done()

    def hurry(self) -> bool:
        """Make the request due now; return False if it is already allowed."""
        if self._allowed is not None and not self.is_waiting:
            return False
        self.due_at = -math.inf
        if self.is_waiting:
            self._queue.add(self)
        return True

    def allow(self, error: BaseException | None = None) -> None:
        """Allow the request, or raise an error in its `async with`."""
        if self._allowed is not None and not self._allowed.done():
            self._allowed.set_exception(error) if error else self._allowed.set_result(None)

    async def __aenter__(self) -> Self:
        self._allowed = asyncio.get_running_loop().create_future()
        self._queue.add(self)
        try:
            await self._allowed
        except asyncio.CancelledError:
            self._queue.leave(was_allowed=not self._allowed.cancelled())
            raise
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._queue.leave()
        await self._queue.note_answer(error)


class RequestQueue:
    """The queue of one kind of request in this process.

    Args:
        rate: The rate limit.
        in_flight: Maximum number of unanswered requests.
        slots: The slots that the account's processes share.
        now: Returns the time in seconds.
        sleep: Waits.
        back_off: Shared by all queues of the account.
    """

    def __init__(
        self, rate: Rate, in_flight: int, slots: Slots, now: _Time, sleep: Sleep, back_off: _BackOff
    ) -> None:
        self.rate = rate
        self._slots, self._now, self._sleep, self._back_off = slots, now, sleep, back_off
        self._later: list[tuple[float, int, Turn]] = []
        self._due: list[Turn] = []
        self._numbers = itertools.count()
        self._block: deque[float] = deque()
        self._held_until = -math.inf
        self._free = in_flight
        self._changed = _Alarm(sleep)
        self._dispatching: asyncio.Task[None] | None = None

    def turn(self, after_s: float = 0.0) -> Turn:
        """Return a turn that is due after this many seconds."""
        return Turn(self, self._now() + after_s, max(after_s, _LEAST_INTERVAL_S))

    def add(self, turn: Turn) -> None:
        """Queue a turn, or queue it again with another due time."""
        is_next = not self._later or turn.due_at < self._later[0][0]
        heapq.heappush(self._later, (turn.due_at, next(self._numbers), turn))
        if self._dispatching is None or self._dispatching.done():
            self._dispatching = asyncio.get_running_loop().create_task(self._dispatch())
        elif is_next:
            self._changed.ring()

    def leave(self, *, was_allowed: bool = True) -> None:
        """Count the answer to a request, or remove a cancelled turn."""
        if was_allowed:
            self._free += 1
            self._back_off.end()
        self._changed.ring()

    async def note_answer(self, error: BaseException | None) -> None:
        """Back off after an answer with status 429."""
        if isinstance(error, RateLimited):
            await self.hold_back(error.retry_after_s)
        elif error is None:
            self._back_off.repeats = 0

    async def hold_back(self, retry_after_s: float | None) -> None:
        """Hold back the requests of this kind, and with `Retry-After` all requests.

        Without that header, the service may count only this kind of request.
        """
        held_s = rate_limit_back_off_s(self.rate, retry_after_s, self._back_off.repeats)
        self._held_until = max(self._held_until, self._now() + held_s)
        self._back_off.reject(held_s if retry_after_s is not None else 0.0)
        self._block.clear()
        if not math.isinf(self.rate.limit):
            await _in_worker(lambda: self._slots.hold(self.rate, held_s))

    async def _dispatch(self) -> None:
        """Allow turns until the queue is empty."""
        try:
            while self._collect_due() or self._later:
                if not self._due:
                    due_at = self._later[0][0]
                    if await self._changed.wait(due_at - self._now()):
                        self._now.reach(due_at)
                elif not self._free:
                    await self._changed.wait()
                else:
                    await self._back_off.wait()  # first: a slot is to be used at its time
                    await self._take_slot()
                    await self._back_off.begin()
                    self._allow_next()
        except Exception as error:  # otherwise all waiting turns would wait forever
            for turn in (*self._due, *(turn for *_, turn in self._later)):
                turn.allow(error)
            self._due, self._later = [], []

    def _collect_due(self) -> list[Turn]:
        """Return all due turns that are still waiting."""
        now = self._now()
        # Remove the turns of closed jobs too, so that the dispatcher does not wait for them.
        while self._later and (self._later[0][0] <= now or not self._later[0][2].is_waiting):
            self._due.append(heapq.heappop(self._later)[2])
        self._due = [turn for turn in self._due if turn.is_waiting]
        return self._due

    def _allow_next(self) -> None:
        """Allow the due turn with the longest delay relative to its interval."""
        now, due = self._now(), self._collect_due()
        if due:
            turn = max(due, key=lambda each: (now - each.due_at) / each.interval_s)
            self._free -= 1
            turn.allow()
        else:  # all were cancelled
            self._back_off.end()

    async def _take_slot(self) -> None:
        """Wait for the next slot."""
        if math.isinf(self.rate.limit):
            await self._sleep_until(self._held_until)
            return
        now = self._now()
        while self._block and self._block[0] < now - self.rate.margin_s / 2:
            self._block.popleft()  # expired: other processes count it at its own time
        if not self._block:
            count = self._block_size()
            waits_s = await _in_worker(lambda: self._slots.reserve(self.rate, count)) or [0.0]
            now = self._now()
            self._block.extend(now + wait_s for wait_s in waits_s)
        # A 429 may have arrived while the slots were taken.
        await self._sleep_until(max(self._block.popleft(), self._held_until))

    async def _sleep_until(self, at: float) -> None:
        if (wait_s := at - self._now()) > 0:
            await self._sleep(wait_s)
            self._now.reach(at)

    def _block_size(self) -> int:
        """Return how many slots to reserve: at most 250 ms of slots, and few unneeded ones.

        Unused slots of a killed process delay other processes.
        """
        if self._back_off.is_cautious:
            return 1
        per_s = self.rate.limit / self.rate.kept_s
        return min(max(len(self._due), int(per_s / 100)), max(int(per_s / 4), 1), _BLOCK)


class RateLimiter:
    """The rate limits of one account, for all processes of this user on this machine together.

    Args:
        account: The account.
        new_tasks: The limit for new tasks.
        status_requests: The limit for status requests.
        path: The file that the processes share; by default in the user's state directory.
        clock: Returns the time in epoch seconds, the same for all processes.
        sleep: Waits.
    """

    def __init__(
        self,
        account: Account,
        new_tasks: Rate = NEW_TASKS,
        status_requests: Rate = STATUS_REQUESTS,
        *,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        path = path or platformdirs.user_state_path("kling_nb") / "rates.sqlite3"
        slots, now = Slots(account, path, clock), _Time(clock)
        shared = slots, now, sleep, _BackOff(now, sleep)
        self.new_tasks = RequestQueue(new_tasks, _NEW_TASKS_IN_FLIGHT, *shared)
        self.status_requests = RequestQueue(status_requests, _IN_FLIGHT, *shared)
        self.other_calls = RequestQueue(_OTHER_CALLS, _IN_FLIGHT, *shared)

    @classmethod
    def unlimited(
        cls, *, clock: Callable[[], float] = time.time, sleep: Sleep = asyncio.sleep
    ) -> Self:
        """Return a limiter without limits and without a file; it still backs off after a 429."""
        return cls(
            Account(""),
            replace(NEW_TASKS, limit=math.inf),
            replace(STATUS_REQUESTS, limit=math.inf),
            clock=clock,
            sleep=sleep,
        )


_OTHER_CALLS: Final = Rate("other calls", math.inf, 1.0, 0.0)


async def _in_worker(call: Callable[[], T]) -> T | None:
    """Call a function that uses the disk in a worker thread; None if Python is shutting down."""
    try:
        return await asyncio.to_thread(call)
    except RuntimeError as error:
        if "shutdown" in str(error):
            return None
        raise
