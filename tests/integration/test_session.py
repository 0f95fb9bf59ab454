"""What `session` promises: the same request is the same job, in one kernel, in two, or tomorrow."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Detached, Preparing, Saved, Stage, Waiting
from kling_nb.emulator import EmulatedAccount
from kling_nb.errors import (
    AlreadyPaid,
    BudgetExceeded,
    ConfigurationError,
    InvalidInput,
    JobDetached,
    LedgerError,
    TaskFailed,
)
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.service import CREATE, KEY, Served

Open = Callable[..., Session]
OpenLive = Callable[[str], Session]

PATIENCE_S = 30.0
SLOW_S = 600.0
"""An emulated clip that does not end during a test."""


@pytest.fixture
def session(open_session: Open) -> Session:
    """A session with a quick emulator."""
    return open_session()


def emulated_account(session: Session) -> EmulatedAccount:
    """What the emulator of the session knows."""
    assert session.emulator is not None
    return session.emulator.account


def saved(job: Job) -> Saved:
    """The state of a job that has its clip."""
    job.result(PATIENCE_S)
    assert isinstance(job.state, Saved)
    return job.state


def test_image_to_video(session: Session, photo: bytes) -> None:
    """A picture and a sentence become a clip on disk."""
    job = session.image_to_video(photo, "A red fox", duration=5)
    assert isinstance(job.state, Waiting)
    clip = job.result(PATIENCE_S)
    assert clip.path.parent == session.ledger.folder
    assert clip.request.model == IMAGE_TO_VIDEO.name
    assert clip.request.balance_before == 5916
    assert clip.request.emulated
    assert not saved(job).already


def test_text_to_video_in_a_coroutine(session: Session) -> None:
    """The job can be awaited in any loop."""

    async def play() -> object:
        return await session.text_to_video("A red fox")

    assert asyncio.run(play()) == session.text_to_video("A red fox").result(0)


def test_the_same_request_joins_the_running_job(open_session: Open) -> None:
    """One task, one handle."""
    session = open_session(emulator_seconds=SLOW_S)
    first, second = (session.text_to_video("A red fox") for _ in range(2))
    assert first is second
    assert emulated_account(session).requests(CREATE) == 1


def test_the_same_request_at_the_same_time(open_session: Open) -> None:
    """Two cells at once make one task."""
    session = open_session(emulator_seconds=SLOW_S)
    wish = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})

    async def both() -> list[Job]:
        async def generate() -> Job:
            job = await session._registry.reserve(wish)
            await session._registry.submit(job)
            return job

        return list(await asyncio.gather(*(generate() for _ in range(5))))

    jobs = session.loop.call(both())
    assert len({job.id for job in jobs}) == 1
    assert emulated_account(session).requests(CREATE) == 1


def test_the_same_request_shows_the_saved_clip(session: Session) -> None:
    """For 0 credits: no question, no task."""
    clip = session.text_to_video("A red fox").result(PATIENCE_S)
    before = emulated_account(session).all_requests()
    job = session.text_to_video("A red fox")
    assert job.done()
    assert saved(job).already
    assert job.result(0) == clip
    assert emulated_account(session).all_requests() == before


def test_the_same_request_in_the_next_kernel(open_session: Open) -> None:
    """It is on disk: nothing is sent."""
    first = open_session()
    clip = first.text_to_video("A red fox").result(PATIENCE_S)
    first.close()
    job = open_session().text_to_video("A red fox")
    assert saved(job).already
    assert job.result(0) == clip
    assert emulated_account(first).requests(CREATE) == 1


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"half")])
def test_a_file_that_is_gone_is_fetched_again(
    session: Session, harm: Callable[[Path], object]
) -> None:
    """From the service, for 0 credits; a file that does not play counts as gone."""
    path = session.text_to_video("A red fox").result(PATIENCE_S).path
    content = path.read_bytes()
    harm(path)
    job = session.text_to_video("A red fox")
    assert job.result(PATIENCE_S).path == path
    assert path.read_bytes() == content
    assert emulated_account(session).requests(CREATE) == 1


def test_another_take_is_another_task_once(session: Session) -> None:
    """It is part of the request, so running it again is free too."""
    jobs = [session.text_to_video("A red fox", take=take) for take in (1, 2, 2, 1, 2)]
    paths = [job.result(PATIENCE_S).path for job in jobs]
    assert len(set(paths)) == 2
    assert emulated_account(session).requests(CREATE) == 2


def test_a_failed_job_does_not_block(session: Session) -> None:
    """It was given back: the same request makes a new task."""
    emulated_account(session).inject("fail-internal")
    with pytest.raises(TaskFailed):
        session.text_to_video("A red fox").result(PATIENCE_S)
    session.text_to_video("A red fox").result(PATIENCE_S)
    assert emulated_account(session).count_tasks() == 2
    assert emulated_account(session).balance() == 5916 - 55


def test_two_sessions_in_one_folder(open_session: Open) -> None:
    """One task; the second sees the first's job and gets its clip."""
    first, second = open_session(), open_session()
    mine = first.text_to_video("A red fox")
    theirs = second.text_to_video("A red fox")
    assert mine.id == theirs.id
    assert mine.result(PATIENCE_S) == theirs.result(PATIENCE_S)
    assert emulated_account(first).requests(CREATE) == 1
    assert saved(second.text_to_video("A red fox")).already


