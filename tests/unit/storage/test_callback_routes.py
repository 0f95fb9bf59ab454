"""Test `callback_routes`: another process finds the folder of a callback token."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs
import pytest

from kling_nb.errors import LedgerError
from kling_nb.storage.callback_routes import CallbackRoutes

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NONCE = "q2jP-uY0b_Kx3nQ4w5e6r7"


def test_found_by_another(tmp_path: Path) -> None:
    """The server finds the folder that a kernel saved; another token has none."""
    path = tmp_path / "data" / "doors.sqlite3"
    CallbackRoutes(path).note(NONCE, tmp_path / "clips", AT)
    assert CallbackRoutes(path).find(NONCE) == tmp_path / "clips"
    assert CallbackRoutes(path).find(NONCE[:-1]) is None
    assert CallbackRoutes(path).find("") is None


def test_the_value_itself_is_not_kept(tmp_path: Path) -> None:
    """A reader of the file cannot post a callback."""
    doors = CallbackRoutes(tmp_path / "doors.sqlite3")
    doors.note(NONCE, tmp_path, AT)
    assert NONCE.encode() not in doors.path.read_bytes()


def test_folders_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has another working directory."""
    monkeypatch.chdir(tmp_path)
    doors = CallbackRoutes(tmp_path / "doors.sqlite3")
    doors.note(NONCE, Path("clips"), AT)
    assert doors.find(NONCE) == tmp_path / "clips"


@pytest.mark.parametrize(("days", "known"), [(29, True), (31, False)])
def test_old_values_are_forgotten(tmp_path: Path, days: int, known: bool) -> None:
    """Tokens are deleted after a month."""
    doors = CallbackRoutes(tmp_path / "doors.sqlite3")
    doors.note(NONCE, tmp_path, AT)
    doors.note("a later one", tmp_path, AT + timedelta(days=days))
    assert (doors.find(NONCE) is not None) is known
    assert doors.find("a later one") == tmp_path


def test_asking_makes_no_file(tmp_path: Path) -> None:
    """A lookup of an unknown token creates no file."""
    assert CallbackRoutes(tmp_path / "data" / "doors.sqlite3").find(NONCE) is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the file is in the user's data directory."""
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / name)
    assert CallbackRoutes().path == tmp_path / "kling_nb" / "doors.sqlite3"


@pytest.fixture
def broken(tmp_path: Path) -> CallbackRoutes:
    """Return routes with a file that is not a database."""
    path = tmp_path / "doors.sqlite3"
    path.write_bytes(b"no database" * 100)
    return CallbackRoutes(path)


def test_what_cannot_be_noted_is_an_error(broken: CallbackRoutes, tmp_path: Path) -> None:
    """The error does not contain the token; the request is then sent without a callback URL."""
    with pytest.raises(LedgerError, match=r"Delete the file if it is broken") as caught:
        broken.note(NONCE, tmp_path, AT)
    assert NONCE not in str(caught.value)


def test_what_cannot_be_read_is_a_warning(
    broken: CallbackRoutes, caplog: pytest.LogCaptureFixture
) -> None:
    """The server continues, and the token is not in its log."""
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert broken.find(NONCE) is None
    assert "cannot be read" in caplog.text
    assert NONCE not in caplog.text
