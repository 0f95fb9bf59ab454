"""The troubles of a run, and the ends that each may have.

A literal table. Must not know how a trouble is made: `lane` and `inside` do that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CALM", "TROUBLES", "Trouble"]

CALM = "none"
"""The name of a run without trouble."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong on purpose."""

    name: str
    leaves: Literal["nothing", "doubt", "refusal", "failure"] = "nothing"
    """What may be left in the end: a clip all the same; a task of which nobody can know; no task,
    and the reason; a task that failed."""
    at: Literal["service", "kernel", "ledger"] = "service"
    """What makes it: the emulator by a fault of the same name, the kernel, or another process."""
    most: int = 1
    """How many requests it strikes at most."""
    argument: str = ""
    is_after_answer: bool = False
    """Whether it begins when the kernel has the answer of createTask: the task id is known then."""
    needs_picture: bool = False


# "unreachable" too: a served emulator can only reset the connection.
DOUBT = (
    "lose-answer", "drop", "unreachable", "create-stall", "create-502", "create-html",
    "create-no-id", "create-garbled", "create-500", "create-media-host", "create-524",
    "create-429-made", "create-mismatch", "create-key-twice", "create-trickle", "create-flood",
)  # fmt: skip
_TABLE = (
    *(Trouble(name, "doubt") for name in DOUBT),
    Trouble("create-429", most=2),
    Trouble("refuse", "refusal"),
    Trouble("credits", "refusal"),
    Trouble("maintenance", "refusal"),
    Trouble("unseen", argument="0.4"),
    Trouble("newer-record"),
    *(Trouble(f"poll-{name}", most=3) for name in ("drop", "502", "html", "429", "garbled")),
    Trouble("poll-stall"),
    Trouble("poll-trickle"),
    Trouble("poll-flood", most=2),
    Trouble("upload-502", most=2, needs_picture=True),
    Trouble("download-cut", most=2),
    Trouble("download-404", most=2),
    Trouble("download-slow", argument="0.6"),
    Trouble("download-trickle"),
    Trouble("bad-clip"),
    Trouble("short-clip"),
    Trouble("several-files"),
    Trouble("fail-policy", "failure"),
    Trouble("fail-internal", "failure"),
    Trouble("clock-jump", at="kernel"),
    Trouble("disk-full", at="kernel"),
    Trouble("fork", at="kernel"),
    # The ledger cannot take the id of a task that the service has just accepted.
    *(
        Trouble(f"note-{name}", at="kernel", is_after_answer=True)
        for name in ("disk-full", "locked", "garbled", "lost")
    ),
    Trouble("ledger-locked", at="ledger"),
    # The cell runs once more with such a ledger; then the file is put back.
    Trouble("ledger-lost", at="ledger"),
    Trouble("ledger-cut", at="ledger"),
    Trouble("ledger-older", at="ledger"),
)
TROUBLES = {trouble.name: trouble for trouble in _TABLE}
