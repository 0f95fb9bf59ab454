"""Test `upload_cache`: every session finds recent uploads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kling_nb.errors import LedgerError
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.upload_cache import UploadCache

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHA, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def uploads(ledger: Ledger) -> UploadCache:
    """Return the uploads of a folder with a ledger."""
    ledger.open()
    uploads = UploadCache(ledger.folder)
    uploads.note("live", SHA, "image/png", "https://u/1", AT)
    return uploads


def find(
    uploads: UploadCache,
    service: str = "live",
    sha256: str = SHA,
    mime_type: str = "image/png",
    hours: float = 1,
) -> str:
    """Return the URL found so many hours later, of the last two hours."""
    now = AT + hours * HOUR
    return uploads.find(service, sha256, mime_type, now - 2 * HOUR, now)


def test_a_recent_upload_is_found(uploads: UploadCache) -> None:
    """Also by another session; another service, content or MIME type is another upload."""
    assert find(uploads) == "https://u/1"
    assert find(UploadCache(uploads._database.path.parent)) == "https://u/1"
    assert find(uploads, service="live https://elsewhere.example") == ""
    assert find(uploads, sha256=OTHER) == ""
    assert find(uploads, mime_type="image/jpeg") == ""
    uploads.note("live", SHA, "image/png", "https://u/2", AT + HOUR)
    assert find(uploads, hours=3) == "https://u/2"


@pytest.mark.parametrize(
    ("hours", "url"), [(0, "https://u/1"), (2, "https://u/1"), (2.1, ""), (-0.1, "")]
)
def test_how_long_it_counts(hours: float, url: str, uploads: UploadCache) -> None:
    """Not if it is too old, or in the future: the clock was put back."""
    assert find(uploads, hours=hours) == url


def test_what_is_dropped(uploads: UploadCache) -> None:
    """Entries of some contents, or all of a service."""
    uploads.note("live", OTHER, "image/png", "https://u/2", AT)
    uploads.note("emulator", SHA, "image/png", "https://u/3", AT)
    uploads.drop("live", {SHA, "ef" * 32})
    assert (find(uploads), find(uploads, sha256=OTHER)) == ("", "https://u/2")
    uploads.drop("live")
    assert find(uploads, sha256=OTHER) == ""
    assert find(uploads, service="emulator") == "https://u/3"


def test_what_is_old_is_not_kept(uploads: UploadCache) -> None:
    """The table does not grow."""
    uploads.note("live", OTHER, "image/png", "https://u/2", AT + HOUR)
    uploads.prune(AT + HOUR)
    assert uploads.find("live", SHA, "image/png", AT, AT + HOUR) == ""
    assert find(uploads, sha256=OTHER) == "https://u/2"


def test_no_ledger_is_made(tmp_path: Path) -> None:
    """A deleted folder stays deleted."""
    with pytest.raises(LedgerError):
        find(UploadCache(tmp_path))
    assert [*tmp_path.iterdir()] == []
