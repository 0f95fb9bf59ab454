"""What `job` promises: a wait may end at any time, and the job never minds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, as_completed
from concurrent.futures import wait as wait_for_futures
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.charge_evidence import Evidence
from kling_nb.core.job_state import (
    ClipFacts,
    Detached,
    Event,
    Failed,
    JobState,
    Preparing,
    Saved,
    Sending,
    Unknown,
    Waiting,
)
from kling_nb.errors import (
    JobDetached,
    LedgerError,
    MediaError,
    TaskFailed,
    WaitInterrupted,
    WaitTimeout,
)
from kling_nb.jobs.background_loop import BackgroundLoop
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.job import Job
from tests.support.controllers import StubController
from tests.support.records import record_of

AT = datetime(2026, 11, 20, tzinfo=UTC)
FACTS = record_of("ab12cd34", "kling-2.6/text-to-video", "A fox", AT, emulated=True)
CLIP_FACTS = ClipFacts("/nowhere/a.mp4", 64, 36, 5.0, 24.0, "h264", "", 100, "0" * 64)
CLIP = Clip(FACTS, CLIP_FACTS, "task", "https://files.example/a.mp4", 55.0, AT)
SAVED = Saved("task", CLIP_FACTS, 55.0, AT)
WAITING = Waiting("task", "waiting", AT, 8.0, 11.0)
PATIENCE_S = 20.0


@pytest.fixture
def portal() -> Iterator[BackgroundLoop]:
    """A portal of the test's own."""
    portal = BackgroundLoop()
    yield portal
    portal.stop()


@pytest.fixture
def job(portal: BackgroundLoop) -> Job:
    """A job that is just noted."""
    return Job(FACTS, Preparing(), portal)


def test_a_job_without_a_session_has_no_other_take(job: Job) -> None:
    """Says how to get a handle that has one."""
    with pytest.raises(LedgerError, match=r"job ab12cd34 has no open session; .*job\('ab12cd34'"):
        job.another_take()


def failed() -> TaskFailed:
    """How a failed job ends."""
    return TaskFailed("it failed", job_id=FACTS.id)


def test_the_result(job: Job) -> None:
    """The clip, again and again."""
    job.finish(SAVED, CLIP)
    assert job.done()
    assert job.result() is job.result(0) is CLIP
    assert job.exception() is None
    assert (job.state, job.task_id) == (SAVED, "task")


def test_no_result(job: Job) -> None:
    """The error is raised by `result` and returned by `exception`."""
    error = failed()
    job.fail(Failed("task", "500", "it failed", 0), error)
    with pytest.raises(TaskFailed):
        job.result()
    assert job.exception() is error


def test_a_wait_has_an_end(job: Job) -> None:
    """It says that the job goes on, and the job does."""
    with pytest.raises(WaitTimeout, match="It continues") as caught:
        job.result(0.01)
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(WaitTimeout):
        job.exception(0.01)
    assert not job.done()
    job.finish(SAVED, CLIP)
    assert job.result() is CLIP


def test_a_job_that_failed_by_a_timeout_is_no_end_of_the_wait(job: Job) -> None:
    """The job's own TimeoutError is not ours."""
    job.fail(WAITING, TimeoutError("of the job"))
    with pytest.raises(TimeoutError, match="of the job") as caught:
        job.result(1)
    assert not isinstance(caught.value, WaitTimeout)


@pytest.mark.parametrize("wait", [Job.result, Job.exception])
def test_an_interrupt_stops_the_wait_only(
    job: Job, monkeypatch: pytest.MonkeyPatch, wait: object
) -> None:
    """One sentence, no KlingError that `except Exception` would swallow; the job goes on."""

    def interrupt(self: Future[Clip], timeout: float | None = None) -> Clip:
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupt)
    monkeypatch.setattr(Future, "exception", interrupt)
    with pytest.raises(WaitInterrupted, match="continues and its clip") as caught:
        wait(job)  # type: ignore[operator]
    assert isinstance(caught.value, KeyboardInterrupt)
    assert not isinstance(caught.value, Exception)
    monkeypatch.undo()
    job.finish(SAVED, CLIP)
    assert job.result(0) is CLIP


def test_waiting_on_the_portals_thread_is_refused(job: Job, portal: BackgroundLoop) -> None:
    """It would wait for itself for ever; what has ended can be had there."""

    async def wait() -> Clip:
        return job.result()

    with pytest.raises(RuntimeError, match="await job"):
        portal.call(wait())
    job.finish(SAVED, CLIP)
    assert portal.call(wait()) is CLIP


