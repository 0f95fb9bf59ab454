"""Who hears notifications: one at a time, and what is handed out in his name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import LedgerError
from kling_nb.jobs.callback_urls import CallbackUrls, Listening
from kling_nb.kie.webhooks import read_callback_token
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

URL = "https://my.example/cb?user=7"
FOLDER = Path("clips")


def listen(hearing: CallbackUrls, url: str = URL) -> tuple[Listening, list[str]]:
    """Somebody who listens, and what was done to end it."""
    ended: list[str] = []
    words = ("Behind a tunnel.",)
    listening = Listening(hearing, url, words, stop=lambda: ended.append(url))
    return hearing.switch_to(listening), ended


@pytest.fixture
def row(ledger: Ledger) -> JobRecord:
    """A job that is being sent."""
    row, _ = ledger.intend(JobRecord("f", "live", "m", {}, 1, 55.0))
    return ledger.advance(row.id, Stage.SENDING)


def test_each_request_gets_a_value_of_its_own() -> None:
    """In the address, behind the person's own query."""
    hearing = CallbackUrls()
    assert hearing.offer(FOLDER) == ("", "")
    listen(hearing)
    (url, nonce), (other_url, other) = hearing.offer(FOLDER), hearing.offer(FOLDER)
    assert nonce != other
    assert url != other_url
    assert url.startswith(URL)
    assert read_callback_token(urlsplit(url).query) == nonce
    assert len(nonce) >= 20
    assert hearing.folder_of(nonce) == FOLDER
    assert hearing.folder_of("guessed") is None


def test_a_job_is_covered_until_its_notification_came(ledger: Ledger, row: JobRecord) -> None:
    """There is no second one, and the first one is not believed."""
    hearing = CallbackUrls()
    assert not hearing.covers(row)
    listen(hearing)
    assert not hearing.covers(row)
    row = ledger.note(row.id, nonce=hearing.offer(FOLDER)[1])
    assert hearing.covers(row)
    hearing.note_received(row.nonce)
    assert not hearing.covers(row)
    assert hearing.folder_of(row.nonce) == FOLDER


def test_nobody_is_covered_once_nobody_listens(ledger: Ledger, row: JobRecord) -> None:
    """Asking goes back to what it was, also when somebody listens elsewhere."""
    hearing = CallbackUrls()
    listening, ended = listen(hearing)
    row = ledger.note(row.id, nonce=hearing.offer(FOLDER)[1])
    listening.close()
    assert ended == [URL]
    assert not hearing.covers(row)
    assert hearing.offer(FOLDER) == ("", "")
    assert hearing.url == ""
    assert hearing.folder_of(row.nonce) == FOLDER
    listen(hearing, "https://other.example")
    assert not hearing.covers(row)


def test_a_new_one_takes_the_place_of_the_old() -> None:
    """The old one is closed, and closing it once more does not end the new one; a block does."""
    hearing = CallbackUrls()
    old, ended = listen(hearing)
    with listen(hearing, "https://other.example")[0] as new:
        assert ended == [URL]
        assert not old.is_open
        old.close()
        assert ended == [URL]
        assert hearing.listening is new
        assert hearing.url == new.url
    assert hearing.listening is None
    assert not new.is_open


def test_who_has_to_know_is_told_before() -> None:
    """The value is noted before a request carries it."""
    hearing = CallbackUrls()
    noted: list[tuple[str, Path]] = []
    listening = Listening(hearing, URL, stop=lambda: None, note=lambda *given: noted.append(given))
    hearing.switch_to(listening)
    assert noted == [(hearing.offer(FOLDER)[1], FOLDER)]


@pytest.mark.parametrize("error", [LedgerError("full"), OSError("full")])
def test_a_value_that_cannot_be_noted_is_not_sent(error: Exception) -> None:
    """The request goes without; a notification is a convenience."""

    def refuse(_nonce: str, _folder: Path) -> None:
        raise error

    hearing = CallbackUrls()
    hearing.switch_to(Listening(hearing, URL, stop=lambda: None, note=refuse))
    assert hearing.offer(FOLDER) == ("", "")


def test_the_handle_tells_what_came() -> None:
    """As text and as HTML the same, escaped, and without a one-time value."""
    hearing = CallbackUrls()
    listening, _ = listen(hearing, "https://my.example/<b>")
    _, nonce = hearing.offer(FOLDER)
    listening.received.update({"accepted": 2, "rejected: 403": 1})
    bundle = listening._repr_mimebundle_()
    assert "2 accepted, 1 rejected: 403" in bundle["text/plain"]
    assert "Behind a tunnel." in bundle["text/plain"]
    assert "2 accepted, 1 rejected: 403" in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]
    assert nonce not in str(bundle)
    assert nonce not in repr(hearing)
    listening.close()
    assert "Stopped listening" in repr(listening)
