"""The exception tree of the package, and which errors may be retried.

States of a task or a job are values (see `job_state`); exceptions are events in this package.
`retryable`: the same call may be repeated automatically. `may_exist`: a paid task may exist.

```
KlingError
├── InvalidInput              the values are not allowed; all problems at once
├── ConfigurationError        no key, wrong mode, a folder that cannot be used
├── MediaError                an image or a clip that cannot be read
│   └── WrongLength           a clip without the requested duration
├── ServiceError              the service answered, and the answer is an error
│   ├── Unauthorized          401
│   ├── InsufficientCredits   402, or 500 with a text about credits
│   ├── EndpointNotFound      404
│   ├── BadRequest            400, 422, or 500 with a text about a parameter
│   ├── RateLimited           429                         retryable
│   ├── KeyLimitReached       433
│   ├── Maintenance           455
│   ├── ServerFault           500, 501, 505, 408, 524, …  may_exist
│   ├── UnreadableAnswer      not JSON, no envelope       may_exist
│   └── ContradictoryAnswer   no success, but names a task  may_exist
├── Unreachable               no answer at all
│   ├── NotSent               certainly never arrived     retryable
│   └── AnswerLost            may have arrived            may_exist
├── LedgerError               the ledger refuses a step
│   └── ForkedSession         the object belongs to the parent process
├── AlreadyPaid               already paid for, without a record in this ledger
├── BudgetExceeded            a budget has less left than the request costs
├── NoTrash                   the system has no trash for a clip's file
├── WaitTimeout               (also TimeoutError) the wait ended, the job continues
└── JobFailed                 what `job.result()` raises when there is no clip
    ├── TaskFailed            the service reports failure
    ├── TaskUnknown           the answer was lost
    ├── TaskVanished          the service no longer has the task
    ├── ClipExpired           the clip is no longer here or at the service
    ├── ClipDeleted           the user has deleted the clip
    └── JobDetached           the job is no longer polled
KeyboardInterrupt
└── WaitInterrupted           the wait was interrupted, the job continues
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from .console import readable

__all__ = [
    "AlreadyPaid",
    "AnswerLost",
    "BadRequest",
    "BudgetExceeded",
    "ClipDeleted",
    "ClipExpired",
    "ConfigurationError",
    "ContradictoryAnswer",
    "EndpointNotFound",
    "ForkedSession",
    "InsufficientCredits",
    "InvalidInput",
    "JobDetached",
    "JobFailed",
    "KeyLimitReached",
    "KlingError",
    "LedgerError",
    "Maintenance",
    "MediaError",
    "NoTrash",
    "NotSent",
    "Problem",
    "RateLimited",
    "ServerFault",
    "ServiceError",
    "TaskFailed",
    "TaskUnknown",
    "TaskVanished",
    "Unauthorized",
    "Unreachable",
    "UnreadableAnswer",
    "WaitInterrupted",
    "WaitTimeout",
    "WrongLength",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of a request."""

    field: str
    """The parameter's name, e.g. `duration`."""
    given: str
    """The given value, shortened, or what is wrong with it."""
    allowed: str
    """The allowed values, or what to do."""

    def __str__(self) -> str:
        return f"{self.field}: {self.given}; {self.allowed}"


class KlingError(Exception):
    """Any error of this package.

    Notebooks show it as one line, without a traceback.
    """

    retryable: ClassVar[bool] = False
    """Whether the same call may be repeated automatically."""
    may_exist: ClassVar[bool] = False
    """Whether a paid task may exist after this answer to createTask."""

    def __str__(self) -> str:
        return readable(super().__str__())

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InvalidInput(KlingError, ValueError):
    """The values are not allowed; nothing was sent."""

    def __init__(self, problems: tuple[Problem, ...], *, subject: str = "") -> None:
        self.problems = problems
        """All problems, in the order of the fields."""
        start = f"{subject}: " if subject else ""
        super().__init__(start + "\n".join(str(problem) for problem in problems))

    @classmethod
    def of(cls, field: str, given: str, allowed: str) -> Self:
        """Return the error for one problem."""
        return cls((Problem(field, given, allowed),))


class ConfigurationError(KlingError):
    """The settings are wrong or do not allow the request."""


class MediaError(KlingError):
    """An image, video or audio file is unreadable, too large, or of the wrong kind."""


class WrongLength(MediaError):
    """A clip plays, but does not have the requested duration."""


