"""What a callback does: it brings back a lost id, makes us ask, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import NotSent
from kling_nb.jobs import callback_inbox
from kling_nb.jobs.callback_inbox import is_for
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.kie.webhooks import read_callback_token
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.callback_store import CallbackStore, StoredCallback
from kling_nb.storage.ledger import Ledger
from tests.support.controllers import StubController
from tests.support.service import Open, emulated_account, sent_row

PATIENCE_S = 30.0
URL = "https://my.example/done?user=7"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
WISH = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}, callback_url=URL)


def ask(session: Session, prompt: str = "A red fox") -> Job:
    """A job with a callback."""
    return session.text_to_video(prompt, callback_url=URL)


def lose(session: Session) -> tuple[Job, str, str]:
    """A job with a lost answer; its task id and the token that only the service has."""
    emulated_account(session).inject("lose-answer")
    job = ask(session)
    assert session.ledger.row(job.id).stage is Stage.UNKNOWN
    task = emulated_account(session).tasks()[-1]
    return job, task.task_id, read_callback_token(urlsplit(task.callback_url).query)


def body(task_id: str, state: str = "success") -> bytes:
    """A callback as the service posts it."""
    return json.dumps({"code": 200, "data": {"taskId": task_id, "state": state}}).encode()


@pytest.mark.parametrize("state", ["success", "fail"])
def test_a_callback_brings_back_a_lost_task(session: Session, state: str) -> None:
    """Adopted by its id and saved, whatever state the callback reports: one task in all."""
    lost, task_id, nonce = lose(session)
    job = session.receive_callback(body(task_id, state), nonce)
    assert job.id == lost.id
    assert job.result(PATIENCE_S).task_id == task_id
    assert emulated_account(session).count_tasks() == 1


@pytest.mark.parametrize("nonce", ["", "guessed"])
def test_without_the_nonce_nothing_happens(session: Session, nonce: str) -> None:
    """A task id is no secret."""
    lost, task_id, _ = lose(session)
    assert session.receive_callback(body(task_id), nonce) is None
    assert session.ledger.row(lost.id).stage is Stage.UNKNOWN


@pytest.mark.parametrize("fault", ["lose-answer", "create-502", ""])
def test_early_callbacks(session: Session, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """It comes while createTask is still open: whatever the answer is, the task is this job's."""
    client, sent, go = session._context.client, threading.Event(), threading.Event()
    create = client.create_task

    async def create_task(*given: Any, **more: Any) -> Any:
        outcome = await create(*given, **more)
        sent.set()
        await asyncio.to_thread(go.wait, PATIENCE_S)
        return outcome

    monkeypatch.setattr(client, "create_task", create_task)
    if fault:
        emulated_account(session).inject(fault)
    job = session.reserve(WISH)
    sending = session.loop.submit(session._registry.submit(job))
    assert sent.wait(PATIENCE_S)
    [task] = emulated_account(session).tasks()
    nonce = read_callback_token(urlsplit(task.callback_url).query)
    assert session.receive_callback(body("0" * 32), nonce) is None
    assert session.receive_callback(body(task.task_id), nonce) is job
    assert session.ledger.row(job.id).stage is Stage.SENDING
    go.set()
    sending.result(PATIENCE_S)
    assert job.result(PATIENCE_S).task_id == task.task_id
    stages = [stage for _, stage, _ in session.ledger.events(job.id)]
    assert Stage.UNKNOWN not in stages
    assert emulated_account(session).count_tasks() == 1


def test_a_callback_to_a_forgotten_job(session: Session) -> None:
    """Its clip is paid for: it comes as a job of its own, once, and is counted once."""
    lost, task_id, nonce = lose(session)
    session.forget(lost.id, yes=True)
    job = session.receive_callback(body(task_id), nonce)
    assert job.id != lost.id
    assert job.result(PATIENCE_S).task_id == task_id
    session.receive_callback(body(task_id), nonce)
    assert len(session.ledger.rows()) == 2
    assert sum(expense.credits or 0 for expense in session.expenses()) == 55


def test_a_running_job_is_asked_about_at_once(session: Session) -> None:
    """Instead of waiting until it is time."""
    job = ask(session)
    asked: list[str] = []
    job.controller = StubController(poll_now=lambda: asked.append(job.id))
    row = session.ledger.row(job.id)
    assert session.receive_callback(body(row.task_id), row.nonce) is job
    assert asked == [job.id]
    assert session.receive_callback(body("another"), row.nonce) is None
    assert asked == [job.id]


# --- letters that came while nobody listened ---------------------------------------------------


def post(session: Session, nonce: str, *bodies: bytes) -> None:
    """Store callbacks in the folder, as a listener does."""
    for each in bodies:
        assert CallbackStore(session.ledger.folder).post(nonce, each, AT)


def waiting(session: Session) -> set[str]:
    """The tokens of stored callbacks."""
    return CallbackStore(session.ledger.folder).callback_tokens()


