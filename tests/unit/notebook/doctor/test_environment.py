"""The doctor's checks of the machine and the service: each has a fix for what is wrong."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import re
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from kling_nb.display.html import Finding
from kling_nb.errors import (
    ConfigurationError,
    EndpointNotFound,
    KlingError,
    NotSent,
    ServerFault,
    Unauthorized,
    UnreadableAnswer,
)
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.session import Session
from kling_nb.notebook.doctor import environment, service
from kling_nb.notebook.doctor.report import examine
from tests.support.service import World

KEY = "sk-never-to-be-seen"


def status_of(findings: list[Finding]) -> dict[str, str]:
    """Each finding's status by its name."""
    return {each.name: each.status for each in findings}


# --- packages, folder, disk -------------------------------------------------------------------


def test_packages_are_listed() -> None:
    """With the versions that are installed here."""
    found = environment.check_packages()
    assert found.status == "ok"
    assert f"anywidget {importlib.metadata.version('anywidget')}" in found.message


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    """What installs without a complaint has none here."""
    text = (Path(__file__).parents[4] / "pyproject.toml").read_text()
    for name, (lowest, _) in environment.PACKAGES.items():
        assert re.search(rf'"{name}>={re.escape(lowest)}[",]', text), (name, lowest)


def test_an_old_and_a_missing_package_are_named() -> None:
    """With what they are for, and the command that mends it."""

    def version_of(name: str) -> str:
        if name == "anywidget":
            raise importlib.metadata.PackageNotFoundError(name)
        return "7.1.0rc1" if name == "ipykernel" else "99"

    found = environment.check_packages(version_of)
    assert found.status == "warn"
    assert "ipykernel 7.1.0rc1 is older than 7.4" in found.message
    assert "anywidget is missing" in found.message
    assert "%pip install -U ipykernel anywidget" in found.fix


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    """Nothing is left there; one that is not there yet is not made."""
    assert environment.check_folder(tmp_path).status == "ok"
    assert environment.check_folder(tmp_path / "a" / "b").status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_the_home_folder_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook with the findings may be published."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = environment.check_folder(tmp_path / "film" / "clips")
    assert found.message == "~/film/clips will be created with the first clip"


@pytest.mark.parametrize(
    ("number", "fix"), [(errno.ENOSPC, "Free some space"), (errno.EROFS, "Change its permissions")]
)
@pytest.mark.parametrize("name", ["clips", "clips/not/yet"])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fix: str, name: str
) -> None:
    """A file is written, since permissions do not show a full disk; the fix fits the error."""
    (tmp_path / "clips").mkdir()

    def refuse(dir: Path) -> Any:
        assert dir == tmp_path / "clips"
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = environment.check_folder(tmp_path / name)
    assert found.status == "bad"
    assert os.strerror(number) in found.message
    assert found.fix.startswith(fix)
    assert "KLING_NB_FOLDER" in found.fix


@pytest.mark.parametrize(
    ("free", "status"), [(5_000_000_000, "ok"), (600_000_000, "warn"), (1_000_000, "bad")]
)
def test_room_on_the_disk(tmp_path: Path, free: int, status: str) -> None:
    """Little is a warning, too little for a clip is broken; both say what to do."""
    found = environment.check_disk(tmp_path / "not yet", lambda _: free)
    assert found.status == status
    assert bool(found.fix) == (status != "ok")


# --- the service -------------------------------------------------------------------------------


def failing(error: Exception) -> Callable[[], Any]:
    """Return a function that raises this."""

    def fail() -> Any:
        raise error

    return fail


def test_the_balance_is_shown(open_session: Callable[..., Any]) -> None:
    """With the mode, and why."""
    session, mode = service.open_session(open_session)
    assert session is not None
    assert mode.message == "emulator (as configured)"
    assert "balance 5,916" in service.check_service(session).message


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (Unauthorized(401, "no such key"), "%kling login"),
        (NotSent("no connection"), "HTTPS_PROXY"),
        (EndpointNotFound(404, "no such page"), "KLING_NB_API_URL"),
        (UnreadableAnswer(200, "<html>"), "log-in page"),
        (ServerFault(500, "broken"), "later"),
    ],
)
def test_a_service_that_does_not_answer_has_a_fix(
    open_session: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    error: KlingError,
    fix: str,
) -> None:
    """Each kind its own."""
    session = open_session(mode="live", api_key=KEY)
    monkeypatch.setattr(session, "balance", failing(error))
    found = service.check_service(session)
    assert (found.status, found.message) == ("bad", str(error))
    assert fix in found.fix


