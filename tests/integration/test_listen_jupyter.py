"""Listening with Jupyter Server: its URL, its callback routes, and the whole path of a callback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from kling_nb.callbacks import listen as jupyter_listener
from kling_nb.callbacks import worker
from kling_nb.callbacks.listen import callback_url, find_public_url, listen, listen_by_jupyter
from kling_nb.errors import ConfigurationError
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.storage.callback_routes import CallbackRoutes
from tests.support.jupyter import running
from tests.support.service import Open, emulated_account

PATIENCE_S = 60.0
SERVER = "http://127.0.0.1:9/user/ann/"
"""No server listens there."""


async def wait_for_ever(seconds: float) -> None:
    """A poller with this never polls by itself."""
    await asyncio.Event().wait()


@pytest.fixture
def session(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session with a server that seems to be ready."""
    monkeypatch.setattr(jupyter_listener, "find_server", lambda: SERVER)
    monkeypatch.setattr(jupyter_listener, "is_open", lambda url: url == SERVER)
    return open_session(sleep=wait_for_ever)


@pytest.fixture
def listening(session: Session) -> Iterator[Listening]:
    """The handle for the session."""
    with listen_by_jupyter("", session) as listening:
        yield listening


def token_of(session: Session, job: Job) -> str:
    """The callback token that the job was sent with."""
    return session.ledger.row(job.id).nonce


# --- what is sent ------------------------------------------------------------------------------


def test_the_address_leads_to_the_server(session: Session, listening: Listening) -> None:
    """The callback token is noted for the server first. Once closed, requests go without it."""
    job = session.text_to_video("A red fox")
    token = token_of(session, job)
    sent = emulated_account(session).tasks()[0].callback_url
    assert sent == f"{SERVER}kling/callback?kling_nb={token}"
    assert CallbackRoutes().find(token) == session.ledger.folder
    assert token not in repr(listening)
    listening.close()
    assert token_of(session, session.text_to_video("Another fox")) == ""


def test_without_a_note_the_request_goes_alone(session: Session, listening: Listening) -> None:
    """If the token cannot be stored for the server, no callback is requested."""
    path = platformdirs.user_data_path("kling_nb") / "doors.sqlite3"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 100)
    job = session.text_to_video("A red fox")
    assert token_of(session, job) == ""
    assert emulated_account(session).tasks()[0].callback_url == ""


# --- where the server is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "server", "service", "hub", "address"),
    [
        ("", SERVER, "emulator", "", SERVER),
        ("", SERVER, "emulator", "https://hub.example/user/me/", SERVER),
        ("", SERVER, "live", "https://hub.example/user/me/", "https://hub.example/user/me/"),
        (
            "https://mine.example/j/",
            SERVER,
            "live",
            "https://hub.example/",
            "https://mine.example/j/",
        ),
        ("https://mine.example/j/", "", "live", "", "https://mine.example/j/"),
    ],
)
def test_the_public_address(given: str, server: str, service: str, hub: str, address: str) -> None:
    """By the person, else by JupyterHub; the emulator reaches the server itself."""
    assert find_public_url(given, server, service, {"JUPYTERHUB_PUBLIC_URL": hub}) == address


@pytest.mark.parametrize(
    ("given", "server", "service", "words"),
    [
        ("", SERVER, "live", "everything before /lab"),
        ("", "", "emulator", "no Jupyter server on this machine"),
        (SERVER, SERVER, "live", "cannot reach '127.0.0.1'"),
        ("ftp://mine.example/", SERVER, "live", "is not a URL"),
    ],
)
def test_an_address_that_is_none(given: str, server: str, service: str, words: str) -> None:
    """What was given, and what to do."""
    with pytest.raises(ConfigurationError, match=words):
        find_public_url(given, server, service, {})


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://hub.example", "https://hub.example/kling/callback"),
        ("https://hub.example/user/me/", "https://hub.example/user/me/kling/callback"),
        ("https://hub.example/a/kling/callback", "https://hub.example/a/kling/callback"),
    ],
)
def test_the_route_is_below_the_base(base: str, url: str) -> None:
    """With a slash or without, and also if the whole URL is given."""
    assert callback_url(base) == url


def test_a_query_cannot_be_followed() -> None:
    """A token in the address, say: it must not go to the service either."""
    with pytest.raises(ConfigurationError, match=r"contains a `\?`"):
        callback_url("https://hub.example/lab?token=secret")


def test_a_server_without_the_extension(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message comes at once, with what to switch on."""
    monkeypatch.setattr(jupyter_listener, "is_open", lambda url: False)
    with pytest.raises(ConfigurationError, match=r"KlingCallbacks\.enabled"):
        listen(jupyter=True, session=session)
    assert session.callback_urls.url == ""


# --- all of it ---------------------------------------------------------------------------------


def test_from_the_service_by_the_server_to_the_clip(
    open_session: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator calls a real Jupyter server; this session never asks but for that."""
    monkeypatch.setattr(worker, "CHECK_INTERVAL_S", 0.02)
    with running(tmp_path, "--KlingCallbacks.enabled=True") as server:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
        monkeypatch.setenv("JPY_PARENT_PID", str(server.pid))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
        session = open_session(sleep=wait_for_ever)
        with listen(jupyter=True, session=session) as listening:
            assert listening.url == f"{server.url}/kling/callback"
            job = session.text_to_video("A red fox")
            assert job.result(PATIENCE_S).path.exists()
            assert listening.received == {"accepted": 1}
        assert token_of(session, job) not in server.log
