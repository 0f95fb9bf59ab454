"""Compute when to poll next and how long a job will take.

Pure: no clock, no sleep, no network. The caller passes the elapsed time.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

GRACE_S = 90.0
"""Time after its creation in which the service may not know a task.

Source: several public clients (C): recordInfo answers 422 `recordInfo is null` at first. In all 37
recorded conversations (L, 2026-04 to 2026-10) a new task was known at once.
"""

MISSING_URL_TIMEOUT_S = 60.0
"""How long a `success` without a result URL is polled before it is reported."""

_OUT_OF_SIGHT_S = 40.0


def expected_s(past_s: Sequence[float], usual_s: float) -> float:
    """Return the estimated duration of a job in seconds.

    Args:
        past_s: Durations of finished jobs of the model here, newest first.
        usual_s: The estimate while there are fewer than three.
    """
    return median(past_s[:20]) if len(past_s) >= 3 else usual_s


def poll_delay_s(elapsed_s: float, usual_s: float) -> float:
    """Return the seconds until the next status request.

    Rare requests while the clip cannot be ready, frequent ones around the expected time, then
    fewer and fewer. The documentation advises 2–3 s at first, 5–10 s after 30 s and 15–30 s after
    two minutes; status requests have no effect on the task.

    Args:
        elapsed_s: Time since the service accepted the task.
        usual_s: The estimated duration (`expected_s`).
    """
    usual_s = max(usual_s, 0.1)
    near = min(max(usual_s / 16, 0.1), 10.0)
    if elapsed_s < 0.6 * usual_s:
        # One early request shows whether the service knows the task at all.
        early = min(max(usual_s / 8, 0.5), 5.0, usual_s / 2)
        if elapsed_s < early:
            return max(early, 0.1)
        return max(min(0.6 * usual_s - elapsed_s, 15.0), near)
    if elapsed_s < 2 * usual_s:
        return near
    return min(max(near, (elapsed_s - usual_s) / 10), 30.0)


def callback_poll_delay_s(elapsed_s: float, usual_s: float) -> float:
    """Return the seconds until the next status request if a callback is expected.

    Three times as long as without one, at most a minute: the cost of a lost callback.

    Args:
        elapsed_s: As for `poll_delay_s`.
        usual_s: As for `poll_delay_s`.
    """
    return min(3 * poll_delay_s(elapsed_s, usual_s), 60.0)


def is_unresponsive(failing_for_s: float) -> bool:
    """Return whether status requests have failed for so long that the user should know."""
    return failing_for_s >= _OUT_OF_SIGHT_S


def retry_wait_s(tries: int) -> float:
    """Return the seconds until the next try of a download: 1, 2, 4 … at most 60."""
    return float(min(2 ** (min(tries, 10) - 1), 60))
