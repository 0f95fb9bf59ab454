"""`%kling listen`: how its words are read, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_nb.errors import ConfigurationError, InvalidInput
from kling_nb.jobs import default_session
from kling_nb.jobs.session import Session
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.commands.callbacks import ListenOptions, read_order
from tests.support.shells import open_shell, texts


@pytest.fixture
def session(
    open_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Session]:
    """The default session."""
    session = open_session()
    monkeypatch.setattr(default_session, "_current", session)
    yield session
    session.callback_urls.stop()


@pytest.fixture
def shell() -> Iterator[Any]:
    """A notebook's shell."""
    with open_shell("notebook") as shell:
        yield shell


@pytest.fixture
def command(shell: Any, session: Session) -> Commands:
    """The commands of that shell, for that session."""
    return Commands(shell)


def test_orders() -> None:
    """Nothing, or options in any order."""
    assert read_order([]) == ListenOptions()
    words = ["--port", "8900", "--jupyter", "--url", "https://a.example"]
    assert read_order(words) == ListenOptions("https://a.example", 8900, True)


@pytest.mark.parametrize(
    "words",
    [["on"], ["off", "now"], ["--url"], ["--port"], ["--port", "x"], ["--port", "-1"], ["--pot"]],
)
def test_what_is_no_order(words: list[str]) -> None:
    """The message says what is allowed."""
    with pytest.raises(InvalidInput, match=r"--url URL, --port N, --jupyter; or off"):
        read_order(words)


def test_what_was_given_is_said() -> None:
    """The option with what came after it."""
    with pytest.raises(InvalidInput, match="'--port http'"):
        read_order(["--port", "http"])


def test_listen_and_no_longer(shell: Any, command: Commands, session: Session) -> None:
    """The handle is shown; the status says where; `off` ends it."""
    command.run("listen")
    listening = session.callback_urls.listening
    assert listening is not None
    assert "Listening for callbacks at http://127.0.0.1:" in texts(shell)[-1]
    command.run("")
    assert f"listening at {listening.url}" in texts(shell)[-1]
    command.run("listen off")
    assert not listening.is_open
    assert "Stopped listening" in texts(shell)[-1]
    command.run("")
    assert "listening at" not in texts(shell)[-1]
    command.run("listen off")


def test_an_address_that_is_none(command: Commands) -> None:
    """What is wrong is said, and nobody listens."""
    with pytest.raises(ConfigurationError, match="is not an address"):
        command.run("listen --url tunnel.example")


def test_help_names_it(command: Commands) -> None:
    """With its options."""
    assert "listen [--url URL] [--port N] [--jupyter] | off" in command.help_text()
