"""Fixtures of all tests: no settings of this machine, no waits, and emulators."""

from __future__ import annotations

import errno
import functools
import io
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from PIL import Image

from kling_nb.core.job_state import Saved
from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.storage.ledger import Ledger
from tests.support.html_states import NOW
from tests.support.service import (
    EASY,
    KEY,
    LiveAccount,
    Served,
    World,
    emulated_account,
    serve,
)

OURS = ("KIE_", "KLING_")


@pytest.fixture(scope="session", autouse=True)
def nobodys_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home without settings, keys or clips, for this process and its children."""
    with pytest.MonkeyPatch.context() as patch:
        # matplotlib's font cache takes seconds to make; it is no setting of ours.
        patch.setenv("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Make SIGINT interrupt, here and in the processes that tests start.

    A program that is started in the background (`pytest &`, nohup, many CI runners) inherits it as
    ignored, and so do its children.
    """
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session")
def user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for each user; none is made. `tmp_path` looks at all folders to make one."""
    users = tmp_path_factory.mktemp("users")
    return (users / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def nothing_paid_before(
    nobodys_machine: None, user_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Each test has its own index of what was paid and its own rate budget, made at first use."""
    user = next(user_folders)
    monkeypatch.setenv("XDG_DATA_HOME", str(user / "user data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(user / "user state"))
    return user


@pytest.fixture(autouse=True)
def no_back_off() -> Iterator[None]:
    """Retries follow at once."""
    with stamina.set_testing(True, attempts=8, cap=True):
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An emulator, a ledger and a clock that stands still."""
    world = World(tmp_path / "clips")
    yield world
    world.close()


@pytest.fixture
def open_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens sessions, by default in one folder and with a quick emulator; closes them."""
    import kling_nb.emulator
    from kling_nb.jobs.session import Session

    quick = functools.partial(kling_nb.emulator.Emulator, render="canned", limits=EASY)
    monkeypatch.setattr(kling_nb.emulator, "Emulator", quick)
    opened: list[Session] = []

    def begin(**given: Any) -> Session:
        usual = {"mode": "emulator", "folder": tmp_path / "clips", "emulator_seconds": 0.05}
        opened.append(Session(**(usual | given)))
        return opened[-1]

    yield begin
    for session in opened:
        session.close()


@pytest.fixture
def told_notebook() -> str:
    """Which notebook the front end names; none, unless a test file says so."""
    return ""


@pytest.fixture
def session(
    open_session: Callable[..., Any],
    told_notebook: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Any:
    """The default session, and its folder's parent to work in.

    Another one that a command makes shares the folder.
    """
    from kling_nb.jobs import default_session

    monkeypatch.chdir(tmp_path)
    session = open_session(notebook=lambda: told_notebook)
    monkeypatch.setattr(default_session, "_current", session)
    monkeypatch.setattr(
        default_session, "_given", {"folder": tmp_path / "clips", "emulator_seconds": 0.05}
    )
    return session


@pytest.fixture
def account(session: Any) -> Any:
    """The account of the default session's emulator."""
    return emulated_account(session)


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trash of this test: a folder."""
    folder = tmp_path / "trash"
    folder.mkdir()
    monkeypatch.setattr("send2trash.send2trash", lambda path: path.rename(folder / path.name))
    return folder


@pytest.fixture
def no_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without a trash."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EACCES, "no trash on this file system")

    monkeypatch.setattr("send2trash.send2trash", refuse)


@pytest.fixture
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveAccount]:
    """A live account for several folders; a clip takes ten minutes, or the fixture's parameter."""
    account = LiveAccount(tmp_path, getattr(request, "param", 600))
    yield account
    account.close()


@pytest.fixture
def shell() -> Iterator[Any]:
    """A notebook's shell."""
    from tests.support.shells import open_shell

    with open_shell("notebook") as shell:
        yield shell


@pytest.fixture
def command(shell: Any, session: Any) -> Any:
    """The commands of that shell, for the default session."""
    from kling_nb.notebook.commands import Commands

    return Commands(shell)


@pytest.fixture(scope="session")
def served(nobodys_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An emulator in a process of its own, for all tests: count differences."""
    with serve(tmp_path_factory.mktemp("served")) as service:
        yield service


@pytest.fixture
def open_live(
    open_session: Callable[..., Any],
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Any]:
    """Opens live sessions of the served emulator, in a folder by name."""
    # A live clip takes minutes, so that the first poll waits for seconds.
    schedule = learn_schedule((), 0.3)
    monkeypatch.setattr("kling_nb.core.poll_schedule.learn_schedule", lambda *given: schedule)

    def begin(name: str) -> Any:
        return open_session(**served.settings(tmp_path / name) | {"mode": "live", "api_key": KEY})

    return begin


@pytest.fixture
def photo() -> bytes:
    """A small PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (96, 64), "#884422").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger, closed at the end."""
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Ledger]:
    """Another session of the same folder, in the same process."""
    other = Ledger(tmp_path)
    yield other
    other.close()


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny clip on disk."""
    from PIL import Image

    from kling_nb.emulator.render.encode import render_clip

    path = tmp_path_factory.mktemp("clips") / "20261122-140500-k7f2qd.mp4"
    picture = Image.new("RGB", (64, 36), "firebrick")
    render_clip(picture, path, size=(64, 36), length_s=1.0, sound=False, stop=lambda: False)
    return path


@pytest.fixture(scope="session")
def saved(clip_path: Path) -> Saved:
    """The state of a job with that clip."""
    from kling_nb.media.clips import probe_clip

    return Saved("t" * 32, probe_clip(clip_path), 55.0, NOW)
