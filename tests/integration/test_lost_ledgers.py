"""Never paid twice where the ledger is lost or cannot take what happened.

The user's index knows what the folder has paid, and the task's id is written into space that is
preallocated in the folder and in the index before the request is sent.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.core.job_state import Detached, Stage
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.emulator import Emulator
from kling_nb.errors import AlreadyPaid, KlingError, LedgerError
from kling_nb.jobs import registry, submit
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage import database
from kling_nb.storage.id_slots import IdSlots
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.processes import python
from tests.support.service import CREATE, EASY, KEY, Served, Wire

PROMPT = "A red fox"
WISH = ClipRequest(TEXT_TO_VIDEO, {"prompt": PROMPT})
PATIENCE_S = 30.0


class User:
    """One user of one account: an index, folders, and sessions in them one after another."""

    def __init__(self, path: Path) -> None:
        self.folder = path / "clips"
        self.path = path
        self.index = UserIndex(path / "data" / "paid.sqlite3")
        self.emulator = Emulator(path / "service", seconds=0.05, render="canned", limits=EASY)
        self.wire = Wire(self.emulator.transport())
        self._session: Session | None = None

    def session(self, folder: Path | None = None) -> Session:
        """The only live session: the one before is closed, as a kernel that was restarted."""
        self.close()
        self._session = Session(
            mode="live",
            api_key=KEY,
            folder=folder or self.folder,
            transport=self.wire,
            index=self.index,
        )
        return self._session

    def pay(self, **values: object) -> Job:
        """Make the request once, to its end."""
        job = self.session().generate(TEXT_TO_VIDEO.name, prompt=PROMPT, **values)
        job.result(PATIENCE_S)
        return job

    def on_create(self, act: Callable[[], object]) -> None:
        """Do something when createTask is under way, once."""

        def hear(request: httpx.Request) -> None:
            if request.url.path == CREATE and hear in self.wire.listeners:
                self.wire.listeners.remove(hear)
                act()

        self.wire.listeners.append(hear)

    @property
    def tasks(self) -> int:
        """How many tasks the service has made."""
        return self.emulator.account.count_tasks()

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """A user without a payment, whose clips are done at once and polled as soon."""
    monkeypatch.setattr(PollSchedule, "delay_s", lambda *_, **__: 0.1)
    user = User(tmp_path)
    yield user
    user.close()
    user.emulator.close()


def delete(folder: Path) -> None:
    """Delete the ledger."""
    (folder / "ledger.sqlite3").unlink()


def truncate(folder: Path) -> None:
    """Leave nothing of the ledger but its name."""
    (folder / "ledger.sqlite3").write_bytes(b"")


def cut(folder: Path) -> None:
    """Leave the first page of the ledger."""
    file = folder / "ledger.sqlite3"
    file.write_bytes(file.read_bytes()[:4096])


def restore(folder: Path) -> None:
    """Put an older copy in the ledger's place: here, one that knows nothing."""
    shutil.copy(folder.parent / "older.sqlite3", folder / "ledger.sqlite3")


def move_folder(folder: Path) -> None:
    """Move the folder; the next session makes a new one in its old place."""
    folder.rename(folder.with_name("moved"))


def garble(folder: Path) -> None:
    """Overwrite the ledger with something else."""
    (folder / "ledger.sqlite3").write_bytes(b"\xff" * 40_000)


WAYS = [delete, truncate, cut, restore, shutil.rmtree, move_folder]


def keep_older_copy(user: User) -> None:
    """Keep a copy of the ledger from before anything was paid."""
    user.session().ledger.open()
    user.close()
    shutil.copy(user.folder / "ledger.sqlite3", user.path / "older.sqlite3")


def follow_the_task(user: User, folder: Path | None = None) -> Job:
    """Take up the one task in the next session, to its end; the same request joins its job."""
    session = user.session(folder)
    [job] = session.resume()
    [task] = user.emulator.account.tasks()
    assert job.task_id == task.task_id
    assert job.result(PATIENCE_S).path.is_file()
    assert session.text_to_video(PROMPT).id == job.id
    assert user.tasks == 1
    assert list((folder or user.folder).joinpath("sending").iterdir()) == []
    return job


