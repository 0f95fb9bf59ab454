"""A forked child has its own session and does not end its parent's.

Each test runs a script in a process of its own, since a fork copies all of pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

ROOT = Path(__file__).parents[2]

PREAMBLE = """
import functools, multiprocessing, os, sys, threading, warnings
from pathlib import Path
warnings.simplefilter("ignore")  # Python 3.12 warns of every fork beside threads
import kling_nb.emulator
from tests.support.service import EASY
kling_nb.emulator.Emulator = functools.partial(
    kling_nb.emulator.Emulator, render="canned", limits=EASY
)
import kling_nb as kling
from kling_nb.errors import ForkedSession
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.callback_store import CallbackStore
from kling_nb.jobs.session import Session

WAIT_S = 60
FOLDER = Path(os.environ["KLING_NB_FOLDER"])

def in_child(work):
    "What the work returns or raises in a forked child, in words."
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            words = str(work())
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"
        os.write(write, words.encode())
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        words = pipe.read()
    os.waitpid(child, 0)
    return words

def make(prompt):
    "A clip's file name, made by the default session."
    return Path(kling.text_to_video(prompt, duration=5).result(WAIT_S).path).suffix

def lives(owner):
    "Whether another session of this folder finds this one alive."
    other = Ledger(FOLDER)
    try:
        return other.owner_is_alive(owner)
    finally:
        other.close()
