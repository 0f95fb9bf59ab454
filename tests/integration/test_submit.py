"""What `submit` promises: on disk before it is sent, sent once, and every outcome noted."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from PIL import Image

import kling_nb.kie.client
from kling_nb.core.charge_evidence import BalanceHistory, Evidence, TimedBalance
from kling_nb.core.job_state import Discarded, Refused, Sending, Stage, Unknown, Uploading, Waiting
from kling_nb.core.secret import Key
from kling_nb.errors import AlreadyPaid, BadRequest, KlingError, LedgerError, NotSent, TaskUnknown
from kling_nb.jobs.balance_watch import BalanceWatcher
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.job import Job
from kling_nb.jobs.prepare import PreparedRequest
from kling_nb.jobs.submit import submit
from kling_nb.kie.client import Client, SubmitOutcome
from kling_nb.kie.rate_limit import RateLimiter
from kling_nb.kie.slots import Account
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.service import CREATE, SCHEDULE, UPLOAD, Others, World, take_turn


def send(world: World, job: Job, prepared: PreparedRequest) -> JobRecord:
    """Submit a prepared job."""
    return asyncio.run(submit(world.context, job, prepared, SCHEDULE))


def stages(world: World, job: Job) -> list[Stage]:
    """The stages that the ledger has seen."""
    return [stage for _, stage, _ in world.ledger.events(job.id)]


def with_picture(
    world: World, image: object, prompt: str = "A red fox"
) -> tuple[Job, PreparedRequest]:
    """An intended job that has an image."""
    return world.intend(ClipRequest(IMAGE_TO_VIDEO, {"prompt": prompt, "image": image}))


def test_an_accepted_request(world: World) -> None:
    """Step by step on disk, with the task's id and the times."""
    job, prepared = world.prepare()
    row = send(world, job, prepared)
    assert stages(world, job) == [Stage.INTENDED, Stage.SENDING, Stage.ACCEPTED]
    assert row.task_id == world.account.tasks()[0].task_id
    assert row.accepted_at == row.sent_at == world.clock()
    assert job.state == Waiting(row.task_id, "waiting", world.clock(), 8.0, SCHEDULE.late_s)
    assert not job.done()


def test_sending_is_on_disk_before_anything_is_sent(world: World) -> None:
    """Killed in the very moment of sending, the next kernel knows that a task may exist."""
    job, prepared = world.prepare()
    seen: list[Stage] = []
    other = Ledger(world.ledger.folder)
    world.wire.listeners.append(lambda request: seen.append(other.row(job.id).stage))
    send(world, job, prepared)
    other.close()
    assert seen == [Stage.SENDING]


def test_what_is_sent_is_claimed_before(world: World) -> None:
    """The other folders know of it when the socket opens; once is enough."""
    job, prepared = world.prepare()
    claimed: list[list[str]] = []
    world.wire.listeners.append(
        lambda request: claimed.append([row.id for row in world.others.claimed])
    )
    send(world, job, prepared)
    assert claimed == [[job.id]]
    assert len(world.others.claimed) == 1
    assert world.others.dropped == []


