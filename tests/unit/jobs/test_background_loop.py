"""What `background_loop` promises: a loop that is always free."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from kling_nb.emulator.http.callback_sender import CallbackLoop
from kling_nb.jobs.background_loop import (
    BackgroundLoop,
    PortalLoop,
    SelectorLoop,
    background_loop,
    committed,
)
from kling_nb.jobs.run_coroutine import run
from tests.support.scripts import answer, run_script

PATIENCE_S = 20.0


@pytest.fixture
def own() -> Iterator[BackgroundLoop]:
    """A portal of the test's own, stopped at its end."""
    made = BackgroundLoop()
    yield made
    made.stop()


def test_one_daemon_thread_by_name(own: BackgroundLoop) -> None:
    """Everything runs on one thread, which people can tell in a dump and which ends with us."""

    async def where() -> threading.Thread:
        return threading.current_thread()

    first, second = own.call(where()), own.submit(where()).result(PATIENCE_S)
    assert first is second is not threading.current_thread()
    assert (first.name, first.daemon) == ("kling_nb", True)
    assert background_loop() is background_loop()


def test_nothing_starts_before_the_first_use() -> None:
    """A portal costs nothing until it is used, also to stop."""
    before = threading.active_count()
    BackgroundLoop().stop()
    assert threading.active_count() == before


def test_many_threads_share_one_loop(own: BackgroundLoop) -> None:
    """First uses at the same time start one loop, not several."""
    ready = threading.Barrier(8)
    loops: list[asyncio.AbstractEventLoop] = []

    async def which() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def use() -> None:
        ready.wait()
        loops.append(own.call(which()))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loops) == 8
    assert len(set(loops)) == 1


def test_call_on_the_own_thread_raises(own: BackgroundLoop) -> None:
    """Instead of waiting for itself for ever, it says what to do."""
    waiting = answer()

    async def wait_for_itself() -> None:
        assert own.is_own_thread()
        own.call(waiting)

    with pytest.raises(RuntimeError, match=r"call\(\).*background loop's own thread.*await"):
        own.call(wait_for_itself())
    assert not own.is_own_thread()


def test_timeout_leaves_the_coroutine_running(own: BackgroundLoop) -> None:
    """The wait ends, the work does not."""
    go = threading.Event()
    seen = threading.Event()

    async def work() -> None:
        await asyncio.to_thread(go.wait)
        seen.set()

    with pytest.raises(TimeoutError):
        own.call(work(), timeout_s=0.01)
    go.set()
    assert seen.wait(PATIENCE_S)


def test_interrupt_leaves_the_coroutine_running() -> None:
    """Ctrl-C in the waiting thread does not reach the loop."""
    printed = run_script(
        """
        import asyncio, signal, threading
        from kling_nb.jobs.background_loop import background_loop
        go, seen = threading.Event(), threading.Event()
        async def work():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await asyncio.to_thread(go.wait)
            seen.set()
        try:
            background_loop().call(work())
        except KeyboardInterrupt:
            go.set()
            print("interrupted", seen.wait(20))
        """
    )
    assert printed == "interrupted True\n"


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, SystemExit])
def test_the_loop_survives(own: BackgroundLoop, kind: type[BaseException]) -> None:
    """What a coroutine raises is raised in the caller, and ends only that coroutine."""

    async def leave() -> None:
        raise kind

    async def where() -> threading.Thread:
        return threading.current_thread()

    before = own.call(where())
    with pytest.raises(kind):
        own.call(leave())
    assert own.call(where()) is before


def test_stop_cancels_and_cleans_up() -> None:
    """What runs is cancelled, its clean-up is awaited, its waiters are told."""
    own, steps, started = BackgroundLoop(), [], threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned")

    future = own.submit(work())
    started.wait(PATIENCE_S)
    own.stop()
    assert steps == ["cleaned"]
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)


def test_stop_closes_async_generators() -> None:
    """A generator that was left half way runs its `finally`."""
    own, steps = BackgroundLoop(), []

    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            steps.append("closed")

    counting = count()

    async def start() -> int:
        return await anext(counting)

    assert own.call(start()) == 1
    own.stop()
    assert steps == ["closed"]


def test_use_after_stop_starts_anew() -> None:
    """A stopped portal is as good as a new one."""
    own = BackgroundLoop()
    for _ in range(2):
        assert own.call(answer()) == 42
        own.stop()
        own.stop()


def test_stop_on_the_own_thread_does_not_wait(own: BackgroundLoop) -> None:
    """A job may stop the background loop that it runs on."""

    async def stop() -> None:
        own.stop()

    own.call(stop())
    assert own.call(answer()) == 42


