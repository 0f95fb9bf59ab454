"""Run in the kernels: shorten the waits, and make a trouble at a step.

Imported by the kernels themselves. Everything is patched from here; the package knows nothing.
"""

from __future__ import annotations

import functools
import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

import kling_nb
from kling_nb.core import poll_schedule
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.errors import ForkedSession, KlingError
from kling_nb.jobs.session import Session
from kling_nb.kie import client
from kling_nb.kie.bodies import Limits
from kling_nb.kie.http import Downloader
from kling_nb.storage import database
from kling_nb.storage.id_slots import IdSlots
from kling_nb.storage.ledger import Ledger

__all__ = ["arm", "prepare"]

ASK_WAIT_S = 1.0
RETRY_SHARE = 0.1
EXPECTED_S = 0.3
TIMEOUT_S = 2.0
USUAL = {"create_timeout_s": 120.0, "busy_s": 30.0, "create_s": 120.0}
TIMES = {"create_s": 120.0, "call_s": TIMEOUT_S, "spare_s": 2 * TIMEOUT_S, "stalled_s": TIMEOUT_S}
"""What stands for those of `Limits`."""
TIMES_ARE_FIXED = False
"""Whether a run changes nothing about them."""
LEDGER = Path("kling_clips", "ledger.sqlite3")
KEPT = Path("ledger to put back")
"""A copy of the ledger, beside the clips."""
STRUCK = Path("struck")
"""Made when the trouble of a run begins in the kernel."""
SMALL_BYTES = 4_096
"""A full disk still takes what is written in place into a file so small."""
CHILD_ERROR = Path("error of a child")
"""What a forked child raised, where it must not."""
CHILD_S = 15
"""A forked child that hangs is ended after so long."""

Act = Callable[[], object]
Request = tuple[str, Mapping[str, Any]]


class Trap:
    """What waits for the steps of this kernel, and how far its clock is off."""

    def __init__(self) -> None:
        self.acts: dict[str, list[Act]] = {}
        self.ahead = timedelta()

    def reach(self, step: str) -> None:
        """Do what waits for that step."""
        for act in self.acts.pop(step, ()):
            act()

    def now(self) -> datetime:
        """The time as this kernel believes it is."""
        return datetime.now(UTC) + self.ahead

    def jump(self, seconds: float) -> None:
        """Let the clock jump, in either direction."""
        self.ahead += timedelta(seconds=seconds)


TRAP = Trap()


def prepare() -> None:
    """Shorten the waits and listen at the steps; once, before the first session."""
    delay_s, retry_wait_s = PollSchedule.delay_s, poll_schedule.retry_wait_s
    schedule = poll_schedule.learn_schedule((), EXPECTED_S)
    PollSchedule.delay_s = lambda *given, **named: min(delay_s(*given, **named), ASK_WAIT_S)
    poll_schedule.retry_wait_s = lambda tries: retry_wait_s(tries) * RETRY_SHARE
    poll_schedule.learn_schedule = lambda *given: schedule
    client._TIMEOUT = httpx.Timeout(TIMEOUT_S)
    for name in TIMES:
        read_from_times(name)
    listen(Ledger, "intend", lambda *given: "intended")
    listen(IdSlots, "write", lambda *given: "answered")
    listen(Ledger, "advance", lambda job_id, stage: str(stage))
    listen(Ledger, "submit", step_of_change)
    listen(Downloader, "download", lambda *given: "download")
    doubt_the_time()


def step_of_change(change: Callable[..., object], *given: Any) -> str:
    """Return the stage of a change that the writer will make; empty for another change."""
    return str(given[1]) if getattr(change, "__name__", "") == "advance" else ""


def read_from_times(name: str) -> None:
    """Let a limit be what stands in `TIMES` at the moment."""
    setattr(Limits, name, property(lambda _: TIMES[name], lambda *_: None))


