"""The service's habits in numbers: how often one may ask, and how long things live.

Owns nothing but numbers. Tests and load runs pass their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["UNLIMITED", "Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Rates and lifetimes. Source: documentation (D), unless a line says otherwise."""

    tasks_per_window: float = 20
    """New tasks that an account may make in one window."""
    task_window_s: float = 10.0
    questions_per_s: float = 10
    """recordInfo questions a second and key."""
    unseen_s: float = 0.4
    """For how long recordInfo does not know a new task yet. The effect is real (C), the length
    is this emulator's."""
    upload_life_s: float = 24 * 3600.0
    clip_life_s: float = 14 * 24 * 3600.0
    link_life_s: float = 20 * 60.0
    """How long a link from download-url works."""


UNLIMITED = Terms(tasks_per_window=math.inf, questions_per_s=math.inf)
"""The same service without rate limits, for load tests."""