def test_exit_is_silent_and_clean() -> None:
    """At exit what runs is cancelled and cleaned up, without a warning."""
    printed = run_script(
        """
        import asyncio
        from kling_nb.jobs.background_loop import background_loop
        async def work():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)
                print("cleaned")
        background_loop().submit(work())
        background_loop().call(asyncio.sleep(0))
        """
    )
    assert printed == "cleaned\n"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("can't create new thread at interpreter shutdown", CancelledError),
        ("can't start new thread", RuntimeError),
    ],
)
def test_work_is_cancelled_if_no_thread_starts_at_exit(
    own: BackgroundLoop, monkeypatch: pytest.MonkeyPatch, message: str, kind: type[Exception]
) -> None:
    """Python 3.12 and later refuse it; a limit of the system is another error."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError(message)

    async def submit() -> None:  # as a cell, beside a running loop
        own.submit(answer())

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(kind):
            asyncio.run(submit())
    gc.collect()  # a coroutine or a loop that was left open would warn
    assert own.call(answer()) == 42


def test_exit_starts_no_thread() -> None:
    """Python 3.12.0 to 3.12.2 start no thread at exit; the worker threads end without one."""
    printed = run_script(
        """
        import asyncio, atexit, threading
        from kling_nb.jobs.background_loop import background_loop
        print(background_loop().call(asyncio.to_thread(len, "four")))
        def refuse(*_):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        def tell(failure):
            print("failed:", failure.exc_value)
        threading.excepthook = tell
        # The function that is registered last runs first at exit.
        atexit.register(setattr, threading.Thread, "start", refuse)
        """
    )
    assert printed == "4\n"


@pytest.mark.parametrize("kind", [PortalLoop, SelectorLoop, CallbackLoop])
def test_closing_a_loop_starts_no_thread(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Every loop that may close at exit ends its worker threads without another thread."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with asyncio.Runner(loop_factory=kind) as runner:
        assert runner.run(asyncio.to_thread(len, "four")) == 4
        monkeypatch.setattr(threading.Thread, "start", refuse)


def test_stop_waits_for_worker_threads(own: BackgroundLoop) -> None:
    """A thread that still works when the background loop stops has ended when `stop` returns."""
    started, go, steps = threading.Event(), threading.Event(), []

    def work() -> None:
        started.set()
        go.wait(PATIENCE_S)
        steps.append("worked")

    own.submit(asyncio.to_thread(work))
    started.wait(PATIENCE_S)
    threading.Timer(0.05, go.set).start()
    own.stop(PATIENCE_S)
    assert steps == ["worked"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork_starts_fresh() -> None:
    """In a forked child the background loop works, and the parent's goes on."""
    printed = run_script(
        """
        import asyncio, os, sys
        from kling_nb.jobs.background_loop import background_loop
        async def pid():
            return os.getpid()
        assert background_loop().call(pid()) == os.getpid()
        child = os.fork()
        assert background_loop().call(pid(), timeout_s=20) == os.getpid()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print("both")
        """
    )
    assert printed == "both\n"


@pytest.mark.parametrize("wrong", [answer, 7, None, "main()"])
@pytest.mark.parametrize("way", ["submit", "call", "run"])
def test_only_coroutines(own: BackgroundLoop, way: str, wrong: Any) -> None:
    """The message says what was given, and to call a function that was only named."""
    take = run if way == "run" else getattr(own, way)
    with pytest.raises(TypeError) as caught:
        take(wrong)
    assert f"{way}() takes a coroutine" in str(caught.value)
    assert type(wrong).__name__ in str(caught.value)
    assert str(caught.value).endswith("call it") == callable(wrong)


def test_a_cancelled_job_waits_for_its_commit() -> None:
    """The next step of the job never overlaps the change."""

    async def cancel() -> tuple[bool, bool]:
        change: Future[int] = Future()
        waiting = asyncio.create_task(committed(change))
        await asyncio.sleep(0)
        waiting.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        was_done = waiting.done()
        change.set_result(1)
        await asyncio.wait([waiting])
        return was_done, waiting.cancelled()

    assert asyncio.run(cancel()) == (False, True)


def test_the_result_of_a_commit_is_awaited() -> None:
    """Or its error."""

    async def wait() -> int:
        change: Future[int] = Future()
        change.set_result(1)
        failed: Future[int] = Future()
        failed.set_exception(KeyError())
        with pytest.raises(KeyError):
            await committed(failed)
        return await committed(change)

    assert asyncio.run(wait()) == 1
