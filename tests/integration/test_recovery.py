"""What `recovery` promises: what was lost is found again, and nothing is paid for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import FORGETTABLE, Stage
from kling_nb.core.task_status import TaskMissing, TaskStatus
from kling_nb.errors import InvalidInput, KlingError, LedgerError
from kling_nb.jobs.job import Job
from kling_nb.jobs.other_folders import OtherFolders
from kling_nb.jobs.recovery import Recovery
from kling_nb.jobs.submit import submit
from kling_nb.kie.rate_limit import Turn
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.service import SCHEDULE, World

EMULATED = "emulator"


def recovery(world: World) -> Recovery:
    """Recovery for the world's own service."""
    elsewhere = OtherFolders(UserIndex(), world.ledger, EMULATED)
    return Recovery(replace(world.context, other_folders=elsewhere))


def adopt(world: World, task_id: str, job_id: str = "") -> JobRecord:
    """The row of an adopted task."""
    return asyncio.run(recovery(world).adopt(task_id, job_id))


def lost(world: World, prompt: str = "A red fox") -> tuple[Job, str]:
    """An unknown job, and the id of its task that only the account know."""
    world.account.inject("lose-answer")
    job = world.submit(prompt)
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN
    return job, world.account.tasks()[-1].task_id


def test_what_is_left(world: World) -> None:
    """Running tasks of any session; of this service only."""
    accepted, _ = world.submit("One"), lost(world, "Two")
    stranger, _ = world.ledger.intend(
        JobRecord("f", "live", "kling-2.6/text-to-video", {}, 1, 55.0)
    )
    world.ledger.advance(stranger.id, Stage.SENDING)
    world.ledger.advance(stranger.id, Stage.ACCEPTED, task_id="live-task")
    world.ledger.close()
    world.ledger = Ledger(world.ledger.folder, clock=world.clock)
    world.context = world.context_with(ledger=world.ledger)
    left = asyncio.run(recovery(world).left_rows())
    assert [row.id for row in left] == [accepted.id]
    assert left[0].owner == world.ledger.owner


@pytest.mark.parametrize(
    ("fault", "times", "ended", "again"),
    [
        ("vanish", 1, Stage.VANISHED, Stage.ACCEPTED),
        ("download-404", 8, Stage.EXPIRED, Stage.SUCCEEDED),
    ],
)
def test_revive(world: World, fault: str, times: int, ended: Stage, again: Stage) -> None:
    """A person may have the service asked again about what was given up."""
    world.account.inject(fault, times=times)
    job = world.submit()
    world.follow(job)
    assert world.ledger.row(job.id).stage is ended
    assert asyncio.run(recovery(world).revive(job.id[:4])).stage is again


def test_what_has_ended_well_is_not_revived(world: World) -> None:
    """A saved clip stays saved."""
    job = world.submit()
    world.follow(job)
    assert asyncio.run(recovery(world).revive(job.id)).stage is Stage.SAVED


def test_adopting_a_lost_task(world: World) -> None:
    """The one unknown job gets its task back, and then its clip."""
    job, task_id = lost(world)
    row = adopt(world, task_id)
    assert (row.id, row.stage, row.task_id) == (job.id, Stage.ACCEPTED, task_id)
    again = world.handle(row)
    world.follow(again)
    assert again.result(0).path.is_file()
    assert world.account.count_tasks() == 1


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_task_that_was_over_teaches_nothing_of_durations(world: World, is_ours: bool) -> None:
    """An hour after it was made it ends a moment after it was adopted, a stranger's as a lost one.

    The next one's bar would run to that moment.
    """
    job, task_id = lost(world)
    asyncio.run(world.sleep(3600))
    if not is_ours:
        world.ledger.advance(job.id, Stage.FORGOTTEN)
    row = adopt(world, task_id, job.id if is_ours else "")
    asyncio.run(world.sleep(1))
    world.follow(world.handle(row))
    row = world.ledger.row(row.id)
    assert (row.stage, row.is_adopted) == (Stage.SAVED, not is_ours)
    assert row.finished_at is not None
    assert row.accepted_at is not None
    assert row.finished_at > row.accepted_at
    assert world.ledger.durations_s("kling-2.6/text-to-video", EMULATED) == []
    assert world.ledger.durations_s(row.model, EMULATED) == []


def test_adopting_with_several_lost(world: World) -> None:
    """The job must be named; then it is adopted."""
    first, _ = lost(world, "One")
    second, task_id = lost(world, "Two")
    with pytest.raises(LedgerError, match=f"(?s){second.id}.*{first.id}.*%kling adopt {task_id}"):
        adopt(world, task_id)
    assert adopt(world, task_id, second.id).id == second.id
    assert world.ledger.row(first.id).stage is Stage.UNKNOWN


