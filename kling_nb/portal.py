"""Threads and loops: the private loop that all network I/O runs on, and `run` for a person's own.

Owns one event loop in one daemon thread for each `Portal`, the process's shared one, and the only
use of nest_asyncio. Must not know what the coroutines do, nor the kernel's loop: that one is never
patched, stopped or waited for (measured with ipykernel 7.4, 2026-11: patching it loses the cells
that are queued behind the waiting one).
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from typing import Any, Final, TypeVar

__all__ = ["Portal", "portal", "run"]

T = TypeVar("T")

CHANGING: Final = threading.Lock()
"""Held while a portal starts, stops or takes in a coroutine: moments, so one serves them all."""

if hasattr(os, "register_at_fork"):
    # A thread that holds the lock at the fork does not exist in the child and would never let go.
    os.register_at_fork(
        before=CHANGING.acquire,
        after_in_parent=CHANGING.release,
        after_in_child=CHANGING.release,
    )


class Engine:
    """A loop and the daemon thread that turns it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop = self.runner.get_loop()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.turn, name="kling_nb", daemon=True)
        self.thread.start()

    def turn(self) -> None:
        """Run until stopped; then cancel what runs, finish its clean-up and close the loop."""
        with self.runner:
            asyncio.set_event_loop(self.loop)
            while not self.stopping.is_set():
                # asyncio lets these two out of a coroutine and through the loop. Their task has
                # them already; the loop is shared by all jobs and goes on.
                with suppress(KeyboardInterrupt, SystemExit):
                    self.loop.run_forever()

    def stop(self) -> None:
        self.stopping.set()
        self.loop.call_soon_threadsafe(self.loop.stop)


class Portal:
    """A way for threads without a loop to run coroutines on one that is always free.

    The loop starts at the first use and stops at exit. After a fork the child's first use starts
    one of its own: threads do not live through a fork.
    """

    def __init__(self) -> None:
        # By process id: a child keeps its parent's and so never collects, and closes, its loop.
        self._engines: dict[int, Engine] = {}

    def submit(self, coro: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; returns at once. Cancelling the future cancels it."""
        check_coroutine("submit", coro)
        with CHANGING:
            engine = self._engines.get(os.getpid())
            if engine is None:
                engine = self._engines[os.getpid()] = Engine()
                atexit.register(self.stop)
            return asyncio.run_coroutine_threadsafe(coro, engine.loop)

    def call(self, coro: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """The coroutine's result; the calling thread waits for it.

        When the wait ends early, by the timeout or by an interrupt, the coroutine goes on.

        Raises:
            TimeoutError: There is no result after `timeout_s` seconds.
            RuntimeError: Called on the portal's own thread, which would wait for ever.
        """
        check_coroutine("call", coro)
        refuse_own_thread(self, "call", coro)
        return self.submit(coro).result(timeout_s)

    def is_own_thread(self) -> bool:
        """Whether the caller runs on the loop's thread, where waiting would stop everything."""
        engine = self._engines.get(os.getpid())
        return engine is not None and engine.thread is threading.current_thread()

    def stop(self, wait_s: float = 5.0) -> None:
        """Cancel what runs, close the loop and end the thread; the next use starts anew.

        Args:
            wait_s: How long to wait for coroutines that clean up slowly, in seconds. On the
                portal's own thread there is no wait.
        """
        with CHANGING:
            engine = self._engines.pop(os.getpid(), None)
            if engine is None:
                return
            atexit.unregister(self.stop)
            engine.stop()
        if engine.thread is not threading.current_thread():
            engine.thread.join(wait_s)


SHARED: Final = Portal()


def portal() -> Portal:
    """The portal that everything in this process shares."""
    return SHARED


class NestableLoop(asyncio.SelectorEventLoop):
    """The loop of `run`: the one class that nest_asyncio patches.

    nest_asyncio patches a loop's class for the whole process. With a class of our own, the
    kernel's loops stay what they were.
    """


@contextmanager
def adopting_generators(loop: Any) -> Iterator[None]:
    """Have async generators that start meanwhile finished on this loop and on no other.

    nest_asyncio does this in `run_forever` only, and `run_until_complete` is what nests.
    """
    outer = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*outer)


