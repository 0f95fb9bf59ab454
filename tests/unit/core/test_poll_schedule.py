"""`poll_schedule`, by simulation: few questions, little lateness, rarer and rarer after."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.core.poll_schedule import (
    GRACE_S,
    MISSING_URL_TIMEOUT_S,
    NEW_TASKS,
    STATUS_REQUESTS,
    Rate,
    back_off_s,
    callback_poll_delay_s,
    expected_s,
    is_unresponsive,
    next_slot,
    poll_delay_s,
    rate_limit_back_off_s,
    retry_wait_s,
)

USUAL_S = 164.0
ENDS_S = [127.0 + second for second in range(62)]
"""Recorded durations of a 5 s clip were 127 to 188 s (source: L, kling-3.0)."""


def questions_at(usual_s: float, end_s: float) -> list[float]:
    """When a job that is over after `end_s` is asked about; the last question finds it over."""
    asked = [poll_delay_s(0.0, usual_s)]
    while asked[-1] < end_s:
        asked.append(asked[-1] + poll_delay_s(asked[-1], usual_s))
    return asked


def lateness_s(usual_s: float, end_s: float) -> float:
    """How long after its end a job is noticed."""
    return questions_at(usual_s, end_s)[-1] - end_s


def test_a_usual_job_costs_few_questions() -> None:
    """A clip of the usual 164 s is found with at most 20 questions, and never with one."""
    assert 5 < len(questions_at(USUAL_S, USUAL_S)) <= 20


def test_a_usual_job_is_noticed_soon() -> None:
    """Over the recorded range the mean lateness is a few seconds, the worst one question."""
    late = [lateness_s(USUAL_S, end_s) for end_s in ENDS_S]
    assert mean(late) <= 6.0
    assert max(late) <= 10.5


def test_an_emulated_job_is_noticed_at_once() -> None:
    """A clip of 8 s is seen half a second late at most, with a dozen questions or so."""
    ends_s = [6.0 + tenth / 10 for tenth in range(41)]
    assert max(lateness_s(8.0, end_s) for end_s in ends_s) <= 0.6
    assert max(len(questions_at(8.0, end_s)) for end_s in ends_s) <= 16


def test_the_first_question_comes_early() -> None:
    """A task that the service does not know is noticed in the first seconds."""
    assert questions_at(USUAL_S, USUAL_S)[0] <= 5.0


def test_questions_are_closest_around_the_expected_end() -> None:
    """Between 0.6 and 2 times the usual length no gap is longer than before or after it."""
    asked = questions_at(USUAL_S, 4 * USUAL_S)
    gaps = [(at, after - at) for at, after in pairwise(asked)]
    near = max(gap for at, gap in gaps if 0.6 * USUAL_S <= at < 2 * USUAL_S)
    far = min(gap for at, gap in gaps if at >= 2 * USUAL_S)
    assert near <= far


def test_after_the_expected_end_questions_grow_rarer_up_to_30_s() -> None:
    """A job that takes far too long is asked about ever less often, and never forgotten."""
    late_s = [2 * USUAL_S + 10.0 * step for step in range(100)]
    waits_s = [poll_delay_s(elapsed_s, USUAL_S) for elapsed_s in late_s]
    assert waits_s == sorted(waits_s)
    assert waits_s[0] < waits_s[-1] == 30.0


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(elapsed_s=st.floats(-10, 1e6), usual_s=st.floats(-1, 1e5))
def test_a_wait_is_never_hasty_and_never_endless(elapsed_s: float, usual_s: float) -> None:
    """Whatever the numbers, the next question comes after 0.1 to 30 s."""
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
    """Three past jobs are enough to believe them; one odd job and old ones do not count."""
    assert expected_s(past_s, USUAL_S) == expected


def test_a_person_is_told_after_40_s() -> None:
    """A few failed questions are no news."""
    assert not is_unresponsive(39.9)
    assert is_unresponsive(40.0)


def test_downloads_wait_longer_each_time_up_to_a_minute() -> None:
    """1, 2, 4 … seconds, and 60 at most however often it failed."""
    assert [retry_wait_s(tries) for tries in (1, 2, 3, 6, 7, 500)] == [1, 2, 4, 32, 60, 60]


def test_the_graces_are_the_documented_ones() -> None:
    """An unknown task gets 90 s, a success without a URL 60 s."""
    assert (GRACE_S, MISSING_URL_TIMEOUT_S) == (90.0, 60.0)


TIGHT = Rate("tries", 3, 2.0, 0.5)


@pytest.mark.parametrize(
    ("taken", "slot"),
    [
        ([], 100.0),
        ([100.0, 100.0], 100.0),
        ([100.0, 100.0, 100.0], 102.5),
        ([98.0, 99.0, 100.0], 100.5),
        ([97.5, 99.0, 100.0], 100.0),
        ([99.0, 98.0, 100.0, 100.5], 101.5),
        ([200.0, 200.0, 200.0], 100.0),
        ([107.0, 107.0, 107.0], 107.5),
    ],
    ids=str,
)
def test_the_next_slot(taken: list[float], slot: float) -> None:
    """As soon as fewer than three count; what lies too far ahead does not, nor is a slot there."""
    assert next_slot(taken, 100.0, TIGHT) == slot


@pytest.mark.parametrize(
    ("held_until", "slot"), [(99.0, 100.0), (101.0, 101.0), (107.5, 107.5), (108.0, 100.0)]
)
def test_a_slot_is_not_before_the_hold(held_until: float, slot: float) -> None:
    """The service asked for it; a hold that lies too far ahead is not believed."""
    assert next_slot([], 100.0, TIGHT, held_until) == slot


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_limit(pauses: list[float]) -> None:
    """Whenever somebody comes: any three slots and the one after lie a whole window apart."""
    now, taken = 1_000.0, []
    for pause in pauses:
        now += pause
        slot = next_slot(taken, now, TIGHT)
        if slot < now + TIGHT.longest_wait_s:
            taken = sorted([*taken, slot])
    assert all(
        later - sooner >= TIGHT.kept_s - 1e-6
        for sooner, later in zip(taken, taken[3:], strict=False)
    )


@pytest.mark.parametrize("rate", [NEW_TASKS, STATUS_REQUESTS])
def test_the_services_limits_are_kept_with_a_margin(rate: Rate) -> None:
    """20 new tasks in 10 s, 10 questions in 1 s (source: D), and some room on the way there."""
    assert (rate.limit, rate.window_s) in {(20, 10.0), (10, 1.0)}
    assert rate.window_s < rate.kept_s <= 1.25 * rate.window_s


@pytest.mark.parametrize(("asked_s", "held_s"), [(None, 0.625), (0.0, 0.0), (5, 5), (600, 7.5)])
def test_how_long_a_429_holds(asked_s: float | None, held_s: float) -> None:
    """As the service says, within bounds; a quarter of a window if it says nothing."""
    assert rate_limit_back_off_s(TIGHT, asked_s) == held_s


@pytest.mark.parametrize(
    ("asked_s", "rest"), [(None, 1.0), (0.0, 1.0), (7.0, 7.0), (86_400.0, 60.0)]
)
def test_a_service_is_left_alone_for_a_minute_at_most(asked_s: float | None, rest: float) -> None:
    """As long as it says, within bounds; a second where it does not say."""
    assert back_off_s(asked_s) == rest


@pytest.mark.parametrize("limit", [0, 0.5, -1, float("nan")])
def test_a_limit_lets_at_least_one_through(limit: float) -> None:
    """Anything less would stop every clip for good."""
    with pytest.raises(ValueError, match=r"new tasks: a limit of .*; give 1 or more"):
        Rate("new tasks", limit, 10.0, 1.0)


@given(st.floats(0, 1e5), st.floats(0.1, 3600))
def test_where_a_notification_is_to_come_questions_are_rare(
    elapsed_s: float, usual_s: float
) -> None:
    """Never more often than otherwise, and one that is lost costs a minute at most."""
    wait_s = callback_poll_delay_s(elapsed_s, usual_s)
    assert poll_delay_s(elapsed_s, usual_s) <= wait_s <= 60


def test_a_third_of_the_questions() -> None:
    """Over the whole of a usual task."""
    asked_s, questions = 0.0, 0
    while asked_s < USUAL_S:
        asked_s += callback_poll_delay_s(asked_s, USUAL_S)
        questions += 1
    assert questions <= len(questions_at(USUAL_S, USUAL_S)) / 2
