"""Test `callback_store`: callbacks are stored within limits until a session processes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.errors import LedgerError
from kling_nb.storage import callback_store
from kling_nb.storage.callback_store import CallbackStore, StoredCallback
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSED = {Stage.FAILED, Stage.SAVED, Stage.EXPIRED}
OPEN = set(Stage) - CLOSED - {Stage.INTENDED, Stage.DISCARDED}
"""Includes jobs that were given up or refused: the clip of a task that comes back is paid for."""


@pytest.fixture
def box(ledger: Ledger) -> CallbackStore:
    """Return the store of a ledger with one job in each stage; its callback token is the stage."""
    for stage in sorted(OPEN | CLOSED):
        row, _ = ledger.intend(JobRecord(f"f-{stage}", "live", "m", {}, 1, 55.0))
        advance_to(ledger, ledger.advance(row.id, Stage.SENDING, nonce=str(stage)), stage)
    return CallbackStore(ledger.folder)


def bodies(box: CallbackStore, nonce: str) -> list[bytes]:
    """Return and delete the stored callbacks of a job, oldest first."""
    found = []
    while callback := box.oldest(nonce):
        found.append(callback.body)
        box.discard(callback)
    return found


def test_a_callback_stays_until_it_is_discarded(box: CallbackStore) -> None:
    """A session that dies before it has processed a callback loses nothing."""
    assert box.post("accepted", b"one", AT)
    callback = box.oldest("accepted")
    assert callback == box.oldest("accepted") == StoredCallback(1, "accepted", b"one", AT)
    assert box.callback_tokens() == {"accepted"}
    box.discard(callback)
    box.discard(callback)
    assert box.oldest("accepted") is None
    assert box.callback_tokens() == set()


def test_only_that_callback_is_discarded(box: CallbackStore) -> None:
    """The callback of another job stays, and so does a newer one."""
    for nonce, body in (("accepted", b"1"), ("unknown", b"theirs"), ("accepted", b"2")):
        box.post(nonce, body, AT)
    first = box.oldest("accepted")
    assert first is not None
    box.discard(first)
    assert bodies(box, "accepted") == [b"2"]
    assert bodies(box, "unknown") == [b"theirs"]


def test_a_repr_has_no_secret() -> None:
    """Neither the callback token nor the body."""
    text = repr(StoredCallback(1, "n0nce", b"secret", AT))
    assert "n0nce" not in text
    assert "secret" not in text


@pytest.mark.parametrize("stage", sorted(OPEN | CLOSED))
def test_callbacks_are_stored_for_open_jobs(box: CallbackStore, stage: Stage) -> None:
    """A callback for a finished job is not stored; its token is still known."""
    assert box.has_token(stage)
    assert box.post(stage, b"{}", AT) is (stage in OPEN)
    assert box.callback_tokens() == ({str(stage)} if stage in OPEN else set())


@pytest.mark.parametrize("nonce", ["", "guess", "accepted' OR 1 --"])
def test_a_callback_without_a_job_is_not_stored(box: CallbackStore, nonce: str) -> None:
    """Jobs without a callback have no token; the empty token matches none of them."""
    assert not box.has_token(nonce)
    assert not box.post(nonce, b"{}", AT)
    assert box.callback_tokens() == set()


def test_a_repeated_callback_is_stored_once(box: CallbackStore) -> None:
    """The service may send the same callback several times; the result is the same."""
    assert box.post("accepted", b"again", AT)
    assert box.post("accepted", b"again", AT + timedelta(seconds=15))
    assert box.oldest("accepted") == StoredCallback(1, "accepted", b"again", AT)
    assert bodies(box, "accepted") == [b"again"]


def test_the_newest_are_kept(box: CallbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that knows one or many callback URLs cannot fill the disk."""
    monkeypatch.setattr(callback_store, "MAX_PER_JOB", 3)
    box.post("unknown", b"other", AT)
    for number in range(5):
        box.post("accepted", b"%d" % number, AT)
    assert bodies(box, "accepted") == [b"2", b"3", b"4"]
    assert bodies(box, "unknown") == [b"other"]
    monkeypatch.setattr(callback_store, "MAX_PER_FOLDER", 2)
    for nonce in ("accepted", "unknown", "sending"):
        box.post(nonce, b"{}", AT)
    assert box.callback_tokens() == {"unknown", "sending"}


def test_a_long_callback_is_refused(box: CallbackStore) -> None:
    """The longest body is stored; one byte more is a programming error of the receiver."""
    assert box.post("accepted", bytes(CALLBACK_LIMIT_BYTES), AT)
    with pytest.raises(ValueError, match="at most 262144"):
        box.post("accepted", bytes(CALLBACK_LIMIT_BYTES + 1), AT)


def test_no_ledger_is_made(tmp_path: Path) -> None:
    """A deleted folder stays deleted: with an empty ledger everything would be paid for again."""
    box = CallbackStore(tmp_path / "gone")
    assert not box.exists
    assert box.callback_tokens() == set()
    for ask in (lambda: box.post("n", b"{}", AT), lambda: box.has_token("n")):
        with pytest.raises(LedgerError):
            ask()
    assert list(tmp_path.iterdir()) == []
