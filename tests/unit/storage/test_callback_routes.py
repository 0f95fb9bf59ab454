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


@pytest.fixture
def routes(tmp_path: Path) -> CallbackRoutes:
    """Return routes with a file that does not exist yet."""
    return CallbackRoutes(tmp_path / "doors.sqlite3")


def test_found_by_another(tmp_path: Path) -> None:
    """The server finds the folder that a kernel saved; another token has none."""
    path = tmp_path / "data" / "doors.sqlite3"
    CallbackRoutes(path).note(NONCE, tmp_path / "clips", AT)
    assert CallbackRoutes(path).find(NONCE) == tmp_path / "clips"
    assert CallbackRoutes(path).find(NONCE[:-1]) is None
    assert CallbackRoutes(path).find("") is None


def test_tokens_are_hashed_and_folders_absolute(
    routes: CallbackRoutes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of the file cannot post a callback; the server has another working directory."""
    monkeypatch.chdir(tmp_path)
    routes.note(NONCE, Path("clips"), AT)
    assert routes.find(NONCE) == tmp_path / "clips"
    assert NONCE.encode() not in routes.path.read_bytes()


@pytest.mark.parametrize(("days", "known"), [(29, True), (31, False)])
def test_old_tokens_are_deleted(
    routes: CallbackRoutes, tmp_path: Path, days: int, known: bool
) -> None:
    """After a month."""
    routes.note(NONCE, tmp_path, AT)
    routes.note("a later one", tmp_path, AT + timedelta(days=days))
    assert (routes.find(NONCE) is not None) is known
    assert routes.find("a later one") == tmp_path


def test_a_lookup_creates_no_file(tmp_path: Path) -> None:
    """Neither the file nor its folder."""
    assert CallbackRoutes(tmp_path / "data" / "doors.sqlite3").find(NONCE) is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the file is in the user's data directory."""
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / name)
    assert CallbackRoutes().path == tmp_path / "kling_nb" / "doors.sqlite3"


def test_a_broken_file(
    routes: CallbackRoutes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A kernel gets an error, a server logs a warning and continues; neither has the token."""
    routes.path.write_bytes(b"no database" * 100)
    with pytest.raises(LedgerError, match=r"Delete the file if it is broken") as caught:
        routes.note(NONCE, tmp_path, AT)
    with caplog.at_level(logging.WARNING, "kling_nb"):
        assert routes.find(NONCE) is None
    assert "cannot be read" in caplog.text
    assert NONCE not in f"{caught.value} {caplog.text}"
