"""What `job_from_record` promises: a row on disk reads as a job, in every stage it can be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kling_nb import errors
from kling_nb.core import job_state
from kling_nb.core.charge_evidence import BalanceHistory, Evidence, TimedBalance
from kling_nb.core.job_state import ENDED, JobState, Stage, has_ended
from kling_nb.core.poll_schedule import learn_schedule
from kling_nb.errors import KlingError
from kling_nb.jobs.job_from_record import clip_of, error_of, others_of, state_of
from kling_nb.storage.job_record import JobRecord

SCHEDULE = learn_schedule((), 164.0)

MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SENT, TAKEN, DONE = (MADE + timedelta(seconds=seconds) for seconds in (1, 2, 166))
CLIP = job_state.ClipFacts("/clips/a.mp4", 1280, 720, 5.04, 24.0, "h264", "aac", 900_000, "ab" * 32)
ROW = JobRecord(
    id="1a2b3c4d",
    stage=Stage.SAVED,
    owner="",
    fingerprint="cd" * 32,
    service="live",
    model="kling-2.6/image-to-video",
    values={"prompt": "A red fox", "image": "fox.png", "duration": "5", "sound": True},
    take=1,
    price_credits=110,
    thumbnail=b"jpeg",
    cell="%%kling --image fox.png --sound\nA red fox",
    task_id="task_12345678",
    created_at=MADE,
    updated_at=DONE,
    sent_at=SENT,
    accepted_at=TAKEN,
    finished_at=DONE,
    balance_before=5916.25,
    balance_after=5806.25,
    credits=110.0,
    reason="their words.",
    code="422",
    result_url="https://tempfile.aiquickdraw.com/k/a.mp4",
    clip=CLIP,
)
EVIDENCE = Evidence(110, 5916.25, BalanceHistory(DONE, (TimedBalance(0.0, 5806.25),)))
"""A row without a watch, from before there were any, holds one look."""

STATES: dict[Stage, JobState] = {
    Stage.INTENDED: job_state.Preparing(),
    Stage.SENDING: job_state.Sending(),
    Stage.ACCEPTED: job_state.Waiting("task_12345678", "waiting", TAKEN, 164.0, SCHEDULE.late_s),
    Stage.SUCCEEDED: job_state.Waiting("task_12345678", "waiting", TAKEN, 164.0, SCHEDULE.late_s),
    Stage.SAVED: job_state.Saved("task_12345678", CLIP, 110.0, DONE, already=True),
    Stage.FAILED: job_state.Failed("task_12345678", "422", "their words.", 110.0, EVIDENCE),
    Stage.REFUSED: job_state.Refused("their words.", code="422", evidence=EVIDENCE),
    Stage.UNKNOWN: job_state.Unknown(SENT, "their words.", EVIDENCE),
    Stage.VANISHED: job_state.Vanished("task_12345678", "their words."),
    Stage.EXPIRED: job_state.Expired("task_12345678", "their words."),
    Stage.DISCARDED: job_state.Discarded("their words."),
    Stage.FORGOTTEN: job_state.Discarded("their words."),
}


def in_stage(stage: Stage) -> JobRecord:
    """The row in another stage."""
    return replace(ROW, stage=stage)


def test_a_record_describes_its_request() -> None:
    """The prompt, and the other values as text; a model that is gone keeps prompt and price."""
    assert (ROW.prompt, dict(ROW.inputs)) == ("A red fox", {"duration": "5 s", "sound": "sound"})
    assert replace(ROW, service="emulator").emulated
    gone = replace(ROW, model="kling-1.0/old")
    assert (gone.prompt, gone.price_credits, dict(gone.inputs)) == ("A red fox", 110, {})


def test_a_saved_row_has_its_clip() -> None:
    """The clip has the file's facts and the request."""
    clip = clip_of(ROW)
    assert clip.path == Path("/clips/a.mp4")
    assert (clip.facts, clip.request, clip.finished_at) == (CLIP, ROW, DONE)


@pytest.mark.parametrize("missing", [{"clip": None}, {"finished_at": None}], ids=str)
def test_a_row_without_a_clip_has_none(missing: dict[str, Any]) -> None:
    """A clip is never made up of half a row."""
    with pytest.raises(ValueError, match="1a2b3c4d"):
        clip_of(replace(ROW, **missing))


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_is_a_state(stage: Stage) -> None:
    """The table is total, and a stage that has ended is a state that has."""
    state = state_of(in_stage(stage), SCHEDULE)
    assert state == STATES[stage]
    assert has_ended(state) is (stage in ENDED)


