"""A stand-in for the controller that a session gives its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kling_nb.jobs.job import Job

__all__ = ["StubController"]


def _unexpected() -> Job:
    raise AssertionError("the test does not expect this call")


@dataclass
class StubController:
    """A controller made of functions; by default it polls nothing."""

    detach: Callable[[], bool] = lambda: False
    another_take: Callable[[], Job] = _unexpected
    resume: Callable[[], Job] = _unexpected
    poll_now: Callable[[], None] = lambda: None
