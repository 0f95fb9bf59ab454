"""What `registry` promises: for each job one handle, one submission and one follower."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kling_nb.core.job_state import Detached, Discarded, Stage, Unknown
from kling_nb.errors import AlreadyPaid, LedgerError
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.task_matching import TaskMatching
from tests.support.service import CREATE, LiveAccount, Open, emulated_account

PATIENCE_S = 20.0
WISH = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})


def fail_once(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    """Let the ledger fail the first time it is to note a stage."""
    failed = []

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def note(self: object, job_id: str, to: Stage, **facts: Any) -> Any:
            if to is stage and not failed:
                failed.append(job_id)
                raise LedgerError("the disk is full")
            return real(self, job_id, to, **facts)

        return note

    monkeypatch.setattr(Ledger, "advance", failing(Ledger.advance))
    monkeypatch.setattr(TaskMatching, "conclude", failing(TaskMatching.conclude))


def test_a_failed_note_before_sending(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent; once there is room, the same cell makes the one task."""
    fail_once(monkeypatch, Stage.SENDING)
    job = session.reserve(WISH)
    with pytest.raises(LedgerError, match="disk is full"):
        session.submit(job)
    assert isinstance(job.state, Discarded)
    assert emulated_account(session).requests(CREATE) == 0
    again = session.text_to_video("A red fox")
    assert again.result(PATIENCE_S).path.is_file()
    assert emulated_account(session).count_tasks() == 1


@pytest.mark.parametrize("by_id", [False, True])
def test_a_note_that_fails_after_accepting_sends_nothing_again(
    session: Session, monkeypatch: pytest.MonkeyPatch, by_id: bool
) -> None:
    """The error names the task; the same cell, or the job's id, continues it."""
    fail_once(monkeypatch, Stage.ACCEPTED)
    job = session.reserve(WISH)
    with pytest.raises(LedgerError, match="adopt"):
        session.submit(job)
    assert isinstance(job.state, Detached)
    assert "is paid" in job.state.reason
    again = session.job(job.id) if by_id else session.text_to_video("A red fox")
    [task] = emulated_account(session).tasks()
    assert (again.id, again.task_id) == (job.id, task.task_id)
    assert again.result(PATIENCE_S).path.is_file()
    row = session.ledger.row(job.id)
    assert row.accepted_at == row.sent_at
    assert emulated_account(session).requests(CREATE) == 1