@pytest.mark.parametrize("lose", WAYS)
def test_a_ledger_that_is_lost_between_two_runs(user: User, lose: Callable[[Path], None]) -> None:
    """The same request is not sent again; deleted, cut, older or moved makes no difference."""
    keep_older_copy(user)
    user.pay()
    user.close()
    lose(user.folder)
    with pytest.raises(KlingError):
        user.session().text_to_video(PROMPT)
    assert user.tasks == 1


@pytest.mark.parametrize("lose", [delete, truncate, restore, shutil.rmtree])
def test_a_ledger_lost_while_sending(user: User, lose: Callable[[Path], None]) -> None:
    """The error names the task; the next session has the job again and saves its clip."""
    keep_older_copy(user)
    user.on_create(lambda: lose(user.folder))
    with pytest.raises(LedgerError) as caught:
        user.session().text_to_video(PROMPT)
    [task] = user.emulator.account.tasks()
    assert f"Task {task.task_id} was accepted and is paid" in str(caught.value)
    assert "The id is saved" in str(caught.value)
    follow_the_task(user)


@pytest.mark.parametrize("damage", [cut, garble])
def test_a_ledger_damaged_while_sending(user: User, damage: Callable[[Path], None]) -> None:
    """Nothing is sent while it is damaged; once it is moved away the job is in the new one."""
    user.on_create(lambda: damage(user.folder))
    with pytest.raises(LedgerError, match="The id is saved"):
        user.session().text_to_video(PROMPT)
    with pytest.raises(LedgerError, match="move this one away"):
        user.session().text_to_video(PROMPT)
    user.close()
    delete(user.folder)
    follow_the_task(user)


def test_a_copy_that_is_put_back_after_the_damage(user: User) -> None:
    """It was made before the request was sent; the id is noted there all the same."""
    session = user.session()
    job = session.reserve(WISH)
    shutil.copy(user.folder / "ledger.sqlite3", user.path / "older.sqlite3")
    user.on_create(lambda: garble(user.folder))
    with pytest.raises(LedgerError, match="The id is saved"):
        session.submit(job)
    user.close()
    restore(user.folder)
    assert follow_the_task(user).id == job.id


def test_a_folder_moved_while_sending(user: User) -> None:
    """The id is in the moved folder; in its old place the request is refused with the id."""
    user.on_create(lambda: move_folder(user.folder))
    with pytest.raises(LedgerError, match="The id is saved"):
        user.session().text_to_video(PROMPT)
    [task] = user.emulator.account.tasks()
    with pytest.raises(AlreadyPaid, match=f"%kling adopt {task.task_id}"):
        user.session().text_to_video(PROMPT)
    follow_the_task(user, user.folder.with_name("moved"))


def test_the_refusal_names_the_day_and_the_ways_on(user: User) -> None:
    """Put the file back, recover, adopt the task, or the next free take; others are not blocked."""
    user.pay()
    job = user.pay(take=2)
    [second, first] = user.session().jobs()
    user.close()
    delete(user.folder)
    session = user.session()
    for ask in (lambda: session.text_to_video(PROMPT), lambda: session.quote(WISH)):
        with pytest.raises(AlreadyPaid) as caught:
            ask()
        said = str(caught.value)
        day = f"{first.created_at.day} {first.created_at:%B %Y}"
        assert f"paid for on {day} in this folder" in said
        assert f"the ledger in {user.folder} has no record of it. The request was not sent." in said
        assert "Restore that `ledger.sqlite3` from a copy" in said
        assert "`%kling recover *.ipynb`" in said
        assert f"`%kling adopt {first.task_id}`" in said
        assert "`--take 3`" in said
    assert second.task_id == job.task_id
    assert session.jobs() == []
    assert user.tasks == 2
    session.text_to_video("A blue fox")
    assert user.tasks == 3


