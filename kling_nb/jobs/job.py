"""Job: a handle on one clip. Await it, or call `result()`.

Contains the outcome, the current state and the observers of a job. `submit` and `poller` submit and
poll it, and update the handle with `enter`, `finish` and `fail`. Must not depend on notebooks: a
card is an observer like any other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from kling_nb.core.errors import JobDetached, LedgerError, WaitInterrupted, WaitTimeout
from kling_nb.core.job_state import (
    Detached,
    Discarded,
    Event,
    JobState,
    Saved,
    Sending,
    Unknown,
    has_ended,
)
from kling_nb.storage.job_record import JobRecord

from .background_loop import BackgroundLoop
from .clip import Clip, ClipController
from .mimebundle import render_mimebundle

if TYPE_CHECKING:
    from .prepare import PreparedRequest

_Observer = Callable[[Event], None]
"""Called with each event of a job, on the background loop's thread; it must not block."""

_log = logging.getLogger("kling_nb")


class _JobController(ClipController, Protocol):
    """What the session of a job does for it. Called from any thread."""

    def detach(self) -> bool:
        """Stop polling; return False if the session does not poll the job."""
        ...

    def another_take(self) -> Job:
        """Submit the same request as the next free take."""
        ...

    def resume(self) -> Job:
        """Poll the task again."""
        ...

    def poll_now(self) -> None:
        """Poll without more waiting; no effect if the session does not poll the job."""
        ...


_INTERNAL = frozenset(
    {"abandon", "amend", "controller", "enter", "fail", "finish", "interrupted_text", "observe"}
    | {"renew", "unsent"}
)
"""Names of a job that completion does not offer."""


