"""What `run_coroutine` promises: it works inside a running loop and patches nothing shared."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import kling_nb.jobs.run_coroutine as module
from kling_nb.jobs.background_loop import background_loop
from kling_nb.jobs.run_coroutine import run
from tests.support.scripts import answer, run_script

PATIENCE_S = 20.0


async def inside(steps: Any) -> Any:
    """Call a plain function within a running loop of the standard class."""
    task = asyncio.current_task()
    result = steps()
    assert asyncio.current_task() is task
    await asyncio.sleep(0)
    return result


def test_run_with_and_without_a_running_loop() -> None:
    """In a script it is a plain `asyncio.run`; below `await` or in a callback it works as well."""
    assert run(answer()) == 42
    assert asyncio.run(inside(lambda: run(answer()))) == 42


def test_run_stays_in_the_callers_thread() -> None:
    """The coroutine sees the cell's thread, so thread-bound objects work."""

    async def where() -> threading.Thread:
        return threading.current_thread()

    assert asyncio.run(inside(lambda: run(where()))) is threading.current_thread()


def test_run_raises_what_the_coroutine_raises() -> None:
    """Exceptions are the coroutine's own, ValueError too."""

    async def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(inside(lambda: run(fail())))


def test_run_within_run_shares_the_loop() -> None:
    """An event of the outer coroutine's loop can be waited for in the inner one."""

    async def outer() -> int:
        event = asyncio.Event()
        asyncio.get_running_loop().call_soon(event.set)

        async def inner() -> int:
            await event.wait()
            return run(answer(1)) + 1

        return run(inner()) + await answer(1)

    assert run(outer()) == 3
    assert asyncio.run(inside(lambda: run(outer()))) == 3


