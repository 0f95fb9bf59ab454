"""What `job_state` promises: steps that stay inside the stages, sets that agree, a total end."""

from __future__ import annotations

import typing
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from kling_nb.core import job_state
from kling_nb.core.job_state import BLOCKING, ENDED, FORGETTABLE, NEXT_STAGES, Stage, has_ended
from tests.support.records import record_of

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CLIP = job_state.ClipFacts("/c.mp4", 640, 360, 5.0, 24.0, "h264", "", 1000, "00")
RUNNING = (
    job_state.Preparing(),
    job_state.Uploading(1, 2),
    job_state.Sending(),
    job_state.Waiting("t", "waiting", AT, 164.0),
    job_state.Unresponsive("t", AT, 164.0, AT, "no answer"),
    job_state.Downloading("t", 1, None),
)
OVER = (
    job_state.Saved("t", CLIP, 55, AT),
    job_state.Failed("t", "500", "broke", 0),
    job_state.Refused("no"),
    job_state.Unknown(AT, "lost"),
    job_state.Vanished("t", "gone"),
    job_state.Expired("t", "gone"),
    job_state.Detached("t"),
    job_state.Discarded("not sent"),
)


def reached_from(start: Stage) -> set[Stage]:
    """Every stage that a row can get to from `start`."""
    reached: set[Stage] = set()
    ahead = {start}
    while ahead:
        reached |= ahead
        ahead = {after for stage in ahead for after in NEXT_STAGES[stage]} - reached
    return reached


def test_steps_stay_inside_the_stages() -> None:
    """Every stage has its steps, and every step leads to a stage."""
    assert set(NEXT_STAGES) == set(Stage)
    assert all(isinstance(after, Stage) for steps in NEXT_STAGES.values() for after in steps)


def test_every_stage_is_reached_from_the_first() -> None:
    """No stage is named that no job can be in."""
    assert reached_from(Stage.INTENDED) == set(Stage)


@pytest.mark.parametrize("stage", list(Stage))
def test_nothing_is_sent_twice(stage: Stage) -> None:
    """No way leads a row back to `sending`, or to a stage before it."""
    if stage is not Stage.INTENDED:
        assert Stage.INTENDED not in reached_from(stage)
        assert Stage.SENDING not in reached_from(stage) - {stage}


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_does_not_follow_itself(stage: Stage) -> None:
    """A step always changes the stage."""
    assert stage not in NEXT_STAGES[stage]


def test_what_does_not_block_cost_nothing_or_was_let_go() -> None:
    """Only rows without a task, failed ones and forgotten ones let the request be paid again."""
    assert set(Stage) - BLOCKING == {
        Stage.REFUSED,
        Stage.FAILED,
        Stage.DISCARDED,
        Stage.FORGOTTEN,
    }


def test_what_runs_blocks() -> None:
    """A job that is still under way answers the same request."""
    assert set(Stage) - ENDED <= BLOCKING


def test_what_lets_the_request_be_paid_again_has_ended_for_good() -> None:
    """A row that does not block can never block again: its request may have another row by then."""
    for stage in set(Stage) - BLOCKING:
        assert stage in ENDED
        assert not NEXT_STAGES[stage]


def test_only_ends_that_block_can_be_forgotten() -> None:
    """`forget` ends just those stages that would else block their request for ever."""
    assert FORGETTABLE <= ENDED & BLOCKING
    assert {stage for stage in Stage if Stage.FORGOTTEN in NEXT_STAGES[stage]} == FORGETTABLE


def test_a_saved_clip_is_never_forgotten() -> None:
    """What was paid for and is there is not thrown away by a command."""
    assert Stage.SAVED not in FORGETTABLE


def test_the_lists_here_have_every_state() -> None:
    """This file's two lists are the whole union, so that the tests below are total."""
    assert {type(state) for state in RUNNING + OVER} == set(typing.get_args(job_state.JobState))


@pytest.mark.parametrize("state", RUNNING, ids=lambda state: type(state).__name__)
def test_a_running_state_has_not_ended(state: job_state.JobState) -> None:
    """While something happens by itself, the job has not ended."""
    assert not has_ended(state)


@pytest.mark.parametrize("state", OVER, ids=lambda state: type(state).__name__)
def test_a_final_state_has_ended(state: job_state.JobState) -> None:
    """Where nothing more happens by itself, the job has ended."""
    assert has_ended(state)


@pytest.mark.parametrize("name", [name for name in vars(job_state) if name[0].isupper()])
def test_states_are_values(name: str) -> None:
    """Every dataclass is frozen and slotted: a state that was shown stays what it was."""
    kind: Any = getattr(job_state, name)
    if hasattr(kind, "__dataclass_fields__"):
        assert kind.__dataclass_params__.frozen
        assert set(kind.__slots__) == {part.name for part in fields(kind)}


def test_pictures_stay_out_of_reprs() -> None:
    """A job's facts can be printed without the bytes of its picture."""
    facts = record_of("1a", "m", "p", AT, thumbnail=b"JPEGBYTES")
    assert "JPEGBYTES" not in repr(facts)
