"""What `registry` promises: for each job one handle, one submission and one follower."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Detached, Discarded, Stage, Unknown
from kling_nb.emulator import UNLIMITED, Emulator
from kling_nb.errors import AlreadyPaid, LedgerError, ServiceError
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.kie.client import Client
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.task_matching import TaskMatching
from kling_nb.storage.user_index import UserIndex
from tests.support.service import CREATE, KEY

PATIENCE_S = 20.0
Open = Callable[..., Session]
WISH = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})


@pytest.fixture
def session(open_session: Open) -> Session:
    """A session with an emulator of its own."""
    return open_session()


def emulated_account(session: Session) -> Any:
    """The account of a session's emulator."""
    assert session.emulator is not None
    return session.emulator.account


def open_live(folder: Path, index: UserIndex, emulator: Emulator) -> Session:
    """A live session whose network is an emulator."""
    return Session(
        mode="live", api_key=KEY, folder=folder, transport=emulator.transport(), index=index
    )


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


def test_a_note_that_fails_before_sending_blocks_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_note_that_fails_after_accepting_sends_nothing_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the task; the same cell goes on with it, and the clip comes."""
    fail_once(monkeypatch, Stage.ACCEPTED)
    job = session.reserve(WISH)
    with pytest.raises(LedgerError, match="adopt"):
        session.submit(job)
    assert isinstance(job.state, Detached)
    assert "is paid" in job.state.reason
    again = session.text_to_video("A red fox")
    [task] = emulated_account(session).tasks()
    assert (again.id, again.task_id) == (job.id, task.task_id)
    assert again.result(PATIENCE_S).path.is_file()
    assert emulated_account(session).requests(CREATE) == 1


def test_a_note_that_fails_after_accepting_is_made_up_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by its id, too; a clip counts from when it was sent."""
    fail_once(monkeypatch, Stage.ACCEPTED)
    job = session.reserve(WISH)
    with pytest.raises(LedgerError):
        session.submit(job)
    assert session.job(job.id).result(PATIENCE_S).path.is_file()
    row = session.ledger.row(job.id)
    assert row.accepted_at == row.sent_at