def test_a_request_that_another_session_only_prepared(open_session: Open) -> None:
    """The second watches; when the first ends, what it never sent is discarded, and free."""
    first, second = open_session(), open_session()
    mine = first.reserve(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}))
    theirs = second.text_to_video("A red fox")
    assert mine.id == theirs.id
    assert isinstance(theirs.state, Preparing)
    first.close()
    with pytest.raises(JobDetached, match="discarded"):
        theirs.result(PATIENCE_S)
    second.text_to_video("A red fox").result(PATIENCE_S)
    assert emulated_account(second).count_tasks() == 1


def test_prepare_sends_nothing(session: Session) -> None:
    """Only the balance is asked for; `submit` sends, and once."""
    job = session.reserve(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}))
    assert isinstance(job.state, Preparing)
    assert emulated_account(session).requests(CREATE) == 0
    session.submit(job)
    session.submit(job)
    assert emulated_account(session).requests(CREATE) == 1


def test_wrong_values(session: Session) -> None:
    """Nothing is sent and nothing is noted."""
    with pytest.raises(InvalidInput):
        session.image_to_video(b"no picture", "", duration=7)
    assert emulated_account(session).all_requests() == {}
    assert session.jobs() == []


def test_a_model_that_does_not_exist(session: Session) -> None:
    """The person is told before anything happens."""
    with pytest.raises(InvalidInput):
        session.generate("kling-9/dreams", prompt="A red fox")
    assert session.jobs() == []


def test_a_quote(session: Session) -> None:
    """What it would cost and what is there; nothing is noted or made."""
    wish = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox", "duration": 10, "sound": True})
    quote = session.quote(wish)
    assert (quote.price_credits, quote.balance_credits, quote.existing) == (220, 5916, None)
    assert quote.emulated
    assert quote.inputs["duration"] == "10 s"
    assert session.jobs() == []
    job = session.text_to_video("A red fox", duration=10, sound=True)
    existing = session.quote(wish).existing
    assert existing is not None
    assert existing.id == job.id


def test_a_quote_without_a_balance(session: Session) -> None:
    """The price is known without the service."""
    emulated_account(session).inject("unreachable", argument="other")
    quote = session.quote(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}))
    assert (quote.price_credits, quote.balance_credits) == (55, None)


def test_the_balance(session: Session) -> None:
    """In credits, after what was spent."""
    session.text_to_video("A red fox")
    assert session.balance() == 5916 - 55


def test_the_jobs(session: Session) -> None:
    """As the ledger has them, newest first."""
    one, two = (session.text_to_video(prompt) for prompt in ("One", "Two"))
    assert [row.id for row in session.jobs()] == [two.id, one.id]
    assert [row.id for row in session.jobs(limit=1)] == [two.id]


def test_a_job_by_its_id(open_session: Open) -> None:
    """The running handle, or a new one that ends as the row says."""
    session = open_session()
    job = session.text_to_video("A red fox")
    clip = job.result(PATIENCE_S)
    assert session.job(job.id[:4]).result(0) == clip
    assert open_session().job(job.id).result(0) == clip
    with pytest.raises(LedgerError):
        session.job("ffff0000")


