"""The doctor's checks: each looks at one thing, and has a fix for what is wrong with it."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from kling_nb.doctor import checks, examine, service
from kling_nb.errors import (
    ConfigurationError,
    KlingError,
    NotSent,
    ServerFault,
    Unauthorized,
)
from kling_nb.hearing import Listening
from kling_nb.html import Finding
from kling_nb.ledger import Ledger
from kling_nb.session import Session
from kling_nb.states import Stage
from tests.service import World

KEY = "sk-never-to-be-seen"


def status_of(findings: list[Finding]) -> dict[str, str]:
    """Each finding's status by its name."""
    return {each.name: each.status for each in findings}


# --- packages, folder, disk, ledger, jobs ------------------------------------------------------


def test_packages_are_listed() -> None:
    """With the versions that are installed here."""
    found = checks.check_packages()
    assert found.status == "ok"
    assert f"anywidget {importlib.metadata.version('anywidget')}" in found.said


def test_an_old_and_a_missing_package_are_named() -> None:
    """With what they are for, and the command that mends it."""

    def version_of(name: str) -> str:
        if name == "anywidget":
            raise importlib.metadata.PackageNotFoundError(name)
        return "7.1.0rc1" if name == "ipykernel" else "99"

    found = checks.check_packages(version_of)
    assert found.status == "warn"
    assert "ipykernel 7.1.0rc1 is older than 7.4" in found.said
    assert "anywidget is missing" in found.said
    assert "%pip install -U ipykernel anywidget" in found.fix


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    """Nothing is left there; one that is not there yet is not made."""
    assert checks.check_folder(tmp_path).status == "ok"
    assert checks.check_folder(tmp_path / "a" / "b").status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Because it is a file, or because nothing may be made above it."""
    file = tmp_path / "file"
    file.touch()
    assert checks.check_folder(file).status == "bad"
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = checks.check_folder(tmp_path / "clips")
    assert found.status == "bad"
    assert "KLING_NB_FOLDER" in found.fix


@pytest.mark.parametrize(
    ("free", "status"), [(5_000_000_000, "ok"), (600_000_000, "warn"), (1_000_000, "bad")]
)
def test_room_on_the_disk(tmp_path: Path, free: int, status: str) -> None:
    """Little is a warning, too little for a clip is broken; both say what to do."""
    found = checks.check_disk(tmp_path / "not yet", lambda _: free)
    assert found.status == status
    assert bool(found.fix) == (status != "ok")


def test_a_ledger_is_judged(tmp_path: Path, ledger: Ledger) -> None:
    """None yet, intact, and not a ledger at all."""
    assert checks.check_ledger(tmp_path).said.startswith("none yet")
    ledger.open()
    assert checks.check_ledger(tmp_path) == Finding("Ledger", "ok", "intact")
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database " * 500)
    assert checks.check_ledger(tmp_path).status == "bad"
    assert checks.check_jobs(tmp_path).status == "bad"


def test_jobs_under_way_and_unknown_are_counted(world: World, tmp_path: Path) -> None:
    """Each unknown one by its id, with the command that tells more."""
    assert checks.check_jobs(tmp_path / "nowhere").said == "none yet"
    (running, _), (lost, _) = world.prepare("one"), world.prepare("two")
    world.ledger.advance(running.id, Stage.SENDING)
    world.ledger.advance(lost.id, Stage.SENDING)
    world.ledger.advance(lost.id, Stage.UNKNOWN)
    found = checks.check_jobs(world.ledger.folder)
    assert found.status == "warn"
    assert found.said == f"1 under way, 1 unknown ({lost.id})"
    assert f"%kling show {lost.id}" in found.fix


# --- the service -------------------------------------------------------------------------------


def test_the_balance_is_told(open_session: Callable[..., Any]) -> None:
    """With the mode, and why."""
    session, mode = service.open_session(open_session)
    assert session is not None
    assert mode.said == "emulator (as configured)"
    assert "balance 5,916" in service.check_service(session).said


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (Unauthorized(401, "no such key"), "%kling login"),
        (NotSent("no connection"), "HTTPS_PROXY"),
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

    def fail() -> float:
        raise error

    session = open_session()
    monkeypatch.setattr(session, "balance", fail)
    found = service.check_service(session)
    assert (found.status, found.said) == ("bad", str(error))
    assert fix in found.fix


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
    assert "401" in found.said
    assert "%kling login" in found.fix
    assert KEY not in repr(found)


def test_settings_that_do_not_go_together_leave_the_rest(tmp_path: Path) -> None:
    """The folder, the disk and the packages are looked at nevertheless."""

    def fail() -> Any:
        raise ConfigurationError("mode: 'live' needs a key")

    found = status_of(examine(fail, "terminal"))
    assert found["Settings"] == "bad"
    assert found["Disk"] == "ok"
    assert "Service" not in found


def test_whether_callbacks_are_heard(world: World) -> None:
    """A quiet line: where, or that nobody has to."""
    session = SimpleNamespace(hearing=world.context.hearing)
    found = service.check_callbacks(cast(Session, session))
    assert (found.status, found.fix) == ("ok", "")
    assert "nobody listens" in found.said
    hearing = session.hearing
    hearing.turn_to(Listening(hearing, "https://my.example/cb", stop=lambda: None))
    found = service.check_callbacks(cast(Session, session))
    assert (found.status, found.said) == ("ok", "heard at https://my.example/cb")
