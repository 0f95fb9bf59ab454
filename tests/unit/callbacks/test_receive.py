"""What comes in is judged, and on disk before it is answered; nothing else is touched."""

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
from kling_nb.storage import CallbackStore, Intent, Ledger
from tests.support.jupyter import notification

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TASK = "e989621f54392584b05867f87b160672"
BODY = notification(TASK)
NONCE = "the-one-time-value"


def porter(ledger: Ledger, key: str = "") -> CallbackReceiver:
    """One for a folder with a job that is being sent."""
    row, _ = ledger.intend(Intent("f", "live", "m", {}, 1, 55.0))
    ledger.advance(row.id, Stage.SENDING, nonce=NONCE)
    return CallbackReceiver(lambda nonce: ledger.folder, Key(key) if key else None, AT.timestamp)


def posted(
    nonce: str = NONCE, key: str = "", at: datetime = AT, body: bytes = BODY
) -> CallbackRequest:
    """A notification, signed where there is a key."""
    stamp = str(int(at.timestamp()))
    headers = {"x-webhook-timestamp": stamp, "x-webhook-signature": sign_callback(key, TASK, stamp)}
    return CallbackRequest("POST", f"kling_nb={nonce}", headers if key else {}, body)


def test_what_is_heard_is_in_the_mailbox(ledger: Ledger) -> None:
    """As it came, with the time."""
    assert isinstance(porter(ledger).take_in(posted()), AcceptedCallback)
    letter = CallbackStore(ledger.folder).oldest(NONCE)
    assert letter is not None
    assert (letter.body, letter.at) == (BODY, AT)


@pytest.mark.parametrize(("key", "status"), [("", 403), ("another", 403), ("the-webhook-key", 200)])
def test_a_key_asks_for_signatures(ledger: Ledger, key: str, status: int) -> None:
    """With a webhook key only what was signed with it is taken in."""
    judged = porter(ledger, "the-webhook-key").take_in(posted(key=key))
    assert (judged.status if isinstance(judged, RejectedCallback) else 200) == status
    assert len(CallbackStore(ledger.folder).nonces()) == (status == 200)


def test_judging_takes_nothing_in(ledger: Ledger, tmp_path: Path) -> None:
    """What is looked at before the body has come leaves nothing."""
    one = porter(ledger)
    before = hashlib.sha256((tmp_path / "ledger.sqlite3").read_bytes())
    assert isinstance(one.judge(posted()), AcceptedCallback)
    after = hashlib.sha256((tmp_path / "ledger.sqlite3").read_bytes())
    assert after.digest() == before.digest()


def test_a_value_of_nobody_is_turned_away(ledger: Ledger) -> None:
    """Whether no folder is known for it, or its folder does not know it: the same answer."""
    one = porter(ledger)
    nobody = CallbackReceiver(lambda nonce: None, None)
    answers = {repr(one.take_in(posted("guess"))), repr(nobody.take_in(posted()))}
    assert len(answers) == 1
    assert CallbackStore(ledger.folder).nonces() == set()


def test_what_cannot_be_kept_may_come_again(tmp_path: Path) -> None:
    """The answer tells nothing of the disk, and no ledger is made."""
    one = CallbackReceiver(lambda nonce: tmp_path / "gone", None)
    for judged in (one.judge(posted()), one.take_in(posted())):
        assert isinstance(judged, RejectedCallback)
        assert judged.status == 503
        assert "gone" not in judged.words
    assert not (tmp_path / "gone").exists()


def test_settings_that_do_not_go_together(ledger: Ledger) -> None:
    """Somebody is changing them: the same."""

    def refuse(_nonce: str) -> Path:
        raise ConfigurationError("no key")

    judged = CallbackReceiver(refuse, None).take_in(posted())
    assert isinstance(judged, RejectedCallback)
    assert judged.status == 503
