"""A request is checked, and a callback is on disk before it is answered."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kling_nb.callbacks.receive import (
    AcceptedCallback,
    CallbackReceiver,
    CallbackRequest,
    RejectedCallback,
)
from kling_nb.core.job_state import Stage
from kling_nb.core.secret import Key
from kling_nb.errors import ConfigurationError
from kling_nb.kie.webhooks import sign_callback
from kling_nb.storage.callback_store import CallbackStore
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.jupyter import notification

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TASK = "e989621f54392584b05867f87b160672"
BODY = notification(TASK)
TOKEN = "the-callback-token"


def receiver_of(ledger: Ledger, key: str = "") -> CallbackReceiver:
    """The receiver of a folder with a job that is being sent."""
    row, _ = ledger.intend(JobRecord("f", "live", "m", {}, 1, 55.0))
    ledger.advance(row.id, Stage.SENDING, nonce=TOKEN)
    return CallbackReceiver(lambda token: ledger.folder, Key(key) if key else None, AT.timestamp)


def posted(
    token: str = TOKEN, key: str = "", at: datetime = AT, body: bytes = BODY
) -> CallbackRequest:
    """A callback, signed if there is a key."""
    stamp = str(int(at.timestamp()))
    headers = {"x-webhook-timestamp": stamp, "x-webhook-signature": sign_callback(key, TASK, stamp)}
    return CallbackRequest(f"kling_nb={token}", headers if key else {}, body)


def test_an_accepted_callback_is_stored(ledger: Ledger) -> None:
    """As it came, with the time."""
    assert isinstance(receiver_of(ledger).receive(posted(), store=True), AcceptedCallback)
    stored = CallbackStore(ledger.folder).oldest(TOKEN)
    assert stored is not None
    assert (stored.body, stored.at) == (BODY, AT)


@pytest.mark.parametrize(("key", "status"), [("", 403), ("another", 403), ("the-webhook-key", 200)])
def test_a_key_asks_for_signatures(ledger: Ledger, key: str, status: int) -> None:
    """With a webhook key only signed callbacks are stored."""
    judged = receiver_of(ledger, "the-webhook-key").receive(posted(key=key), store=True)
    assert (judged.status if isinstance(judged, RejectedCallback) else 200) == status
    assert len(CallbackStore(ledger.folder).callback_tokens()) == (status == 200)


def test_a_check_stores_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """It comes before the body."""
    one = receiver_of(ledger)
    before = hashlib.sha256((tmp_path / "ledger.sqlite3").read_bytes())
    assert isinstance(one.receive(posted(), store=False), AcceptedCallback)
    after = hashlib.sha256((tmp_path / "ledger.sqlite3").read_bytes())
    assert after.digest() == before.digest()


def test_an_unknown_token_is_rejected(ledger: Ledger) -> None:
    """With the same answer if no folder is known for it, or its folder does not know it."""
    one = receiver_of(ledger)
    nowhere = CallbackReceiver(lambda token: None, None)
    answers = {
        repr(one.receive(posted("guess"), store=True)),
        repr(nowhere.receive(posted(), store=True)),
    }
    assert len(answers) == 1
    assert CallbackStore(ledger.folder).callback_tokens() == set()


def test_a_callback_that_cannot_be_stored_may_come_again(tmp_path: Path) -> None:
    """The answer says nothing of the disk, and no ledger is created."""
    one = CallbackReceiver(lambda token: tmp_path / "gone", None)
    for judged in (one.receive(posted(), store=False), one.receive(posted(), store=True)):
        assert isinstance(judged, RejectedCallback)
        assert judged.status == 503
        assert "gone" not in judged.reason
    assert not (tmp_path / "gone").exists()


def test_settings_that_do_not_go_together(ledger: Ledger) -> None:
    """The same while they are being changed."""

    def refuse(_token: str) -> Path:
        raise ConfigurationError("no key")

    judged = CallbackReceiver(refuse, None).receive(posted(), store=True)
    assert isinstance(judged, RejectedCallback)
    assert judged.status == 503
