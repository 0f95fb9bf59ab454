"""`%kling listen`: what it starts, stops and shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kling_nb.errors import ConfigurationError, InvalidInput
from kling_nb.jobs.session import Session
from kling_nb.notebook.commands import Commands
from tests.support.shells import texts


@pytest.fixture
def session(session: Session) -> Iterator[Session]:
    """The default session; its listener ends with the test."""
    yield session
    session.callback_urls.stop()


def test_listen_and_stop(shell: Any, command: Commands, session: Session) -> None:
    """The handle is shown; the status says where; `off` ends it."""
    command.run("listen")
    listening = session.callback_urls.listening
    assert "Listening for callbacks at http://127.0.0.1:" in texts(shell)[-1]
    command.run("")
    assert f"listening at {listening.url}" in texts(shell)[-1]
    command.run("listen off")
    assert not listening.is_open
    assert "Stopped listening" in texts(shell)[-1]
    command.run("")
    assert "listening at" not in texts(shell)[-1]
    command.run("listen off")


def test_a_wrong_address_is_refused(command: Commands) -> None:
    """The error names it, and nothing listens."""
    with pytest.raises(ConfigurationError, match="is not a URL"):
        command.run("listen --url tunnel.example")


def test_off_takes_no_options(command: Commands, session: Session) -> None:
    """Stop and start in one command is a mistake."""
    with pytest.raises(InvalidInput, match="'off' with options"):
        command.run("listen off --jupyter")
    assert session.callback_urls.listening is None