def test_the_future_of_a_job(job: Job) -> None:
    """It works with `concurrent.futures`, and is always the same object."""
    assert job.future is job.future
    assert wait_for_futures([job.future], timeout=0).not_done == {job.future}
    job.finish(SAVED, CLIP)
    assert wait_for_futures([job.future], timeout=PATIENCE_S).done == {job.future}
    assert [each.result() for each in as_completed({job.future: job}, PATIENCE_S)] == [CLIP]


def test_cancelling_the_future_does_not_touch_the_job(job: Job) -> None:
    """Nor does cancelling an asyncio future made of it; the job ends with its clip."""
    assert not job.future.cancel()

    async def wrap_and_cancel() -> None:
        asyncio.wrap_future(job.future).cancel()
        await asyncio.sleep(0)

    asyncio.run(wrap_and_cancel())
    assert not job.done()
    job.finish(SAVED, CLIP)
    assert job.result(0) is CLIP


@pytest.mark.parametrize(
    "combine",
    [
        asyncio.gather,
        lambda job: asyncio.gather(asyncio.wait_for(job, PATIENCE_S)),
        lambda job: asyncio.gather(*asyncio.as_completed([job])),
        lambda job: asyncio.gather(asyncio.shield(job)),
        lambda job: asyncio.gather(asyncio.ensure_future(job)),
    ],
    ids=["gather", "wait_for", "as_completed", "shield", "ensure_future"],
)
def test_what_asyncio_takes(job: Job, combine: Callable[[Job], Any]) -> None:
    """As the docstring of Job promises."""

    async def wait_for_all() -> object:
        asyncio.get_running_loop().call_soon(job.finish, SAVED, CLIP)
        return await combine(job)

    assert asyncio.run(wait_for_all()) == [CLIP]


def test_front_ends_without_ipython_get_the_card(job: Job) -> None:
    """A job as it is now, and a clip, by `_repr_html_` and `_repr_mimebundle_`."""
    assert 'data-kling-job="ab12cd34"' in job._repr_html_()
    job.finish(SAVED, CLIP)
    for shown in (job, CLIP):
        bundle = shown._repr_mimebundle_(include=None, exclude=None)
        assert bundle["text/html"] == shown._repr_html_()
        assert "A fox" in bundle["text/plain"]
        assert 'data-kling-state="saved"' in bundle["text/html"]


def test_await(job: Job) -> None:
    """In any loop, before and after the end."""

    async def wait() -> list[Clip]:
        asyncio.get_running_loop().call_soon(job.finish, SAVED, CLIP)
        return [await job, await job]

    assert asyncio.run(wait()) == [CLIP, CLIP]


def test_await_a_failure(job: Job) -> None:
    """It raises what `result` raises."""

    async def wait() -> None:
        await job

    job.fail(WAITING, failed())
    with pytest.raises(TaskFailed):
        asyncio.run(wait())


def test_a_cancelled_await_does_not_cancel_the_job(job: Job) -> None:
    """Neither by a timeout nor by hand; others go on waiting."""

    async def wait() -> Clip:
        return await job

    async def play() -> Clip:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(job, 0)
        given_up, patient = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert not job.done()
        job.finish(SAVED, CLIP)
        return await patient

    assert asyncio.run(play()) is CLIP


def test_done_callbacks(job: Job) -> None:
    """Called at the end, or at once when it has ended; one that raises stops nobody."""
    called: list[str] = []

    def broken(_: Job) -> None:
        raise ValueError("a callback's fault")

    job.add_done_callback(broken)
    job.add_done_callback(lambda job: called.append(job.id))
    job.finish(SAVED, CLIP)
    job.add_done_callback(lambda job: called.append(job.id))
    assert called == [FACTS.id, FACTS.id]


def test_observers(job: Job) -> None:
    """Told of each state from then on, until they have enough."""
    seen: list[Event] = []
    stop = job.observe(seen.append)
    job.enter(Sending())
    job.enter(WAITING)
    stop()
    stop()
    job.finish(SAVED, CLIP)
    assert seen == [Event(FACTS.id, Sending()), Event(FACTS.id, WAITING)]