class ServiceError(KlingError):
    """The service answered with an error.

    Args:
        code: The `code` of the envelope, or the HTTP status without an envelope.
        message: The message of the service.
        advice: What to do, if it differs from the advice of the class.
    """

    advice: ClassVar[str] = "Nothing was charged."

    def __init__(self, code: int, message: str, *, advice: str = "") -> None:
        self.code = code
        self.message = message
        super().__init__(f"The service answered {code}: {message!r}. {advice or self.advice}")


class Unauthorized(ServiceError):
    """The key is missing or wrong."""

    advice = "Set a valid key: `%kling login`, or the environment variable KIE_API_KEY."


class InsufficientCredits(ServiceError):
    """The account has fewer credits than the task costs."""

    advice = "Nothing was charged. `%kling balance` shows what is left; add credits at kie.ai."


class EndpointNotFound(ServiceError):
    """The URL does not exist at the service."""

    advice = "Nothing was charged. Check KLING_NB_API_URL, and whether a newer kling_nb exists."


class BadRequest(ServiceError):
    """The service refuses the values."""

    advice = "Nothing was charged. Change the value that the service names, then try again."


class RateLimited(ServiceError):
    """Too many requests; this one was rejected, not queued."""

    retryable = True
    advice = (
        "Nothing was charged; try again in a moment. An account may create 20 tasks in 10 s; "
        "if yours has other limits, set `rate_limits` or KLING_NB_RATE_LIMITS."
    )

    def __init__(
        self, code: int, message: str, *, advice: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, advice=advice)
        self.retry_after_s = retry_after_s
        """The delay in `Retry-After`, in seconds."""


class KeyLimitReached(ServiceError):
    """The spending limit of this key is reached."""

    advice = "Nothing was charged. Raise the key's limit at kie.ai or use another key."


class Maintenance(ServiceError):
    """The service is under maintenance."""

    advice = "Nothing was charged. Try again later."


class ServerFault(ServiceError):
    """The server failed; after createTask it is unknown whether the task exists."""

    may_exist = True
    advice = "The service or the network failed. `%kling jobs` shows the state of the job."


class UnreadableAnswer(ServiceError):
    """The answer is not the documented JSON envelope."""

    may_exist = True
    advice = "The answer cannot be read. `%kling jobs` shows the state of the job."


class ContradictoryAnswer(ServiceError):
    """The answer contradicts itself, e.g. it is a refusal and names a task."""

    may_exist = True
    advice = "The answer contradicts itself."


class Unreachable(KlingError):
    """No answer arrived."""

    reason: str = ""
    """What happened, without advice; empty if the message has none."""


class NotSent(Unreachable):
    """The request certainly did not reach the service."""

    retryable = True


class AnswerLost(Unreachable):
    """The request may have reached the service; the complete answer did not arrive."""

    may_exist = True
    partial: bytes = b""
    """The part of the body that arrived before the connection broke, without the key."""


class LedgerError(KlingError):
    """The ledger cannot be used, or the change of a job is not allowed."""


class ForkedSession(LedgerError):
    """The session or the job belongs to the parent of this forked process."""


class AlreadyPaid(KlingError):
    """The same request is paid for, or may be, and this folder's ledger has no record of it.

    Either another folder of this user has paid, or this folder has paid and its ledger was lost.
    """


class BudgetExceeded(KlingError):
    """A budget has less left than the request costs; nothing was sent."""


class NoTrash(KlingError):
    """The system cannot move a clip to a trash; the file was not deleted."""


class WaitTimeout(KlingError, TimeoutError):
    """The wait timed out; the job continues."""


class WaitInterrupted(KeyboardInterrupt):
    """The wait was interrupted; the job continues.

    Not a `KlingError`: `except Exception` around a wait must not swallow an interrupt.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class JobFailed(KlingError):
    """The job ended without a clip."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class TaskFailed(JobFailed):
    """The service reports that the task failed."""


class TaskUnknown(JobFailed):
    """The answer to createTask was lost; the task may exist and may be paid for."""


class TaskVanished(JobFailed):
    """The service does not know the task, and the grace period after its creation is over."""


class ClipExpired(JobFailed):
    """The clip is no longer on disk or at the service."""


class ClipDeleted(JobFailed):
    """The user has deleted the clip; its payment is still recorded."""


class JobDetached(JobFailed):
    """This kernel does not poll the job; `%kling resume` continues it."""