def listen(owner: type, name: str, step_of: Callable[..., str]) -> None:
    """Let a step be reached whenever a method is called."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def heard(self: Any, *given: Any, **facts: Any) -> Any:
        # A fork or another trouble must not begin inside a transaction of the ledger.
        if not (isinstance(self, Ledger) and self._database.is_changing):
            TRAP.reach(step_of(*given))
        return method(self, *given, **facts)

    setattr(owner, name, heard)


def doubt_the_time() -> None:
    """Give every session a clock that can jump."""
    begin = Session.__init__

    def begun(self: Session, **given: Any) -> None:
        begin(self, **({"now": TRAP.now} | given))

    Session.__init__ = begun  # type: ignore[method-assign]


def arm(
    *,
    kill: tuple[str, float] | None = None,
    strike: tuple[str, str, float] | None = None,
    request: Request = ("", {}),
    **limits: float,
) -> None:
    """Get ready for one run.

    Args:
        kill: Step and seconds after it.
        strike: Trouble, step, and how much of it.
        request: What the cell asks for: the model and the other arguments of `kling.generate`.
        limits: Seconds other than the usual ones: `create_timeout_s`, `create_s`, `busy_s`.
    """
    TRAP.acts.clear()
    TRAP.ahead = timedelta()
    limits = USUAL | limits
    if not TIMES_ARE_FIXED:
        TIMES["create_s"] = limits["create_s"]
    client._CREATE_TIMEOUT = httpx.Timeout(limits["create_timeout_s"])
    database.BUSY_TIMEOUT_S = limits["busy_s"]
    if strike is not None:
        trouble, step, amount_s = strike
        begin = partial(fork, request) if trouble == "fork" else STRIKES[trouble]
        TRAP.acts.setdefault(step, []).append(lambda: strike_with(begin, amount_s))
    if kill is not None:
        step, after_s = kill
        TRAP.acts.setdefault(step, []).append(lambda: soon(after_s, die))


def strike_with(begin: Callable[[float], object], amount_s: float) -> None:
    """Let a trouble begin, and leave a mark of it."""
    STRUCK.touch()
    begin(amount_s)


def soon(after_s: float, act: Act) -> None:
    """Do something in a thread of its own, a moment later."""
    timer = threading.Timer(after_s, act)
    timer.daemon = True
    timer.start()


def die() -> None:
    """`kill -9`: nothing here can notice."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk(for_s: float, *, limit_bytes: int = 0) -> None:
    """Let no file be written beyond so many bytes for a while."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, usual[1]))
    soon(for_s, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, usual))


def lock_ledger(for_s: float) -> None:
    """Hold the ledger as another program does that writes for a long time."""
    connection = sqlite3.connect(LEDGER, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    soon(for_s, connection.close)


def garble_ledger(_for_s: float) -> None:
    """Overwrite the ledger, once a copy is kept that can be put back."""
    shutil.copy(LEDGER, KEPT)
    LEDGER.write_bytes(b"garbled " * 8_192)


def lose_ledger(_for_s: float) -> None:
    """Delete the ledger, once a copy is kept that can be put back."""
    shutil.copy(LEDGER, KEPT)
    LEDGER.unlink()


def fork(request: Request, _for_s: float) -> None:
    """Let a forked child make the same request, wait for it, and record its error."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status and not CHILD_ERROR.exists():
            CHILD_ERROR.write_text(f"a forked child ended with status {status}")
        return
    signal.alarm(CHILD_S)
    try:
        model, arguments = request
        kling_nb.generate(model, **arguments)
    except KlingError as error:
        if not isinstance(error, ForkedSession):  # any other one says what became of the request
            os._exit(0)
        CHILD_ERROR.write_text(str(error))
    except BaseException as error:
        CHILD_ERROR.write_text(repr(error))
    finally:
        os._exit(CHILD_ERROR.exists())


STRIKES: Mapping[str, Callable[[float], object]] = {
    "clock-jump": TRAP.jump,
    "disk-full": fill_disk,
    "note-disk-full": partial(fill_disk, limit_bytes=SMALL_BYTES),
    "note-locked": lock_ledger,
    "note-garbled": garble_ledger,
    "note-lost": lose_ledger,
}
