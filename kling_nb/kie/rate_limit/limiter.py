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
from typing import ParamSpec, Self, TypeVar

import platformdirs

from kling_nb.core.poll_schedule import NEW_TASKS, QUESTIONS, Rate, hold_back_s

from .store import Account, Slots

__all__ = ["RateLimiter", "RequestQueue"]

P = ParamSpec("P")
T = TypeVar("T")


class RequestQueue:
    """Where the requests of one kind queue in this process, first come first served.

    Only the first of them takes a slot, so that a process that dies leaves one at most unused,
    and kernels take turns however long their lines are.

    Args:
        rate: What is counted, and how much is allowed.
        slots: Of the account.
        sleep: Waits.
    """

    def __init__(self, rate: Rate, slots: Slots, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.rate = rate
        self._slots = slots
        self._sleep = sleep
        self._first = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one request may be sent."""
        if math.isinf(self.rate.limit):
            return
        async with self._first:
            wait_s = await in_worker(self._slots.book, self.rate)
            if wait_s:
                await self._sleep(wait_s)

    async def hold_back(self, retry_after_s: float | None) -> None:
        """Let the account rest a little: the service has answered with 429.

        Args:
            retry_after_s: How long the service wants it, if it says so.
        """
        if not math.isinf(self.rate.limit):
            await in_worker(self._slots.hold, self.rate, hold_back_s(self.rate, retry_after_s))


class RateLimiter:
    """What one account may send, from all processes of this user on this machine together.

    Args:
        account: Who is counted.
        new_tasks: How many tasks may be made.
        questions: How many questions may be asked about tasks.
        path: The file that the processes share; in the user's state directory when not given.
        clock: Gives the time in epoch seconds, the same for all processes.
        sleep: Waits.
    """

    def __init__(
        self,
        account: Account,
        new_tasks: Rate = NEW_TASKS,
        questions: Rate = QUESTIONS,
        *,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        path = path or platformdirs.user_state_path("kling_nb") / "rates.sqlite3"
        slots = Slots(account, path, clock)
        self.new_tasks = RequestQueue(new_tasks, slots, sleep)
        self.questions = RequestQueue(questions, slots, sleep)

    @classmethod
    def unlimited(cls) -> Self:
        """A budget that never waits, and touches no file."""
        nobody = Account("")
        return cls(nobody, replace(NEW_TASKS, limit=math.inf), replace(QUESTIONS, limit=math.inf))


async def in_worker(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Run a call that touches the disk beside the loop; None when the program is ending."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except RuntimeError as error:
        if "shutdown" in str(error):
            return None
        raise