def test_each_way_on_leads_on(user: User, tmp_path: Path) -> None:
    """The free take makes one task, the adopted task shows its clip, the file put back answers."""
    task_id = user.pay().task_id
    user.close()
    kept = tmp_path / "kept.sqlite3"
    shutil.copy(user.folder / "ledger.sqlite3", kept)
    delete(user.folder)
    assert user.pay(take=2).record.take == 2
    assert user.tasks == 2
    assert user.session().adopt(task_id).result(PATIENCE_S).task_id == task_id
    user.close()
    shutil.copy(kept, user.folder / "ledger.sqlite3")
    assert user.pay().task_id == task_id
    assert user.tasks == 2


def test_a_new_machine_blocks_nothing(user: User) -> None:
    """Without an index the ledger is right, and fills the index in as soon as it is opened."""
    user.pay()
    user.close()
    user.index.path.unlink()
    session = user.session()
    session.resume()
    [row] = session.jobs()
    paid = user.index.find(row.fingerprint)
    assert (paid.folder, paid.job_id, paid.task_id) == (user.folder, row.id, row.task_id)
    assert user.pay().id == row.id
    assert user.tasks == 1


@pytest.mark.parametrize("fault", ["refuse", "fail-policy"])
def test_what_was_not_paid_may_be_asked_for_again(user: User, fault: str) -> None:
    """A refused or failed request is made again, also if the index was not updated."""
    user.emulator.account.inject(fault)
    session = user.session()
    with suppress(KlingError):
        session.text_to_video(PROMPT).exception(PATIENCE_S)
    [row] = session.jobs()
    user.close()
    note_as_sent(user, row)
    assert user.pay().id != row.id


def test_what_was_forgotten_may_be_asked_for_again(user: User) -> None:
    """A person allowed it; also if the index was not updated."""
    user.emulator.account.inject("lose-answer")
    job = user.session().text_to_video(PROMPT)
    forgotten = user.session().forget(job.id, yes=True)
    assert user.index.find(forgotten.fingerprint) is None
    note_as_sent(user, forgotten)
    assert user.pay().id != job.id


def test_a_claim_of_a_kernel_that_died_blocks_nothing(user: User) -> None:
    """It died before `sending` was on disk, so that nothing was sent; no session resumes."""
    session = user.session()
    job = session.reserve(WISH)
    row = session.ledger.row(job.id)
    user.index.claim(row.fingerprint, user.folder, row.created_at, take=1, job_id=row.id)
    session.ledger.close()
    assert user.pay().id != job.id
    assert user.tasks == 1


