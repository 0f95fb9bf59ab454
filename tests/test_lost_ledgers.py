"""Never paid twice where the ledger is lost: the user's index knows what the folder has paid."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from kling_nb.emulator import Emulator
from kling_nb.errors import AlreadyPaid, KlingError
from kling_nb.index import PaidIndex
from kling_nb.jobs import Job
from kling_nb.ledger import Row
from kling_nb.models import TEXT_TO_VIDEO
from kling_nb.preparation import Wish
from kling_nb.session import Session
from kling_nb.states import Stage
from tests.service import CREATE, EASY, KEY, Wire

PROMPT = "A red fox"
WISH = Wish(TEXT_TO_VIDEO, {"prompt": PROMPT})
PATIENCE_S = 30.0


class User:
    """One user of one account: an index, folders, and sessions in them one after another."""

    def __init__(self, path: Path) -> None:
        self.folder = path / "clips"
        self.path = path
        self.index = PaidIndex(path / "data" / "paid.sqlite3")
        self.emulator = Emulator(path / "service", seconds=0.05, render="canned", terms=EASY)
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
        return self.emulator.books.count_tasks()

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A user who has paid for nothing yet."""
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


def delete_folder(folder: Path) -> None:
    """Delete the folder with all clips."""
    shutil.rmtree(folder)


def move_folder(folder: Path) -> None:
    """Move the folder; the next session makes a new one in its old place."""
    folder.rename(folder.with_name("moved"))


WAYS = [delete, truncate, cut, restore, delete_folder, move_folder]


def keep_older_copy(user: User) -> None:
    """Keep a copy of the ledger from before anything was paid."""
    user.session().ledger.open()
    user.close()
    shutil.copy(user.folder / "ledger.sqlite3", user.path / "older.sqlite3")


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


@pytest.mark.parametrize("lose", WAYS)
def test_a_ledger_that_is_lost_while_it_is_sent(user: User, lose: Callable[[Path], None]) -> None:
    """Whatever the first run says, the second one sends nothing."""
    keep_older_copy(user)
    user.on_create(lambda: lose(user.folder))
    for _ in range(2):
        try:
            user.session().text_to_video(PROMPT).exception(PATIENCE_S)
        except KlingError:
            continue
    assert user.tasks == 1


def test_the_refusal_names_the_day_and_the_ways_on(user: User) -> None:
    """Put the file back, recover, adopt the task that the index knows, or the next free take."""
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
        assert f"the ledger in {user.folder} does not know it. Nothing was sent." in said
        assert "Put that `ledger.sqlite3` back" in said
        assert "`%kling recover *.ipynb`" in said
        assert f"`%kling adopt {first.task_id}`" in said
        assert "`--take 3`" in said
    assert second.task_id == job.task_id
    assert session.jobs() == []
    assert user.tasks == 2


def test_each_way_on_leads_on(user: User, tmp_path: Path) -> None:
    """The free take makes one task, the adopted task shows its clip, the file put back answers."""
    task_id = user.pay().task_id
    user.close()
    kept = tmp_path / "kept.sqlite3"
    shutil.copy(user.folder / "ledger.sqlite3", kept)
    delete(user.folder)
    assert user.pay(take=2).facts.take == 2
    assert user.tasks == 2
    assert user.session().adopt(task_id).result(PATIENCE_S).task_id == task_id
    user.close()
    shutil.copy(kept, user.folder / "ledger.sqlite3")
    assert user.pay().task_id == task_id
    assert user.tasks == 2


def test_other_requests_are_not_affected(user: User) -> None:
    """A lost ledger blocks the requests that it knew, and no other."""
    user.pay()
    user.close()
    delete(user.folder)
    user.session().text_to_video("A blue fox")
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
    assert paid is not None
    assert (paid.folder, paid.job_id, paid.task_id) == (user.folder, row.id, row.task_id)
    assert user.pay().id == row.id
    assert user.tasks == 1


@pytest.mark.parametrize("fault", ["refuse", "fail-policy"])
def test_what_was_not_paid_may_be_asked_for_again(user: User, fault: str) -> None:
    """A refused or failed request is made again, also where the index could not be told."""
    user.emulator.books.inject(fault)
    session = user.session()
    with suppress(KlingError):
        session.text_to_video(PROMPT).exception(PATIENCE_S)
    [row] = session.jobs()
    user.close()
    note_as_sent(user, row)
    assert user.pay().id != row.id


def test_what_was_forgotten_may_be_asked_for_again(user: User) -> None:
    """A person allowed it; also where the index could not be told."""
    user.emulator.books.inject("lose-answer")
    job = user.session().text_to_video(PROMPT)
    forgotten = user.session().forget(job.id, yes=True)
    assert user.index.find(forgotten.fingerprint) is None
    note_as_sent(user, forgotten)
    assert user.pay().id != job.id


def test_a_claim_of_a_kernel_that_died_blocks_nothing(user: User) -> None:
    """It died before `sending` was on disk, so that nothing was sent; nobody opens the folder."""
    session = user.session()
    job = session.prepare(WISH)
    row = session.ledger.row(job.id)
    user.index.claim(row.fingerprint, user.folder, row.created_at, take=1, job_id=row.id)
    session.ledger.close()
    assert user.pay().id != job.id
    assert user.tasks == 1


def test_an_older_copy_with_the_same_job_unsent(user: User) -> None:
    """The copy was made while the pictures were uploaded: the index knows that it was sent."""
    session = user.session()
    job = session.prepare(WISH)
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
    user.emulator.books.inject("fail-policy")
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
    session.adopt(failed.task_id)  # whoever looks at the failure leaves the payment noted
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
    assert paid is not None
    assert paid.folder == moved
    assert user.tasks == 1


def note_as_sent(user: User, row: Row) -> None:
    """Leave in the index what a kernel leaves that dies before it tells how a job ended."""
    at = row.sent_at or row.created_at
    live = replace(row, stage=Stage.SENDING)
    user.index.note(live.fingerprint, user.folder, at, job_id=live.id)