def test_detach_and_resume(open_session: Open) -> None:
    """Nobody follows for a while; the task goes on, and its clip is had."""
    session = open_session(emulator_seconds=1)
    job = session.text_to_video("A red fox")
    job.detach()
    assert isinstance(job.state, Detached)
    while session.ledger.row(job.id).owner:  # let go as soon as what was under way has ended
        session.loop.call(asyncio.sleep(0.01))
    [again] = session.resume()
    assert again.id == job.id
    assert again.result(PATIENCE_S).path.is_file()
    assert emulated_account(session).requests(CREATE) == 1


def test_resume_one(open_session: Open) -> None:
    """By its id, and of several only that."""
    session = open_session(emulator_seconds=SLOW_S)
    one, two = (session.text_to_video(prompt) for prompt in ("One", "Two"))
    one.detach()
    two.detach()
    [again] = session.resume(one.id)
    assert again.id == one.id
    while session.ledger.row(two.id).owner:  # let go behind the call
        session.loop.call(asyncio.sleep(0.01))
    assert session.resume(one.id) == [again]


def test_resume_when_nothing_is_left(session: Session) -> None:
    """No job, no question."""
    session.text_to_video("A red fox").result(PATIENCE_S)
    before = emulated_account(session).all_requests()
    assert session.resume() == []
    assert emulated_account(session).all_requests() == before


def test_close_leaves_the_jobs_to_the_next(open_session: Open) -> None:
    """Handles end, files are closed, and another session goes on."""
    first = open_session(emulator_seconds=1)
    job = first.text_to_video("A red fox")
    first.close()
    with pytest.raises(JobDetached):
        job.result(0)
    [again] = open_session().resume()
    assert again.result(PATIENCE_S).path.is_file()


def test_a_vanished_job_is_asked_about_again(session: Session) -> None:
    """By `resume(id)`: the person decided."""
    job = session.text_to_video("A red fox")
    job.result(PATIENCE_S)
    ledger = session.ledger
    ledger.advance(job.id, Stage.SUCCEEDED)
    ledger.advance(job.id, Stage.EXPIRED, reason="gone")
    assert session.resume() == []
    [again] = session.resume(job.id)
    assert again.result(PATIENCE_S).path.is_file()


def test_adopt_and_forget(session: Session) -> None:
    """The two ways on for a lost answer."""
    emulated_account(session).inject("lose-answer", times=2)
    one, two = (session.text_to_video(prompt) for prompt in ("One", "Two"))
    first, _ = emulated_account(session).tasks()
    adopted = session.adopt(f" {first.task_id} ", one.id)
    assert adopted.result(PATIENCE_S).path.is_file()
    assert session.text_to_video("One").result(0) == adopted.result(0)
    assert session.forget(two.id, yes=True).stage is Stage.FORGOTTEN
    session.text_to_video("Two").result(PATIENCE_S)
    assert emulated_account(session).count_tasks() == 3


