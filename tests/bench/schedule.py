"""Simulate the poll schedule, compared with the optimum for the same number of requests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kling_nb.core.poll_schedule import learn_schedule

from .figures import Figure, at_most

MEDIAN_S = 150.0
SIGMA = 0.2
"""Standard deviation of the logarithm of the durations."""
PAST = 20
HORIZON_S = 450.0
"""More than five standard deviations above the median; almost no task takes longer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a schedule, as means over all tasks; `notice_s` is the detection delay."""

    requests: float
    notice_s: float


def measure_schedule(small: bool) -> list[Figure]:
    """Measure tasks with lognormal durations, each with 20 past durations."""
    dice = np.random.default_rng(12)
    deviations = dice.standard_normal((20 if small else 2_000, PAST + 1))
    durations_s = MEDIAN_S * np.exp(SIGMA * deviations)
    costs = [poll_task(own_s, past_s) for own_s, *past_s in durations_s.tolist()]
    requests = statistics.mean(cost.requests for cost in costs)
    notice_s = statistics.mean(cost.notice_s for cost in costs)
    best = best_with(requests, step_s=3.0 if small else 0.75)
    name = f"real durations (lognormal around {MEDIAN_S:g} s, σ {SIGMA}), simulated"
    return [
        Figure(f"{name}: status requests", requests, "", "optimum", best.requests, at_most(13)),
        Figure(
            f"{name}: mean detection delay", notice_s, "s", "optimum", best.notice_s, at_most(2.6)
        ),
    ]


def poll_task(duration_s: float, past_s: Sequence[float]) -> Cost:
    """Return the cost of the package's schedule for a task of this duration."""
    schedule = learn_schedule(tuple(past_s), MEDIAN_S)
    now_s, requests = 0.0, 0
    while now_s < duration_s:
        now_s += schedule.delay_s(now_s)
        requests += 1
    return Cost(requests, now_s - duration_s)


def best_with(requests: float, step_s: float) -> Cost:
    """Return the cost of the schedule with the shortest delay and at most this many requests.

    Bisects the price of a request until the optimum has this many requests.

    Args:
        requests: The mean number of requests.
        step_s: The time between two possible polls.
    """
    grid_s = np.arange(0.0, HORIZON_S + step_s, step_s)
    low, high = 1e-4, 100.0
    for _ in range(30):
        price_s = math.sqrt(low * high)
        if optimise(grid_s, price_s).requests > requests:
            low = price_s
        else:
            high = price_s
    return optimise(grid_s, high)


def optimise(grid_s: np.ndarray, price_s: float) -> Cost:
    """Return the cost of the schedule that minimises detection delay + price · requests.

    Uses backward dynamic programming. After a poll at `a` that found the task running, the next
    poll at `b` costs the price if the task still runs, and a detection delay of ∫ (b - t) dF(t)
    over a < t ≤ b. With the integral G of the distribution F it is G(b) - G(a) - F(a) (b - a).
    """
    ended = np.array([probability(at_s) for at_s in grid_s])
    integral = np.concatenate([[0.0], np.cumsum((ended[1:] + ended[:-1]) / 2 * np.diff(grid_s))])
    count = len(grid_s)
    total, requests = np.zeros(count), np.zeros(count)
    for here in range(count - 2, -1, -1):
        later = slice(here + 1, count)
        notice = integral[later] - integral[here] - ended[here] * (grid_s[later] - grid_s[here])
        runs = 1.0 - ended[here]
        choice = notice + price_s * runs + total[later]
        best = int(np.argmin(choice))
        total[here] = choice[best]
        requests[here] = runs + requests[here + 1 + best]
    return Cost(float(requests[0]), float(total[0] - price_s * requests[0]))


def probability(at_s: float) -> float:
    """Return the probability that a task has ended by this time."""
    if at_s <= 0:
        return 0.0
    return 0.5 * math.erfc(-math.log(at_s / MEDIAN_S) / (SIGMA * math.sqrt(2)))