def test_adopting_a_stranger(world: World) -> None:
    """A task that was made elsewhere becomes a job of this folder, once."""
    job = world.submit()
    world.ledger.close()
    elsewhere = World(world.ledger.folder.parent / "elsewhere")
    elsewhere.context = elsewhere.context_with(client=world.context.client)
    task_id = world.account.tasks()[0].task_id
    row = adopt(elsewhere, task_id)
    assert (row.stage, row.task_id, row.price_credits) == (Stage.ACCEPTED, task_id, None)
    assert row.id != job.id
    assert adopt(elsewhere, task_id).id == row.id
    elsewhere.close()


def test_adopting_what_does_not_exist(world: World) -> None:
    """The service is asked first; nothing is noted."""
    job, _ = lost(world)
    with pytest.raises(LedgerError, match="does not know a task 'nonsense'; check the id"):
        adopt(world, "nonsense")
    assert [row.id for row in world.ledger.rows()] == [job.id]
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN


def test_adopting_while_the_service_is_away(world: World) -> None:
    """Nothing is noted of what could not be asked about."""
    job, task_id = lost(world)
    world.account.inject("poll-502")
    with pytest.raises(KlingError):
        adopt(world, task_id)
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN


def test_forgetting(world: World) -> None:
    """A deliberate act after which the same request is sent again."""
    job, _ = lost(world)
    row = recovery(world).forget(job.id)
    assert (row.stage, row.reason) == (Stage.FORGOTTEN, "you allowed a new task")
    world.submit()
    assert world.account.count_tasks() == 2


def test_what_is_forgotten_in_a_folder_that_was_moved(world: World) -> None:
    """The index has the payment under the old path; it blocks no folder from then on."""
    row, _ = world.ledger.intend(
        JobRecord("f" * 64, "live", "kling-2.6/text-to-video", {}, 1, 55.0)
    )
    row = world.ledger.advance(row.id, Stage.SENDING)
    row = world.ledger.advance(row.id, Stage.UNKNOWN)
    index = recovery(world).context.other_folders.index
    index.note(row.fingerprint, Path("/before"), row.sent_at or world.clock())
    recovery(world).forget(row.id)
    assert index.find(row.fingerprint) is None


def test_only_what_is_lost_can_be_forgotten(world: World) -> None:
    """A running or a saved job is not given away; what could be is named."""
    job = world.submit()
    with pytest.raises(LedgerError, match="is accepted; only these jobs can be forgotten: ex"):
        recovery(world).forget(job.id)
    world.follow(job)
    with pytest.raises(LedgerError, match="is saved"):
        recovery(world).forget(job.id)
    assert {Stage.UNKNOWN, Stage.VANISHED, Stage.EXPIRED} == FORGETTABLE


def test_what_was_probably_paid_is_not_forgotten_lightly(world: World) -> None:
    """The balance fell by the price: the numbers, the way to the clip, and what it takes."""
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=1000)
    world.account.set_balance(1000)
    asyncio.run(submit(world.context, job, prepared, SCHEDULE))
    with pytest.raises(LedgerError, match="was very probably paid") as caught:
        recovery(world).forget(job.id)
    for words in ("from 1,000 to 945", f"%kling adopt TASK_ID {job.id}", f"forget {job.id} --yes"):
        assert words in str(caught.value)
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN
    assert recovery(world).forget(job.id, yes=True).stage is Stage.FORGOTTEN


def noted(world: World, stage: Stage) -> JobRecord:
    """A job in that stage, with the callback token `n`."""
    job, _ = world.prepare("A bear")
    world.ledger.advance(job.id, Stage.SENDING, nonce="n")
    return world.ledger.advance(job.id, stage)


@pytest.mark.parametrize("stage", [Stage.UNKNOWN, Stage.REFUSED])
def test_a_notification_of_no_task(world: World, stage: Stage) -> None:
    """A sender that knows the token can post anything: the service decides."""
    row = noted(world, stage)
    assert asyncio.run(recovery(world).called_back("forged", "n")) is None
    assert world.ledger.rows() == [row]


def blind(world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The service does not know any task yet when it is asked, so many times."""
    real, asked = world.context.client.task, []

    async def task(task_id: str, turn: Turn | None = None) -> TaskStatus:
        asked.append(task_id)
        return TaskMissing(task_id, "") if len(asked) <= times else await real(task_id, turn)

    monkeypatch.setattr(world.context.client, "task", task)


def test_adopting_in_the_first_moments(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was made a second ago is unknown to the service: its follower has patience."""
    job, task_id = lost(world)
    blind(world, monkeypatch, 3)
    world.waits.clear()
    row = adopt(world, task_id, job.id)
    assert (row.id, row.stage, row.task_id) == (job.id, Stage.ACCEPTED, task_id)
    assert world.waits == []
    again = world.handle(row)
    world.follow(again)
    assert again.result(0).path.is_file()


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.SAVED])
def test_a_job_that_has_its_task_is_given_no_other(world: World, stage: Stage) -> None:
    """Nor is its id written over."""
    job = world.submit()
    if stage is Stage.SAVED:
        world.follow(job)
    other = World(world.ledger.folder.parent / "other")
    other.context = other.context_with(client=world.context.client)
    task_id = other.ledger.row(other.submit("Made elsewhere").id).task_id
    before = world.ledger.row(job.id)
    with pytest.raises(LedgerError, match=rf"is {stage}; only unknown.*%kling adopt {task_id}` al"):
        adopt(world, task_id, job.id)
    assert world.ledger.row(job.id) == before
    other.close()


