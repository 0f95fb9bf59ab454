"""What `poller` promises: a paid clip is fetched, or its loss is reported."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import kling_nb.kie.client
from kling_nb.core.job_state import (
    Detached,
    Downloading,
    Expired,
    Failed,
    Saved,
    Stage,
    Unresponsive,
    Vanished,
    Waiting,
)
from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.errors import ClipExpired, LedgerError, TaskFailed, TaskVanished
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.poller import Poller
from kling_nb.kie.http import Downloader, Progress, Received
from kling_nb.media import clips
from kling_nb.storage.ledger import Ledger
from tests.support.service import RECORD, SCHEDULE, Wire, World

POLL_FAULTS = ("poll-drop", "poll-502", "poll-html", "poll-429", "poll-stall")
FAILURES = {
    "fail-internal": ("500", "Internal Error, Please try again later."),
    "script-fail": ("500", "<script>alert(1)</script>"),
}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never comes is given up soon."""
    monkeypatch.setattr(kling_nb.kie.client, "_TIMEOUT", httpx.Timeout(0.1))


class Script(httpx.AsyncBaseTransport):
    """Answers status requests from a list, then passes them on."""

    def __init__(self, behind: httpx.AsyncBaseTransport, answers: tuple[object, ...]) -> None:
        self.behind = behind
        self.left = list(answers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The next answer, while there are any."""
        if request.url.path != RECORD or not self.left:
            return await self.behind.handle_async_request(request)
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            status, headers, text = answer
            return httpx.Response(status, headers=headers, text=text)
        return httpx.Response(200, json=answer)


def script(world: World, *answers: object) -> None:
    """Let the next questions meet these answers: JSON, an exception, or (status, headers, text)."""
    client = world.client(Script(world.wire, answers))
    world.context = world.context_with(client=client)


def record(**changes: object) -> dict[str, object]:
    """A recordInfo answer with the live keys. Source: recorded live traffic (L), 2026-04-30."""
    data: dict[str, object] = {
        "model": "kling-2.6/text-to-video",
        "state": "generating",
        "param": "{}",
        "resultJson": "",
        "failCode": None,
        "failMsg": None,
        "costTime": None,
        "completeTime": None,
        "createTime": 1777540425139,
    }
    return {"code": 200, "msg": "success", "data": data | changes}


MISSING = {"code": 422, "msg": "recordInfo is null", "data": None}


def test_a_clip_is_saved(world: World) -> None:
    """Asked for, fetched, verified, named, noted; the handle has what the disk has."""
    job = world.submit()
    states = world.follow(job)
    clip = job.result(0)
    row = world.ledger.row(job.id)
    assert [type(state) for state in (states[0], states[-2], states[-1])] == [
        Waiting,
        Downloading,
        Saved,
    ]
    assert row.stage is Stage.SAVED
    assert row.clip == clip.facts
    assert clip.facts.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert clip.credits == 55
    assert world.files() == [clip.path.name]


def test_our_own_name_for_the_file(world: World) -> None:
    """Only letters, digits and dashes of the prompt are in it."""
    job = world.submit("../../etc/<fox>")
    world.follow(job)
    assert re.fullmatch(rf"\d{{8}}-etc-fox-{job.id}\.mp4", job.result(0).path.name)


@pytest.mark.parametrize("fault", POLL_FAULTS)
def test_a_bad_answer_is_no_end(world: World, fault: str) -> None:
    """A question that fails says nothing about the task: asked again until it is over."""
    job = world.submit()
    world.account.inject(fault, times=5)
    world.follow(job)
    assert job.result(0).path.is_file()
    assert world.account.faults() == []
    assert world.account.count_tasks() == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 401, "msg": "You do not have access permissions"},
        {"code": 455, "msg": "The service is under maintenance."},
        {"code": 200, "msg": "success", "data": None},
        (200, {}, "no JSON"),
        (502, {}, "<h1>502</h1>"),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("too late"),
        record(state="generating", taskId="another"),
    ],
    ids=str,
)
def test_hours_of_bad_answers_are_no_end(world: World, answer: object) -> None:
    """The job is followed for as long as it takes."""
    job = world.submit()
    script(world, *[answer] * 400, record(state="fail", failCode="500", failMsg="over"))
    states = world.follow(job)
    assert isinstance(states[-1], Failed)
    assert sum(world.waits) > 3600


@pytest.mark.parametrize(("asked", "waited_s"), [("47", 47.0), ("86400", 60.0)])
def test_a_rate_limit_is_waited_for(world: World, asked: str, waited_s: float) -> None:
    """No sooner than the service asks for; but a clip is not forgotten for a day."""
    job = world.submit()
    limited = json.dumps({"code": 429, "msg": "too often"})
    script(world, (200, {"Retry-After": asked}, limited), record(state="fail", failMsg="over"))
    world.follow(job)
    *_, before_it, after_it = world.waits
    assert before_it + after_it == pytest.approx(waited_s), "the usual interval, and the rest"


def test_out_of_sight_after_40_s(world: World) -> None:
    """A person sees it once status requests have failed for 40 s, and not before."""
    job = world.submit()
    script(world, *[httpx.ConnectError("down")] * 60, record(state="fail", failMsg="over"))
    times: list[tuple[float, object]] = []
    start = world.clock()
    job.observe(lambda e: times.append(((world.clock() - start).total_seconds(), e.state)))
    world.follow(job)
    sights = [(at, state) for at, state in times if isinstance(state, Unresponsive)]
    at, state = sights[0]
    first_failure = (state.failing_since - start).total_seconds()
    assert 40 <= at - first_failure < 80
    assert state.reason == "api.kie.ai could not be reached (down)", "no advice to run a cell"
    assert not [t for t, s in times if isinstance(s, Unresponsive) and t - first_failure < 40]


def test_a_failed_request_is_repeated_within_15_s(world: World) -> None:
    """Also where the schedule has no request for a minute: the clip is far away."""
    job = world.submit()
    script(world, *[httpx.ConnectError("down")] * 4, record(state="fail", failMsg="over"))
    schedule = learn_schedule((150.0,) * 20, 150.0)
    asyncio.run(Poller(world.context, job, schedule).run())
    assert world.waits[0] > 15.0
    assert max(world.waits[1:5]) <= 15.0


def test_in_sight_again(world: World) -> None:
    """One good answer ends it, and the next failure begins to count anew."""
    job = world.submit()
    down = [httpx.ConnectError("down")] * 60
    script(world, *down, record(), httpx.ConnectError("down"), record(state="fail", failMsg="x"))
    states = world.follow(job)
    last_sight = max(i for i, state in enumerate(states) if isinstance(state, Unresponsive))
    assert [type(state) for state in states[last_sight + 1 :]] == [Waiting, Failed]


def test_missing_within_the_grace(world: World) -> None:
    """A task that is not known in its first moments is asked about again."""
    job = world.submit()
    row = world.ledger.row(job.id)
    found = record(taskId=row.task_id, state="fail", failCode="500", failMsg="found, and over")
    script(world, MISSING, MISSING, MISSING, found)
    world.follow(job)
    assert isinstance(job.state, Failed)


def test_vanished_after_the_grace(world: World) -> None:
    """Not known for more than 90 s: the job has vanished, and says how to go on."""
    world.account.inject("vanish")
    job = world.submit()
    start = world.clock()
    world.follow(job)
    assert isinstance(job.state, Vanished)
    assert 90 < (world.clock() - start).total_seconds() < 180
    with pytest.raises(TaskVanished, match=r"%kling resume .*%kling forget"):
        job.result(0)


def test_one_missing_answer_after_the_grace_is_no_end(world: World) -> None:
    """A task taken up hours later is not given up for a single bad moment."""
    job = world.submit()
    world.clock.move(7200)
    script(world, MISSING, record(), MISSING, record(state="fail", failMsg="over"))
    world.follow(job)
    assert isinstance(job.state, Failed)


def test_a_word_that_is_new_is_no_end(world: World) -> None:
    """It is shown as it is."""
    job = world.submit()
    script(world, record(state="dreaming"), record(state="fail", failMsg="over"))
    states = world.follow(job)
    assert "dreaming" in [state.word for state in states if isinstance(state, Waiting)]


def test_success_without_a_url_is_asked_again(world: World) -> None:
    """The URL may come later."""
    job = world.submit()
    nothing = record(state="success", resultJson="")
    script(world, nothing, nothing, record(state="success", resultJson=None))
    world.follow(job)
    assert job.result(0).path.is_file()


def test_success_without_a_url_is_reported_after_60_s(world: World) -> None:
    """With what the service said; it may have been paid, so it blocks and can be asked again."""
    world.account.inject("no-url")
    job = world.submit()
    world.follow(job)
    with pytest.raises(TaskVanished, match="reports success and names no file"):
        job.result(0)
    row = world.ledger.row(job.id)
    assert row.stage is Stage.VANISHED
    assert world.ledger.blocking(row.fingerprint) == row
    waited = world.clock() - world.ledger.row(job.id).accepted_at
    assert 60 <= waited.total_seconds() < 180


@pytest.mark.parametrize("fault", FAILURES)
def test_a_failure_in_the_services_words(world: World, fault: str) -> None:
    """Told with code and text; it costs nothing."""
    code, text = FAILURES[fault]
    world.account.inject(fault)
    job = world.submit()
    world.follow(job)
    assert (job.state.code, job.state.message, job.state.credits) == (code, text, 0)
    with pytest.raises(TaskFailed, match=re.escape(text)):
        job.result(0)
    row = world.ledger.row(job.id)
    assert (row.stage, row.credits, row.code) == (Stage.FAILED, 0, code)
    assert world.files() == []


def test_a_task_given_up_by_the_service(world: World) -> None:
    """Code 408 of recordInfo means over (source: D)."""
    job = world.submit()
    script(world, {"code": 408, "msg": "no result for over 10 minutes", "data": None})
    world.follow(job)
    assert isinstance(job.state, Failed)
    assert (job.state.code, job.state.message) == ("408", "no result for over 10 minutes")
    assert job.state.credits is None
    assert "over 10 minutes" in job.state.evidence.answer


def test_a_cut_download_comes_whole(world: World) -> None:
    """Each time only the rest is downloaded; no half file is seen under the clip's name."""
    world.account.inject("download-cut", times=3)
    job = world.submit()
    world.follow(job)
    clip = job.result(0)
    ranges = [each.headers.get("range") for each in world.wire.requests if "/k/" in each.url.path]
    begins = [0, *(round(clip.facts.size_bytes * share) for share in (1 / 2, 3 / 4, 7 / 8))]
    assert [int(each[6:-1]) if each else 0 for each in ranges] == pytest.approx(begins, abs=2)
    assert clips.probe_clip(clip.path).sha256 == clip.facts.sha256
    assert world.waits[-3:] == [1, 2, 4]
    assert world.files() == [clip.path.name]


def test_gone_for_good(world: World) -> None:
    """Fresh links are dead as well, for minutes: it is said what costs nothing."""
    world.account.inject("download-404", times=8)
    job = world.submit()
    world.follow(job)
    assert isinstance(job.state, Expired)
    assert sum(world.waits[-7:]) >= 120
    with pytest.raises(ClipExpired, match="--take 2"):
        job.result(0)
    assert world.files() == []


@pytest.mark.parametrize(("times", "stage"), [(5, Stage.SAVED), (8, Stage.EXPIRED)])
def test_a_file_that_is_no_video(world: World, times: int, stage: Stage) -> None:
    """It is fetched again for minutes; only what plays is left under a clip's name."""
    world.account.inject("bad-clip", times=times)
    job = world.submit()
    world.follow(job)
    assert world.ledger.row(job.id).stage is stage
    assert world.files() == ([job.result(0).path.name] if stage is Stage.SAVED else [])


def test_a_short_clip_is_kept(world: World) -> None:
    """It was paid for: after some tries it is kept as it is, with its measured length."""
    world.account.inject("short-clip")
    job = world.submit()
    states = world.follow(job)
    assert job.result(0).duration_s == pytest.approx(2.5, abs=0.2)
    assert len([s for s in states if s == Downloading(job.task_id, 0, None)]) == 3


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_refuses(world: World, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The folder, the reason and the way on are named; the task is not lost."""
    job = world.submit()

    async def refuse(self: Downloader, url: str, path: Path, progress: Progress) -> Received:
        await asyncio.to_thread(path.write_bytes, b"half")
        raise OSError(code, "the disk refuses")

    monkeypatch.setattr(Downloader, "download", refuse)
    world.follow(job)
    with pytest.raises(LedgerError, match=f"the disk refuses.*%kling resume {job.id}"):
        job.result(0)
    row = world.ledger.row(job.id)
    assert (row.stage, row.owner) == (Stage.SUCCEEDED, "")
    assert isinstance(job.state, Detached)
    assert "Free some space" in job.state.reason
    assert world.files() == []


def test_no_part_is_left_when_following_stops_after_a_cut(world: World) -> None:
    """What would have been continued is deleted."""
    world.account.inject("download-cut", times=9)
    job = world.submit()

    async def stop_later(seconds: float) -> None:
        if [name for name in world.files() if name.endswith(".part")]:
            raise asyncio.CancelledError
        await world.sleep(seconds)

    async def leave() -> None:
        going = asyncio.ensure_future(
            Poller(world.context_with(sleep=stop_later), job, SCHEDULE).run()
        )
        await asyncio.wait([going])
        assert going.cancelled()

    asyncio.run(leave())
    assert world.files() == []


def test_no_part_is_left_when_following_stops(world: World) -> None:
    """A job that is left in the middle of its download leaves no file, and goes on later."""
    world.account.inject("download-slow", argument="30")
    job = world.submit()

    async def leave() -> None:
        going = asyncio.ensure_future(Poller(world.context, job, SCHEDULE).run())
        arrived = asyncio.Event()
        job.observe(
            lambda e: (
                arrived.set()
                if isinstance(e.state, Downloading) and e.state.received_bytes
                else None
            )
        )
        await arrived.wait()
        assert [name for name in world.files() if name.endswith(".part")]
        going.cancel()
        await asyncio.wait([going])

    asyncio.run(leave())
    assert world.files() == []
    again = world.handle(world.ledger.row(job.id))
    world.follow(again)
    assert again.result(0).path.is_file()


def test_the_disk_knows_before_the_handle(world: World) -> None:
    """A done callback finds the clip in the ledger."""
    job = world.submit()
    stages = []
    job.add_done_callback(lambda job: stages.append(world.ledger.row(job.id).stage))
    world.follow(job)
    assert stages == [Stage.SAVED]


def test_the_end_is_dated_by_the_services_clock(world: World) -> None:
    """A clip that is noticed a day late did not take a day: expectations are learnt from it."""
    job = world.submit()
    while world.emulator.backend.renderer.pending:
        asyncio.run(asyncio.sleep(0.002))
    world.clock.move(86_400)
    world.follow(job)
    assert world.ledger.durations_s("kling-2.6/text-to-video", "emulator") == [pytest.approx(8)]


def test_a_job_of_a_living_session_is_watched(world: World) -> None:
    """Its row is read, the service is asked by one of the two only, both get the clip."""
    job = world.submit()
    other, wire = Ledger(world.ledger.folder, clock=world.clock), Wire(world.wire)
    watcher = world.handle(other.row(job.id))
    client = world.client(wire)
    context = world.context_with(ledger=other, client=client)

    async def both() -> None:
        watching = asyncio.ensure_future(
            Poller(context, watcher, SCHEDULE).run(context.ledger.row(job.id))
        )
        await Poller(world.context, job, SCHEDULE).run()
        await watching

    asyncio.run(both())
    assert watcher.result(0).path == job.result(0).path
    assert wire.requests == []
    other.close()


def test_a_job_of_a_dead_session_is_taken_over(world: World) -> None:
    """The session that watches it polls it from then on."""
    job = world.submit()
    other = Ledger(world.ledger.folder, clock=world.clock)
    watcher = world.handle(other.row(job.id))
    context = world.context_with(ledger=other)

    async def sleep(seconds: float) -> None:
        world.ledger.close()
        await world.sleep(seconds)

    asyncio.run(Poller(replace(context, sleep=sleep), watcher, SCHEDULE).run())
    assert watcher.result(0).path.is_file()
    assert other.row(job.id).owner == other.owner
    other.close()


def test_a_fault_of_our_own_ends_the_handle(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug must not leave a cell waiting for ever; the task can be taken up again."""
    job = world.submit()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Poller, "_apply", broken)
    world.follow(job)
    with pytest.raises(ZeroDivisionError):
        job.result(0)
    assert "polling failed" in caplog.text
    assert isinstance(job.state, Detached)
    assert world.ledger.row(job.id).owner == ""
    monkeypatch.undo()
    again = world.handle(world.ledger.row(job.id))
    world.follow(again)
    assert again.result(0).path.is_file()


def test_the_raw_answer_is_kept_short(world: World) -> None:
    """A page of JSON does not become the reason of a failure."""
    job = world.submit()
    long = record(state="success", resultJson=json.dumps({"noise": "x" * 5000}))
    script(world, *[long] * 200)
    world.follow(job)
    assert isinstance(job.state, Vanished)
    assert len(world.ledger.row(job.id).reason) < 400


def test_what_says_that_it_is_time_ends_the_wait(world: World) -> None:
    """A callback, say: the service is asked at once, and only then."""
    job = world.submit()
    asked: list[httpx.Request] = []
    world.wire.listeners.append(asked.append)
    waiting = asyncio.Event()

    async def for_ever(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def play() -> None:
        follower = Poller(world.context_with(sleep=for_ever), job, SCHEDULE)
        following = asyncio.ensure_future(follower.run())
        await waiting.wait()
        assert asked == []
        waiting.clear()
        follower.poll_now()
        await waiting.wait()
        assert [request.url.path for request in asked] == [RECORD]
        following.cancel()
        await asyncio.wait([following])

    asyncio.run(play())


def test_a_notification_that_never_comes_loses_nothing(world: World) -> None:
    """Polling goes on underneath."""
    hearing = world.context.callback_urls
    hearing.switch_to(Listening(hearing, "http://127.0.0.1:9/", stop=lambda: None))
    job = world.submit()
    assert hearing.covers(world.ledger.row(job.id))
    assert isinstance(world.follow(job)[-1], Saved)
    asked_heard = world.account.requests(RECORD)
    hearing.stop()
    other = world.submit("Another fox")
    world.follow(other)
    assert asked_heard < world.account.requests(RECORD) - asked_heard


def test_a_recovered_job_without_a_link_asks_for_one(world: World) -> None:
    """Its task is known, and the service tells where the result is."""
    job = world.submit()
    world.follow(job)
    row = world.ledger.row(job.id)
    Path(row.clip.path).unlink()
    world.ledger.advance(row.id, Stage.SUCCEEDED)
    world.ledger.note(row.id, result_url="")
    states = world.follow(world.handle(world.ledger.row(row.id)))
    assert isinstance(states[-1], Saved)
    assert world.account.count_tasks() == 1