def test_an_id_that_could_not_be_noted_is_adopted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the error says; whoever held the job meanwhile is not left waiting."""
    advance = Ledger.advance

    def broken(self: Ledger, job_id: str, stage: Stage, **facts: object) -> JobRecord:
        if stage is Stage.ACCEPTED:
            raise LedgerError("The disk is full.")
        return advance(self, job_id, stage, **facts)

    monkeypatch.setattr(Ledger, "advance", broken)
    job = session.reserve(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}))
    with pytest.raises(LedgerError) as caught:
        session.submit(job)
    assert job.exception(0) is caught.value
    monkeypatch.undo()
    [task] = emulated_account(session).tasks()
    adopted = session.adopt(*str(caught.value).partition("%kling adopt ")[2].split("`")[0].split())
    assert adopted.id == job.id
    assert adopted.task_id in ("", task.task_id)
    assert adopted.result(PATIENCE_S).path.is_file()
    assert session.text_to_video("A red fox").result(0) == adopted.result(0)
    assert emulated_account(session).requests(CREATE) == 1


def test_paid_in_another_folder(open_live: OpenLive, served: Served) -> None:
    """Live: not sent; the folder, the day and the way on are named."""
    first = open_live("one")
    job = first.text_to_video("Paid once")
    job.result(PATIENCE_S)
    first.close()
    tasks = served.account.count_tasks()
    second = open_live("two")
    with pytest.raises(AlreadyPaid, match=r"paid for on .* in .*one\. Copy .*`--take 2`"):
        second.text_to_video("Paid once")
    assert second.jobs() == []
    assert served.account.count_tasks() == tasks
    second.text_to_video("Paid once", take=2).result(PATIENCE_S)
    assert served.account.count_tasks() == tasks + 1


def test_paid_in_another_folder_and_in_this_one(open_live: OpenLive, tmp_path: Path) -> None:
    """The clip that is here is shown."""
    session = open_live("one")
    clip = session.text_to_video("Paid here").result(PATIENCE_S)
    row = session.jobs()[0]
    session.close()
    UserIndex().note(row.fingerprint, tmp_path / "elsewhere", clip.finished_at)
    again = open_live("one").text_to_video("Paid here")
    assert saved(again).already


def test_emulated_clips_are_not_indexed(open_session: Open, tmp_path: Path) -> None:
    """They cost nothing: another folder makes its own."""
    for folder in ("one", "two"):
        session = open_session(folder=tmp_path / folder)
        assert not saved(session.text_to_video("A red fox")).already
        assert emulated_account(session).count_tasks() == 1
    assert not UserIndex().path.exists()


def test_an_emulated_clip_elsewhere_is_no_obstacle(open_session: Open, tmp_path: Path) -> None:
    """Whatever the index says: what costs nothing may be made again."""
    one = open_session(folder=tmp_path / "one")
    clip = one.text_to_video("A red fox").result(PATIENCE_S)
    UserIndex().note(one.jobs()[0].fingerprint, tmp_path / "one", clip.finished_at)
    two = open_session(folder=tmp_path / "two")
    assert not saved(two.text_to_video("A red fox")).already


def test_the_emulator_needs_no_key(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not see the one that is there."""
    monkeypatch.setenv("KIE_API_KEY", KEY)
    session = open_session()
    assert session.settings.key is None
    assert session.service == "emulator"


