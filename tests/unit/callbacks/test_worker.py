"""Letters are acted on: the service is asked, and nothing is thrown away before it answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kling_nb.callbacks import worker
from kling_nb.callbacks.worker import CallbackWorker
from kling_nb.core.job_state import Stage
from kling_nb.emulator import Books
from kling_nb.errors import NotSent
from kling_nb.jobs.callback_inbox import letters_for
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.storage import CallbackStore, StoredCallback
from tests.support.jupyter import notification
from tests.support.service import sent_row

Open = Callable[..., Session]

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATIENCE_S = 60.0


async def wait_for_ever(seconds: float) -> None:
    """A follower with this never asks by itself."""
    await asyncio.Event().wait()


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def session(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose jobs are asked about only when something says so."""
    monkeypatch.setattr(worker, "CHECK_INTERVAL_S", 0.02)
    return open_session(sleep=wait_for_ever)


@pytest.fixture
def listening(session: Session) -> Iterator[CallbackWorker]:
    """What acts on the letters of the session."""
    processing = CallbackWorker(session)
    working = session.portal.submit(processing.run())
    listening = Listening(session.hearing, "http://127.0.0.1:9/", stop=working.cancel)
    with session.hearing.turn_to(listening):
        yield processing


def books_of(session: Session) -> Books:
    """What the emulator of the session knows."""
    assert session.emulator is not None
    return session.emulator.books


def nonce_of(session: Session, job: Job) -> str:
    """The one-time value that the job was sent with."""
    return session.ledger.row(job.id).nonce


def post(session: Session, job: Job, task_id: str = "") -> None:
    """Leave a notification, as the server does."""
    body = notification(task_id or job.task_id)
    assert CallbackStore(session.ledger.folder).post(nonce_of(session, job), body, AT)


def wait_for_the_end(session: Session, task_id: str) -> None:
    """Return when the service would say that the task has ended."""
    wait_until(lambda: (task := books_of(session).task(task_id)) and task.ended_at is not None)


def look(session: Session, processing: CallbackWorker, times: int = 1) -> None:
    """Look so often, and wait each time until everything was acted on."""

    async def play() -> None:
        for _ in range(times):
            await processing.check()
            while tasks := set(processing._tasks):
                await asyncio.wait(tasks)

    session.portal.call(play())


def count_heard(session: Session, monkeypatch: pytest.MonkeyPatch, *faults: Exception) -> list[str]:
    """What the session is told to hear, by its body; the first times it fails."""
    heard, left = list[str](), [*faults]

    async def hear(body: bytes, _nonce: str) -> None:
        heard.append(body.decode())
        if left:
            raise left.pop(0)

    monkeypatch.setattr(session, "hear", hear)
    return heard


# --- what a letter does ------------------------------------------------------------------------


def test_a_letter_ends_the_wait(session: Session, listening: CallbackWorker) -> None:
    """The job is asked about at once, and its clip is saved."""
    job = session.text_to_video("A red fox")
    wait_for_the_end(session, job.task_id)
    assert not job.done()
    post(session, job)
    assert job.result(PATIENCE_S).path.exists()
    assert listening.counts == {"accepted": 1}
    wait_until(lambda: not CallbackStore(session.ledger.folder).nonces())


def test_a_letter_is_not_believed(open_session: Open) -> None:
    """It says that the clip is there, and the service does not: the job goes on."""
    endless = open_session(emulator_seconds=3600)
    endless.hearing.turn_to(Listening(endless.hearing, "http://127.0.0.1:9/", stop=lambda: None))
    job = endless.text_to_video("A red fox")
    asked: list[str] = []
    job.on_ask = lambda: asked.append(job.id)
    post(endless, job)
    look(endless, CallbackWorker(endless))
    assert asked == [job.id]
    assert not job.done()


def test_a_letter_brings_back_a_lost_task(session: Session, listening: CallbackWorker) -> None:
    """The answer to the request never came; its one-time value tells the id."""
    books_of(session).inject("lose-answer")
    lost = session.text_to_video("A red fox")
    assert session.ledger.row(lost.id).stage is Stage.UNKNOWN
    task = books_of(session).tasks()[-1]
    wait_for_the_end(session, task.task_id)
    post(session, lost, task.task_id)
    wait_until(lambda: session.ledger.row(lost.id).stage is Stage.SAVED)
    assert len(books_of(session).tasks()) == 1


