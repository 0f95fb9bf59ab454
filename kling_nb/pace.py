"""When to ask next and how long a job will take: from numbers to numbers.

No clock, no sleep, no network: whoever calls says how late it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = [
    "ASK_AGAIN_NO_URL_S",
    "GRACE_S",
    "expected_s",
    "next_ask_s",
    "out_of_sight",
    "retry_wait_s",
]

GRACE_S = 90.0
"""How long after its creation a task may be unknown to the service.

Source: several public clients; recordInfo answers 422 `recordInfo is null` in the first moments.
"""

ASK_AGAIN_NO_URL_S = 60.0
"""How long `success` without a result URL is asked again before it is reported."""

_OUT_OF_SIGHT_S = 40.0


def expected_s(past_s: Sequence[float], usual_s: float) -> float:
    """How long the job will probably take, in seconds.

    Args:
        past_s: How long finished jobs of the same model took here, newest first.
        usual_s: What is assumed while fewer than three are known.
    """
    return median(past_s[:20]) if len(past_s) >= 3 else usual_s


def next_ask_s(elapsed_s: float, usual_s: float) -> float:
    """How many seconds to wait before the next question.

    Few questions while the clip cannot be ready, closer ones around the time it should be, then
    ever rarer ones: the documentation advises 2–3 s at first, 5–10 s after 30 s and 15–30 s after
    two minutes (source: published documentation), and a question neither speeds up nor stops a
    task.

    Args:
        elapsed_s: Time since the service accepted the task.
        usual_s: How long such a task takes (`expected_s`).
    """
    usual_s = max(usual_s, 0.1)
    near = min(max(usual_s / 16, 0.1), 10.0)
    if elapsed_s < 0.6 * usual_s:
        # One early question tells whether the service knows the task at all.
        early = min(max(usual_s / 8, 0.5), 5.0, usual_s / 2)
        if elapsed_s < early:
            return max(early, 0.1)
        return max(min(0.6 * usual_s - elapsed_s, 15.0), near)
    if elapsed_s < 2 * usual_s:
        return near
    return min(max(near, (elapsed_s - usual_s) / 10), 30.0)


def out_of_sight(failing_for_s: float) -> bool:
    """Whether questions have failed for so long that a person should be told."""
    return failing_for_s >= _OUT_OF_SIGHT_S


def retry_wait_s(tries: int) -> float:
    """How long to wait before a download is tried again, in seconds: 1, 2, 4 … at most 60."""
    return float(min(2 ** (min(tries, 10) - 1), 60))