def break_off(session: Session, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with an answer that a fault of ours lost."""

    def broken(*given: object) -> None:
        raise RuntimeError("a bug")

    job = session.reserve(WISH)
    with monkeypatch.context() as patch:
        patch.setattr("kling_nb.kie.wire.parse_created", broken)
        with pytest.raises(RuntimeError, match="a bug"):
            session.submit(job)
    return job


def test_a_broken_submission_is_unknown(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something of ours broke while it was sent."""
    break_off(session, monkeypatch)
    again = session.text_to_video("A red fox")
    assert session.ledger.row(again.id).stage is Stage.UNKNOWN
    assert emulated_account(session).requests(CREATE) == 1


def test_a_broken_submission_is_adopted(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half sent; only this session knows that nothing is sending it any more."""
    job = break_off(session, monkeypatch)
    assert session.ledger.row(job.id).stage is Stage.SENDING
    [task] = emulated_account(session).tasks()
    adopted = session.adopt(f" {task.task_id} ", job.id)
    assert adopted.id == job.id
    assert adopted.result(PATIENCE_S).path.is_file()


def test_overlapping_cells_share_a_job(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cells that overlap in preparing share one handle, one task and one clip."""
    client = session._context.client
    real, waiting, go = client.balance, threading.Event(), threading.Event()

    async def balance() -> float:
        waiting.set()
        await asyncio.to_thread(go.wait, PATIENCE_S)
        return await real()

    monkeypatch.setattr(client, "balance", balance)
    first = session.loop.submit(session._registry.reserve(WISH))
    assert waiting.wait(PATIENCE_S)
    second = session.loop.submit(session._registry.reserve(WISH))
    go.set()
    jobs: list[Job] = [first.result(PATIENCE_S), second.result(PATIENCE_S)]
    assert jobs[0] is jobs[1]
    session.submit(jobs[0])
    assert jobs[0].result(PATIENCE_S).path.is_file()
    assert emulated_account(session).requests(CREATE) == 1


def test_closing_waits_for_sending(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is replaced while it submits hands the accepted task to the next one."""
    old = open_session()
    client = old._context.client
    real, sent, go = client.create_task, threading.Event(), threading.Event()

    async def create_task(*args: Any, **kwargs: Any) -> Any:
        outcome = await real(*args, **kwargs)
        sent.set()
        await asyncio.to_thread(go.wait, PATIENCE_S)
        return outcome

    monkeypatch.setattr(client, "create_task", create_task)
    job = old.reserve(WISH)
    sending = old.loop.submit(old._registry.submit(job))
    assert sent.wait(PATIENCE_S)
    old.close()
    new = open_session()
    go.set()
    sending.result(PATIENCE_S)
    assert new.text_to_video("A red fox").result(PATIENCE_S).path.is_file()
    assert emulated_account(new).count_tasks() == 1


def test_a_job_of_the_other_service_is_only_shown(open_session: Open, live: LiveAccount) -> None:
    """The emulator is never polled for a live task, and its row stays as it is."""
    other = live.session("clips")
    job = other.text_to_video("A red fox")
    session = open_session()
    shown = session.job(job.id)
    assert isinstance(shown.state, Detached)
    assert "live service" in shown.state.reason
    with pytest.raises(LedgerError, match="emulate off"):
        session.resume(job.id)
    other.close()
    assert session.resume() == []
    assert session.ledger.row(job.id).stage is Stage.ACCEPTED
    assert session.ledger.row(job.id).owner != session.ledger.owner


def test_the_same_request_in_two_folders_at_once(live: LiveAccount) -> None:
    """It is noted for this user as soon as it is accepted, not when its clip is there."""
    first, second = live.session("one"), live.session("two")
    first.text_to_video("A red fox")
    for ask in (lambda: second.quote(WISH), lambda: second.text_to_video("A red fox")):
        with pytest.raises(AlreadyPaid, match="--take 2"):
            ask()
    assert live.account.count_tasks() == 1


def test_a_late_note_is_known_elsewhere(live: LiveAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk failed when the task was accepted; once the row has it, so has the user's index."""
    first, second = live.session("one"), live.session("two")
    fail_once(monkeypatch, Stage.ACCEPTED)
    with pytest.raises(LedgerError, match="disk is full"):
        first.text_to_video("A red fox")
    assert first.text_to_video("A red fox").task_id
    with pytest.raises(AlreadyPaid):
        second.text_to_video("A red fox")
    assert live.account.count_tasks() == 1


@pytest.mark.parametrize("live", [0], indirect=True)
def test_a_failed_task_is_no_payment_elsewhere(live: LiveAccount) -> None:
    """Its request may be made from another folder."""
    live.account.inject("fail-policy")
    first, second = live.session("one"), live.session("two")
    job = first.text_to_video("A red fox")
    assert job.exception(PATIENCE_S) is not None
    fingerprint = first.ledger.row(job.id).fingerprint
    while live.index.find(fingerprint) is not None:
        first.loop.call(asyncio.sleep(0.01))
    second.text_to_video("A red fox")
    assert live.account.count_tasks() == 2


@pytest.mark.parametrize("live", [0], indirect=True)
def test_adopting_a_failed_task_again_is_no_payment(live: LiveAccount) -> None:
    """A task that this folder knows as failed does not block the request in another folder."""
    live.account.inject("fail-policy")
    session = live.session("one")
    job = session.text_to_video("A red fox")
    assert job.exception(PATIENCE_S) is not None
    row = session.ledger.row(job.id)
    while live.index.find(row.fingerprint) is not None:
        session.loop.call(asyncio.sleep(0.01))
    session.adopt(row.task_id)
    assert live.index.find(row.fingerprint) is None


def test_many_jobs_left_are_all_taken_up(open_session: Open) -> None:
    """Not just the newest hundred."""
    first = open_session(emulator_seconds=600)
    for number in range(105):
        first.text_to_video(f"A red fox, {number}")
    first.close()
    second = open_session(emulator_seconds=600)
    assert len(second.resume()) == 105


def test_other_jobs_spoil_the_evidence(session: Session) -> None:
    """A balance that another job may have moved is not kept as evidence for a lost one."""
    emulated_account(session).inject("lose-answer")
    alone = session.text_to_video("Alone")
    assert session.ledger.row(alone.id).balance_after is not None
    job = session.reserve(WISH)
    session.text_to_video("Meanwhile")
    emulated_account(session).inject("lose-answer")
    session.submit(job)
    row = session.ledger.row(job.id)
    assert (row.stage, row.balance_after) == (Stage.UNKNOWN, None)


def test_closing_on_the_portals_own_thread(open_session: Open) -> None:
    """From a done-callback, say: it does not wait for itself, and everything else goes on."""
    session = open_session(emulator_seconds=0.2)
    closed = threading.Event()
    job = session.text_to_video("A red fox")
    job.add_done_callback(lambda _: (session.close(), closed.set()))
    assert job.result(PATIENCE_S).path.is_file()
    assert closed.wait(PATIENCE_S)
    assert open_session().text_to_video("A red fox").result(PATIENCE_S).path.is_file()


def test_a_closed_session_sends_nothing(open_session: Open) -> None:
    """What it had prepared is discarded, and the next session makes the one task."""
    old = open_session()
    job = old.reserve(WISH)
    old.close()
    with pytest.raises(LedgerError, match="is closed"):
        old.submit(job)
    assert isinstance(job.state, Discarded)
    with pytest.raises(LedgerError, match="is closed"):
        old.text_to_video("Another")
    new = open_session()
    assert new.text_to_video("A red fox").result(PATIENCE_S).path.is_file()
    assert emulated_account(new).count_tasks() == 1


def test_letting_go_of_anothers_job_changes_nothing(open_session: Open) -> None:
    """A session that only watches a job cannot take it from the one that follows it."""
    first = open_session(emulator_seconds=600)
    job = first.text_to_video("A red fox")
    second = open_session(emulator_seconds=600)
    watched = second.job(job.id)
    watched.detach()
    second.close()
    assert second.ledger.row(job.id).owner == first.ledger.owner


def test_a_request_that_a_dead_kernel_left_here_and_was_paid_there(live: LiveAccount) -> None:
    """What was prepared here and never sent does not hide that another folder has paid since."""
    dead = live.session("one")
    dead.reserve(WISH)
    dead.ledger.close()
    second = live.session("two")
    second.text_to_video("A red fox")
    first = live.session("one")
    with pytest.raises(AlreadyPaid):
        first.text_to_video("A red fox")
    assert live.account.count_tasks() == 1


def test_what_is_taken_up_is_known_elsewhere(live: LiveAccount) -> None:
    """The index was lost: showing a paid job restores the entry, forgetting drops it."""
    live.account.inject("lose-answer")
    session = live.session("one")
    job = session.text_to_video("A red fox")
    session.close()
    live.index.path.unlink()
    session = live.session("one")
    fingerprint = session.ledger.row(job.id).fingerprint
    session.job(job.id)
    assert live.index.find(fingerprint) is not None
    session.forget(job.id, yes=True)
    assert live.index.find(fingerprint) is None


def test_a_lost_job_is_watched_by_whoever_finds_it(open_session: Open) -> None:
    """Its session was closed before the balance was seen to the end."""
    old = open_session()
    emulated_account(old).inject("lose-answer")
    job = old.text_to_video("A red fox")
    old.close()
    new = open_session()
    found = new.text_to_video("A red fox")
    row = new.ledger.row(job.id)
    assert new._context.balance_watch.covers(row)
    assert new.job(job.id) is found


def test_when_the_balance_was_read_is_noted(session: Session) -> None:
    """Before the request: what moved it since is no evidence of this one."""
    job = session.reserve(WISH)
    row = session.ledger.row(job.id)
    assert row.balance_at is not None
    assert row.balance_at <= row.created_at
    assert row.balance_before == 5916


def test_a_lost_answer_that_cannot_be_noted_is_not_called_free(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails after the answer was lost: the task may exist, and the card says so."""
    fail_once(monkeypatch, Stage.UNKNOWN)
    emulated_account(session).inject("lose-answer")
    job = session.reserve(WISH)
    with pytest.raises(LedgerError):
        session.submit(job)
    assert isinstance(job.state, Unknown)
    assert session.text_to_video("A red fox").id == job.id
    assert emulated_account(session).requests(CREATE) == 1
