"""A live session without a network: one line each, soon, and nothing is charged or blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import InvalidInput, KlingError, NotSent
from kling_nb.jobs import default_session
from kling_nb.jobs.session import Session
from kling_nb.notebook import extension
from tests.support.service import KEY, Open
from tests.support.shells import open_shell, texts, wait_for_update

SAID = (
    "api.kie.ai could not be reached (Name or service not known). The request was not sent; "
    "check the connection and run the cell again."
)


@pytest.fixture
def offline(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The default session: live, with a key, and without a network."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno -2] Name or service not known")

    transport = httpx.MockTransport(refuse)
    session: Session = open_session(mode="live", api_key=KEY, transport=transport)
    monkeypatch.setattr(default_session, "_current", session)
    return session


@pytest.mark.parametrize(
    ("request_of", "said"),
    [
        (lambda s: s.text_to_video("A red fox"), SAID),
        (lambda s: s.balance(), SAID),
        (lambda s: s.adopt("a" * 32), SAID),
    ],
    ids=["create", "balance", "status"],
)
def test_a_request_says_so_in_one_line(
    offline: Session, request_of: Callable[[Session], object], said: str
) -> None:
    """No traceback of the HTTP library: none is in the context of the error."""
    with pytest.raises(NotSent) as caught:
        request_of(offline)
    assert str(caught.value) == said
    assert caught.value._render_traceback_() == [f"NotSent: {said}"]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_upload_says_so_in_one_line(
    offline: Session, photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names its own host; IPython prints no traceback, as it does for a group of errors."""
    with open_shell("notebook") as shell:
        extension.load(shell)
        wait_for_update(shell)
        shell.user_ns["photo"] = photo
        error = shell.run_cell("%%kling -i photo\nA red fox").error_in_exec
    assert isinstance(error, NotSent)
    assert str(error).startswith("kieai.redpandaai.co could not be reached (Name or service")
    printed = "".join(capsys.readouterr())
    assert "Traceback" not in printed
    assert printed.count(str(error)) == 1
    assert [row.stage for row in offline.jobs()] == [Stage.DISCARDED]


def test_an_input_at_a_url_says_so_in_one_line(offline: Session) -> None:
    """What could not be fetched, why, and what to do."""
    with pytest.raises(InvalidInput) as caught:
        offline.image_to_video("https://files.example/fox.png", "A red fox")
    assert "files.example/fox.png could not be fetched: files.example could not be" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    assert offline.jobs() == []


def test_the_same_request_is_not_blocked(offline: Session) -> None:
    """It may be made as soon as there is a network: nothing is known to be paid."""
    for _ in range(2):
        with pytest.raises(NotSent):
            offline.text_to_video("A red fox")
    assert [row.stage for row in offline.jobs()] == [Stage.REFUSED] * 2


def test_a_notebook_says_so(offline: Session) -> None:
    """The status line, the commands, and a cell with its card."""
    with open_shell("notebook") as shell:
        extension.load(shell)
        wait_for_update(shell)
        assert f"balance unknown: {SAID}" in shown(shell)
        shell.run_cell("%kling balance").raise_error()
        assert f"balance unknown: {SAID}" in texts(shell)[0]
        shell.display_pub.outputs.clear()
        error = shell.run_cell("%%kling\nA red fox").error_in_exec
        assert isinstance(error, KlingError)
        assert str(error) == SAID
        assert f"Not sent; no task was created and nothing was charged. {SAID}" in shown(shell)


def shown(shell: Any) -> str:
    """Return all plain text of a shell, and forget it."""
    text = "\n".join(texts(shell))
    shell.display_pub.outputs.clear()
    return text
