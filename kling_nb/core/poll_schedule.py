"""Compute when to poll next and how long a job will take.

Pure: no clock, no sleep, no network. The caller passes the elapsed time.

Status requests do not affect the task. Scheduling them is the inspection problem of reliability
theory (source: J. B. Keller, Optimum checking schedules for systems subject to random failure,
Management Science 21 (1974), 256-260). A job ends at time t with density f(t) and survival function
S(t). Δ(t) is the time between two requests. The detection delay, i.e. the time from the end of the
job to the request that detects it, is Δ/2 on average. One request costs as much as λ seconds of
detection delay. The total cost of a job in seconds is

    ∫ f(t) · Δ(t)/2 dt  +  ∫ λ(t) · S(t) / Δ(t) dt

The integrand has its minimum where its derivative with respect to Δ is zero: f/2 = λ S/Δ². With the
hazard rate h = f/S

    Δ(t) = √(2 λ(t) / h(t))

The density of requests is therefore √(h / 2λ). The next request is due when the integral of this
density has grown by 1.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median, quantiles, stdev
from typing import Final, TypeAlias

GRACE_S = 90.0
"""Time after its creation in which the service may not know a task.

Source: several public clients (C): recordInfo answers 422 `recordInfo is null` at first. In all 37
recorded conversations (L, 2026-04 to 2026-10) a new task was known at once.
"""

MISSING_URL_TIMEOUT_S = 60.0
"""How long a `success` without a result URL is polled before it is reported."""

FAILED_POLL_S = 15.0
"""Maximum time from a failed status request to the next one; the schedule assumes answers."""

_PAST_LIMIT: Final = 20
"""Number of past durations that the schedule uses."""

_OUT_OF_SIGHT_S = 40.0
_BOUNDS_S: Final = (0.01, 86_400.0)
"""Durations are clamped to these bounds."""
_USUAL_SPREAD: Final = 0.25
"""Standard deviation of the logarithm of durations, without past durations."""
_UNFORESEEN_S: Final = 20.0
_UNFORESEEN_SCALE: Final = 0.4
"""The third component: a job that ends around 20 s, in case the usual duration is wrong.

Without past durations it gives the intervals that the documentation recommends: 2 to 3 s at first,
5 to 10 s after 30 s, and 15 to 30 s after two minutes (D, 2026-08).
"""
_LEAST_SCALE: Final = 0.03
_Component: TypeAlias = tuple[float, float, float]
"""A log-logistic distribution: weight, logarithm of the median, scale."""
_GRID: Final = 1.03
"""Ratio of two consecutive times in the table."""
_LEAST_GAP_S, _GAP_S, _MOST_GAP_S = 0.1, 30.0, 60.0
"""Minimum time between requests; maximum after the likely end; maximum before it."""


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The poll times and the durations of one kind of job."""

    expected_s: float
    """Median duration."""
    late_s: float
    """90th percentile of the duration."""
    times_s: tuple[float, ...]
    requests: tuple[float, ...]
    """Number of requests due up to each of `times_s`; not rounded."""

    def delay_s(
        self, elapsed_s: float, *, awaits_callback: bool = False, jitter: float = 0.5
    ) -> float:
        """Return the seconds until the next status request, 0.1 to 60.

        Args:
            elapsed_s: Time since the service accepted the task.
            awaits_callback: Whether a callback is expected. Polls then happen a third as often; a
                lost callback delays the clip by at most one minute.
            jitter: A constant of the job, from 0 (polls 10 % more often) to 1 (10 % less often).
                It prevents jobs that start together from being polled together.
        """
        now_s = max(0.0, elapsed_s)
        step = (3.0 if awaits_callback else 1.0) * (0.9 + 0.2 * jitter)
        gap_s = self._time_of(self._requests_until(now_s) + step) - now_s
        # An overdue job is polled less and less often, without an end.
        gap_s = max(gap_s, (now_s - self.late_s) * step / 8, _LEAST_GAP_S)
        if awaits_callback:
            return min(gap_s, _MOST_GAP_S)
        # An early request checks that the service knows the task.
        early_s = min(max(self.expected_s / 4, 10.0), 40.0)
        if now_s < early_s < self._time_of(step):
            gap_s = min(gap_s, max(early_s - now_s, _LEAST_GAP_S))
        return min(gap_s, max(_GAP_S, min(self.late_s - now_s, _MOST_GAP_S)))

    def _requests_until(self, time_s: float) -> float:
        return _interpolate(self.times_s, self.requests, time_s)

    def _time_of(self, request: float) -> float:
        return _interpolate(self.requests, self.times_s, request)