def test_a_letter_waits_while_the_service_cannot_be_asked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be all that is known of a lost task; looks come later and later."""
    heard = count_heard(session, monkeypatch, NotSent("no network"), NotSent("no network"))
    waits = list[int]()
    monkeypatch.setattr(
        worker.poll_schedule, "retry_wait_s", lambda tries: waits.append(tries) or 0.0
    )
    sent_row(session.ledger, Stage.UNKNOWN)
    box, processing = CallbackStore(session.ledger.folder), CallbackWorker(session)
    box.post("n", b"it", AT)
    look(session, processing, 2)
    assert box.nonces() == {"n"}
    look(session, processing, 2)
    assert heard == ["it"] * 3
    assert waits == [1, 2]
    assert box.nonces() == set()
    assert processing.counts == {"accepted": 1}


def test_a_fault_of_ours_does_not_come_again(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, with its traceback, and the letter is thrown away."""
    heard = count_heard(session, monkeypatch, ZeroDivisionError())
    sent_row(session.ledger, Stage.UNKNOWN)
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    look(session, CallbackWorker(session), 2)
    assert heard == ["it"]
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
    assert CallbackStore(session.ledger.folder).nonces() == set()


def test_one_value_asks_once_in_a_while(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knows it cannot use up the questions that other jobs need."""
    heard = count_heard(session, monkeypatch)
    sent_row(session.ledger, Stage.UNKNOWN)
    sent_row(session.ledger, Stage.UNKNOWN, nonce="other")
    box, processing = CallbackStore(session.ledger.folder), CallbackWorker(session)
    for nonce, body in (("n", b"first"), ("n", b"second"), ("other", b"third")):
        box.post(nonce, body, AT)
    look(session, processing, 3)
    assert sorted(heard) == ["first", "third"]
    monkeypatch.setattr(worker, "POLL_INTERVAL_S", 0.0)
    processing._not_before.clear()
    look(session, processing)
    assert sorted(heard) == ["first", "second", "third"]


def test_told_to_it_looks_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip is there the moment it is done."""
    monkeypatch.setattr(worker, "CHECK_INTERVAL_S", 3600.0)
    heard = count_heard(session, monkeypatch)
    sent_row(session.ledger, Stage.UNKNOWN)
    looks, processing = list[bool](), CallbackWorker(session)

    def letters(*given: Any) -> list[StoredCallback]:
        found = letters_for(*given)
        looks.append(bool(found))
        return found

    monkeypatch.setattr(worker, "letters_for", letters)
    working = session.portal.submit(processing.run())
    wait_until(lambda: looks == [False])
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    processing.wake()
    wait_until(lambda: heard == ["it"])
    working.cancel()


def test_cancelled_it_ends_what_it_began(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was just found again is followed, whoever stops listening meanwhile."""
    ended, begun, go = list[str](), list[str](), asyncio.Event()

    async def hear(body: bytes, nonce: str) -> None:
        begun.append(nonce)
        await go.wait()
        ended.append(nonce)

    monkeypatch.setattr(session, "hear", hear)
    sent_row(session.ledger, Stage.UNKNOWN)
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    working = session.portal.submit(CallbackWorker(session).run())
    wait_until(lambda: begun)
    working.cancel()

    async def release() -> None:
        go.set()

    session.portal.call(release())
    wait_until(lambda: ended == ["n"])


def test_letters_wait_for_who_listens_next(session: Session) -> None:
    """What came while nobody looked is not lost."""
    sent_row(session.ledger, Stage.ACCEPTED)
    CallbackStore(session.ledger.folder).post("n", notification("t"), AT)
    processing = CallbackWorker(session)
    look(session, processing)
    assert processing.counts == {"accepted": 1}
    assert CallbackStore(session.ledger.folder).nonces() == set()


def test_a_folder_that_is_gone_is_no_fault(
    open_session: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said, and nothing is made there."""
    session = open_session(folder=tmp_path / "none yet")
    look(session, CallbackWorker(session))
    assert not (tmp_path / "none yet" / "ledger.sqlite3").exists()
    assert not caplog.records


def test_the_session_of_the_moment(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `configure` the new default session's folder is looked into."""
    monkeypatch.setattr(worker, "default_session", lambda: session)
    heard = count_heard(session, monkeypatch)
    sent_row(session.ledger, Stage.ACCEPTED)
    CallbackStore(session.ledger.folder).post("n", b"it", AT)
    look(session, CallbackWorker())
    assert heard == ["it"]
