"""Test `job_state`: the changes of stages, consistent sets of stages, and the end of a job."""

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
    job_state.Waiting("t", "waiting", AT, 164.0, 226.0),
    job_state.Unresponsive("t", AT, 164.0, 226.0, AT, "no answer"),
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
    job_state.Deleted("t", AT, AT),
)


def reached_from(start: Stage) -> set[Stage]:
    """Return every stage that a row can reach from `start`."""
    reached: set[Stage] = set()
    ahead = {start}
    while ahead:
        reached |= ahead
        ahead = {after for stage in ahead for after in NEXT_STAGES[stage]} - reached
    return reached


def test_every_stage_is_reached_from_the_first() -> None:
    """Every stage has its next stages, and a job can be in every stage."""
    assert set(NEXT_STAGES) == reached_from(Stage.INTENDED) == set(Stage)


@pytest.mark.parametrize("stage", list(Stage))
def test_nothing_is_sent_twice(stage: Stage) -> None:
    """No row returns to `sending` or to a stage before it; each step changes the stage."""
    assert stage not in NEXT_STAGES[stage]
    if stage is not Stage.INTENDED:
        assert Stage.INTENDED not in reached_from(stage)
        assert Stage.SENDING not in reached_from(stage) - {stage}


def test_stages_that_do_not_block() -> None:
    """Refused, failed, discarded and forgotten requests may be paid again; running ones block."""
    assert set(Stage) - BLOCKING == {
        Stage.REFUSED,
        Stage.FAILED,
        Stage.DISCARDED,
        Stage.FORGOTTEN,
    }
    assert set(Stage) - ENDED <= BLOCKING


def test_a_row_that_does_not_block_never_blocks_again() -> None:
    """Its request may have another row by then."""
    for stage in set(Stage) - BLOCKING:
        assert stage in ENDED
        assert not NEXT_STAGES[stage]


def test_stages_that_can_be_forgotten() -> None:
    """Those that otherwise block their request for ever; never a saved clip."""
    assert ENDED & BLOCKING - {Stage.SAVED} >= FORGETTABLE
    assert {stage for stage in Stage if Stage.FORGOTTEN in NEXT_STAGES[stage]} == FORGETTABLE


def test_states_that_have_ended() -> None:
    """A job has ended if nothing happens without a user; the two lists have every state."""
    assert {type(state) for state in RUNNING + OVER} == set(typing.get_args(job_state.JobState))
    assert [state for state in RUNNING + OVER if has_ended(state)] == list(OVER)


@pytest.mark.parametrize("name", [name for name in vars(job_state) if name[0].isupper()])
def test_states_are_values(name: str) -> None:
    """Every dataclass is frozen and slotted: a state that was shown does not change."""
    kind: Any = getattr(job_state, name)
    if hasattr(kind, "__dataclass_fields__"):
        assert kind.__dataclass_params__.frozen
        assert set(kind.__slots__) == {part.name for part in fields(kind)}


def test_a_repr_has_no_image() -> None:
    """A job's record is printed without the bytes of its thumbnail."""
    record = record_of("1a", "m", "p", AT, thumbnail=b"JPEGBYTES")
    assert "JPEGBYTES" not in repr(record)