def test_paid_in_another_folder(
    world: World, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have paid while this one uploaded: then nothing is sent, and the row ends so."""
    job, prepared = with_picture(world, photo)
    seen: list[tuple[str, Stage]] = []

    def claim(_: Others, row: JobRecord, *_given: object) -> None:
        seen.append((world.wire.requests[-1].url.path, row.stage))
        raise AlreadyPaid("paid in the other folder")

    monkeypatch.setattr(Others, "claim", claim)
    with pytest.raises(AlreadyPaid, match="the other folder"):
        send(world, job, prepared)
    assert seen == [(UPLOAD, Stage.INTENDED)]
    assert stages(world, job) == [Stage.INTENDED, Stage.DISCARDED]
    assert job.state == Discarded("paid in the other folder")
    assert world.account.count_tasks() == 0


def test_a_failed_note_drops_the_claim(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk failed, so that nothing was sent: another folder may pay for it."""
    job, prepared = world.prepare()

    def advance(*_given: object, **_facts: object) -> JobRecord:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(world.ledger, "advance", advance)
    with pytest.raises(LedgerError, match="disk is full"):
        send(world, job, prepared)
    assert [row.id for row in world.others.dropped] == [job.id]
    assert world.wire.requests == []


def test_in_the_line_nothing_is_sending(world: World) -> None:
    """A kernel that dies while it waits for its turn has surely sent nothing."""
    job, prepared = world.prepare()
    seen: list[Stage] = []

    async def look(_seconds: float) -> None:
        seen.append(world.ledger.row(job.id).stage)

    budget = RateLimiter(Account("here"), clock=world.clock.epoch, sleep=look)
    client = Client(Key("k"), transport=world.wire, rate_limiter=budget)
    world.context = world.context_with(client=client)

    async def play() -> None:
        for _ in range(20):
            await take_turn(budget.new_tasks)
        await submit(world.context, job, prepared, SCHEDULE)

    asyncio.run(play())
    assert seen == [Stage.INTENDED]
    assert world.account.count_tasks() == 1


def test_a_picture_is_uploaded_first(world: World, photo: bytes) -> None:
    """While the row is still intended: uploading costs nothing. Progress is reported."""
    job, prepared = with_picture(world, photo)
    seen: list[tuple[str, Stage]] = []
    world.wire.listeners.append(
        lambda request: seen.append((request.url.path, world.ledger.row(job.id).stage))
    )
    states: list[Any] = []
    job.observe(lambda event: states.append(event.state))
    send(world, job, prepared)
    assert seen == [(UPLOAD, Stage.INTENDED), (CREATE, Stage.SENDING)]
    kinds = [type(state) for state in states]
    assert kinds == [Uploading] * (len(kinds) - 2) + [Sending, Waiting]
    assert states[-3].sent_bytes == states[-3].total_bytes
    [task] = world.account.tasks()
    [url] = task.input["image_urls"]
    assert re.search(rf"{job.id}-[0-9a-f]{{8}}\.png$", url)


def test_uploads_never_overwrite_each_other(world: World, photo: bytes) -> None:
    """Each has a name of its own (the same name overwrites, source: D)."""
    for prompt, image in (("One", photo), ("Two", Image.new("RGB", (96, 64), "blue"))):
        send(world, *with_picture(world, image, prompt))
    urls = [task.input["image_urls"] for task in world.account.tasks()]
    assert urls[0] != urls[1]


@pytest.mark.parametrize(
    ("message", "uploads"),
    [("Your media file is unavailable, please replace it.", 2), ("prompt is too long", 1)],
)
def test_a_refusal_that_speaks_of_a_file_has_it_uploaded_anew(
    message: str, uploads: int, world: World, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may have lost it; any other refusal says nothing of the upload."""

    async def refuse(*args: Any, sending: Any, **kwargs: Any) -> SubmitOutcome:
        await sending()
        return SubmitOutcome(BadRequest(422, message), may_exist=False)

    job, prepared = with_picture(world, photo)
    with monkeypatch.context() as patch:
        patch.setattr(world.context.client, "create_task", refuse)
        with pytest.raises(BadRequest):
            send(world, job, prepared)
    send(world, *with_picture(world, photo))
    assert world.account.requests(UPLOAD) == uploads


def test_a_url_is_sent_as_it_is(world: World) -> None:
    """Nothing is uploaded."""
    url = "https://elsewhere.example/fox.png"
    send(world, *with_picture(world, url))
    assert world.account.requests(UPLOAD) == 0
    assert world.account.tasks()[0].input["image_urls"] == [url]


@pytest.mark.parametrize("fault", ["create-media-host", "create-500"])
def test_an_unreachable_media_url_is_named(world: World, fault: str) -> None:
    """The recorded 500 names no URL, so the reason does, without its query; other 500s do not."""
    world.account.inject(fault)
    job, prepared = with_picture(world, "https://nowhere.example:8443/fox.png?size=2")
    row = send(world, job, prepared)
    named = "Likely cause: the service cannot reach https://nowhere.example:8443/fox.png;"
    assert row.stage is Stage.UNKNOWN
    assert (named in row.reason) == (fault == "create-media-host")
    assert (named in str(job.exception())) == (fault == "create-media-host")
    assert "size" not in row.reason
    assert world.account.requests(CREATE) == 1


def test_an_uploaded_picture_is_no_unreachable_url(world: World, photo: bytes) -> None:
    """Its address is the service's own: the reason names no URL."""
    world.account.inject("create-media-host")
    row = send(world, *with_picture(world, photo))
    assert row.stage is Stage.UNKNOWN
    assert "Likely cause" not in row.reason


def test_where_somebody_listens_a_request_is_called_back(world: World) -> None:
    """Its callback token is on disk before it is sent; the person asked for no address."""
    hearing = world.context.callback_urls
    hearing.switch_to(Listening(hearing, "http://127.0.0.1:9/", stop=lambda: None))
    send(world, *world.prepare())
    [row], [task] = world.ledger.rows(), world.account.tasks()
    assert task.callback_url == f"http://127.0.0.1:9/?kling_nb={row.nonce}"
    assert hearing.covers(row)
    assert row.callback_url == ""


def test_a_persons_own_address_goes_before_who_listens(world: World) -> None:
    """With a callback token that is in the row; the session does not wait for that callback."""
    hearing = world.context.callback_urls
    hearing.switch_to(Listening(hearing, "http://127.0.0.1:9/", stop=lambda: None))
    wish = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A fox"}, callback_url="https://my.example/done")
    send(world, *world.intend(wish))
    [row], [task] = world.ledger.rows(), world.account.tasks()
    assert task.callback_url == f"https://my.example/done?kling_nb={row.nonce}"
    assert row.callback_url == "https://my.example/done"
    assert not hearing.covers(row)


def test_an_upload_that_fails(world: World, photo: bytes) -> None:
    """Nothing was sent: the same request may be made again, in any folder."""
    world.account.inject("unreachable", times=4, argument="upload")
    job, prepared = with_picture(world, photo)
    with pytest.raises(NotSent) as caught:
        send(world, job, prepared)
    assert job.exception(0) is caught.value
    assert isinstance(job.state, Discarded)
    assert stages(world, job) == [Stage.INTENDED, Stage.DISCARDED]
    assert [(row.id, row.stage) for row in world.others.noted] == [(job.id, Stage.DISCARDED)]
    assert world.account.requests(CREATE) == 0
    send(world, *with_picture(world, photo))
    assert world.account.count_tasks() == 1


@pytest.mark.parametrize("fault", ["refuse", "credits", "maintenance", "key-limit"])
def test_a_refusal(world: World, fault: str) -> None:
    """An exception and a row with the service's words; the same request may be made again."""
    world.account.inject(fault)
    job, prepared = world.prepare()
    with pytest.raises(KlingError) as caught:
        send(world, job, prepared)
    row = world.ledger.row(job.id)
    assert (row.stage, row.reason) == (Stage.REFUSED, caught.value.message)  # type: ignore[attr-defined]
    assert row.code == str(caught.value.code)  # type: ignore[attr-defined]
    assert isinstance(job.state, Refused)
    assert caught.value.message in job.state.message  # type: ignore[attr-defined]
    named = [problem.field for problem in job.state.problems]
    assert named == (["prompt", "duration", "sound", "aspect_ratio"] if fault == "refuse" else [])
    assert job.exception(0) is caught.value
    assert world.others.noted[-1].stage is Stage.REFUSED
    assert (world.account.count_tasks(), world.account.requests(CREATE)) == (0, 1)
    assert world.account.balance() == 5916
    world.submit()
    assert world.account.count_tasks() == 1


def test_a_lost_answer_with_its_evidence(world: World) -> None:
    """Unknown, with the reason, the time and the balance before and after."""
    # The watch of the balance looks once: its next wait has no end.
    world.context = world.context_with(sleep=lambda _: asyncio.get_running_loop().create_future())
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    world.ledger.note(job.id, balance_before=world.account.balance())
    row = send(world, job, prepared)
    assert row.stage is Stage.UNKNOWN
    assert row.balance_before is not None
    assert row.balance_after == row.balance_before - 55
    watch = BalanceHistory(world.clock(), (TimedBalance(0.0, row.balance_after),))
    assert job.state == Unknown(
        row.sent_at or row.updated_at, row.reason, Evidence(55, row.balance_before, watch)
    )
    with pytest.raises(TaskUnknown, match=f"%kling adopt TASK_ID.*%kling forget {job.id}"):
        job.result(0)


@pytest.mark.parametrize("fault", ["create-429-made", "create-mismatch", "create-key-twice"])
def test_an_answer_that_denies_its_own_task(world: World, fault: str) -> None:
    """Sent once; the task that it names can be adopted by the command in the error."""
    world.account.inject(fault)
    job, prepared = world.prepare()
    row = send(world, job, prepared)
    [task] = world.account.tasks()
    assert row.stage is Stage.UNKNOWN
    assert isinstance(job.state, Unknown)
    assert job.state.evidence.task_ids == (task.task_id,)
    with pytest.raises(TaskUnknown, match=f"%kling adopt {task.task_id} {job.id}"):
        job.result(0)
    adopted = world.ledger.task_matching.adopt(task.task_id, "emulator", job.id)
    assert (adopted.id, adopted.stage) == (job.id, Stage.ACCEPTED)
    world.follow(world.handle(adopted))
    assert world.ledger.row(job.id).stage is Stage.SAVED
    assert world.account.count_tasks() == 1


def test_a_lost_answer_without_evidence(world: World) -> None:
    """The balance cannot be had either: unknown all the same."""
    world.account.inject("lose-answer")
    world.account.inject("unreachable", argument="other")
    job, prepared = world.prepare()
    row = send(world, job, prepared)
    assert (row.stage, row.balance_after) == (Stage.UNKNOWN, None)


def test_unknown_without_noted_evidence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is locked just then: the job is unknown, and says so."""

    async def locked(*_: object) -> JobRecord:
        raise LedgerError("the ledger is locked")

    monkeypatch.setattr(BalanceWatcher, "look", locked)
    world.account.inject("lose-answer")
    job, prepared = world.prepare()
    assert send(world, job, prepared).stage is Stage.UNKNOWN
    assert isinstance(job.state, Unknown)


def test_unknown_is_on_disk_before_the_balance_is_asked_for(world: World) -> None:
    """A kernel that dies meanwhile leaves the true reason."""
    world.account.inject("create-502")
    job, prepared = world.prepare()
    seen: list[Stage] = []
    world.wire.listeners.append(
        lambda request: (
            seen.append(world.ledger.row(job.id).stage)
            if request.url.path.endswith("/credit")
            else None
        )
    )
    send(world, job, prepared)
    assert seen == [Stage.UNKNOWN]


def test_the_wait_for_an_answer_is_long() -> None:
    """Every answer that is waited for is one unknown less."""
    assert (kling_nb.kie.client._CREATE_TIMEOUT.read or 0) >= 120


def test_an_id_that_cannot_be_noted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails in the one moment that matters: the error has all that is needed."""
    job, prepared = world.prepare()
    advance = Ledger.advance

    def broken(self: Ledger, job_id: str, stage: Stage, **facts: object) -> JobRecord:
        if stage is Stage.ACCEPTED:
            raise LedgerError("The disk is full. Free some space, then run again.")
        return advance(self, job_id, stage, **facts)

    monkeypatch.setattr(Ledger, "advance", broken)
    with pytest.raises(LedgerError) as caught:
        send(world, job, prepared)
    [task] = world.account.tasks()
    assert f"Task {task.task_id} was accepted and is paid" in str(caught.value)
    assert f"%kling adopt {task.task_id} {job.id}" in str(caught.value)
    assert "The disk is full" in str(caught.value)
