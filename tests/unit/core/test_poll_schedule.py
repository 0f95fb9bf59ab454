"""Test `poll_schedule` by simulation: few polls, small delays, and longer waits at the end."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.core.poll_schedule import (
    GRACE_S,
    MISSING_URL_TIMEOUT_S,
    callback_poll_delay_s,
    expected_s,
    is_unresponsive,
    poll_delay_s,
    retry_wait_s,
)

USUAL_S = 164.0
ENDS_S = [127.0 + second for second in range(62)]
"""Recorded durations of a 5 s clip were 127 to 188 s (source: L, kling-3.0)."""


def polls_at(usual_s: float, end_s: float) -> list[float]:
    """Return the times of the polls of a job that ends after `end_s`; the last finds the end."""
    polls = [poll_delay_s(0.0, usual_s)]
    while polls[-1] < end_s:
        polls.append(polls[-1] + poll_delay_s(polls[-1], usual_s))
    return polls


def lateness_s(usual_s: float, end_s: float) -> float:
    """Return the time from the end of a job to the poll that finds it."""
    return polls_at(usual_s, end_s)[-1] - end_s


def test_a_usual_job_has_few_polls() -> None:
    """6 to 20, the first within seconds: it notices a task that does not exist."""
    polls = polls_at(USUAL_S, USUAL_S)
    assert 5 < len(polls) <= 20
    assert polls[0] <= 5.0


def test_the_end_of_a_usual_job_is_found_soon() -> None:
    """Over the recorded durations the mean delay is a few seconds, the longest one wait."""
    late = [lateness_s(USUAL_S, end_s) for end_s in ENDS_S]
    assert mean(late) <= 6.0
    assert max(late) <= 10.5


def test_the_end_of_an_emulated_job_is_found_at_once() -> None:
    """At most half a second after 8 s, with about a dozen polls."""
    ends_s = [6.0 + tenth / 10 for tenth in range(41)]
    assert max(lateness_s(8.0, end_s) for end_s in ends_s) <= 0.6
    assert max(len(polls_at(8.0, end_s)) for end_s in ends_s) <= 16


def test_polls_are_closest_around_the_expected_end() -> None:
    """Between 0.6 and 2 times the usual duration no wait is longer than a later one."""
    gaps = [(at, after - at) for at, after in pairwise(polls_at(USUAL_S, 4 * USUAL_S))]
    near = max(gap for at, gap in gaps if 0.6 * USUAL_S <= at < 2 * USUAL_S)
    far = min(gap for at, gap in gaps if at >= 2 * USUAL_S)
    assert near <= far


def test_after_the_expected_end_waits_grow_up_to_30_s() -> None:
    """A job that takes too long is polled less and less often, and never given up."""
    late_s = [2 * USUAL_S + 10.0 * step for step in range(100)]
    waits_s = [poll_delay_s(elapsed_s, USUAL_S) for elapsed_s in late_s]
    assert waits_s == sorted(waits_s)
    assert waits_s[0] < waits_s[-1] == 30.0


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(elapsed_s=st.floats(-10, 1e6), usual_s=st.floats(-1, 1e5))
def test_every_wait_is_0_1_to_30_s(elapsed_s: float, usual_s: float) -> None:
    """For all durations."""
    assert 0.1 <= poll_delay_s(elapsed_s, usual_s) <= 30.0


@pytest.mark.parametrize(
    ("past_s", "expected"),
    [
        ([], USUAL_S),
        ([10.0, 20.0], USUAL_S),
        ([10.0, 20.0, 90.0], 20.0),
        ([10.0] * 20 + [900.0] * 30, 10.0),
    ],
)
def test_durations_are_learnt(past_s: list[float], expected: float) -> None:
    """The median of at least three recent jobs counts; one odd job and old ones do not."""
    assert expected_s(past_s, USUAL_S) == expected


def test_documented_times() -> None:
    """An unknown task gets 90 s, a missing URL 60 s; failed polls are shown after 40 s."""
    assert (GRACE_S, MISSING_URL_TIMEOUT_S) == (90.0, 60.0)
    assert [is_unresponsive(seconds) for seconds in (39.9, 40.0)] == [False, True]


def test_downloads_wait_longer_each_time_up_to_a_minute() -> None:
    """1, 2, 4 … seconds, and at most 60."""
    assert [retry_wait_s(tries) for tries in (1, 2, 3, 6, 7, 500)] == [1, 2, 4, 32, 60, 60]


@given(st.floats(0, 1e5), st.floats(0.1, 3600))
def test_with_a_callback_polls_are_rarer(elapsed_s: float, usual_s: float) -> None:
    """Never more often than without; a lost callback delays the clip by at most a minute."""
    wait_s = callback_poll_delay_s(elapsed_s, usual_s)
    assert poll_delay_s(elapsed_s, usual_s) <= wait_s <= 60


def test_with_a_callback_a_usual_job_has_half_the_polls() -> None:
    """Over the whole of a usual task."""
    elapsed_s, polls = 0.0, 0
    while elapsed_s < USUAL_S:
        elapsed_s += callback_poll_delay_s(elapsed_s, USUAL_S)
        polls += 1
    assert polls <= len(polls_at(USUAL_S, USUAL_S)) / 2
