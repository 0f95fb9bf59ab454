"""What `session` promises: the same request is the same job, in one kernel, in two, or tomorrow."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Detached, Preparing, Saved, Waiting
from kling_nb.errors import BudgetExceeded, InvalidInput, JobDetached, LedgerError
from kling_nb.jobs import registry
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.service import CREATE, Open, emulated_account

PATIENCE_S = 30.0
SLOW_S = 600.0
"""An emulated clip that does not end during a test."""


def saved(job: Job) -> Saved:
    """The state of a job that has its clip."""
    job.result(PATIENCE_S)
    assert isinstance(job.state, Saved)
    return job.state


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda s: s.generate(), "model: is missing; e.g. `kling_nb.generate("),
        (lambda s: s.text_to_video(), "prompt: is missing; e.g. `kling_nb.text_to_video("),
        (lambda s: s.image_to_video("fox.png"), "prompt: is missing; e.g. `kling_nb.image_to_"),
        (lambda s: s.image_to_video(prompt="A fox"), "image: is missing; e.g. `kling_nb.image_to_"),
        (lambda s: s.image_to_video(duration=5), "image and prompt: are missing; e.g. `kling"),
        (lambda s: s.generate("2.6/text"), "prompt: is missing; allowed: 1 to 1,000 characters"),
        (lambda s: s.generate(26), "'26' is not known"),
        (lambda s: s.text_to_video("A fox", durration=5), "did you mean duration? allowed: prompt"),
    ],
)
def test_a_missing_or_misspelt_argument_is_named(
    session: Session, account: Any, given: Callable[[Session], Job], said: str
) -> None:
    """One line with an example, in place of Python's TypeError; nothing is sent."""
    with pytest.raises(InvalidInput) as error:
        given(session)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert account.all_requests() == {}
    assert session.jobs() == []


def test_the_model_may_be_named(session: Session) -> None:
    """As every other argument."""
    job = session.generate(model="2.6/text", prompt="A red fox")
    assert job.id == session.text_to_video("A red fox").id


def test_image_to_video(session: Session, photo: bytes) -> None:
    """An image and a sentence become a clip on disk."""
    job = session.image_to_video(photo, "A red fox", duration=5)
    assert isinstance(job.state, Waiting)
    clip = job.result(PATIENCE_S)
    assert clip.path.parent == session.ledger.folder
    assert clip.request.model == IMAGE_TO_VIDEO.name
    assert clip.request.balance_before == 5916
    assert clip.request.emulated
    assert not saved(job).already


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


