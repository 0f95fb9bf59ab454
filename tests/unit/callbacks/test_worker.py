"""Stored callbacks make the service be polled, and are deleted only after it answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kling_nb.callbacks import worker
from kling_nb.callbacks.worker import CallbackWorker
from kling_nb.core.job_state import Stage
from kling_nb.errors import NotSent
from kling_nb.jobs.callback_inbox import stored_callbacks
from kling_nb.jobs.session import Session
from kling_nb.storage.callback_store import CallbackStore, StoredCallback
from tests.support.jupyter import notification
from tests.support.service import sent_row

Open = Callable[..., Session]

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATIENCE_S = 60.0


async def wait_for_ever(seconds: float) -> None:
    """A poller with this never polls by itself."""
    await asyncio.Event().wait()


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def session(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose jobs are polled only after a callback."""
    monkeypatch.setattr(worker, "CHECK_INTERVAL_S", 0.02)
    return open_session(sleep=wait_for_ever)


def check(session: Session, processing: CallbackWorker, times: int = 1) -> None:
    """Check the store so often, and wait each time until all was processed."""

    async def play() -> None:
        for _ in range(times):
            await processing.check()
            while tasks := set(processing._tasks):
                await asyncio.wait(tasks)

    session.loop.call(play())


def count_received(
    session: Session, monkeypatch: pytest.MonkeyPatch, *faults: Exception
) -> list[str]:
    """The bodies that the session gets; the first calls raise these errors."""
    received, left = list[str](), [*faults]

    async def hear(body: bytes, _token: str) -> None:
        received.append(body.decode())
        if left:
            raise left.pop(0)

    monkeypatch.setattr(session, "process_callback", hear)
    return received


def test_a_callback_stays_while_the_service_cannot_be_polled(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the only record of a lost task; tries come later and later."""
    received = count_received(session, monkeypatch, NotSent("no network"), NotSent("no network"))
    waits = list[int]()
    monkeypatch.setattr(
        worker.poll_schedule, "retry_wait_s", lambda tries: waits.append(tries) or 0.0
    )
    sent_row(session.ledger, Stage.UNKNOWN)
    store, processing = CallbackStore(session.ledger.folder), CallbackWorker(session)
    store.post("n", b"it", AT)
    check(session, processing, 2)
    assert store.callback_tokens() == {"n"}
    check(session, processing, 2)
    assert received == ["it"] * 3
    assert waits == [1, 2]
    assert store.callback_tokens() == set()
    assert processing.counts == {"accepted": 1}


def test_one_token_polls_once_in_a_while(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot use up the status requests of other jobs."""
    received = count_received(session, monkeypatch)
    sent_row(session.ledger, Stage.UNKNOWN)
    sent_row(session.ledger, Stage.UNKNOWN, nonce="other")
    store, processing = CallbackStore(session.ledger.folder), CallbackWorker(session)
    for token, body in (("n", b"first"), ("n", b"second"), ("other", b"third")):
        store.post(token, body, AT)
    check(session, processing, 3)
    assert sorted(received) == ["first", "third"]
    monkeypatch.setattr(worker, "POLL_INTERVAL_S", 0.0)
    processing._not_before.clear()
    check(session, processing)
    assert sorted(received) == ["first", "second", "third"]


def test_woken_it_checks_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip is there the moment it is done."""
    monkeypatch.setattr(worker, "CHECK_INTERVAL_S", 3600.0)
    received = count_received(session, monkeypatch)
    sent_row(session.ledger, Stage.UNKNOWN)
    checks, processing = list[bool](), CallbackWorker(session)

    def callbacks(*args: Any) -> list[StoredCallback]:
        found = stored_callbacks(*args)
        checks.append(bool(found))
        return found

    monkeypatch.setattr(worker, "stored_callbacks", callbacks)
    working = session.loop.submit(processing.run())
    wait_until(lambda: checks == [False])
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    processing.wake()
    wait_until(lambda: received == ["it"])
    working.cancel()


def test_cancelled_it_ends_what_it_began(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was just found again is followed."""
    ended, begun, go = list[str](), list[str](), asyncio.Event()

    async def hear(body: bytes, token: str) -> None:
        begun.append(token)
        await go.wait()
        ended.append(token)

    monkeypatch.setattr(session, "process_callback", hear)
    sent_row(session.ledger, Stage.UNKNOWN)
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    working = session.loop.submit(CallbackWorker(session).run())
    wait_until(lambda: begun)
    working.cancel()

    async def release() -> None:
        go.set()

    session.loop.call(release())
    wait_until(lambda: ended == ["n"])


def test_callbacks_wait_for_the_next_worker(session: Session) -> None:
    """A callback that came without one is not lost."""
    sent_row(session.ledger, Stage.ACCEPTED)
    CallbackStore(session.ledger.folder).post("n", notification("t"), AT)
    processing = CallbackWorker(session)
    check(session, processing)
    assert processing.counts == {"accepted": 1}
    assert CallbackStore(session.ledger.folder).callback_tokens() == set()


def test_a_folder_that_is_gone_is_no_fault(
    open_session: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged, and nothing is created there."""
    session = open_session(folder=tmp_path / "none yet")
    check(session, CallbackWorker(session))
    assert not (tmp_path / "none yet" / "ledger.sqlite3").exists()
    assert not caplog.records


def test_the_session_of_the_moment(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `configure` the store of the new default session is checked."""
    monkeypatch.setattr(worker, "default_session", lambda: session)
    received = count_received(session, monkeypatch)
    sent_row(session.ledger, Stage.ACCEPTED)
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    check(session, CallbackWorker())
    assert received == ["it"]