@pytest.mark.parametrize("by_id", [False, True])
def test_the_next_kernel_adopts_a_task(session: Session, open_session: Open, by_id: bool) -> None:
    """The next kernel resumes it, alone or with all others."""
    lost, task_id, nonce = lose(session)
    post(session, nonce, b'{"data": {"taskId": "forged"}}', body(task_id))
    session.close()
    later = open_session()
    [job] = later.resume(lost.id) if by_id else later.resume()
    assert job.id == lost.id
    assert job.result(PATIENCE_S).task_id == task_id
    assert waiting(later) == set()
    assert emulated_account(later).count_tasks() == 1
    assert later.resume() == []


def test_a_running_job_has_one_handle(session: Session, open_session: Open) -> None:
    """It is taken up once, and the callback is not believed."""
    session.close()
    slow = open_session(emulator_seconds=3600)
    row = slow.ledger.row(ask(slow).id)
    post(slow, row.nonce, body(row.task_id))
    slow.close()
    later = open_session(emulator_seconds=3600)
    [job] = later.resume()
    assert (job.id, job.done()) == (row.id, False)
    assert waiting(later) == set()


def test_an_unknown_task_changes_nothing(session: Session, open_session: Open) -> None:
    """It made us ask, and the service does not know it."""
    lost, _, nonce = lose(session)
    post(session, nonce, b'{"data": {"taskId": "forged", "state": "success"}}')
    session.close()
    later = open_session()
    assert later.resume() == []
    assert later.ledger.row(lost.id).stage is Stage.UNKNOWN
    assert waiting(later) == set()


@pytest.mark.parametrize("answers", [True, False])
def test_an_unprocessed_callback_stays(
    session: Session, open_session: Open, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """No network, or no answer: it is processed the next time; `resume` does not wait."""
    _, task_id, nonce = lose(session)
    session.close()
    slow = open_session(emulator_seconds=3600)
    running = ask(slow, "Another fox")
    post(slow, nonce, body(task_id))
    slow.close()
    later = open_session(emulator_seconds=3600)
    asked = []

    async def hear(_body: bytes, nonce: str) -> Job:
        asked.append(nonce)
        if not answers:
            await asyncio.wait_for(asyncio.Event().wait(), PATIENCE_S)
        raise NotSent("no network")

    with monkeypatch.context() as patch:
        patch.setattr(later, "process_callback", hear)
        patch.setattr(callback_inbox, "LONGEST_S", PATIENCE_S if answers else 0.01)
        assert [job.id for job in later.resume()] == [running.id]
    assert len(asked) <= 1  # none where the time was up before
    assert waiting(later) == {nonce}
    assert task_id in {job.task_id for job in later.resume()}


def test_a_fault_of_ours_does_not_come_again(
    session: Session,
    open_session: Open,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is in the log, and the callback is discarded."""
    _, task_id, nonce = lose(session)
    post(session, nonce, body(task_id))
    session.close()
    later = open_session()

    async def hear(_body: bytes, _nonce: str) -> Job:
        raise RuntimeError("a slip")

    monkeypatch.setattr(later, "process_callback", hear)
    with caplog.at_level(logging.ERROR, "kling_nb"):
        assert later.resume() == []
    assert "a callback could not be processed" in caplog.text
    assert waiting(later) == set()


# --- whose letters -----------------------------------------------------------------------------


def letter(nonce: str = "n") -> StoredCallback:
    """One that came at noon."""
    return StoredCallback(1, nonce, b"{}", AT)


@pytest.mark.parametrize(
    ("service", "steps", "mine"),
    [
        ("emulator", (Stage.ACCEPTED,), True),
        ("emulator", (Stage.UNKNOWN,), True),
        ("emulator", (), True),
        ("live", (Stage.ACCEPTED,), False),
    ],
)
def test_own_callbacks(
    session: Session, service: str, steps: tuple[Stage, ...], mine: bool
) -> None:
    """Also while the request is still being answered; not those of the other service."""
    sent_row(session.ledger, *steps, service=service)
    assert is_for(session.ledger, session.service, letter(), AT) is mine
    assert not is_for(session.ledger, session.service, letter("unknown"), AT)


def test_letters_of_another_kernel(session: Session) -> None:
    """They are its own as long as it lives; then any session may process them."""
    other = Ledger(session.ledger.folder)
    sent_row(other, Stage.ACCEPTED)
    assert not is_for(session.ledger, session.service, letter(), AT + timedelta(days=1))
    other.close()
    assert is_for(session.ledger, session.service, letter(), AT)


def test_a_lost_job_of_another_kernel(session: Session) -> None:
    """No session polls it: after a while any session may adopt it."""
    other = Ledger(session.ledger.folder)
    sent_row(other, Stage.UNKNOWN)
    assert not is_for(session.ledger, session.service, letter(), AT + timedelta(seconds=1))
    assert is_for(session.ledger, session.service, letter(), AT + timedelta(minutes=1))
    other.close()
