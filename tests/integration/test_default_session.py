"""`default_session`: one session for the magic, the panel and the module's functions."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import kling_nb
import kling_nb.jobs.default_session as module
from kling_nb.errors import ConfigurationError
from kling_nb.jobs import settings
from kling_nb.jobs.default_session import configure, default_session
from kling_nb.jobs.session import Session
from tests.support.service import Open


@pytest.fixture(autouse=True)
def fresh(open_session: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No default session before or after, and a quick emulator in a folder of the test's own."""
    monkeypatch.setattr(module, "_current", None)
    monkeypatch.setattr(module, "_given", {})
    monkeypatch.setattr(module, "_sources", None)
    monkeypatch.setenv("KLING_NB_FOLDER", str(tmp_path / "clips"))
    yield
    if module._current is not None:
        module._current.close()


def test_one_session() -> None:
    """Made from the environment at the first use, in whatever thread."""
    seen: list[Session] = []
    threads = [threading.Thread(target=lambda: seen.append(default_session())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {default_session()}
    assert len(seen) == 4


def test_a_script_without_a_key_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, where it is first used: nothing on its screen says that the clips are not real."""
    monkeypatch.delenv("KLING_NB_MODE", raising=False)
    monkeypatch.delattr(builtins, "__IPYTHON__", raising=False)
    with pytest.warns(UserWarning, match="without a key: clips are emulated"):
        default_session()
    default_session()


def test_a_notebook_is_not_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cards say it, each by itself."""
    monkeypatch.delenv("KLING_NB_MODE", raising=False)
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    assert default_session().service == "emulator"


def test_a_change_keeps_the_rest(tmp_path: Path) -> None:
    """Only what is named changes."""
    configure(emulator_seconds=2, folder=tmp_path / "own")
    session = configure(emulator_seconds=3)
    assert session is default_session()
    assert session.settings.emulator_seconds == 3
    assert session.settings.folder == tmp_path / "own"


def test_none_goes_back_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument is taken back by None."""
    configure(folder=tmp_path / "own", emulator_seconds=2)
    monkeypatch.setenv("KLING_NB_EMULATOR_SECONDS", "4")
    session = configure(folder=None, emulator_seconds=None)
    assert session.settings.folder == tmp_path / "clips"
    assert session.settings.emulator_seconds == 4


def test_a_change_that_cannot_be_changes_nothing() -> None:
    """The old session goes on."""
    session = configure(emulator_seconds=2)
    with pytest.raises(ConfigurationError):
        configure(mode="live")
    assert default_session() is session
    assert session.balance() == 5916
    assert configure().settings.mode == "emulator"


def test_the_old_session_is_closed() -> None:
    """Its jobs are left to the new one, which takes them up."""
    old = configure(emulator_seconds=600)
    job = old.text_to_video("A red fox")
    assert old.ledger.owner_is_alive(old.ledger.owner)
    new = configure()
    assert job.done()
    assert not new.ledger.owner_is_alive(old.ledger.owner)
    assert [again.id for again in new.resume()] == [job.id]


def test_the_modules_functions(photo: bytes) -> None:
    """They are the default session's methods."""
    configure(emulator_seconds=0.05)
    job = kling_nb.image_to_video(photo, "A red fox")
    clip = job.result(30)
    assert kling_nb.job(job.id).result(0) == clip
    assert kling_nb.balance() == default_session().balance()
    assert kling_nb.resume() == []
    assert kling_nb.text_to_video("A red fox").id != job.id


def test_the_front_end_tells_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every default session asks it anew: a notebook may get its name later."""
    monkeypatch.setattr(module, "_notebook_path", str)
    session = default_session()
    assert session.notebook == ""
    module.find_notebook(lambda: str(tmp_path / "fox.ipynb"))
    assert session.notebook == "fox.ipynb"
    assert configure(emulator_seconds=2).notebook == "fox.ipynb"


def test_settings_are_described_before_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session has the settings that were shown, whatever has changed in between."""
    monkeypatch.setenv("KLING_NB_MODE", "emulator")
    described = module.describe_settings()
    assert described == ("emulator (set by KLING_NB_MODE)", "clips in clips")
    assert module._current is None
    monkeypatch.setenv("KLING_NB_MODE", "live")
    monkeypatch.setenv("KIE_API_KEY", "a-key-for-the-next-one")
    monkeypatch.setenv("KLING_NB_FOLDER", str(tmp_path / "other"))
    assert default_session().settings.describe() == described
    assert default_session().settings.folder == tmp_path / "clips"
    assert module.describe_settings() == described


def test_described_settings_open_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may ask for a password: the mode is left out if only the keyring can tell it."""
    monkeypatch.delenv("KLING_NB_MODE", raising=False)
    monkeypatch.delenv("KIE_API_KEY", raising=False)
    monkeypatch.setattr(settings, "read_keyring", lambda: pytest.fail("the keyring was opened"))
    assert module.describe_settings() == ("clips in clips",)
    monkeypatch.setenv("KIE_API_KEY", "a-key-that-is-set")
    assert module.describe_settings() == ("live (KIE_API_KEY is set)", "clips in clips")


def test_configured_settings_replace_described_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """`configure` reads the environment anew, as it does after a session was made."""
    monkeypatch.setenv("KLING_NB_MODE", "emulator")
    module.describe_settings()
    monkeypatch.setenv("KLING_NB_EMULATOR_SECONDS", "4")
    assert configure(mode="emulator").settings.emulator_seconds == 4
    assert default_session().settings.emulator_seconds == 4


def test_settings_that_are_not_allowed_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next cell can correct them."""
    monkeypatch.setenv("KLING_NB_MODE", "life")
    with pytest.raises(ConfigurationError, match="'life' is not allowed"):
        module.describe_settings()
    monkeypatch.setenv("KLING_NB_MODE", "emulator")
    assert default_session().service == "emulator"