def test_other_requests_are_reserved_at_the_same_time(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger commits them together; more takes of one job are other requests, too."""
    session = open_session(emulator_seconds=SLOW_S)
    first = session.text_to_video("A red fox")
    real, meeting = registry.reserve, asyncio.Barrier(4)

    async def reserve(*given: Any) -> tuple[JobRecord, bool]:
        async with asyncio.timeout(PATIENCE_S):
            await meeting.wait()
        return await real(*given)

    async def make() -> list[Job]:
        wishes = (ClipRequest(TEXT_TO_VIDEO, {"prompt": f"Fox {number}"}) for number in range(3))
        others = (session._registry.reserve(wish) for wish in wishes)
        return list(await asyncio.gather(*others, session._registry.another_take(first.id)))

    monkeypatch.setattr(registry, "reserve", reserve)
    jobs = session.loop.call(make())
    assert len({job.id for job in (first, *jobs)}) == 5


def test_takes_that_are_made_at_the_same_time_differ(open_session: Open) -> None:
    """Each call is paid, so each makes one of its own."""
    session = open_session(emulator_seconds=SLOW_S)
    first = session.text_to_video("A red fox")

    async def make() -> list[Job]:
        return list(
            await asyncio.gather(*(session._registry.another_take(first.id) for _ in range(3)))
        )

    jobs = session.loop.call(make())
    assert sorted(job.record.take for job in jobs) == [2, 3, 4]


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
def test_a_missing_file_is_fetched_again(session: Session, harm: Callable[[Path], object]) -> None:
    """From the service, for 0 credits; a file that does not play counts as gone."""
    path = session.text_to_video("A red fox").result(PATIENCE_S).path
    content = path.read_bytes()
    harm(path)
    job = session.text_to_video("A red fox")
    assert job.result(PATIENCE_S).path == path
    assert path.read_bytes() == content
    assert emulated_account(session).requests(CREATE) == 1


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
    assert existing.id == job.id


def test_a_quote_without_a_balance(session: Session) -> None:
    """The price is known without the service."""
    emulated_account(session).inject("unreachable", argument="other")
    quote = session.quote(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"}))
    assert (quote.price_credits, quote.balance_credits) == (55, None)


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
    """Without polling the task goes on, and its clip is saved later."""
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
    """Handles end, files are closed, and another session of the process goes on at once."""
    first = open_session(emulator_seconds=1)
    job = first.text_to_video("A red fox")
    first.close()
    with pytest.raises(JobDetached):
        job.result(0)
    second = open_session()
    assert second.ledger.row(job.id).owner == ""
    [again] = second.resume()
    assert again.result(PATIENCE_S).path.is_file()


def test_emulated_clips_are_not_indexed(open_session: Open, tmp_path: Path) -> None:
    """They cost nothing: another folder makes its own."""
    for folder in ("one", "two"):
        session = open_session(folder=tmp_path / folder)
        assert not saved(session.text_to_video("A red fox")).already
        assert emulated_account(session).count_tasks() == 1
    assert not UserIndex().path.exists()


def test_expectations_are_learnt(session: Session) -> None:
    """The durations of the clips in this folder count."""
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


def test_clips_are_filtered(session: Session) -> None:
    """By words, model and time; a clip of the list is the clip of its job."""
    fox = session.text_to_video("A red fox").result(PATIENCE_S)
    later = datetime.now(UTC) + timedelta(hours=1)
    whale = session.generate("v3-turbo-text", prompt="A whale").result(PATIENCE_S)
    assert list(session.clips()) == [whale, fox]
    assert list(session.clips("red FOX")) == [fox]
    assert list(session.clips(model="v3-turbo-text")) == [whale]
    assert list(session.clips(since=timedelta(days=1))) == [whale, fox]
    assert list(session.clips("fox", since=later)) == list(session.clips(since=later)) == []
    assert list(session.clips("whale", model="2.6/text")) == []
    with pytest.raises(InvalidInput, match="'nope' is not known"):
        session.clips(model="nope")
    with pytest.raises(InvalidInput, match="give a date such as"):
        session.clips(since="last week")
    wrong: Any = 5
    with pytest.raises(InvalidInput, match="`limit=20` limits"):
        session.clips(wrong)
    with pytest.raises(InvalidInput, match="0 or more"):
        session.clips(limit=-1)
    assert list(session.clips(limit=0)) == []


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
    assert [clip.request.id for clip in shown] == [jobs[2].id, jobs[0].id]
    assert [clip.request.starred for clip in shown] == [False, True]
    assert len(again.clips(hidden=True)) == 3
    assert [clip.request.id for clip in again.clips(limit=1)] == [jobs[2].id]
    assert [clip.request.id for clip in again.clips(starred=True)] == [jobs[0].id]
    assert again.text_to_video("A red fox, 1").result(0).path.is_file()
    again.hide(jobs[1].id, on=False)
    again.star(jobs[0].id, on=False)
    assert [clip.request.starred for clip in again.clips()] == [False] * 3
    assert emulated_account(again).count_tasks() == 3


# --- budgets -----------------------------------------------------------------------------------


def test_a_budget_stops_before_anything_is_sent(session: Session, account: Any) -> None:
    """The second clip is refused; no task, no upload, no row; the first is shown for nothing."""
    [standing] = session.budget("$0.30")
    assert standing.left_credits == 60
    session.text_to_video("A red fox")
    with pytest.raises(BudgetExceeded, match=r"5 left\. Nothing was sent"):
        session.text_to_video("Another fox")
    assert account.count_tasks() == account.requests(CREATE) == 1
    assert len(session.jobs()) == 1
    assert session.text_to_video("A red fox").id == session.jobs()[0].id
    session.budget("off")
    session.text_to_video("Another fox")


def test_a_task_is_adopted_whatever_the_budget(open_session: Open, tmp_path: Path) -> None:
    """It is paid already, and its price is not known here."""
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
    fox = open_session(notebook=lambda: str(tmp_path / "films" / "fox.ipynb"))
    cat = open_session(notebook=lambda: "/elsewhere/cat.ipynb")
    fox.budget(60, per="notebook")
    assert [fox.text_to_video("A red fox"), cat.text_to_video("A cat")]
    assert [row.notebook for row in fox.jobs()] == ["cat.ipynb", "films/fox.ipynb"]
    with pytest.raises(BudgetExceeded, match=r"notebook films/fox\.ipynb"):
        fox.text_to_video("Another fox")
    cat.text_to_video("Another cat")


def test_a_notebook_without_a_name_has_no_budget(session: Session) -> None:
    """It is said where it is set, not found out when it does not hold."""
    with pytest.raises(InvalidInput, match="does not report the notebook's path"):
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