def test_two_tasks_may_each_run_within_run() -> None:
    """Inner runs of several tasks unwind in any order."""

    async def wait(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    async def plain(turns: int) -> int:
        return run(wait(turns))

    async def outer() -> list[int]:
        return await asyncio.gather(plain(5), plain(50), plain(1))

    assert run(outer()) == [5, 50, 1]


def test_timeouts_work_inside() -> None:
    """`asyncio.timeout` finds the current task, also around and after an inner run."""

    async def outer() -> str:
        try:
            async with asyncio.timeout(0.01):
                run(answer())
                await asyncio.Event().wait()
        except TimeoutError:
            return "in time"
        return "too late"

    assert asyncio.run(inside(lambda: run(outer()))) == "in time"


def test_task_groups_work_inside() -> None:
    """A failing member cancels the others, as in any loop."""

    async def fail() -> None:
        run(answer())
        raise KeyError("member")

    async def outer() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(asyncio.Event().wait())

    with pytest.raises(ExceptionGroup):
        run(outer())


def test_several_threads_at_once() -> None:
    """Each thread has a loop of its own, the first calls included."""
    ready, results = threading.Barrier(6), []

    async def nested(value: int) -> int:
        return run(answer(value)) + await answer(value)

    def use(value: int) -> None:
        ready.wait()
        results.append(run(nested(value)))

    threads = [threading.Thread(target=use, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 2, 4, 6, 8, 10]


def test_what_was_left_running_is_cancelled() -> None:
    """Like `asyncio.run`: no task and no generator outlives the call, whatever runs around it."""
    steps: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("cancelled")

    async def count() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            steps.append("closed")

    kept: list[Any] = []

    async def main() -> None:
        kept.extend([asyncio.create_task(linger()), count()])
        await anext(kept[1])
        await asyncio.sleep(0)

    assert asyncio.run(inside(lambda: run(main()) or sorted(steps))) == ["cancelled", "closed"]


def test_context_variables_are_copied() -> None:
    """The coroutine sees the cell's context and does not change it."""
    colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour")
    colour.set("red")

    async def paint() -> str:
        seen = colour.get()
        colour.set("blue")
        return seen

    assert run(paint()) == "red"
    assert colour.get() == "red"


def test_run_on_the_portals_thread_raises() -> None:
    """There it would stop every job; it says so."""
    waiting = answer()

    async def nested() -> None:
        run(waiting)

    with pytest.raises(RuntimeError, match=r"run\(\).*background loop's own thread"):
        background_loop().call(nested())


def test_run_leaves_asyncio_as_it_was() -> None:
    """Nothing that others share is replaced, by the first call and by later ones."""
    printed = run_script(
        """
        import asyncio, tornado.concurrent
        policy = type(asyncio.get_event_loop_policy())
        owners = [asyncio, asyncio.events, asyncio.tasks, asyncio.futures, asyncio.runners, policy,
                  asyncio.BaseEventLoop, asyncio.SelectorEventLoop, tornado.concurrent]
        before = [dict(vars(owner)) for owner in owners]
        from kling_nb.jobs.run_coroutine import run
        async def main():
            async def inner():
                future = asyncio.get_running_loop().create_future()
                return type(asyncio.current_task()), type(future)
            return run(inner())
        async def kernel():
            return run(main())
        assert asyncio.run(kernel()) == run(main()) == (asyncio.Task, asyncio.Future)
        for owner, names in zip(owners, before, strict=True):
            now = dict(vars(owner))
            assert now.keys() == names.keys(), now.keys() ^ names.keys()
            assert all(now[name] is names[name] for name in names), owner
        asyncio.run(main(), debug=False)
        print("as it was")
        """
    )
    assert printed == "as it was\n"


def test_a_user_may_still_apply_nest_asyncio() -> None:
    """Theirs before ours and ours before theirs: both go on working."""
    for first, second in [("theirs()", "ours()"), ("ours()", "theirs()")]:
        printed = run_script(
            f"""
            import asyncio, warnings
            from kling_nb.jobs.run_coroutine import run
            async def answer():
                await asyncio.sleep(0)
                return 42
            async def main():
                return run(answer())
            def ours():
                assert run(main()) == 42
            def theirs():
                import nest_asyncio
                loop = asyncio.new_event_loop()
                nest_asyncio.apply(loop)
                async def nested():
                    ours()
                    return loop.run_until_complete(answer())
                assert loop.run_until_complete(nested()) == 42
                loop.close()
            {first}
            {second}
            {first}
            print("fine")
            """
        )
        assert printed == "fine\n"


def test_a_loop_that_cannot_be_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the coroutine runs in a thread: context copied, everything cleaned up."""

    def refuse() -> None:
        raise ValueError("cannot patch")

    monkeypatch.setattr(module, "make_nestable", refuse)
    colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour")
    colour.set("red")

    async def paint() -> tuple[str, bool]:
        assert run(answer()) == 42
        return colour.get(), threading.current_thread() is threading.main_thread()

    before = threading.active_count()
    assert asyncio.run(inside(lambda: run(paint()))) == ("red", False)
    assert threading.active_count() == before


INTERRUPTED = """
    import asyncio, os, signal, threading
    import kling_nb.jobs.run_coroutine as module
    from kling_nb.jobs.run_coroutine import run
    async def work():
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            print("cleaned")
            raise
    async def outer():
        return run(work())
    def refuse():
        raise ValueError
    def shout(*_):
        raise KeyboardInterrupt("shouted")
    handler = signal.getsignal(signal.SIGINT)
    try:
        {start}
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is handler)
    async def later():
        return "alive"
    print(run(later()))
"""


@pytest.mark.parametrize(
    "start",
    [
        "run(work())",
        "run(outer())",
        "module.make_nestable = refuse; run(work())",
        "handler = shout; signal.signal(signal.SIGINT, shout); run(work())",
    ],
    ids=["plain", "nested", "in a thread", "another handler"],
)
def test_interrupt_cancels_and_goes_on(start: str) -> None:
    """The coroutine is cancelled, its clean-up awaited, then KeyboardInterrupt is raised."""
    assert run_script(INTERRUPTED.format(start=start)) == "cleaned\ninterrupted True\nalive\n"


def test_interrupt_comes_at_an_await() -> None:
    """Never in the middle of a step, where it could lose what would have woken the coroutine."""
    printed = run_script(
        """
        import asyncio, os, signal
        from kling_nb.jobs.run_coroutine import run
        async def work():
            os.kill(os.getpid(), signal.SIGINT)
            print("step done")
            await asyncio.sleep(3600)
        try:
            run(work())
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert printed == "step done\ninterrupted\n"


# --- in a kernel -------------------------------------------------------------------------------

WAITING_CELL = """
import asyncio
from kling_nb.jobs.run_coroutine import run

async def wait(number):
    await asyncio.sleep(0.05)
    return number

run(wait({number}))
"""
KERNEL_CELL = """
import tornado.concurrent
loop = asyncio.get_running_loop()
assert type(loop).run_until_complete is asyncio.BaseEventLoop.run_until_complete
assert "_run_once" not in vars(type(loop))
assert not hasattr(loop, "_nest_patched")
assert asyncio.run.__module__ == "asyncio.runners"
await asyncio.sleep(0)
"untouched"
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """A client of a real kernel."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def collect(client: Any, sent: list[str]) -> list[str]:
    """What each of the requests gave, a result or an error, in the order of the requests."""
    told = dict.fromkeys(sent, "")
    idle = 0
    while idle < len(sent):
        message = client.get_iopub_msg(timeout=PATIENCE_S)
        content, parent = message["content"], message["parent_header"].get("msg_id")
        idle += content.get("execution_state") == "idle" and parent in told
        if message["msg_type"] == "execute_result":
            told[parent] += content["data"]["text/plain"]
        if message["msg_type"] == "error":
            told[parent] += content["ename"]
    return list(told.values())


@pytest.mark.kernel
def test_queued_cells_all_run(kernel: Any) -> None:
    """Run All, as JupyterLab sends it: every cell that waits by `run` runs, then the next."""
    cells = [WAITING_CELL.format(number=number) for number in (1, 2, 3)]
    sent = [kernel.execute(cell) for cell in cells]
    assert collect(kernel, sent) == ["1", "2", "3"]


@pytest.mark.kernel
def test_run_below_await_in_a_cell(kernel: Any) -> None:
    """In a plain function that an `await` cell calls, the kernel's own loop is running."""
    sent = [kernel.execute(WAITING_CELL.format(number=4) + "await asyncio.sleep(0)\nrun(wait(5))")]
    assert collect(kernel, sent) == ["5"]


@pytest.mark.kernel
def test_the_kernels_loop_is_never_patched(kernel: Any) -> None:
    """Its class has its own methods still, after `run` was used."""
    sent = [kernel.execute(cell) for cell in (WAITING_CELL.format(number=6), KERNEL_CELL)]
    assert collect(kernel, sent) == ["6", "'untouched'"]


@pytest.mark.kernel
def test_interrupt_in_a_kernel(kernel: Any) -> None:
    """The interrupt button gives KeyboardInterrupt, and the coroutine has ended by then."""
    cell = (
        WAITING_CELL.format(number=7)
        + """
import os, signal
steps = []

async def forever():
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        steps.append("cleaned")

run(forever())
"""
    )
    assert collect(kernel, [kernel.execute(cell)]) == ["KeyboardInterrupt"]
    assert collect(kernel, [kernel.execute("steps, run(wait(8))")]) == ["(['cleaned'], 8)"]
