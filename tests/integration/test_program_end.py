"""A program that ends while threads of the package still work: nothing is shown any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scripts import run_script

BEGIN = """
    import asyncio, atexit, logging, os, threading
    for name in [name for name in os.environ if name.startswith(("KIE_", "KLING_"))]:
        del os.environ[name]
    os.environ |= {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

    @atexit.register  # runs last: after the shell has closed and the background loop has stopped
    def let_threads_end():
        for thread in threading.enumerate():
            if thread.name in ("kling_nb status update", "kling_nb doctor update"):
                thread.join()

    from concurrent.futures import ThreadPoolExecutor
    from contextlib import suppress
    from types import SimpleNamespace
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    content = {"allow_stdin": True}
    shell.kernel = SimpleNamespace(get_parent=lambda _channel: {"content": content})
    from kling_nb.jobs.session import Session
    from kling_nb.notebook import greeting, status
    from kling_nb.notebook.commands import Commands
    from kling_nb.notebook.doctor import report

    def at_the_end(function):
        def run(*args):
            threading.main_thread().join()
            return function(*args)
        return run

    def load_extension():
        shell.run_line_magic("load_ext", "kling_nb")

    def run_doctor():
        Commands(shell).run("doctor")

    def at_the_closing(function):
        def run(*args):
            with suppress(RuntimeError), ThreadPoolExecutor() as pool:
                while True:
                    pool.submit(int).result()
            return function(*args)
        return run

    def start_a_thread(*_):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    begun = threading.Event()
    async def work_forever(*_):
        logging.basicConfig()  # prints what is logged
        begun.set()
        await asyncio.sleep(3600)

    def request_forever(session):
        return session.loop.call(work_forever())
"""


def run_interrupted(interrupted: str, start: str) -> str:
    """Run a program that exits while a thread works; return what it prints.

    Args:
        interrupted: Code that makes the thread wait for the exit.
        start: Code that starts the thread.
    """
    return run_script(f"""{BEGIN}
    {interrupted}
    {start}
    if "forever" in {interrupted!r}:
        begun.wait()
    if "closing" in {interrupted!r}:  # Python waits for the worker that waits
        ThreadPoolExecutor().submit(let_threads_end)
    """)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program has a working directory of its own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "interrupted",
    [
        "greeting.importlib = SimpleNamespace(import_module=at_the_end(start_a_thread))",
        "greeting.default_session = at_the_end(greeting.default_session)",
        "status.describe_balance = at_the_end(status.describe_balance)",
        "status.describe_balance = at_the_closing(status.describe_balance)",
        "status.describe_session = at_the_end(lambda: ['a line'])",
        "Session._resume = work_forever",
    ],
)
def test_the_line_of_the_extension_stays(interrupted: str) -> None:
    """The exit interrupts the opening, a request or the update."""
    printed = run_interrupted(interrupted, "load_extension()")
    assert printed == "kling_nb · clips in kling_clips\n"


@pytest.mark.parametrize(
    "interrupted",
    [
        "report.check_service = at_the_end(report.check_service)",
        "report.check_service = at_the_closing(report.check_service)",
        "Session.balance = request_forever",
    ],
)
def test_the_report_of_the_doctor_stays(interrupted: str) -> None:
    """The report still says that the service is being checked."""
    printed = run_interrupted(interrupted, "run_doctor()")
    assert printed.count("checking  Service: requesting the balance…") == 1
    assert printed.count("Service") == 1
