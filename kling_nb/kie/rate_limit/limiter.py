"""Wait until a request may be sent, in one queue per kind of request and process.

Only the first in a queue takes a slot, and no lock is held while it waits: a kernel that dies
leaves at most one slot unused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

import platformdirs

from kling_nb.core.poll_schedule import NEW_TASKS, STATUS_REQUESTS, Rate, rate_limit_back_off_s

from .store import Account, Slots

T = TypeVar("T")


class _RequestQueue:
    """The queue of this process for one kind of request, first in, first out.

    Only the first request in the queue takes a slot, so that a killed process leaves at most one
    unused, and kernels take turns however long their queues are.
    """

    def __init__(self, rate: Rate, slots: Slots, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.rate = rate
        self._slots = slots
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one request may be sent."""
        if math.isinf(self.rate.limit):
            return
        async with self._turn:
            wait_s = await _in_worker(lambda: self._slots.reserve(self.rate))
            if wait_s:
                await self._sleep(wait_s)

    async def hold_back(self, retry_after_s: float | None) -> None:
        """Hold back the account's requests after an answer with status 429."""
        if not math.isinf(self.rate.limit):
            held_s = rate_limit_back_off_s(self.rate, retry_after_s)
            await _in_worker(lambda: self._slots.hold(self.rate, held_s))


class RateLimiter:
    """The rate limits of one account, for all processes of this user on this machine together.

    Args:
        account: The account.
        new_tasks: The limit for new tasks.
        questions: The limit for status requests.
        path: The file that the processes share; by default in the user's state directory.
        clock: Returns the time in epoch seconds, the same for all processes.
        sleep: Waits.
    """

    def __init__(
        self,
        account: Account,
        new_tasks: Rate = NEW_TASKS,
        questions: Rate = STATUS_REQUESTS,
        *,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        path = path or platformdirs.user_state_path("kling_nb") / "rates.sqlite3"
        slots = Slots(account, path, clock)
        self.new_tasks = _RequestQueue(new_tasks, slots, sleep)
        self.status_requests = _RequestQueue(questions, slots, sleep)

    @classmethod
    def unlimited(cls) -> Self:
        """Return a limiter that never waits and uses no file."""
        return cls(
            Account(""),
            replace(NEW_TASKS, limit=math.inf),
            replace(STATUS_REQUESTS, limit=math.inf),
        )


async def _in_worker(call: Callable[[], T]) -> T | None:
    """Call a function that uses the disk in a worker thread; None if Python is shutting down."""
    try:
        return await asyncio.to_thread(call)
    except RuntimeError as error:
        if "shutdown" in str(error):
            return None
        raise