def test_a_folder_that_is_deleted_before_the_request_is_sent(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, claimed or created; the request can be made in another folder."""
    session = user.session()
    job = session.reserve(WISH)
    real = submit.create_body

    def delete_folder(*given: Any) -> dict[str, Any]:
        shutil.rmtree(user.folder)
        return real(*given)

    monkeypatch.setattr(submit, "create_body", delete_folder)
    with pytest.raises(LedgerError):
        session.submit(job)
    assert not user.folder.exists()
    assert user.index.find(job.record.fingerprint) is None
    assert user.tasks == 0


def test_an_older_copy_with_the_same_job_unsent(user: User) -> None:
    """The copy was made while the images were uploaded: the index knows that it was sent."""
    session = user.session()
    job = session.reserve(WISH)
    shutil.copy(user.folder / "ledger.sqlite3", user.path / "older.sqlite3")
    session.submit(job)
    job.result(PATIENCE_S)
    user.close()
    restore(user.folder)
    for _ in range(2):
        session = user.session()
        with pytest.raises(AlreadyPaid):
            session.text_to_video(PROMPT)
        session.resume()
    assert user.tasks == 1


def test_an_earlier_failure_does_not_hide_a_payment(user: User) -> None:
    """The copy knows the first attempt, which failed, and not the second, which was paid."""
    user.emulator.account.inject("fail-policy")
    user.session().text_to_video(PROMPT).exception(PATIENCE_S)
    user.close()
    shutil.copy(user.folder / "ledger.sqlite3", user.path / "older.sqlite3")
    user.pay()
    user.close()
    restore(user.folder)
    session = user.session()
    with pytest.raises(AlreadyPaid):
        session.text_to_video(PROMPT)
    [failed] = session.jobs()
    session.adopt(failed.task_id)  # looking at the failure leaves the payment noted
    with pytest.raises(AlreadyPaid):
        session.text_to_video(PROMPT)
    assert user.tasks == 2


def test_a_folder_that_was_moved_is_still_known(user: User) -> None:
    """In its new place the ledger answers, and the index has the new place."""
    job = user.pay()
    user.close()
    move_folder(user.folder)
    moved = user.folder.with_name("moved")
    session = user.session(moved)
    assert session.text_to_video(PROMPT).id == job.id
    paid = user.index.find(session.ledger.row(job.id).fingerprint)
    assert paid.folder == moved
    assert user.tasks == 1


def note_as_sent(user: User, row: JobRecord) -> None:
    """Leave in the index what a kernel leaves that dies before it tells how a job ended."""
    at = row.sent_at or row.created_at
    live = replace(row, stage=Stage.SENDING)
    user.index.note(live.fingerprint, user.folder, at, job_id=live.id)


# --- a ledger that cannot take the id ------------------------------------------------------------


@pytest.fixture
def locked(user: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Another program locks the ledger while createTask is under way, for longer than we wait."""
    user.session().ledger.open()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    file = user.folder / "ledger.sqlite3"
    connect = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with closing(connect) as connection:
        user.on_create(lambda: connection.execute("BEGIN EXCLUSIVE"))
        yield connection


def unlock(locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the lock, and wait for locks from now on: readers of the session hold them briefly."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", PATIENCE_S)
    locked.rollback()


def wait_for(session: Session, stage: Stage) -> JobRecord:
    """Wait until the only job is in a stage."""
    while True:
        with suppress(LedgerError):
            [row] = session.jobs()
            if row.stage is stage:
                return row
        session.loop.call(asyncio.sleep(0.01))


def test_the_next_cell_finds_the_id_without_resume(
    user: User, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that never resumes joins the job by asking for the same."""
    with pytest.raises(LedgerError):
        user.session().text_to_video(PROMPT)
    user.close()
    unlock(locked, monkeypatch)
    [task] = user.emulator.account.tasks()
    assert user.pay().task_id == task.task_id
    assert user.tasks == 1


@pytest.mark.parametrize("is_kept", [True, False])
def test_noting_is_tried_again_while_the_kernel_lives(
    user: User, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    """Once the ledger can be written the clip is saved, whether or not the id was kept.

    Where it was not, the card and the error have it.
    """
    monkeypatch.setattr(registry, "_RECORD_AGAIN_S", (0.01,))
    if not is_kept:
        monkeypatch.setattr(IdSlots, "write", lambda *given: False)
        monkeypatch.setattr(UserIndex, "write_task_id", lambda *given: False)
    session = user.session()
    job = session.reserve(WISH)
    with pytest.raises(LedgerError) as caught:
        session.submit(job)
    [task] = user.emulator.account.tasks()
    assert f"`%kling adopt {task.task_id} {job.id}`" in str(caught.value)
    assert ("The id is saved" in str(caught.value)) is is_kept
    assert ("Write the id down" in str(caught.value)) is not is_kept
    assert isinstance(job.state, Detached)
    assert (job.state.task_id, task.task_id in job.state.reason) == (task.task_id, True)
    unlock(locked, monkeypatch)
    row = wait_for(session, Stage.SAVED)
    assert (row.id, row.task_id) == (job.id, task.task_id)
    assert session.text_to_video(PROMPT).result(0).path.is_file()
    assert user.tasks == 1


def test_the_id_is_adopted_after_a_restore(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that sent the request does what its error says, before it tries to note again."""
    monkeypatch.setattr(registry, "_RECORD_AGAIN_S", (PATIENCE_S,))
    session = user.session()
    job = session.reserve(WISH)
    ledger = user.folder / "ledger.sqlite3"
    unsent = ledger.read_bytes()
    user.on_create(lambda: ledger.write_bytes(unsent))
    with pytest.raises(LedgerError, match="kling adopt"):
        session.submit(job)
    [task] = user.emulator.account.tasks()
    found = session.adopt(task.task_id, job.id)
    assert (found.id, found.task_id) == (job.id, task.task_id)
    found.result(PATIENCE_S)
    assert user.tasks == 1


def test_a_session_is_closed_while_it_tries_to_note(user: User, locked: sqlite3.Connection) -> None:
    """It does not wait for the ledger; what it wrote is for the next session."""
    with pytest.raises(LedgerError):
        user.session().text_to_video(PROMPT)
    user.close()
    assert locked.in_transaction


@pytest.mark.parametrize("lost", ["", "folder", "index"])
def test_one_place_of_the_id_is_enough(
    user: User, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The ledger was locked: the file in the folder or the row of the index gives the id back."""
    with pytest.raises(LedgerError, match="The id is saved"):
        user.session().text_to_video(PROMPT)
    user.close()
    unlock(locked, monkeypatch)
    if lost == "index":
        user.index.path.unlink()
    elif lost == "folder":
        shutil.rmtree(user.folder / "sending")
        (user.folder / "sending").mkdir()
    follow_the_task(user)


def test_nothing_is_sent_where_no_space_can_be_made(user: User) -> None:
    """The request is discarded; once there is space it makes the one task."""
    session = user.session()
    session.ledger.open()
    (user.folder / "sending").write_text("")
    with pytest.raises(LedgerError, match="No task was created"):
        session.text_to_video(PROMPT)
    assert user.tasks == 0
    (user.folder / "sending").unlink()
    user.pay()
    assert user.tasks == 1


def test_a_ledger_that_lost_a_request_without_an_answer(user: User) -> None:
    """Its kernel died: the next session has the job again, unknown, and sends nothing."""
    session = user.session()
    job = session.reserve(WISH)
    row = session.ledger.row(job.id)
    session.ledger.id_slots.allocate(replace(row, stage=Stage.SENDING, sent_at=row.created_at))
    user.close()
    delete(user.folder)
    again = user.session().text_to_video(PROMPT)
    assert again.id == job.id
    assert user.session().ledger.row(job.id).stage is Stage.UNKNOWN
    assert user.tasks == 0


FULL_DISK = """
import os
import resource
import sys

from kling_nb.errors import LedgerError
from kling_nb.storage.id_slots import IdSlots
from kling_nb.jobs.session import Session

write = IdSlots.write


def fill_the_disk(self, job_id, task_id):
    # No file may grow beyond two pages: no journal fits, and what was preallocated can be written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    return write(self, job_id, task_id)


IdSlots.write = fill_the_disk
try:
    Session().text_to_video("Paid on a full disk")
except LedgerError as error:
    sys.stdout.write(str(error))
    sys.stdout.flush()
os._exit(1)
"""
"""Is killed right after the service has accepted, when the disk was full."""


@pytest.mark.parametrize("lost", ["nothing", "folder", "index"])
def test_a_full_disk_when_the_answer_comes(
    served: Served, open_live: Callable[[str], Session], tmp_path: Path, lost: str
) -> None:
    """Both places take the id without more space, and each is enough for the next kernel."""
    folder = tmp_path / "clips"
    before = served.account.count_tasks()
    live = {"KLING_NB_MODE": "live", "KIE_API_KEY": KEY}
    with python(FULL_DISK, **served.environment(folder) | live) as kernel:
        said = kernel.stdout.read()
    task_id = served.account.tasks()[-1].task_id
    assert f"Task {task_id} was accepted and is paid" in said
    assert "The id is saved" in said
    [slot] = (folder / "sending").iterdir()
    ledger = Ledger(folder)
    [row] = ledger.rows()
    ledger.close()
    assert row.stage is Stage.SENDING
    paid = UserIndex().find(row.fingerprint)
    assert (paid and paid.task_id, task_id in slot.read_text()) == (task_id, True)
    if lost != "nothing":
        (slot if lost == "folder" else UserIndex().path).unlink()
    [job] = open_live("clips").resume()
    assert job.task_id == task_id
    assert job.result(PATIENCE_S).path.is_file()
    assert served.account.count_tasks() - before == 1