def test_a_task_of_another_job_is_not_adopted(world: World) -> None:
    """The other job is named, and both stay as they are."""
    known = world.submit("Known")
    job, _ = lost(world, "Lost")
    task_id = world.ledger.row(known.id).task_id
    with pytest.raises(
        LedgerError, match=f"belongs to job {known.id} .*cannot belong to job {job.id}"
    ):
        adopt(world, task_id, job.id)
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN
    assert adopt(world, task_id, known.id).id == adopt(world, task_id).id == known.id


def test_a_task_of_the_other_service_is_not_this_ones(world: World) -> None:
    """Their ids have nothing to do with each other."""
    live, _ = world.ledger.intend(JobRecord("f", "live", "kling-2.6/text-to-video", {}, 1, 55.0))
    job, task_id = lost(world)
    world.ledger.advance(live.id, Stage.SENDING)
    world.ledger.advance(live.id, Stage.ACCEPTED, task_id=task_id)
    assert adopt(world, task_id).id == job.id
    with pytest.raises(LedgerError, match="emulate off"):
        adopt(world, task_id, live.id)


def test_a_vanished_job_keeps_its_task(world: World) -> None:
    """A wrong id is given up after the grace; the right one becomes a job of its own."""
    job, task_id = lost(world)
    again = world.handle(adopt(world, "nonsense", job.id))
    world.follow(again)
    assert world.ledger.row(job.id).stage is Stage.VANISHED
    with pytest.raises(LedgerError, match=f"already has task nonsense.*adopt {task_id}` alon"):
        adopt(world, task_id, job.id)
    row = adopt(world, task_id)
    assert (row.stage, row.task_id) == (Stage.ACCEPTED, task_id)
    assert row.id != job.id
    assert world.ledger.row(job.id).task_id == "nonsense"


def test_a_vanished_task_that_is_there_again(world: World) -> None:
    """Adopting it has it followed anew, with a grace of its own."""
    job = world.submit()
    task_id = world.ledger.advance(job.id, Stage.VANISHED).task_id
    world.clock.move(600)
    row = adopt(world, task_id, job.id)
    assert (row.id, row.stage, row.accepted_at) == (job.id, Stage.ACCEPTED, world.clock())


def test_a_forgotten_task_comes_back_as_a_job_of_its_own(world: World) -> None:
    """Its clip is paid for; the request may be another job's by now."""
    world.account.inject("download-404", times=8)
    job = world.submit()
    world.follow(job)
    task_id = world.ledger.row(job.id).task_id
    recovery(world).forget(job.id)
    row = adopt(world, task_id)
    assert row.id != job.id
    assert (row.stage, row.price_credits, row.cell) == (Stage.ACCEPTED, 55, "")
    assert row.values["prompt"] == "A red fox"
    again = world.handle(row)
    world.follow(again)
    assert again.result(0).path.is_file()
    assert adopt(world, task_id).id == row.id
    assert world.ledger.row(job.id).stage is Stage.FORGOTTEN
    assert sum(expense.credits or 0 for expense in world.ledger.spending.expenses()) == 55


def test_adopting_without_a_job_polls_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's task may be new, too."""
    job, task_id = lost(world)
    blind(world, monkeypatch, 3)
    world.waits.clear()
    assert adopt(world, task_id).id == job.id
    assert world.waits == [1.0, 2.0, 4.0]


def test_an_old_job_is_not_adopted_on_trust(world: World) -> None:
    """Minutes later the service knows the task, or the id is wrong; the job stays lost."""
    job, _ = lost(world)
    world.clock.move(91)
    with pytest.raises(LedgerError, match="does not know a task 'nonsense'"):
        adopt(world, "nonsense", job.id)
    assert world.ledger.row(job.id).stage is Stage.UNKNOWN


@pytest.mark.parametrize(
    "task_id", ["", "two words", "a\x00b", "a\nb", "https://kie.ai/logs/1", "../x", "a" * 129]
)
def test_what_can_be_no_task_id_is_refused_without_asking(world: World, task_id: str) -> None:
    """The service is not asked, no job changes, and the message says what an id looks like."""
    sent = len(world.wire.requests)
    with pytest.raises(InvalidInput, match="one word of 1 to 128 characters"):
        adopt(world, task_id)
    assert len(world.wire.requests) == sent
    assert world.ledger.rows() == []
