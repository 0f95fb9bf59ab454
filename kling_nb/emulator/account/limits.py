"""The service's habits: how often one may ask, how long things live, how it calls back.

Owns nothing but values. Tests and load runs pass their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from .callback_payloads import Form

__all__ = ["UNLIMITED", "Terms", "limited"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Rates and lifetimes. Source: documentation (D), unless a line says otherwise."""

    tasks_per_window: float = 20
    """New tasks that an account may make in one window."""
    task_window_s: float = 10.0
    questions_per_window: float = 10
    """recordInfo requests of one key in one window."""
    question_window_s: float = 1.0
    upload_life_s: float = 24 * 3600.0
    clip_life_s: float = 14 * 24 * 3600.0
    link_life_s: float = 20 * 60.0
    """How long a link from download-url works."""
    webhook_key: str = field(default="", repr=False)
    """Signs the callbacks of an account that has one."""
    callback_form: Form = "documented"
    """Which of the documented forms a callback has."""
    callback_limit_s: float = 15.0
    """How long a callback waits for its answer. Documented for other kie products only (D)."""
    callback_waits_s: tuple[float, ...] = (2.0, 8.0, 30.0)
    """The waits before each retry. Three retries are documented, for other kie products (D); the
    lengths are this emulator's."""


UNLIMITED = Terms(tasks_per_window=math.inf, questions_per_window=math.inf)
"""The same service without rate limits, for load tests."""


def limited(terms: Terms, text: str) -> Terms:
    """The terms with other rate limits, e.g. `create=20/10,status=10/1`; one alone is enough.

    Raises:
        ValueError: the text is something else.
    """
    names = {
        "create": ("tasks_per_window", "task_window_s"),
        "status": ("questions_per_window", "question_window_s"),
    }
    given: dict[str, float] = {}
    for part in text.split(","):
        name, _, rate = part.strip().partition("=")
        count, _, window = rate.partition("/")
        if name not in names or not count.isdecimal() or not is_seconds(window):
            raise ValueError(f"{text!r} is not allowed; try create=20/10,status=10/1")
        given |= zip(names[name], (int(count), float(window)), strict=True)
    if min(given.values()) <= 0:
        raise ValueError(f"{text!r} is not allowed; every number must be above 0")
    return replace(terms, **given)  # type: ignore[arg-type]


def is_seconds(text: str) -> bool:
    """Return whether a text is a plain decimal number."""
    return text.isascii() and text.replace(".", "", 1).isdecimal()
