"""Compute when to poll next and how long a job will take.

Pure: no clock, no sleep, no network. The caller passes the elapsed time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

__all__ = [
    "ASK_AGAIN_NO_URL_S",
    "GRACE_S",
    "NEW_TASKS",
    "QUESTIONS",
    "Rate",
    "RateLimits",
    "expected_s",
    "heard_ask_s",
    "hold_back_s",
    "next_ask_s",
    "next_slot",
    "out_of_sight",
    "parse_rate_limits",
    "rest_s",
    "retry_wait_s",
]

GRACE_S = 90.0
"""How long after its creation a task may be unknown to the service.

Source: several public clients (C): recordInfo answers 422 `recordInfo is null` at first. In all 37
recorded conversations (L, 2026-04 to 2026-10) a new task was known at once.
"""

ASK_AGAIN_NO_URL_S = 60.0
"""How long `success` without a result URL is asked again before it is reported."""

_OUT_OF_SIGHT_S = 40.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in any window of that length, from all programs of an account together."""

    name: str
    """What is counted, e.g. `new tasks`."""
    limit: float
    """How many; infinite where there is no limit."""
    window_s: float
    margin_s: float
    """How much longer the window is taken here: the service counts what arrives, and requests
    overtake each other on their way."""

    def __post_init__(self) -> None:
        if not self.limit >= 1:
            given = f"{self.name}: a limit of {self.limit:g} would never let anything through"
            raise ValueError(f"{given}; give 1 or more")

    @property
    def kept_s(self) -> float:
        """How long a request counts here."""
        return self.window_s + self.margin_s

    @property
    def longest_wait_s(self) -> float:
        """How far ahead a slot may lie; what lies further was noted by a clock that was wrong."""
        return 3 * self.kept_s


NEW_TASKS = Rate("new tasks", 20, 10.0, 1.0)
"""Of one account. Source: published documentation (D), 2026-08."""

QUESTIONS = Rate("questions", 10, 1.0, 0.25)
"""recordInfo, for each key by an older page, for each task by a newer text: the stricter counts.

Source: published documentation (D), 2026-08 to 2026-10.
"""

LIMIT_FORM: Final = re.compile(
    r"(create|status) *= *([0-9]{1,6}) */ *([0-9]{1,4}(?:\.[0-9]{1,3})?)"
)
WINDOWS_S: Final = (0.1, 3600.0)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The rate limits of an account; larger accounts have other limits than the default."""

    new_tasks: Rate = NEW_TASKS
    questions: Rate = QUESTIONS


def parse_rate_limits(text: str) -> RateLimits:
    """Read rate limits, e.g. `create=20/10,status=10/1`; an omitted limit keeps its default.

    Args:
        text: `create` and `status`, each with a count and the seconds it is counted in.

    Raises:
        ValueError: The text is something else; the message says what is allowed.
    """
    parts = [LIMIT_FORM.fullmatch(part.strip()) for part in text.split(",")]
    found = {part[1]: (int(part[2]), float(part[3])) for part in parts if part}
    least, most = WINDOWS_S
    are_right = all(count >= 1 and least <= window <= most for count, window in found.values())
    if len(found) < len(parts) or not are_right:
        raise ValueError(
            f"{text[:100]!r} is not allowed; give create=COUNT/SECONDS, status=COUNT/SECONDS or "
            "both with a comma, e.g. create=20/10,status=10/1; COUNT is 1 to 999999, SECONDS is "
            f"{least} to {most:g}"
        )
    return RateLimits(
        _changed(NEW_TASKS, found.get("create")), _changed(QUESTIONS, found.get("status"))
    )


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


def heard_ask_s(elapsed_s: float, usual_s: float) -> float:
    """How long to wait where a notification of the end is still to come, in seconds.

    Three times as long as otherwise, and at most a minute: that is what one that is lost costs.

    Args:
        elapsed_s: As for `next_ask_s`.
        usual_s: As for `next_ask_s`.
    """
    return min(3 * next_ask_s(elapsed_s, usual_s), 60.0)


def out_of_sight(failing_for_s: float) -> bool:
    """Whether questions have failed for so long that a person should be told."""
    return failing_for_s >= _OUT_OF_SIGHT_S


def retry_wait_s(tries: int) -> float:
    """How long to wait before a download is tried again, in seconds: 1, 2, 4 … at most 60."""
    return float(min(2 ** (min(tries, 10) - 1), 60))


def rest_s(retry_after_s: float | None) -> float:
    """How long to leave the service alone after a 429, in seconds: as it says, at most 60.

    However much it asks for, a clip must not be forgotten over it.
    """
    return min(retry_after_s or 1.0, 60.0)


def _changed(rate: Rate, limit: tuple[int, float] | None) -> Rate:
    return replace(rate, limit=limit[0], window_s=limit[1]) if limit else rate


def next_slot(taken: Sequence[float], now: float, rate: Rate, held_until: float = 0.0) -> float:
    """When the next request may be sent so that no window ever holds more than the limit.

    Times are epoch seconds. Those that no right clock can have noted are not believed, and the
    slot is never further ahead than the longest wait.

    Args:
        taken: When requests were sent, or will be, in any order.
        now: The time.
        rate: What is allowed.
        held_until: Nothing before that; the service asked for it.
    """
    latest = now + rate.longest_wait_s
    believed = sorted(at for at in taken if now - rate.kept_s < at <= latest)
    slot = max(now, held_until) if held_until <= latest else now
    if len(believed) >= rate.limit:
        slot = max(slot, believed[-int(rate.limit)] + rate.kept_s)
    return min(slot, latest)


def hold_back_s(rate: Rate, retry_after_s: float | None) -> float:
    """For how long an account is left alone after a 429: as it says, else a part of the window.

    The service counts programs, too, that nobody here knows of.
    """
    asked_s = rate.kept_s / 4 if retry_after_s is None else retry_after_s
    return min(asked_s, rate.longest_wait_s)
