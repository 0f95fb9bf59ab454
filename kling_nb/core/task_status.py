"""Task states that the service reports: four cases, as values.

`kie/wire` parses the service's words and fields; `jobs/poller` decides what a state means for a
job.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TaskPending:
    """The task is not over."""

    task_id: str
    word: str
    """The service's state: `waiting`, `queuing`, `generating`, or another one."""
    credits: float | None = None
    """Credits charged so far, if the service reports them."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The task succeeded and its result can be downloaded."""

    task_id: str
    urls: tuple[str, ...]
    """URLs of the results, the most likely clip first; empty if the service reports success without
    a URL (yet). Only the content shows which one is a clip."""
    credits: float | None = None
    took_s: float | None = None
    """Completion minus creation, in seconds, by the service's clock."""
    raw: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """The task failed; there is no result."""

    task_id: str
    code: str
    message: str
    credits: float | None = None
    raw: str = field(default="", repr=False, compare=False)
    """The answer, cut if it is long."""


@dataclass(frozen=True, slots=True)
class TaskMissing:
    """The service does not know the task: it is very new, or does not exist."""

    task_id: str
    message: str


TaskStatus = TaskPending | TaskSucceeded | TaskFailure | TaskMissing