def complete(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also from within another that runs on this loop."""
    task = loop.create_task(coro)
    task.add_done_callback(retrieve)
    with Interrupt.cancelling(task) as interrupt:
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if interrupt.came:
                raise KeyboardInterrupt from None
            raise
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    loop.run_until_complete(task)


class Interrupt:
    """A SIGINT handler that cancels a task the first time and raises the second time.

    A KeyboardInterrupt out of the middle of a loop can lose the very callback that would have
    woken the task, and its clean-up would never end. `asyncio.run` has the same remedy.
    """

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.came = False

    def __call__(self, *_: object) -> None:
        if self.came or self.task.done():
            raise KeyboardInterrupt
        self.came = True
        self.task.cancel()
        self.task.get_loop().call_soon_threadsafe(int)  # wakes a loop that sleeps in select

    @classmethod
    @contextmanager
    def cancelling(cls, task: asyncio.Task[Any]) -> Iterator[Interrupt]:
        """Handle interrupts for the task, unless somebody else's handler is in place."""
        interrupt = cls(task)
        outer = signal.getsignal(signal.SIGINT)
        ours = outer is signal.default_int_handler or isinstance(outer, cls)
        if not ours or threading.current_thread() is not threading.main_thread():
            yield interrupt
            return
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield interrupt
        finally:
            signal.signal(signal.SIGINT, outer)


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in the calling thread, also inside a running event loop.

    For `%%time` cells, callbacks and plain functions, where `await` cannot be written. Like
    `asyncio.run` it cancels at its end what the coroutine left running; inside a coroutine that
    itself runs under `run` it shares that one's loop, so that their objects work together.
    Meanwhile no other cell, callback or button of the kernel is served: in a cell, prefer `await`.

    Raises:
        TypeError: It is not a coroutine.
        RuntimeError: Called on the portal's own thread.
        KeyboardInterrupt: Interrupted; the coroutine was cancelled and has ended.
    """
    check_coroutine("run", coro)
    refuse_own_thread(SHARED, "run", coro)
    running = asyncio._get_running_loop()
    if isinstance(running, NestableLoop):
        return complete(running, coro)
    try:
        make_nestable()
    except ValueError:
        return run_apart(coro)
    with asyncio.Runner(loop_factory=NestableLoop) as own, adopting_generators(own.get_loop()):
        return complete(own.get_loop(), coro)


def run_apart(coro: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, from a loop in a thread that lives as long as it does."""
    apart = Portal()
    try:
        return apart.call(coro)
    finally:
        apart.stop()


def make_nestable() -> None:
    """Let `NestableLoop` run inside a running loop; the first call does it.

    Raises:
        ValueError: It cannot be done here.
    """
    if sys.version_info >= (3, 14):
        # The current task became a fact of the thread there, and nest_asyncio 1.6 cannot move it.
        raise ValueError("nest_asyncio does not work with this Python")
    with CHANGING:
        if hasattr(NestableLoop, "_nest_patched"):
            return
        import nest_asyncio

        policy = type(asyncio.get_event_loop_policy())
        with (
            closing(NestableLoop()) as loop,
            kept(asyncio, "_nest_patched"),
            kept(policy, "get_event_loop"),
        ):
            # nest_asyncio takes this mark for "asyncio is patched already". So it leaves
            # asyncio.run, Task and Future alone, and tornado's Future with them; what nests is
            # in the loop's class.
            asyncio._nest_patched = True  # type: ignore[attr-defined]
            nest_asyncio.apply(loop)


@contextmanager
def kept(owner: object, name: str) -> Iterator[None]:
    """Put an attribute back as it was, also when it was not there."""
    absent = object()
    before = vars(owner).get(name, absent)
    try:
        yield
    finally:
        if before is not absent:
            setattr(owner, name, before)
        elif name in vars(owner):
            delattr(owner, name)


def check_coroutine(name: str, coro: object) -> None:
    if not inspect.iscoroutine(coro):
        hint = "; call it" if callable(coro) else ""
        raise TypeError(
            f"{name}() takes a coroutine such as main(), and was given "
            f"{type(coro).__name__} {coro!r:.80}{hint}"
        )


def refuse_own_thread(asked: Portal, name: str, coro: Coroutine[Any, Any, Any]) -> None:
    if asked.is_own_thread():
        coro.close()
        raise RuntimeError(
            f"{name}() was called on the portal's own thread, where it would wait for itself; "
            "await the coroutine instead"
        )


def retrieve(task: asyncio.Task[Any]) -> None:
    """Look at a task's exception, so that one which comes by another way is not logged as lost."""
    if not task.cancelled():
        task.exception()
