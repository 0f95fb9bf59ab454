"""One job and every state it can be in, as literals for the tests of cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

from kling_nb.core import job_state
from kling_nb.core.charge_evidence import BalanceHistory, Evidence, TimedBalance
from kling_nb.errors import Problem
from tests.support.records import record_of

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
TASK = "56074f12319c68b246e5a03e05608f31"

TINY_JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x02\xd0\x05\x00\x01\x01\x11\x00"
)
"""The header of a grey JPEG of 1280×720; all that its size is read from."""

FACTS = record_of(
    "k7f2qd",
    "kling-2.6/image-to-video",
    "A red fox shakes the snow off its coat, slow push-in",
    NOW,
    values={"image": "fox.png", "duration": "5", "sound": False},
    price_credits=55.0,
    balance_before=5916.25,
    thumbnail=TINY_JPEG,
    cell="%%kling --image fox.png\nA red fox shakes the snow off its coat, slow push-in",
)
EMULATED = replace(FACTS, service="emulator")

CLIP = job_state.ClipFacts(
    path="/clips/2026-11-22_fox_k7f2qd.mp4",
    width_px=1280,
    height_px=720,
    duration_s=5.04,
    fps=24.0,
    video_codec="h264",
    audio_codec="",
    size_bytes=912_345,
    sha256="0" * 64,
)
SAVED = job_state.Saved(TASK, CLIP, 55.0, NOW)
ALREADY = replace(SAVED, finished_at=NOW - timedelta(days=2), already=True)


def ago(seconds: float) -> datetime:
    """Give a moment before `NOW`."""
    return NOW - timedelta(seconds=seconds)


WAITING = job_state.Waiting(TASK, "generating", ago(72), 164.0, 226.0)
WATCH = BalanceHistory(ago(300), (TimedBalance(0.0, 5861.25), TimedBalance(60.0, 5861.25)))
UNKNOWN = job_state.Unknown(ago(300), "the connection was closed", Evidence(55.0, 5916.25, WATCH))
RUNNING: tuple[job_state.JobState, ...] = (
    job_state.Preparing(),
    job_state.Uploading(512_000, 1_240_000),
    job_state.Sending(),
    WAITING,
    job_state.Unresponsive(TASK, ago(100), 164.0, 226.0, ago(40), "no route to api.kie.ai"),
    job_state.Downloading(TASK, 400_000, 912_345),
)
ENDED: tuple[job_state.JobState, ...] = (
    SAVED,
    job_state.Failed(TASK, "500", "Internal Error, Please try again later.", 0.0),
    job_state.Refused("This field is required", (Problem("duration", "'7'", "allowed: 5, 10"),)),
    UNKNOWN,
    job_state.Vanished(TASK, "recordInfo is null"),
    job_state.Expired(TASK, "404 from the file host"),
    job_state.Detached(TASK),
    job_state.Discarded("The kernel ended before anything was sent."),
    job_state.Deleted(TASK, ago(3600), NOW + timedelta(days=13)),
)
EVERY = RUNNING + ENDED

assert {type(state) for state in EVERY} == set(get_args(job_state.JobState))


def name_of(state: job_state.JobState) -> str:
    """Give the name of a state, for the names of tests."""
    return type(state).__name__