"""


def run(tmp_path: Path, script: str) -> list[str]:
    """The lines that a script prints."""
    done = subprocess.run(
        # Unbuffered: a child would print once more what its parent has not flushed.
        [sys.executable, "-u", "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "KLING_NB_MODE": "emulator",
            "KLING_NB_FOLDER": str(tmp_path / "clips"),
            "KLING_NB_EMULATOR_SECONDS": "0.05",
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_children_of_a_pool_make_clips(tmp_path: Path) -> None:
    """`multiprocessing` forks after the session was made: each child and the parent go on."""
    script = """
    if __name__ == "__main__":
        print(make("first"))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(*pool.map(make, ["one", "two"]), sep="\\n")
        print(make("last"))
    """
    assert run(tmp_path, script) == [".mp4"] * 4


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system lists no threads")
def test_decoding_leaves_no_threads_of_a_library(tmp_path: Path) -> None:
    """With PyAV 19, a child would wait for ever for such threads, which a fork does not copy."""
    script = """
    import time
    from kling_nb.media import clips
    kling_nb.emulator.Emulator = kling_nb.emulator.Emulator.func  # renders from the picture
    clip = kling.text_to_video("first", duration=5).result(WAIT_S)
    kling.image_to_video(clip.frame(0), "second", duration=5).result(WAIT_S)
    clips.make_preview(Path(clip.path))

    def foreign():
        return len(os.listdir("/proc/self/task")) - threading.active_count()

    deadline = time.monotonic() + WAIT_S
    while foreign() and time.monotonic() < deadline:
        time.sleep(0.1)
    print(foreign())
    """
    assert run(tmp_path, script) == ["0"]


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """Its client, ledger owner and emulator are its own; the settings are the configured ones."""
    script = """
    mine = kling.configure(emulator_seconds=0.06)
    make("first")

    def compare():
        own = kling.default_session()
        names = ("emulator", "callback_urls")
        pairs = [(own, mine), *((getattr(own, n), getattr(mine, n)) for n in names)]
        assert all(a is not b for a, b in pairs)
        assert own.ledger.owner != vars(mine)["ledger"].owner
        return own.settings.emulator_seconds, make("second")

    print(in_child(compare))
    print(kling.default_session() is mine, make("third"))
    """
    assert run(tmp_path, script) == ["(0.06, '.mp4')", "True .mp4"]


def test_a_childs_end_ends_nothing_of_the_parent(tmp_path: Path) -> None:
    """Neither closing the parent's session in a child nor the child's exit gives up its lock."""
    script = """
    mine = kling.default_session()
    make("first")
    owner = mine.ledger.owner

    def close():
        mine.close()
        mine.ledger.close()
        return "closed"

    print(in_child(close), lives(owner))
    child = os.fork()
    if not child:
        sys.exit(0)  # runs what is registered with atexit, and finalizers
    os.waitpid(child, 0)
    print(lives(owner), (FOLDER / "owners" / f"{owner}.lock").exists(), make("second"))
    """
    assert run(tmp_path, script) == ["closed True", "True True .mp4"]


def test_a_child_does_not_keep_a_dead_parent_alive(tmp_path: Path) -> None:
    """When the parent is killed its jobs can be taken over, although its child still runs."""
    script = """
    owner_pipe, until = os.pipe(), os.pipe()
    middle = os.fork()
    if not middle:
        ledger = Ledger(FOLDER)
        ledger.open()
        ready = os.pipe()
        if not os.fork():
            os.close(until[1])
            os.write(ready[1], b"x")  # the copies of the parent's locks are closed by now
            os.read(until[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        os.write(owner_pipe[1], ledger.owner.encode())
        os._exit(0)
    os.waitpid(middle, 0)
    print(lives(os.read(owner_pipe[0], 100).decode()))
    os.write(until[1], b"x")
    """
    assert run(tmp_path, script) == ["False"]


def test_a_parents_session_is_refused_in_a_child(tmp_path: Path) -> None:
    """A session or running job of the parent raises one typed error, and nothing waits for ever."""
    script = """
    from kling_nb.models.catalog import TEXT_TO_VIDEO
    from kling_nb.models.clip_request import ClipRequest
    mine = Session(mode="emulator", folder=FOLDER, emulator_seconds=0.05)
    job = mine.text_to_video("a lake", duration=5)
    job.result(WAIT_S)
    slow = Session(mode="emulator", folder=FOLDER, emulator_seconds=600)
    running = slow.text_to_video("a hill", duration=5)
    uses = [
        lambda: mine.text_to_video("a fox", duration=5),
        lambda: mine.quote(ClipRequest(TEXT_TO_VIDEO, {"prompt": "a fox", "duration": 5})),
        lambda: mine.balance(),
        lambda: mine.jobs(),
        lambda: mine.clips(),
        lambda: mine.budget("$3"),
        lambda: mine.star(job.id),
        lambda: mine.job(job.id),
        lambda: mine.resume(),
        lambda: mine.adopt("0" * 32),
        lambda: mine.forget(job.id),
        lambda: job.another_take(),
        lambda: running.result(WAIT_S),
        lambda: running.exception(WAIT_S),
        lambda: running.__await__(),
    ]

    def try_all():
        for use in uses:
            try:
                use()
                print("worked")
            except ForkedSession as error:
                print("belongs to process" in str(error) and "kling_nb." in str(error))
        print(Path(job.result(WAIT_S).path).exists())
        sys.stdout.flush()

    print(len(uses), in_child(try_all))
    """
    *refused, ended, count = run(tmp_path, script)
    assert refused == ["True"] * 15
    assert (ended, count) == ("True", "15 None")


def test_what_other_threads_hold_is_free_in_a_child(tmp_path: Path) -> None:
    """A fork while other threads hold process-wide locks, or work for pages, blocks no child."""
    script = """
    from kling_nb.display import comm as live, threads as workers
    from kling_nb.jobs import default_session as default
    from kling_nb.media import clips
    from kling_nb.emulator.render import worker as studio
    from kling_nb.kie.slots import IN_MEMORY
    workers.draw_later(lambda: None)
    workers.work_later(lambda: None)
    held, over = threading.Event(), threading.Event()

    def hold():
        slots = studio.RENDER_SLOTS
        with default._lock, live._hub_lock, clips._making, slots, slots, IN_MEMORY._lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def use():
        drawn, clicked = threading.Event(), threading.Event()
        workers.draw_later(drawn.set)
        workers.work_later(clicked.set)
        owners = (default, IN_MEMORY)
        locks = [owner._lock for owner in owners]
        locks += [live._hub_lock, clips._making, studio.RENDER_SLOTS]
        free = [lock.acquire(blocking=False) for lock in locks]
        for lock in locks:
            lock.release()
        return free, drawn.wait(WAIT_S), clicked.wait(WAIT_S), make("in a child")

    print(in_child(use))
    over.set()
    """
    assert run(tmp_path, script) == ["([True, True, True, True, True], True, True, '.mp4')"]


@pytest.mark.parametrize("file", ["ledger", "emulator"])
def test_a_fork_waits_for_open_files(tmp_path: Path, file: str) -> None:
    """A fork amid another thread's transaction leaves the child no lock that never ends."""
    script = f"""
    from kling_nb.emulator.account.account import EmulatedAccount
    from kling_nb.storage.database import Database
    if "{file}" == "ledger":
        database = Database(FOLDER / "ledger.sqlite3", timeout_s=0.5)
        database.create()
        write = database.write
    else:
        database = EmulatedAccount(FOLDER / "emulator").database

        def write(change):
            with database.transaction() as connection:
                return change(connection)

    write(lambda connection: connection.execute("CREATE TABLE numbers (n)").close())
    begun, forking = threading.Event(), threading.Event()

    def insert(connection):
        begun.set()
        forking.wait()
        for n in range(2_000):
            connection.execute("INSERT INTO numbers VALUES (?)", (n,))

    thread = threading.Thread(target=write, args=(insert,))
    thread.start()
    begun.wait()
    os.register_at_fork(before=forking.set)

    def count(connection):
        connection.execute("INSERT INTO numbers VALUES (1)")
        return connection.execute("SELECT count(*) FROM numbers").fetchone()[0]

    print(in_child(lambda: write(count)))
    thread.join()
    """
    assert run(tmp_path, script) == ["2001"]


def test_a_child_shows_nothing_that_needs_its_page(tmp_path: Path) -> None:
    """In a forked child of a kernel there is no hub, and outputs are those of a headless run."""
    script = """
    from kling_nb.display import comm as live
    from kling_nb.display.front_end import front_end
    from tests.support.shells import open_shell
    mine = live.hub()
    with open_shell("notebook") as shell:
        print(front_end(shell), in_child(lambda: (front_end(shell), live._hubs)))
    print(live.hub() is mine, mine.comm is not None)
    """
    assert run(tmp_path, script) == ["notebook ('headless', [])", "True True"]


def test_a_child_does_not_hold_the_port_of_the_listener(tmp_path: Path) -> None:
    """The parent's listener goes on at a fork, and its port is free once the parent closes it."""
    script = """
    import socket
    listening = kling.listen()
    port = listening.server.port
    print(in_child(lambda: kling.default_session().callback_urls.listening))
    until = os.pipe()
    ready = os.pipe()
    child = os.fork()
    if not child:
        os.write(ready[1], b"x")
        os.read(until[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    socket.create_connection(("127.0.0.1", port)).close()
    listening.close()
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        print("held")
    except ConnectionRefusedError:
        print("free")
    os.write(until[1], b"x")
    os.waitpid(child, 0)
    """
    assert run(tmp_path, script) == ["None", "free"]


def test_a_fork_waits_for_the_imports_of_the_extension(tmp_path: Path) -> None:
    """A child would wait for ever for a module that a thread of its parent is importing."""
    script = """
    import importlib.abc, signal
    from IPython.core.interactiveshell import InteractiveShell

    for name in [n for n in sys.modules if n == "kling_nb" or n.startswith("kling_nb.")]:
        del sys.modules[name]
    importing, forking = threading.Event(), threading.Event()

    class Slow(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "kling_nb.jobs.session" and not importing.is_set():
                importing.set()
                forking.wait(WAIT_S)

    sys.meta_path.insert(0, Slow())
    InteractiveShell.instance().run_line_magic("load_ext", "kling_nb")
    assert importing.wait(WAIT_S)
    os.register_at_fork(before=forking.set)  # runs before the earlier ones

    def load():
        signal.alarm(WAIT_S)
        import kling_nb.jobs.session
        return "loaded"

    print(in_child(load))
    """
    assert "loaded" in run(tmp_path, script)


def test_a_fork_waits_for_the_first_request_to_the_emulator(tmp_path: Path) -> None:
    """The first request imports the emulator's app in a worker thread."""
    script = """
    import importlib.abc, signal
    importing, forking = threading.Event(), threading.Event()

    class Slow(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "kling_nb.emulator.backend" and not importing.is_set():
                importing.set()
                forking.wait(WAIT_S)

    sys.meta_path.insert(0, Slow())
    threading.Thread(target=kling.default_session().balance).start()
    assert importing.wait(WAIT_S)
    os.register_at_fork(before=forking.set)  # runs before the earlier ones

    def request():
        signal.alarm(WAIT_S)
        return kling.balance()

    print(in_child(request))
    """
    assert run(tmp_path, script) == ["5916.0"]


def test_a_fork_continues_after_the_timeout_of_a_lock(tmp_path: Path) -> None:
    """The lock still belongs to its thread; once that releases it, a fork leaves it free."""
    script = """
    from concurrent.futures import ThreadPoolExecutor
    from kling_nb.emulator.forks import wait_at_fork
    sys.unraisablehook = print  # an error of a fork's hook
    lock = threading.RLock()
    wait_at_fork(lock, timeout_s=0.01)
    held, over = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            over.wait()

    def is_free():
        with ThreadPoolExecutor() as pool:
            return pool.submit(lock.acquire, blocking=False).result()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    print(in_child(lambda: lock.acquire(blocking=False)), is_free())
    over.set()
    thread.join()
    print(in_child(is_free), is_free())
    """
    assert run(tmp_path, script) == ["False False", "True True"]


def test_a_child_tells_no_observer_of_its_parent(tmp_path: Path) -> None:
    """The pages of a gallery are connected to the parent."""
    script = """
    from kling_nb.storage.clip_events import observe_clips

    class Observer:
        told = 0
        def on_clip_change(self, change):
            Observer.told += 1

    observer = Observer()
    observe_clips(observer)
    print(make("first"), Observer.told)
    print(in_child(lambda: (make("second"), Observer.told)))
    """
    assert run(tmp_path, script) == [".mp4 1", "('.mp4', 1)"]
