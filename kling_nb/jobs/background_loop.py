"""The private event loop for all network I/O, and worker threads beside it.

Each `BackgroundLoop` owns one event loop in one daemon thread; the sessions of a process share one.
Must not depend on what the coroutines do, nor stop or wait for the kernel's loop.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

from kling_nb.core.errors import ForkedSession
from kling_nb.core.forks import OwnProcess, wait_at_fork

P = ParamSpec("P")
T = TypeVar("T")

CHANGING: Final = threading.Lock()
"""Held briefly, while a background loop starts, stops or accepts a coroutine."""
wait_at_fork(CHANGING)

_THREADS: Final = 16
"""Number of worker threads: most of them wait for a commit, and one commit serves all that wait."""


class _JoiningLoop(asyncio.BaseEventLoop):
    """Close a loop without starting a thread.

    asyncio starts a thread to wait for the threads of the default executor. These loops close while
    the interpreter exits, when Python 3.12.0 to 3.12.2 refuse to start a thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadPoolExecutor(_THREADS, "kling_nb work")
        self.set_default_executor(self.threads)

    async def shutdown_default_executor(self, *_: object, **__: object) -> None:
        """Wait for the threads here: all tasks have ended, so the wait blocks nothing."""
        self.threads.shutdown()


class SelectorLoop(_JoiningLoop, asyncio.SelectorEventLoop):
    """A selector loop that closes without starting a thread."""


if sys.platform == "win32":

    class PortalLoop(_JoiningLoop, asyncio.ProactorEventLoop):
        """The system's default loop; it closes without starting a thread."""

else:
    PortalLoop = SelectorLoop


class _Engine:
    """A loop and the daemon thread that runs it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=PortalLoop)
        self.loop = self.runner.get_loop()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="kling_nb", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            CancelledError: The program is exiting; Python 3.12 and later start no thread then.
        """
        try:
            self.thread.start()
        except RuntimeError as error:
            self.loop.close()  # `runner.close` fails in a cell: another loop is running there
            if "shutdown" in str(error):
                raise CancelledError from None
            raise

    def run(self) -> None:
        """Run until stopped; then cancel all tasks, await their clean-up and close the loop."""
        with self.runner:
            asyncio.set_event_loop(self.loop)
            while not self.stopping.is_set():
                # asyncio raises these two out of the loop after it has stored them in their task.
                # All jobs share the loop, so it continues.
                with suppress(KeyboardInterrupt, SystemExit):
                    self.loop.run_forever()

    def stop(self) -> None:
        self.stopping.set()
        self.loop.call_soon_threadsafe(self.loop.stop)


class BackgroundLoop:
    """Runs coroutines on one event loop in a daemon thread, for callers in any thread.

    The loop starts at the first use and stops at exit. A forked child starts a loop of its own at
    its first use: threads do not survive a fork.
    """

    def __init__(self) -> None:
        # By process id: a child keeps a reference to its parent's loop, so that the garbage
        # collector never closes that loop.
        self._engines: dict[int, _Engine] = {}
        self.check_process: Callable[..., None] = lambda *_: None
        """Raise an error in a process that must not use the loop; here, never."""

    def submit(self, coro: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop and return at once; cancelling the future cancels it.

        Raises:
            CancelledError: The program is exiting.
        """
        check_coroutine("submit", coro)
        with CHANGING:
            engine = self._engines.get(os.getpid())
            if engine is None:
                engine = _Engine()
                try:
                    engine.start()
                except BaseException:
                    coro.close()
                    raise
                self._engines[os.getpid()] = engine
                atexit.register(self.stop)
            return asyncio.run_coroutine_threadsafe(coro, engine.loop)

    def call(self, coro: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine and return its result; the calling thread waits for it.

        If the wait ends early, by the timeout or an interrupt, the coroutine continues.

        Raises:
            TimeoutError: There is no result after `timeout_s` seconds.
            CancelledError: The program is exiting.
            RuntimeError: Called on the background loop's own thread, which would wait forever.
        """
        check_coroutine("call", coro)
        refuse_own_thread(self, "call", coro)
        return self.submit(coro).result(timeout_s)

    def is_own_thread(self) -> bool:
        """Return whether the caller runs on the loop's thread, where waiting would block it."""
        engine = self._engines.get(os.getpid())
        return engine is not None and engine.thread is threading.current_thread()

    def stop(self, wait_s: float = 5.0) -> None:
        """Cancel all coroutines, close the loop and end the thread; the next use starts another.

        Args:
            wait_s: The longest wait for the thread's end, in seconds. On the loop's own thread
                there is no wait.
        """
        with CHANGING:
            engine = self._engines.pop(os.getpid(), None)
            if engine is None:
                return
            atexit.unregister(self.stop)
            engine.stop()
        if engine.thread is not threading.current_thread():
            engine.thread.join(wait_s)


class OwnBackgroundLoop(BackgroundLoop):
    """A background loop for one process; it raises an error in a forked child.

    Args:
        shared: The background loop that runs the coroutines.
        process: The process that may use it.
    """

    def __init__(self, shared: BackgroundLoop, process: OwnProcess) -> None:
        self._engines = shared._engines
        self.check_process = process.check

    def submit(self, coro: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; see `BackgroundLoop.submit`.

        Raises:
            ForkedSession: Called in a forked child.
        """
        check_coroutine("submit", coro)
        try:
            self.check_process()
        except ForkedSession:
            coro.close()
            raise
        return super().submit(coro)


SHARED: Final = BackgroundLoop()


def background_loop() -> BackgroundLoop:
    """Return the background loop that this process shares."""
    return SHARED


def check_coroutine(name: str, coro: object) -> None:
    """Raise a TypeError if the argument is not a coroutine."""
    if not inspect.iscoroutine(coro):
        hint = "; call it" if callable(coro) else ""
        raise TypeError(
            f"{name}() takes a coroutine such as main(), not "
            f"{type(coro).__name__} {coro!r:.80}{hint}"
        )


def refuse_own_thread(loop: BackgroundLoop, name: str, coro: Coroutine[Any, Any, Any]) -> None:
    """Close the coroutine and raise a RuntimeError if called on the loop's own thread."""
    if loop.is_own_thread():
        coro.close()
        raise RuntimeError(
            f"{name}() was called on the background loop's own thread, where it would wait for "
            "itself; await the coroutine instead"
        )


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a worker thread.

    A thread cannot be stopped: a cancelled caller waits for the call to end, so that the call never
    overlaps the caller's next step. When the program ends, Python closes its worker pools before it
    stops daemon threads; a call at that time counts as cancelled, and the next kernel resumes the
    job.
    """
    try:
        return await _to_its_end(
            asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        )
    except RuntimeError as error:
        if "shutdown" in str(error):
            raise asyncio.CancelledError from None
        raise


async def committed(change: Future[T]) -> T:
    """Await a change that `Ledger.submit` queued, without a worker thread; return its result.

    If cancelled, wait for the commit first, as `in_thread` does for its call.
    """
    return await _to_its_end(asyncio.wrap_future(change))


async def _to_its_end(working: asyncio.Future[T]) -> T:
    """Wait for a future that cannot be stopped, even if cancelled."""
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # so that asyncio does not log it as never retrieved
        raise