@lru_cache(maxsize=64)
def learn_schedule(past_s: tuple[float, ...], usual_s: float) -> PollSchedule:
    """Return the schedule for a job, computed from the durations of past jobs.

    The distribution of durations is a mixture of a kernel density estimate of the logarithms of the
    past durations, the usual duration, and an unforeseen duration. The more past durations, the
    smaller the weight of the last two. The tails are heavy: outliers among the past durations have
    little effect, and polling also works when the service becomes faster or slower.

    Args:
        past_s: Durations of finished jobs with this model in this folder, newest first. The
            first 20 are used; values that are not positive and finite are ignored.
        usual_s: The expected duration without past durations.
    """
    past = [_bounded(each) for each in past_s if 0 < each < math.inf][:_PAST_LIMIT]
    usual_s = _bounded(usual_s)
    expected_s = median(past or [usual_s])
    spread = _spread([math.log(each) for each in past])
    table = _table(_mixture(past, usual_s, spread))
    return PollSchedule(expected_s, expected_s * math.exp(1.28 * spread), *table)


def _bounded(duration_s: float) -> float:
    least_s, most_s = _BOUNDS_S
    return min(max(least_s, duration_s), most_s)


def _spread(logs: list[float]) -> float:
    """Return a robust estimate of the standard deviation of the logarithm of durations.

    It is computed from the quartiles (1.349 standard deviations apart in a normal distribution).
    The usual spread counts as one observation.
    """
    if len(logs) < 2:
        return _USUAL_SPREAD
    first, _, third = quantiles(logs, n=4, method="inclusive")
    found = min(stdev(logs), (third - first) / 1.349)
    return math.sqrt((_USUAL_SPREAD**2 + (len(logs) - 1) * found**2) / len(logs))


def _mixture(past: list[float], usual_s: float, spread: float) -> list[_Component]:
    """Return the distribution of the next job's duration."""
    number = len(past)
    share = 1 / (1 + number) ** 2
    scale = spread * math.sqrt(3) / math.pi  # a logistic distribution with this deviation
    kernel = max(0.6 * scale / max(number, 1) ** 0.2, _LEAST_SCALE)
    unforeseen = math.log(min(_UNFORESEEN_S, 2.5 * usual_s))
    return [
        *((1.0, math.log(each), kernel) for each in past),
        (share, math.log(usual_s), scale),
        (2 * share, unforeseen, _UNFORESEEN_SCALE),
    ]


def _table(mixture: list[_Component]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return times, and the integral of the request density up to each time."""
    medians = [each for _, each, _ in mixture]
    time_s, end_s = math.exp(min(medians)) / 4, math.exp(max(medians)) * 4
    times_s, requests = [0.0, time_s], [0.0, 0.0]
    while time_s < end_s:
        middle_s = time_s * math.sqrt(_GRID)
        density = math.sqrt(_hazard(mixture, middle_s) / (2 * _request_cost_s(middle_s)))
        requests.append(requests[-1] + time_s * (_GRID - 1) * density)
        time_s *= _GRID
        times_s.append(time_s)
    return tuple(times_s), tuple(requests)


def _hazard(mixture: list[_Component], time_s: float) -> float:
    """Return the hazard rate, i.e. the rate at which running jobs end, per second."""
    at, survival, density = math.log(time_s), 0.0, 0.0
    for weight, median_log, scale in mixture:
        later = 1 / (1 + math.exp(min((at - median_log) / scale, 500.0)))
        survival += weight * later
        density += weight * later * (1 - later) / scale
    return density / (survival * time_s)


def _request_cost_s(elapsed_s: float) -> float:
    """Return the cost of a request in seconds of detection delay.

    Chosen for 6.5 requests and 0.5 s of detection delay with tasks of 8 to 20 s, and for 12.7
    requests and 2.6 s with tasks of minutes.
    """
    return 0.072 + 0.0011 * elapsed_s


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return y at x; extrapolate beyond the last x with the last slope."""
    after = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    x0, x1, y0, y1 = xs[after - 1], xs[after], ys[after - 1], ys[after]
    return y0 + (x - x0) / (x1 - x0) * (y1 - y0)


def is_unresponsive(failing_for_s: float) -> bool:
    """Return whether status requests have failed for so long that the user should know."""
    return failing_for_s >= _OUT_OF_SIGHT_S


def retry_wait_s(tries: int) -> float:
    """Return the seconds until the next try of a download: 1, 2, 4 … at most 60."""
    return float(min(2 ** (min(tries, 10) - 1), 60))