def test_an_observer_that_raises_does_not_matter(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    """A card's fault must not lose a paid clip: the others are told, and the job ends."""
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise ValueError("a card's fault")

    job.observe(broken)
    job.observe(seen.append)
    job.finish(SAVED, CLIP)
    assert job.result(0) is CLIP
    assert seen == [Event(FACTS.id, SAVED)]
    assert "a card's fault" in caplog.text


def test_an_observer_may_leave_while_it_is_told(job: Job) -> None:
    """And nobody is left out for it."""
    seen: list[str] = []

    def once(event: Event) -> None:
        seen.append("once")
        stop()

    stop = job.observe(once)
    job.observe(lambda event: seen.append("always"))
    job.enter(Sending())
    job.enter(WAITING)
    assert seen == ["once", "always", "always"]


def test_an_end_is_an_end(job: Job) -> None:
    """What comes after it changes nothing and is told to nobody."""
    seen: list[Event] = []
    job.finish(SAVED, CLIP)
    job.observe(seen.append)
    job.enter(WAITING)
    job.fail(Failed("task", "500", "late", 0), failed())
    job.finish(Saved("other", CLIP_FACTS, 0, AT), CLIP)
    job.detach()
    assert job.state == SAVED
    assert job.result() is CLIP
    assert seen == []


def test_detach(job: Job) -> None:
    """Following stops; the id to take it up again is told."""
    stopped: list[bool] = []
    job.controller = StubController(detach=lambda: stopped.append(True) or True)
    job.enter(WAITING)
    job.detach()
    assert stopped == [True]
    assert job.state == Detached("task")
    with pytest.raises(JobDetached, match=f"%kling resume {job.id}"):
        job.result(0)


def test_detach_before_the_service_answered(job: Job) -> None:
    """There is nothing to stop yet, so nothing is."""
    job.detach()
    assert not job.done()


def test_there_is_nothing_named_cancel(job: Job) -> None:
    """The service cannot cancel."""
    assert not [name for name in dir(job) if "cancel" in name]


def test_a_clip(tmp_path: Path) -> None:
    """What was measured is at hand; a frame of a file that is gone is an error of ours."""
    assert (CLIP.path, CLIP.duration_s) == (Path("/nowhere/a.mp4"), 5.0)
    assert (CLIP.width_px, CLIP.height_px) == (64, 36)
    with pytest.raises(MediaError):
        CLIP.frame(-1)


def test_a_job_and_a_clip_print_as_one_line(job: Job) -> None:
    """Id, model and state; which file, how long, how large, and of what."""
    assert repr(job) == "<Job ab12cd34 kling-2.6/text-to-video preparing>"
    assert job.task_id == ""
    assert re.fullmatch(r"<Clip \S+\.mp4 [\d.]+ s \d+×\d+: '.*'>", str(CLIP))


def test_more_is_told_of_how_a_job_ended(job: Job) -> None:
    """The state is renewed and observers hear it; the outcome stays."""
    lost = Unknown(AT, "lost")
    job.fail(lost, failed())
    seen: list[JobState] = []
    job.observe(lambda event: seen.append(event.state))
    known = Unknown(AT, "lost", Evidence(55.0, 1000.0))
    job.amend(known)
    assert job.state is known
    assert seen == [known]
    assert isinstance(job.exception(0), TaskFailed)


@pytest.mark.parametrize("ended", [True, False])
def test_only_the_same_kind_of_end_is_amended(job: Job, ended: bool) -> None:
    """A job that runs, or that ended otherwise, stays as it is."""
    if ended:
        job.fail(Failed("task", "500", "it failed", 0), failed())
    before = job.state
    job.amend(Unknown(AT, "lost"))
    assert job.state is before


def test_a_title_leaves_the_state(job: Job) -> None:
    """Another thread may have ended the job meanwhile."""
    job.fail(Detached("t"), JobDetached("detached", job_id=job.id))
    job.renew(replace(job.record, title="Fox"))
    assert (job.record.title, job.state) == ("Fox", Detached("t"))


def test_asking_now_is_for_running_jobs(job: Job) -> None:
    """Nobody is asked about what is over, nor where nobody follows."""
    job.poll_now()
    asked: list[bool] = []
    job.controller = StubController(poll_now=lambda: asked.append(True))
    job.poll_now()
    job.fail(Failed("task", "500", "it failed", 0), failed())
    job.poll_now()
    assert asked == [True]


def test_a_job_is_taken_up_by_its_own_session(
    open_session: Callable[..., Any], photo: bytes, tmp_path: Path
) -> None:
    """Whatever session is the default; and by none once its own is closed."""
    own, other = open_session(), open_session(folder=tmp_path / "other")
    job = own.image_to_video(photo, "A fox")
    job.detach()
    assert job.controller is not None
    again = job.controller.resume()
    assert again.id == job.id
    assert again.result(20).path.parent == own.settings.folder
    assert other.jobs() == []
    own.close()
    assert again.controller is None
