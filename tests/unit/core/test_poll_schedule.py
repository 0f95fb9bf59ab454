"""Test `poll_schedule` by simulation: few requests, little notice, and longer waits at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from random import Random
from statistics import NormalDist, mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.core.poll_schedule import (
    GRACE_S,
    MISSING_URL_TIMEOUT_S,
    PollSchedule,
    is_unresponsive,
    learn_schedule,
    retry_wait_s,
)

USUAL_S = 164.0
NORMAL = NormalDist()


def short_s(share: float) -> float:
    """Return a quantile of the durations of a short clip: uniform from 8 to 20 s."""
    return 8.0 + 12.0 * share


def clip_s(share: float) -> float:
    """Return a quantile of the durations of a real clip: lognormal around 150 s."""
    return 150.0 * math.exp(0.2 * NORMAL.inv_cdf(share))


def drawn(random: Random, quantile_s: Callable[[float], float]) -> float:
    """Return a random duration."""
    return quantile_s(random.uniform(1e-9, 1.0 - 1e-9))


def polled(schedule: PollSchedule, end_s: float, jitter: float = 0.5) -> tuple[int, float]:
    """Return the number of requests for a job that ends then, and the notice in seconds."""
    requests, at_s = 0, 0.0
    while at_s < end_s or not requests:
        at_s += schedule.delay_s(at_s, jitter=jitter)
        requests += 1
    return requests, at_s - end_s


def simulated(
    quantile_s: Callable[[float], float], *, learnt: int, usual_s: float, histories: int = 100
) -> tuple[float, float]:
    """Return the mean requests and notice of jobs, each history learnt from that many others."""
    random, found = Random(12), []
    for _ in range(histories):
        past_s = tuple(drawn(random, quantile_s) for _ in range(learnt))
        schedule = learn_schedule(past_s, usual_s)
        found += [
            polled(schedule, drawn(random, quantile_s), random.random())
            for _ in range(4_000 // histories)
        ]
    return mean(requests for requests, _ in found), mean(notice_s for _, notice_s in found)


def best(ends_s: Sequence[float], request_cost_s: float) -> tuple[float, float]:
    """Return the requests and the notice of the optimum for equally likely ends, in order.

    By dynamic programming: the best time after each request is one of the ends, and what follows
    depends on that time only.
    """
    number, sums = len(ends_s), [0.0, *accumulate(ends_s)]
    costs, following = [0.0] * (number + 1), [0] * number
    for last in reversed(range(number)):
        costs[last], following[last] = min(
            (
                (after - last) * ends_s[after - 1]
                - (sums[after] - sums[last])
                + (number - last) * request_cost_s
                + costs[after],
                after,
            )
            for after in range(last + 1, number + 1)
        )
    requests, notice_s, last = 0.0, 0.0, 0
    while last < number:
        after = following[last]
        requests += (number - last) / number
        notice_s += ((after - last) * ends_s[after - 1] - (sums[after] - sums[last])) / number
        last = after
    return requests, notice_s


def test_short_clips_of_known_durations() -> None:
    """6.5 requests and 0.5 s, within 2 %: ends from 8 to 20 s, 20 of them known."""
    requests, notice_s = simulated(short_s, learnt=20, usual_s=8.0)
    assert requests <= 1.02 * 6.5
    assert notice_s <= 1.02 * 0.5
    assert requests * notice_s <= 3.25


def test_real_clips_of_known_durations() -> None:
    """At most 13 requests and 2.6 s."""
    requests, notice_s = simulated(clip_s, learnt=20, usual_s=USUAL_S)
    assert requests <= 13.0
    assert notice_s <= 2.6


@pytest.mark.parametrize("usual_s", [8.0, 120.0, 150.0, 643.0])
def test_the_first_job_of_a_kind(usual_s: float) -> None:
    """At most 8 requests and 1.5 s for ends from 8 to 20 s, whatever is usual."""
    requests, notice_s = simulated(short_s, learnt=0, usual_s=usual_s, histories=1)
    assert requests <= 8.0
    assert notice_s <= 1.5


@pytest.mark.parametrize(
    ("quantile_s", "request_cost_s", "factor"), [(short_s, 0.09, 1.2), (clip_s, 0.23, 1.4)]
)
def test_the_schedule_is_near_the_optimum(
    quantile_s: Callable[[float], float], request_cost_s: float, factor: float
) -> None:
    """In requests × notice. The optimum knows the distribution, the schedule 20 durations.

    A clip of minutes has one more request, before any clip is ready.
    """
    ends_s = [quantile_s((index + 0.5) / 300) for index in range(300)]
    requests, notice_s = best(ends_s, request_cost_s)
    ours = simulated(quantile_s, learnt=20, usual_s=USUAL_S)
    assert requests * notice_s <= ours[0] * ours[1] <= factor * requests * notice_s


def test_equal_durations_need_few_requests() -> None:
    """Three, and 0.3 s: an emulated clip always takes 8 s."""
    requests, notice_s = polled(learn_schedule((8.0,) * 20, 8.0), 8.0)
    assert requests <= 3
    assert notice_s <= 0.3


@pytest.mark.parametrize("outlier_s", [3.0, 900.0, 80_000.0])
def test_an_outlier_changes_little(outlier_s: float) -> None:
    """It costs at most a request and a half, and moves no estimate."""
    past_s = tuple(short_s((index + 0.5) / 19) for index in range(19))
    plain, odd = learn_schedule(past_s, 8.0), learn_schedule((*past_s, outlier_s), 8.0)
    ends_s = [short_s((index + 0.5) / 50) for index in range(50)]
    found = [mean(polled(schedule, end_s)[0] for end_s in ends_s) for schedule in (plain, odd)]
    assert abs(found[0] - found[1]) <= 1.5
    assert odd.late_s == pytest.approx(plain.late_s, rel=0.15)


@pytest.mark.parametrize(("end_s", "notice_s"), [(20.0, 20.0), (40.0, 60.0), (600.0, 30.0)])
def test_a_service_with_other_durations_is_found_in_time(end_s: float, notice_s: float) -> None:
    """Within a minute if it has become faster, within 30 s if slower; then it is learnt."""
    past_s = tuple(clip_s((index + 0.5) / 20) for index in range(20))
    noticed_s = polled(learn_schedule(past_s, USUAL_S), end_s)[1]
    assert noticed_s <= notice_s
    relearnt = polled(learn_schedule((end_s,) * 3 + past_s, USUAL_S), end_s)[1]
    assert relearnt <= max(0.25 * end_s, noticed_s / 2)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_few_durations_count_at_once(number: int) -> None:
    """At most 8 requests and 1.5 s for ends from 8 to 20 s."""
    requests, notice_s = simulated(short_s, learnt=number, usual_s=USUAL_S)
    assert requests <= 8.0
    assert notice_s <= 1.5


@pytest.mark.parametrize(
    ("past_s", "expected_s", "late_s"),
    [
        ((), USUAL_S, 226.0),
        ((10.0,), 10.0, 13.8),
        ((10.0, 20.0, 90.0), 20.0, 48.0),
        ((10.0,) * 20 + (900.0,) * 30, 10.0, 10.7),
        (tuple(clip_s((index + 0.5) / 20) for index in range(20)), 150.0, 192.0),
    ],
    ids=str,
)
def test_durations_are_learnt(past_s: tuple[float, ...], expected_s: float, late_s: float) -> None:
    """The median of the last 20, and the time within which nine of ten end."""
    schedule = learn_schedule(past_s, USUAL_S)
    assert schedule.expected_s == pytest.approx(expected_s, rel=0.01)
    assert schedule.late_s == pytest.approx(late_s, rel=0.05)


@pytest.mark.parametrize("odd", [0.0, -3.0, math.nan, math.inf])
def test_a_duration_that_is_none_does_not_count(odd: float) -> None:
    """Zero, negative, infinite or not a number, e.g. by a clock that was set back."""
    assert learn_schedule((odd, 12.0, odd), 8.0) == learn_schedule((12.0,), 8.0)
    assert 0.1 <= learn_schedule((), odd).delay_s(0.0) <= 60.0


durations = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    past_s=st.lists(durations | st.floats(0.01, 1e4), max_size=25).map(tuple),
    usual_s=durations,
    elapsed_s=st.floats(-10, 1e7),
    jitter=st.floats(0, 1),
)
def test_every_delay_is_bounded(
    past_s: tuple[float, ...], usual_s: float, elapsed_s: float, jitter: float
) -> None:
    """0.1 to 60 s; with a callback it is never shorter than without."""
    schedule = learn_schedule(past_s, usual_s)
    delay_s = schedule.delay_s(elapsed_s, jitter=jitter)
    rare_s = schedule.delay_s(elapsed_s, awaits_callback=True, jitter=jitter)
    assert 0.1 <= delay_s <= rare_s <= 60.0


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    past_s=st.lists(st.floats(0.1, 1e3), max_size=20).map(tuple),
    awaits_callback=st.booleans(),
    jitter=st.floats(0, 1),
)
def test_a_later_poll_has_a_later_successor(
    past_s: tuple[float, ...], awaits_callback: bool, jitter: float
) -> None:
    """A poll that is late, e.g. by a rate limit, never moves the next one forward."""
    schedule = learn_schedule(past_s, USUAL_S)
    times_s = [step / 2 for step in range(1_000)]
    delays_s = [
        schedule.delay_s(time_s, awaits_callback=awaits_callback, jitter=jitter)
        for time_s in times_s
    ]
    following_s = [sum(each) for each in zip(times_s, delays_s, strict=True)]
    assert all(later >= sooner - 1e-6 for sooner, later in pairwise(following_s))


def test_after_the_likely_end_delays_grow_up_to_30_s() -> None:
    """A job that takes too long is polled less and less often, and never given up."""
    schedule = learn_schedule((), USUAL_S)
    delays_s = [schedule.delay_s(1.5 * schedule.late_s + 10.0 * step) for step in range(100)]
    assert delays_s == sorted(delays_s)
    assert delays_s[0] < delays_s[-1] == 30.0


@pytest.mark.parametrize("usual_s", [0.3, 8.0, USUAL_S, 643.0])
def test_the_first_request_is_early(usual_s: float) -> None:
    """Within 40 s of 90 s, in which the service may not know the task."""
    assert learn_schedule((usual_s,) * 20, usual_s).delay_s(0.0) <= 40.0


def test_the_first_job_is_polled_as_documented() -> None:
    """Every few seconds in the first half minute, every 15 s at most later (source: D)."""
    schedule = learn_schedule((), USUAL_S)
    assert all(2.0 <= schedule.delay_s(time_s) <= 6.0 for time_s in range(6, 30))
    assert all(schedule.delay_s(time_s) <= 15.0 for time_s in range(30, 240))


def test_jobs_that_began_together_are_polled_apart() -> None:
    """Jitter spreads each request by a tenth in both directions."""
    schedule = learn_schedule(tuple(short_s((index + 0.5) / 20) for index in range(20)), 8.0)
    delays_s = [schedule.delay_s(14.0, jitter=tenth / 10) for tenth in range(11)]
    assert delays_s == sorted(delays_s)
    assert delays_s[-1] >= 1.15 * delays_s[0]


def test_with_a_callback_a_usual_job_has_half_the_polls() -> None:
    """Over the whole of a usual task."""
    schedule, elapsed_s, polls = learn_schedule((), USUAL_S), 0.0, 0
    while elapsed_s < USUAL_S:
        elapsed_s += schedule.delay_s(elapsed_s, awaits_callback=True)
        polls += 1
    assert polls <= polled(schedule, USUAL_S)[0] / 2


def test_documented_times() -> None:
    """An unknown task gets 90 s, a missing URL 60 s; failed polls are shown after 40 s."""
    assert (GRACE_S, MISSING_URL_TIMEOUT_S) == (90.0, 60.0)
    assert [is_unresponsive(seconds) for seconds in (39.9, 40.0)] == [False, True]


def test_downloads_wait_longer_each_time_up_to_a_minute() -> None:
    """1, 2, 4 … seconds, and at most 60."""
    assert [retry_wait_s(tries) for tries in (1, 2, 3, 6, 7, 500)] == [1, 2, 4, 32, 60, 60]
