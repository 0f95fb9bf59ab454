"""Run a user's coroutine to its end in the cell's thread, even while an event loop is running.

The only use of nest_asyncio. The kernel's loop is never patched: patching it loses the cells that
are queued behind the waiting one (measured with ipykernel 7.4, 2026-11). Only a loop class of this
package is patched, once, and asyncio's own names are not replaced.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

from .background_loop import CHANGING, SHARED, BackgroundLoop, check_coroutine, refuse_own_thread

T = TypeVar("T")


class _NestableLoop(asyncio.SelectorEventLoop):
    """The loop of `run`: the one class that nest_asyncio patches.

    nest_asyncio patches a loop's class for the whole process. With a class of our own, the
    kernel's loops stay what they were.
    """


@contextmanager
def _adopting_generators(loop: Any) -> Iterator[None]:
    """Finish async generators that start inside the block on this loop.

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
    task.add_done_callback(_retrieve)
    with _Interrupt.cancelling(task) as interrupt:
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


class _Interrupt:
    """A SIGINT handler that cancels a task the first time and raises the second time.

    A KeyboardInterrupt inside the loop may lose the callback that wakes the task, and the clean-up
    of the task would never end. `asyncio.run` handles SIGINT in the same way.
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
    def cancelling(cls, task: asyncio.Task[Any]) -> Iterator[_Interrupt]:
        """Handle interrupts for the task, unless another handler is in place."""
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

    For `%%time` cells, callbacks and plain functions, where `await` is a syntax error. Like
    `asyncio.run`, it finally cancels the tasks that the coroutine left running. A nested call uses
    the event loop of the outer one, so that their objects work together. The kernel handles no
    other cell, callback or button until `run` returns: in a cell, prefer `await`.

    Raises:
        TypeError: It is not a coroutine.
        RuntimeError: Called on the background loop's own thread.
        KeyboardInterrupt: Interrupted; the coroutine was cancelled and has ended.
    """
    check_coroutine("run", coro)
    refuse_own_thread(SHARED, "run", coro)
    running = asyncio._get_running_loop()
    if isinstance(running, _NestableLoop):
        return complete(running, coro)
    try:
        make_nestable()
    except ValueError:
        return _run_apart(coro)
    with asyncio.Runner(loop_factory=_NestableLoop) as own, _adopting_generators(own.get_loop()):
        return complete(own.get_loop(), coro)


def _run_apart(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop in a thread of its own, and return its result."""
    apart = BackgroundLoop()
    try:
        return apart.call(coro)
    finally:
        apart.stop()


def make_nestable() -> None:
    """Let `_NestableLoop` run inside a running loop; the first call does it.

    Raises:
        ValueError: nest_asyncio does not work with this Python.
    """
    if sys.version_info >= (3, 14):
        # There the current task belongs to the thread, and nest_asyncio 1.6 cannot change it.
        raise ValueError("nest_asyncio does not work with this Python")
    with CHANGING:
        if hasattr(_NestableLoop, "_nest_patched"):
            return
        import nest_asyncio

        policy = type(asyncio.get_event_loop_policy())
        with (
            closing(_NestableLoop()) as loop,
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
    """Restore an attribute after the block; delete it if it did not exist."""
    absent = object()
    before = vars(owner).get(name, absent)
    try:
        yield
    finally:
        if before is not absent:
            setattr(owner, name, before)
        elif name in vars(owner):
            delattr(owner, name)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve a task's exception, which is raised elsewhere, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