def test_a_server_that_is_not_the_services_own_is_named(
    open_session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of the service is refused there, and copying it once more would not help."""
    url = "http://127.0.0.1:8787"
    opening = partial(open_session, mode="live", api_key=KEY, api_url=url)
    session, mode = service.open_session(opening)
    assert session is not None
    assert mode.message.endswith(f" at {url}")
    monkeypatch.setattr(session, "balance", failing(Unauthorized(401, "no such key")))
    fix = service.check_service(session).fix
    assert fix.startswith(url)
    assert "KLING_NB_API_URL" in fix


def test_an_emulator_that_broke_off_is_no_matter_of_the_network(
    open_session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works in this kernel: the folder it writes to is what to look at."""
    session = open_session()
    monkeypatch.setattr(session, "balance", failing(NotSent("api.kie.ai: RemoteProtocolError")))
    found = service.check_service(session)
    assert (found.status, found.message) == ("bad", "the emulator stopped unexpectedly")
    assert "Folder and Disk" in found.fix
    assert "network" not in found.fix


def test_a_service_that_never_answers_is_not_waited_for(
    open_session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report goes on without it."""
    answered = threading.Event()
    session = open_session(mode="live", api_key=KEY)
    monkeypatch.setattr(session, "balance", lambda: 1.0 if answered.wait() else 0.0)
    found = service.check_service(session, timeout_s=0.01)
    answered.set()
    assert (found.status, found.message) == ("bad", "no answer in 0.01 s")
    assert "HTTPS_PROXY" in found.fix


def test_a_balance_below_the_cheapest_clip_is_a_warning(
    open_session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what that costs."""
    session = open_session()
    monkeypatch.setattr(session, "balance", lambda: 24.0)
    found = service.check_service(session)
    assert found.status == "warn"
    assert "25 credits" in found.fix


def test_a_wrong_key_is_found_and_not_shown(open_session: Callable[..., Any]) -> None:
    """The service's answer is passed on, the key is not."""

    def refuse(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return httpx.Response(200, json={"code": 401, "msg": "no access", "data": None})

    session = open_session(mode="live", api_key=KEY, transport=httpx.MockTransport(refuse))
    found = service.check_service(session)
    assert found.status == "bad"
    assert "401" in found.message
    assert "%kling login" in found.fix
    assert KEY not in repr(found)


def test_settings_that_do_not_go_together_leave_the_rest(tmp_path: Path) -> None:
    """The folder, the disk and the packages are looked at nevertheless."""
    fail = failing(ConfigurationError("mode: 'live' needs a key"))
    found = status_of(examine(fail, "terminal"))
    assert found["Settings"] == "bad"
    assert found["Disk"] == "ok"
    assert "Service" not in found


@pytest.mark.parametrize("wrong", ["KLING_NB_API_URL", "KLING_NB_EMULATOR_SECONDS"])
def test_a_wrong_setting_does_not_hide_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """What is looked at is the folder that was set, and not another one."""
    monkeypatch.setenv("KLING_NB_MODE", "live")
    monkeypatch.setenv(wrong, "nonsense")
    monkeypatch.setenv("KLING_NB_FOLDER", str(tmp_path / "mine"))
    assert service.find_folder(None) == tmp_path / "mine"


def test_where_the_folder_is_what_is_wrong_none_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would be praised in its place."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KLING_NB_FOLDER", str(tmp_path / "file"))
    fail = failing(ConfigurationError("KLING_NB_FOLDER: is a file"))
    found = status_of(examine(fail, "terminal"))
    assert found["Settings"] == "bad"
    assert not {"Folder", "Disk", "Ledger"} & set(found)


def test_whether_callbacks_are_heard(world: World) -> None:
    """The finding is ok with and without a listener."""
    session = SimpleNamespace(callback_urls=world.context.callback_urls)
    found = service.check_callbacks(cast(Session, session))
    assert (found.status, found.fix) == ("ok", "")
    assert "jobs are polled" in found.message
    hearing = session.callback_urls
    hearing.switch_to(Listening(hearing, "https://my.example/cb", stop=lambda: None))
    found = service.check_callbacks(cast(Session, session))
    assert (found.status, found.message) == ("ok", "received at https://my.example/cb")
