"""Task states that the service reports: four cases, as values.

`kie/wire` parses the service's words and fields; `jobs/poller` decides what a state means for a
job.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["TaskFailure", "TaskMissing", "TaskPending", "TaskStatus", "TaskSucceeded"]


@dataclass(frozen=True, slots=True)
class TaskPending:
    """The task is not over."""

    task_id: str
    word: str
    """The service's own word: `waiting`, `queuing`, `generating`, or one that is new to us."""
    credits: float | None = None
    """Credits taken so far, where the service tells."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The task is over and its result can be fetched."""

    task_id: str
    urls: tuple[str, ...]
    """Where the results are, likeliest first; empty when the service says success and names none
    (yet). Which of them is a clip shows in its content alone."""
    credits: float | None = None
    took_s: float | None = None
    """Completion minus creation, in seconds, by the service's clock."""
    raw: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """The task is over and there is no result."""

    task_id: str
    code: str
    message: str
    credits: float | None = None
    raw: str = field(default="", repr=False, compare=False)
    """The answer itself, cut where it is long."""


@dataclass(frozen=True, slots=True)
class TaskMissing:
    """The service does not know the task: it is seconds old, or it does not exist."""

    task_id: str
    message: str


TaskStatus = TaskPending | TaskSucceeded | TaskFailure | TaskMissing
