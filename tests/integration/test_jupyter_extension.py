"""The server extension: off until it is enabled twice, then one route without a login.

A real server in a process of its own, that its person's password protects.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from traitlets.config import Configurable

from kling_nb.callbacks.handler import CallbackEndpoint
from kling_nb.callbacks.jupyter_extension import is_enabled_by_environment, load
from kling_nb.callbacks.jupyter_server import ROUTE, find_server, is_open
from kling_nb.core.job_state import Stage
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.core.secret import Key
from kling_nb.errors import ConfigurationError
from kling_nb.storage.callback_store import CallbackStore
from kling_nb.storage.ledger import Ledger
from tests.support.jupyter import Server, notification, running
from tests.support.service import sent_row

TASK = "e989621f54392584b05867f87b160672"
BODY = notification(TASK)
numbers = itertools.count()


@pytest.fixture(scope="module")
def server(nobodys_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that receives callbacks."""
    with running(tmp_path_factory.mktemp("on"), "--KlingCallbacks.enabled=True") as server:
        yield server


@pytest.fixture
def token(server: Server, ledger: Ledger) -> str:
    """The callback token of a job that runs, noted where the server looks."""
    token = f"token-{next(numbers)}-of-a-job"
    sent_row(ledger, Stage.ACCEPTED, service="live", nonce=token)
    server.doors.note(token, ledger.folder, datetime.now(UTC))
    return token


def stored(ledger: Ledger, token: str) -> list[bytes]:
    """The bodies that are stored for a job; they are deleted."""
    store, found = CallbackStore(ledger.folder), list[bytes]()
    while callback := store.oldest(token):
        found.append(callback.body)
        store.discard(callback)
    return found


# --- what comes in -----------------------------------------------------------------------------


def test_a_callback_is_stored(server: Server, ledger: Ledger, token: str) -> None:
    """Once it is answered it is on disk, as it came, in the folder that it is for."""
    answer = server.post(token, BODY)
    assert (answer.status_code, answer.json()) == (200, {"accepted": True})
    assert stored(ledger, token) == [BODY]


def test_an_unknown_token_is_rejected(server: Server, ledger: Ledger, token: str) -> None:
    """Without the callback token and with a wrong one: the same words, and nothing is kept."""
    answers = [server.post(given, BODY) for given in ("", "guess", token + "x")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    assert stored(ledger, token) == []


def test_the_rest_of_the_server_stays_closed(server: Server) -> None:
    """Nothing else is open without a login."""
    assert httpx.get(f"{server.url}/api/contents").status_code == 403
    assert httpx.post(f"{server.url}/api/contents", content=BODY).status_code == 403


def test_a_strange_host_name_is_fine(server: Server, token: str) -> None:
    """A tunnel passes its own name on; Jupyter itself would refuse it at loopback."""
    url = f"{server.url}/{ROUTE}?kling_nb={token}"
    headers = {"Host": "clips.example"}
    assert httpx.post(url, content=BODY, headers=headers, timeout=60).status_code == 200


def test_the_log_tells_no_secret(server: Server, ledger: Ledger, token: str) -> None:
    """One line for each, without the callback token, the body or the address."""
    before = len(server.log)  # older servers log a traceback for each request of other tests
    for content in (BODY, b"secret words", b" " * (CALLBACK_LIMIT_BYTES + 1)):
        server.post(token, content)
    server.post(token, method="GET")
    log = server.log[before:]
    assert f"received a callback for task {TASK}" in log
    assert "contains no task id" in log
    assert "Only POST" in log
    assert token not in log
    assert "secret words" not in log
    assert "Traceback" not in log


# --- the two switches --------------------------------------------------------------------------


def test_loaded_and_not_enabled(tmp_path: Path) -> None:
    """No route, and one line that says how there would be one."""
    with running(tmp_path) as server:
        assert not is_open(f"{server.url}/")
        assert server.post("n").status_code in {403, 404}
        assert "KlingCallbacks.enabled = True" in server.log


def test_installing_enables_nothing() -> None:
    """The package brings no file that would switch its extension on."""
    root = Path(__file__).parents[2]
    assert not list((root / "kling_nb").rglob("*server_config*"))
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert "shared-data" not in project
    assert "data-files" not in project


@pytest.mark.parametrize(("word", "on"), [("1", True), ("True", True), ("0", False), ("", False)])
def test_the_environment_is_a_switch(word: str, on: bool) -> None:
    """For servers with a configuration of an administrator."""
    assert is_enabled_by_environment({"KLING_NB_SERVER_CALLBACKS": word}) is on
    assert is_enabled_by_environment({}) is False


class AnyServer(Configurable):
    """What `load` needs of Jupyter's own."""

    log = logging.getLogger("jupyter")

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[tuple[str, object, dict[str, CallbackEndpoint]]] = []
        self.web_app = self
        self.settings = {"base_url": "/user/ann/"}

    def add_handlers(
        self, hosts: str, handlers: list[tuple[str, object, dict[str, CallbackEndpoint]]]
    ) -> None:
        """Take the routes in."""
        self.opened += handlers


def test_the_server_has_its_own_webhook_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its environment; one that is broken opens nothing, since signatures were wanted."""
    monkeypatch.setenv("KLING_NB_SERVER_CALLBACKS", "1")
    monkeypatch.setenv("KIE_WEBHOOK_KEY", "the-webhook-key")
    server = AnyServer()
    load(server)
    ((route, _, shared),) = server.opened
    assert route == f"/user/ann/{ROUTE}"
    assert shared["endpoint"].receiver.webhook_key == Key("the-webhook-key")
    assert "the-webhook-key" not in repr(shared)
    monkeypatch.setenv("KIE_WEBHOOK_KEY", "not a key")
    with pytest.raises(ConfigurationError, match="KIE_WEBHOOK_KEY"):
        load(AnyServer())


# --- how a kernel finds its server -------------------------------------------------------------


def test_a_kernel_finds_its_server(server: Server) -> None:
    """By the process that started it; and sees that the route is there."""
    found = find_server({"JPY_PARENT_PID": str(server.pid)}, server.home / "runtime")
    assert found == f"{server.url}/"
    assert is_open(found)