class Job:
    """One request and its outcome.

    Works like a `concurrent.futures.Future` whose result is a `Clip`; in a notebook cell or a
    coroutine, `clip = await job`. A job cannot be cancelled, since the service cannot cancel a
    task: `detach` only stops polling.

    asyncio's `gather`, `wait_for`, `as_completed`, `ensure_future` and `shield` take a job.
    `asyncio.wait` and `create_task` do not: give `asyncio.ensure_future(job)` to `wait`, and use it
    instead of `create_task`. `concurrent.futures.wait` and `as_completed` take `job.future`.

    Args:
        record: The job as the ledger had it when the handle was made.
        state: The current state.
        loop: Runs the job.
    """

    def __init__(self, record: JobRecord, state: JobState, loop: BackgroundLoop) -> None:
        self.record = record
        self._state = state
        self._loop = loop
        self._observers: list[_Observer] = []
        self._outcome: Future[Clip] = Future()
        # A running future cannot be cancelled: a waiter that gives up must not end the job.
        self._outcome.set_running_or_notify_cancel()
        # The background loop ends jobs, and so does a click on Detach in the kernel's thread.
        self._ending = threading.RLock()
        self.controller: _JobController | None = None
        """None for a job without a session, and after its session is closed."""
        self.unsent: PreparedRequest | None = None
        """The request, until it is sent or discarded."""

    def __dir__(self) -> list[str]:
        """Return the names for people; the rest of this package uses the others."""
        return [name for name in super().__dir__() if name not in _INTERNAL]

    @property
    def id(self) -> str:
        """The job's short id, e.g. for `%kling show ID`."""
        return self.record.id

    @property
    def state(self) -> JobState:
        """The current state."""
        return self._state

    @property
    def task_id(self) -> str:
        """The task id of the service; empty while there is none."""
        return getattr(self._state, "task_id", "")

    @property
    def future(self) -> Future[Clip]:
        """Return the outcome as a `concurrent.futures.Future`, always the same object.

        Use it with `concurrent.futures.wait` and `as_completed`. Its `cancel()` returns False and
        changes nothing. A wait on it raises the standard library's TimeoutError and
        KeyboardInterrupt.
        """
        return self._outcome

    def done(self) -> bool:
        """Return whether the job has ended, with a clip or without."""
        return self._outcome.done()

    def result(self, timeout_s: float | None = None) -> Clip:
        """Wait for the clip.

        Args:
            timeout_s: How long to wait, in seconds; None waits until the job ends.

        Raises:
            JobFailed: The job ended without a clip.
            KlingError: It was refused; the same error as at submission.
            WaitTimeout: The timeout has expired; the job continues.
            WaitInterrupted: Interrupted; the job continues.
            RuntimeError: Called on the background loop's own thread.
        """
        self._check_thread()
        try:
            return self._outcome.result(timeout_s)
        except FutureTimeout:
            if self._outcome.done():
                raise
            raise WaitTimeout(
                f"Job {self.id} has not ended after {timeout_s:g} s. It continues; wait again "
                "with `job.result()`."
            ) from None
        except KeyboardInterrupt:
            raise WaitInterrupted(self.interrupted_text) from None

    def exception(self, timeout_s: float | None = None) -> BaseException | None:
        """Wait for the end and return the error; None if there is a clip."""
        self._check_thread()
        try:
            return self._outcome.exception(timeout_s)
        except FutureTimeout:
            raise WaitTimeout(f"Job {self.id} has not ended; it continues.") from None
        except KeyboardInterrupt:
            raise WaitInterrupted(self.interrupted_text) from None

    def add_done_callback(self, callback: Callable[[Job], Any]) -> None:
        """Call `callback(job)` on another thread when the job ends, or now if it has ended."""
        self._outcome.add_done_callback(lambda _: callback(self))

    def __await__(self) -> Generator[Any, None, Clip]:
        if not self.done():
            self._check_process()
        return asyncio.wrap_future(self._outcome).__await__()

    @property
    def interrupted_text(self) -> str:
        """The message after an interrupted wait."""
        return (
            f"Stopped waiting. Job {self.id} continues and its clip will be saved; "
            "`job.result()` waits again."
        )

    def detach(self) -> None:
        """Stop polling. The task continues; `kling.resume(id)` resumes the job.

        No effect on a job that the service has not accepted yet.
        """
        if self.controller is None or self.done():
            return
        if self.controller.detach():
            self.fail(
                Detached(self.task_id),
                JobDetached(
                    f"Job {self.id} is not polled in this kernel. `%kling resume {self.id}` "
                    "resumes it.",
                    job_id=self.id,
                ),
            )

    def another_take(self) -> Job:
        """Pay for another result of the same request: one call, one task.

        The new job has the next free take number, as in a cell with `--take N`. A request that
        failed, or was refused, discarded or forgotten, is repeated with the same number. Returns
        while the request is being sent; if it is refused, the state of the new job says so.

        Raises:
            KlingError: An input is not stored, the job belongs to the other service, or its own
                task may still be paid. Nothing was sent.
            RuntimeError: Called on the background loop's own thread.
        """
        return self._open_controller().another_take()

    def rename(self, title: str) -> None:
        """Set the title of the clip, also before it is saved; see `Clip.rename`."""
        self._open_controller().rename(title)

    def _open_controller(self) -> _JobController:
        if self.controller is None:
            raise LedgerError(
                f"job {self.id} has no open session; `kling.job('{self.id}')` gives one"
            )
        return self.controller

    def observe(self, observer: _Observer) -> Callable[[], None]:
        """Call `observer` with every event from now on; return a function that stops this."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer) if observer in self._observers else None

    def enter(self, state: JobState) -> None:
        """Enter a state and notify the observers. No effect on a job that has ended."""
        if has_ended(self._state) and self.done():
            return
        self._notify(state)

    def amend(self, state: JobState) -> None:
        """Replace the final state by one of the same kind, e.g. with new balance samples.

        No effect in any other state.
        """
        with self._ending:
            if self.done() and type(state) is type(self._state):
                self._notify(state)

    def renew(self, record: JobRecord, state: JobState | None = None) -> None:
        """Show the title of a record, also after the job's end.

        Args:
            record: The record with the title.
            state: The new state, e.g. of a deleted clip; None leaves it as it is.
        """
        with self._ending:
            self.record = replace(self.record, title=record.title)
            if self.done() and self._outcome.exception() is None:
                self._outcome.result().request = record
            self._notify(self._state if state is None else state)

    def poll_now(self) -> None:
        """Poll a running task without more waiting."""
        if self.controller is not None and not self.done():
            self.controller.poll_now()

    def _notify(self, state: JobState) -> None:
        self._state = state
        for observer in tuple(self._observers):
            try:
                observer(Event(self.id, state))
            except Exception:  # an observer's fault must not lose a paid clip
                _log.exception("an observer of job %s failed", self.id)

    def finish(self, state: Saved, clip: Clip) -> None:
        """End with a clip."""
        with self._ending:
            if not self.done():
                self.enter(state)
                self._outcome.set_result(clip)

    def fail(self, state: JobState, error: BaseException) -> None:
        """End without a clip."""
        with self._ending:
            if not self.done():
                self.enter(state)
                self._outcome.set_exception(error)

    def abandon(self, error: BaseException) -> None:
        """End after an error of ours; the task may go on, and the ledger stays as it is."""
        if isinstance(self._state, Sending):
            self.fail(Unknown(datetime.now(UTC), str(error)), error)
        elif self.task_id:
            self.fail(Detached(self.task_id, str(error)), error)
        else:
            self.fail(Discarded(str(error)), error)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return render_mimebundle(self.record, self._state)

    def _repr_html_(self) -> str:
        """Return the current card, for front ends without IPython; it does not update there."""
        return str(self._repr_mimebundle_()["text/html"])

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.record.model} {self._state.name}>"

    def _check_process(self) -> None:
        advice = f"`kling_nb.job({self.id!r})` returns a job that this process polls."
        self._loop.check_process(f"Job {self.id}", advice)

    def _check_thread(self) -> None:
        if self.done():
            return
        self._check_process()
        if self._loop.is_own_thread():
            raise RuntimeError(
                "result() was called on the background loop's own thread, where it would wait "
                "forever; use `await job` there, or add_done_callback"
            )