def test_a_deleted_clip_is_not_expired() -> None:
    """Its state and its error say when it was deleted, what is free, and what costs how much."""
    row = replace(in_stage(Stage.EXPIRED), deleted_at=DONE)
    assert state_of(row) == job_state.Deleted("task_12345678", DONE, DONE + timedelta(days=14))
    error = error_of(row)
    assert type(error) is errors.ClipDeleted
    for words in (f"{DONE.astimezone():%Y-%m-%d}", "%kling resume 1a2b3c4d", "110 credits ($0.55)"):
        assert words in str(error)
    assert "credits (" not in str(error_of(replace(row, service="emulator")))


def test_a_clip_made_just_now_is_not_already_there() -> None:
    """Whoever has waited for a clip is not told that it cost nothing."""
    state = state_of(ROW, already=False)
    assert isinstance(state, job_state.Saved)
    assert not state.already


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.UNKNOWN])
def test_a_missing_time_is_the_last_one_known(stage: Stage) -> None:
    """An adopted or old row without its times still shows one."""
    row = replace(in_stage(stage), sent_at=None, accepted_at=None)
    match state_of(row):
        case job_state.Waiting(since=at) | job_state.Unknown(at=at):
            assert at == DONE
        case other:
            pytest.fail(f"{other!r} has no time")


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (Stage.FAILED, errors.TaskFailed),
        (Stage.UNKNOWN, errors.TaskUnknown),
        (Stage.VANISHED, errors.TaskVanished),
        (Stage.EXPIRED, errors.ClipExpired),
        (Stage.REFUSED, errors.JobFailed),
    ],
)
def test_an_end_without_a_clip_is_its_exception(stage: Stage, kind: type[KlingError]) -> None:
    """Each end raises its own class, and says which job."""
    error = error_of(in_stage(stage))
    assert type(error) is kind
    assert getattr(error, "job_id", "") == "1a2b3c4d"


@pytest.mark.parametrize("stage", sorted(ENDED - {Stage.SAVED, Stage.VANISHED}))
def test_an_end_says_why(stage: Stage) -> None:
    """The reason on disk is in the message, as one sentence of it."""
    text = str(error_of(in_stage(stage)))
    assert "their words" in text
    assert ".." not in text


def test_a_refusal_is_told_as_it_was_noted() -> None:
    """The reason holds the service's answer and our advice already: neither is said twice."""
    reason = str(errors.Unauthorized(401, "no"))
    text = str(error_of(replace(in_stage(Stage.REFUSED), reason=reason)))
    assert text == f"Job 1a2b3c4d was refused: {reason}"


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        (Stage.UNKNOWN, ("%kling adopt TASK_ID", "%kling forget 1a2b3c4d", "may be paid")),
        (Stage.VANISHED, ("%kling resume 1a2b3c4d", "%kling forget 1a2b3c4d", "task_12345678")),
        (Stage.EXPIRED, ("%kling resume 1a2b3c4d", "--take 2")),
    ],
)
def test_an_end_that_blocks_names_the_ways_on(stage: Stage, steps: tuple[str, ...]) -> None:
    """Where the same cell is not sent again, the message says what may be done instead."""
    text = str(error_of(in_stage(stage)))
    for step in steps:
        assert step in text


def test_a_lost_answer_that_names_tasks_offers_each() -> None:
    """With the job's id, so that the command can be copied; what is no word of it is left out."""
    answer = '{"code":429,"data":{"taskId":"a1","recordId":"b2","more":{"taskId":"`x y`"}}}'
    row = replace(ROW, stage=Stage.UNKNOWN, task_id="", answer=answer)
    state = state_of(row)
    assert isinstance(state, job_state.Unknown)
    assert state.evidence.task_ids == ("a1", "b2")
    assert "`%kling adopt a1 1a2b3c4d` or `%kling adopt b2 1a2b3c4d`" in str(error_of(row))


def test_a_vanished_task_names_the_other_id_that_it_was_given() -> None:
    """Of two ids in one success the one that was taken may be the wrong one."""
    answer = '{"code":200,"data":{"taskId":"task_12345678","recordId":"b2"}}'
    row = replace(ROW, stage=Stage.VANISHED, answer=answer)
    assert "also names task b2: `%kling adopt b2`" in str(error_of(row))
    assert "also names task b2: `%kling adopt b2`" in state_of(row).message  # type: ignore[union-attr]


def test_a_saved_row_knows_what_is_beside_it(tmp_path: Path) -> None:
    """Further clips by their place in the result; what is not there is told by its URL."""
    clip = replace(CLIP, path=str(tmp_path / "a.mp4"))
    (tmp_path / "a-3.mp4").touch()
    row = replace(in_stage(Stage.SAVED), clip=clip, result_url="u2", result_urls=("u1", "u2", "u3"))
    assert others_of(row) == ((str(tmp_path / "a-3.mp4"),), ("u1",))
    assert clip_of(row).others == (tmp_path / "a-3.mp4",)
    assert others_of(in_stage(Stage.SAVED)) == ((), ())
