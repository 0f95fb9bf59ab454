"""Parse rate limits, and compute the times of the next requests.

Pure: no clock, no sleep, no file. `kie/slots` stores the times of requests.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """The maximum number of requests in a time window, for all programs of an account."""

    name: str
    """The counted requests, e.g. `new tasks`. Saved on disk: it never changes."""
    limit: float
    """Maximum number of requests; infinite for no limit."""
    window_s: float
    margin_s: float
    """Added to the window, because requests may reach the service in another order."""

    def __post_init__(self) -> None:
        if not self.limit >= 1:
            raise ValueError(f"{self.name}: the limit must be at least 1, not {self.limit:g}")

    @property
    def kept_s(self) -> float:
        """Return how long a request counts, margin included."""
        return self.window_s + self.margin_s

    @property
    def longest_wait_s(self) -> float:
        """Return the maximum time until a slot; a later slot comes from a wrong clock."""
        return 3 * self.kept_s


NEW_TASKS = Rate("new tasks", 20, 10.0, 1.0)
"""Per account. Source: published documentation (D), 2026-08."""

STATUS_REQUESTS = Rate("questions", 10, 1.0, 0.25)
"""The limit of recordInfo: per key in an older page, per task in a newer one; per key is stricter.

Source: published documentation (D), 2026-08 to 2026-10.
"""

LONGEST_HOLD_S: Final = 60.0
"""Maximum pause after a 429; a longer pause could lose a clip."""

_LIMIT_FORM: Final = re.compile(
    r"(create|status) *= *([0-9]{1,6}) */ *([0-9]{1,4}(?:\.[0-9]{1,3})?)"
)
_WINDOWS_S: Final = (0.1, 3600.0)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The rate limits of an account; larger accounts have other limits than the default."""

    new_tasks: Rate = NEW_TASKS
    status_requests: Rate = STATUS_REQUESTS


def parse_rate_limits(text: str) -> RateLimits:
    """Parse rate limits, e.g. `create=20/10,status=10/1`; an omitted limit keeps its default.

    Args:
        text: `create` and `status`, each with a maximum count and a window in seconds.

    Raises:
        ValueError: The text is not valid; the message says what is allowed.
    """
    parts = [_LIMIT_FORM.fullmatch(part.strip()) for part in text.split(",")]
    found = {part[1]: (int(part[2]), float(part[3])) for part in parts if part}
    least, most = _WINDOWS_S
    are_right = all(count >= 1 and least <= window <= most for count, window in found.values())
    if len(found) < len(parts) or not are_right:
        raise ValueError(
            f"{text[:100]!r} is not allowed; give create=COUNT/SECONDS, status=COUNT/SECONDS or "
            "both with a comma, e.g. create=20/10,status=10/1; COUNT is 1 to 999999, SECONDS is "
            f"{least} to {most:g}"
        )
    return RateLimits(
        _changed(NEW_TASKS, found.get("create")), _changed(STATUS_REQUESTS, found.get("status"))
    )


def next_slots(
    taken: Sequence[float], now: float, rate: Rate, held_until: float = 0.0, count: int = 1
) -> list[float]:
    """Return the earliest times of the next requests that keep every window within the limit.

    Times are epoch seconds. Times from a wrong clock are ignored: slots more than `longest_wait_s`
    ahead, and holds longer than `LONGEST_HOLD_S`.

    Args:
        taken: Times of past and planned requests, in any order.
        now: The current time.
        rate: The rate limit.
        held_until: The earliest allowed time after a 429.
        count: The number of requests.
    """
    latest, limit = now + rate.longest_wait_s, int(min(rate.limit, len(taken) + count))
    first = held_until if now < held_until <= now + LONGEST_HOLD_S else now
    valid = sorted(at for at in taken if now - rate.kept_s < at <= latest)
    slots: list[float] = []
    for _ in range(count):
        free_at = valid[-limit] + rate.kept_s if len(valid) >= limit else now
        slots.append(max(first, min(free_at, latest)))
        insort(valid, slots[-1])
    return slots


def rate_limit_back_off_s(rate: Rate, retry_after_s: float | None, repeats: int = 0) -> float:
    """Return the seconds to back off after a 429: `Retry-After`, or a part of the window.

    The service also counts requests from other machines.

    Args:
        rate: The rate limit.
        retry_after_s: The value of the header; None without one.
        repeats: The number of consecutive 429 answers before this one. Without the header,
            each doubles the time.
    """
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_HOLD_S)
    return min(rate.kept_s / 4 * 2.0 ** min(repeats, 10), rate.kept_s)


def _changed(rate: Rate, limit: tuple[int, float] | None) -> Rate:
    return replace(rate, limit=limit[0], window_s=limit[1]) if limit else rate
