"""What a fault does: the small set of ways in which a request, a task or a callback goes wrong.

Owns values only. `catalog` names them; `http/inject_faults`, `account/account`, `render/worker` and
`http/callback_sender` carry them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Answer",
    "Break",
    "Contradict",
    "Cut",
    "Effect",
    "Endless",
    "Endpoint",
    "Errand",
    "Fate",
    "Slow",
    "Stall",
]

Endpoint = Literal["createTask", "task", "callback", "recordInfo", "upload", "download", "other"]
"""Whose next request a fault waits for; "task" is the making of a task, whatever the answer,
and "callback" the making of one that asks to be called back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """This answer in place of the true one."""

    status: int
    body: bytes
    content_type: str = "application/json;charset=UTF-8"
    carried_out: bool = False
    """Whether the request is carried out first, its true answer thrown away."""


@dataclass(frozen=True, slots=True)
class Contradict:
    """The request is carried out; its true data come with a status and a code that deny it."""

    status: int
    code: int
    msg: str
    is_twice: bool = False
    """Whether the key `code` comes a second time, with 200."""


@dataclass(frozen=True, slots=True)
class Endless:
    """A body that never ends: one piece, a pause, the next piece."""

    piece: bytes
    pause_s: float
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """No answer: the connection is closed, reset, or refused."""

    how: Literal["close", "reset", "refuse"]
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """No answer until the client gives up."""

    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The body ends half way and the connection is closed."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The body comes in small pieces, over so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fate:
    """The request goes well; the task that it makes does not."""

    ending: Literal["fail", "no-url", "vanish", "short", "several", "unseen", "newer"]
    fail_code: str = ""
    fail_msg: str = ""
    seconds: float = 0.0
    """For how long recordInfo does not know the task."""


@dataclass(frozen=True, slots=True)
class Errand:
    """The task goes well; calling back at its end does not."""

    how: Literal["never", "late", "twice", "forged", "garbled"]
    seconds: float = 0.0
    """How late."""


Effect = Answer | Contradict | Endless | Break | Stall | Cut | Slow | Fate | Errand