def test_live_without_a_key(tmp_path: Path) -> None:
    """It is not silently emulated, and nothing is made on disk."""
    with pytest.raises(ConfigurationError, match="KIE_API_KEY"):
        Session(mode="live", folder=tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


def test_live_and_emulated_are_two_requests(
    open_session: Open, open_live: OpenLive, served: Served, tmp_path: Path
) -> None:
    """A rehearsal in the emulator does not stand for the real clip in the same folder."""
    rehearsal = open_session(folder=tmp_path / "one")
    rehearsal.text_to_video("A rehearsal").result(PATIENCE_S)
    tasks = served.account.count_tasks()
    real = open_live("one")
    assert not saved(real.text_to_video("A rehearsal")).already
    assert served.account.count_tasks() == tasks + 1


def test_other_services_jobs_are_left_alone(
    open_session: Open, open_live: OpenLive, tmp_path: Path
) -> None:
    """A live session does not ask the service about emulated tasks."""
    rehearsal = open_session(folder=tmp_path / "one", emulator_seconds=SLOW_S)
    rehearsal.text_to_video("A rehearsal")
    rehearsal.close()
    real = open_live("one")
    assert real.resume() == []


def test_expectations_are_learnt(session: Session) -> None:
    """After three clips the folder's own durations count."""
    for prompt in ("One", "Two", "Three"):
        row = session.ledger.row(session.text_to_video(prompt).id)
        session.job(row.id).result(PATIENCE_S)
    job = session.text_to_video("Four")
    assert isinstance(job.state, Waiting)
    past = session.ledger.durations_s(TEXT_TO_VIDEO.name, "emulator")
    assert min(past) <= replace(job.state).expected_s <= max(past)


def test_a_clip_that_was_edited_is_left_alone(session: Session) -> None:
    """A file of another size that plays is a person's own: nothing is fetched over it."""
    clip = session.text_to_video("A red fox").result(PATIENCE_S)
    edited = clips.make_preview(clip.path) + bytes(8)
    clip.path.write_bytes(edited)
    asked = emulated_account(session).all_requests()
    assert saved(session.text_to_video("A red fox")).already
    assert clip.path.read_bytes() == edited
    assert emulated_account(session).all_requests() == asked


def test_stars_and_hidden_clips(open_session: Open) -> None:
    """Kept for the next kernel; a hidden clip is on disk, and its cell shows it for 0 credits."""
    session = open_session()
    jobs = [session.text_to_video(f"A red fox, {number}") for number in range(3)]
    for job in jobs:
        job.result(PATIENCE_S)
    assert session.star(jobs[0].id).starred
    assert session.hide(jobs[1].id).hidden
    session.close()
    again = open_session()
    shown = again.clips()
    assert [row.id for row in shown] == [jobs[2].id, jobs[0].id]
    assert [row.starred for row in shown] == [False, True]
    assert len(again.clips(hidden=True)) == 3
    assert [row.id for row in again.clips(1)] == [jobs[2].id]
    assert again.text_to_video("A red fox, 1").result(0).path.is_file()
    again.hide(jobs[1].id, on=False)
    again.star(jobs[0].id, on=False)
    assert [row.starred for row in again.clips()] == [False] * 3
    assert emulated_account(again).count_tasks() == 3


def test_a_clip_is_known_by_its_content(session: Session) -> None:
    """Its hash is noted when it is saved, and is that of the file."""
    clip = session.text_to_video("A red fox").result(PATIENCE_S)
    [row] = session.clips()
    assert row.clip is not None
    assert row.clip.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()


# --- budgets -----------------------------------------------------------------------------------


def named(path: Path) -> Callable[[], str]:
    """A front end that tells this notebook."""
    return lambda: str(path)


def test_a_budget_stops_before_anything_is_sent(session: Session) -> None:
    """The second clip is refused; no task, no upload, no row; the first is shown for nothing."""
    [standing] = session.budget("$0.30")
    assert standing.left_credits == 60
    session.text_to_video("A red fox")
    with pytest.raises(BudgetExceeded, match=r"5 left\. Nothing was sent"):
        session.text_to_video("Another fox")
    assert (
        emulated_account(session).count_tasks() == emulated_account(session).requests(CREATE) == 1
    )
    assert len(session.jobs()) == 1
    assert session.text_to_video("A red fox").id == session.jobs()[0].id
    session.budget("off")
    session.text_to_video("Another fox")


def test_another_take_is_held_by_the_budget(session: Session) -> None:
    """A click on a card passes it no more than a cell does."""
    session.budget(100)
    job = session.text_to_video("A red fox")
    saved(job)
    with pytest.raises(BudgetExceeded):
        job.another_take()
    assert emulated_account(session).count_tasks() == 1


def test_a_task_is_adopted_whatever_the_budget(open_session: Open, tmp_path: Path) -> None:
    """It is paid already, and nobody here knows its price."""
    session = open_session()
    session.text_to_video("A red fox")
    account = emulated_account(session)
    with closing(Ledger(tmp_path / "clips")) as ledger:
        [row] = ledger.rows()
    with sqlite3.connect(ledger.folder / "ledger.sqlite3") as connection:
        connection.execute("DELETE FROM events")
        connection.execute("DELETE FROM jobs")
    connection.close()
    session.budget(0)
    assert session.adopt(row.task_id).task_id == row.task_id
    assert account.count_tasks() == 1


def test_the_notebook_is_noted_and_has_its_budget(open_session: Open, tmp_path: Path) -> None:
    """By its path from the folder's parent, with each request."""
    fox = open_session(notebook=named(tmp_path / "films" / "fox.ipynb"))
    cat = open_session(notebook=named(Path("/elsewhere/cat.ipynb")))
    fox.budget(60, per="notebook")
    assert [fox.text_to_video("A red fox"), cat.text_to_video("A cat")]
    assert [row.notebook for row in fox.jobs()] == ["cat.ipynb", "films/fox.ipynb"]
    with pytest.raises(BudgetExceeded, match=r"notebook films/fox\.ipynb"):
        fox.text_to_video("Another fox")
    cat.text_to_video("Another cat")


def test_a_notebook_without_a_name_has_no_budget(session: Session) -> None:
    """It is said where it is set, not found out when it does not hold."""
    with pytest.raises(InvalidInput, match="does not provide the notebook's name"):
        session.budget(500, per="notebook")
    assert session.budget() == []


def test_what_is_left_is_shown_before_and_after(session: Session) -> None:
    """In the dry run, on the panel and on the card."""
    assert session.funds().budget_credits is None
    session.budget(390)
    assert session.quote(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})).budget_credits == 390
    job = session.text_to_video("A red fox")
    assert job.record.budget_before == 390
    assert session.funds().budget_credits == 335


def test_expenses_of_the_folder(session: Session) -> None:
    """What was paid, by whom it is told."""
    saved(session.text_to_video("A red fox"))
    [expense] = session.expenses()
    assert (expense.service, expense.credits, expense.is_clip) == ("emulator", 55, True)