def break_off(session: Session, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job whose answer came, and was lost by a mistake of ours."""

    def broken(*given: object) -> None:
        raise RuntimeError("a bug")

    job = session.reserve(WISH)
    with monkeypatch.context() as patch:
        patch.setattr("kling_nb.kie.wire.parse_created", broken)
        with pytest.raises(RuntimeError, match="a bug"):
            session.submit(job)
    return job


def test_a_request_whose_id_nobody_has_is_unknown(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something of ours broke while it was sent."""
    break_off(session, monkeypatch)
    again = session.text_to_video("A red fox")
    assert session.ledger.row(again.id).stage is Stage.UNKNOWN
    assert emulated_account(session).requests(CREATE) == 1


def test_what_broke_off_here_may_be_adopted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half sent, and this session alone knows that nobody is sending it any more."""
    job = break_off(session, monkeypatch)
    assert session.ledger.row(job.id).stage is Stage.SENDING
    [task] = emulated_account(session).tasks()
    adopted = session.adopt(task.task_id, job.id)
    assert adopted.id == job.id
    assert adopted.result(PATIENCE_S).path.is_file()


def test_an_interrupt_while_the_balance_is_asked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_closing_waits_for_what_is_being_sent(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_job_of_the_other_service_is_only_shown(open_session: Open, tmp_path: Path) -> None:
    """The emulator is never asked about a live task, and its row stays as it is."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    folder, index = tmp_path / "clips", UserIndex(tmp_path / "paid.sqlite3")
    live = open_live(folder, index, emulator)
    job = live.text_to_video("A red fox")
    session = open_session(folder=folder)
    shown = session.job(job.id)
    assert isinstance(shown.state, Detached)
    assert "live service" in shown.state.reason
    with pytest.raises(LedgerError, match="emulate off"):
        session.resume(job.id)
    live.close()
    assert session.resume() == []
    assert session.ledger.row(job.id).stage is Stage.ACCEPTED
    assert session.ledger.row(job.id).owner != session.ledger.owner
    emulator.close()


def test_the_same_request_in_two_folders_at_once(tmp_path: Path) -> None:
    """It is noted for this user as soon as it is accepted, not when its clip is there."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    first, second = (open_live(tmp_path / name, index, emulator) for name in ("one", "two"))
    first.text_to_video("A red fox")
    for ask in (lambda: second.quote(WISH), lambda: second.text_to_video("A red fox")):
        with pytest.raises(AlreadyPaid, match="--take 2"):
            ask()
    assert emulator.account.count_tasks() == 1
    first.close()
    second.close()
    emulator.close()


def test_what_was_noted_late_is_known_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk failed when the task was accepted; once the row has it, so has the user's index."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    first, second = (open_live(tmp_path / name, index, emulator) for name in ("one", "two"))
    fail_once(monkeypatch, Stage.ACCEPTED)
    with pytest.raises(LedgerError, match="disk is full"):
        first.text_to_video("A red fox")
    assert first.text_to_video("A red fox").task_id
    with pytest.raises(AlreadyPaid):
        second.text_to_video("A red fox")
    assert emulator.account.count_tasks() == 1
    first.close()
    second.close()
    emulator.close()


def test_a_failed_task_is_no_payment_elsewhere(tmp_path: Path) -> None:
    """Its request may be made from another folder."""
    emulator = Emulator(tmp_path / "service", seconds=0, render="canned", limits=UNLIMITED)
    emulator.account.inject("fail-policy")
    index = UserIndex(tmp_path / "paid.sqlite3")
    first, second = (open_live(tmp_path / name, index, emulator) for name in ("one", "two"))
    job = first.text_to_video("A red fox")
    assert job.exception(PATIENCE_S) is not None
    fingerprint = first.ledger.row(job.id).fingerprint
    while index.find(fingerprint) is not None:
        first.loop.call(asyncio.sleep(0.01))
    second.text_to_video("A red fox")
    assert emulator.account.count_tasks() == 2
    first.close()
    second.close()
    emulator.close()


def test_adopting_a_failed_task_again_is_no_payment(tmp_path: Path) -> None:
    """A task that this folder knows as failed does not block the request in another folder."""
    emulator = Emulator(tmp_path / "service", seconds=0, render="canned", limits=UNLIMITED)
    emulator.account.inject("fail-policy")
    index = UserIndex(tmp_path / "paid.sqlite3")
    session = open_live(tmp_path / "one", index, emulator)
    job = session.text_to_video("A red fox")
    assert job.exception(PATIENCE_S) is not None
    row = session.ledger.row(job.id)
    while index.find(row.fingerprint) is not None:
        session.loop.call(asyncio.sleep(0.01))
    session.adopt(row.task_id)
    assert index.find(row.fingerprint) is None
    session.close()
    emulator.close()


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


def test_what_a_session_followed_is_free_when_it_is_closed(open_session: Open) -> None:
    """The next session of the same process goes on at once."""
    old = open_session(emulator_seconds=1)
    job = old.text_to_video("A red fox")
    old.close()
    new = open_session(emulator_seconds=1)
    assert new.ledger.row(job.id).owner == ""
    [again] = new.resume()
    assert again.result(PATIENCE_S).path.is_file()


def test_letting_go_of_anothers_job_changes_nothing(open_session: Open) -> None:
    """A session that only watches a job cannot take it from the one that follows it."""
    first = open_session(emulator_seconds=600)
    job = first.text_to_video("A red fox")
    second = open_session(emulator_seconds=600)
    watched = second.job(job.id)
    watched.detach()
    second.close()
    assert second.ledger.row(job.id).owner == first.ledger.owner


def test_a_request_that_a_dead_kernel_left_here_and_was_paid_there(tmp_path: Path) -> None:
    """What was prepared here and never sent does not hide that another folder has paid since."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    dead = open_live(tmp_path / "one", index, emulator)
    dead.reserve(WISH)
    dead.ledger.close()
    second = open_live(tmp_path / "two", index, emulator)
    second.text_to_video("A red fox")
    first = open_live(tmp_path / "one", index, emulator)
    with pytest.raises(AlreadyPaid):
        first.text_to_video("A red fox")
    assert emulator.account.count_tasks() == 1
    for session in (first, second):
        session.close()
    emulator.close()


def test_what_a_dead_kernel_was_sending_is_known_elsewhere(tmp_path: Path) -> None:
    """It may be paid for: no other folder pays again once this one has found it."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    dead = open_live(tmp_path / "one", index, emulator)
    job = dead.reserve(WISH)
    dead.ledger.advance(job.id, Stage.SENDING)
    dead.ledger.close()
    first, second = (open_live(tmp_path / name, index, emulator) for name in ("one", "two"))
    assert first.resume() == []
    assert first.ledger.row(job.id).stage is Stage.UNKNOWN
    with pytest.raises(AlreadyPaid, match="--take 2"):
        second.text_to_video("A red fox")
    assert emulator.account.count_tasks() == 0
    for session in (first, second):
        session.close()
    emulator.close()


def test_what_is_being_sent_is_known_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it waits for the answer, a kernel has told already; a refusal takes it back."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    session = open_live(tmp_path / "one", index, emulator)
    known: list[bool] = []
    create = Client._create_once

    async def look(self: Client, *args: Any) -> str:
        [row] = session.ledger.rows()
        known.append(index.find(row.fingerprint) is not None)
        return await create(self, *args)

    monkeypatch.setattr(Client, "_create_once", look)
    emulator.account.inject("refuse")
    with pytest.raises(ServiceError):
        session.text_to_video("A red fox")
    [row] = session.ledger.rows()
    assert known == [True]
    assert index.find(row.fingerprint) is None
    session.close()
    emulator.close()


def test_what_is_taken_up_is_known_elsewhere(tmp_path: Path) -> None:
    """The index was lost; whoever looks at a paid job brings it back, and forgetting drops it."""
    emulator = Emulator(tmp_path / "service", seconds=600, limits=UNLIMITED)
    index = UserIndex(tmp_path / "paid.sqlite3")
    emulator.account.inject("lose-answer")
    session = open_live(tmp_path / "one", index, emulator)
    job = session.text_to_video("A red fox")
    session.close()
    index.path.unlink()
    session = open_live(tmp_path / "one", index, emulator)
    fingerprint = session.ledger.row(job.id).fingerprint
    session.job(job.id)
    assert index.find(fingerprint) is not None
    session.forget(job.id, yes=True)
    assert index.find(fingerprint) is None
    session.close()
    emulator.close()


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
