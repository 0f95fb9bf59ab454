"""Letters: the callbacks that a task owes, and what became of each try.

Pure: rows and faults in, values out. Must not know SQLite, HTTP or what a callback says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kling_nb.emulator.faults.effects import Errand
from kling_nb.emulator.hosts import is_this_machine

__all__ = ["Kind", "Letter", "Post", "plan_letters"]

Kind = Literal["end", "forged", "garbled"]
FORGED_SHARE = 0.5
"""Which part of a task's time has gone when a forgery comes."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A callback that is to be sent, until somebody answers it or the tries are used up."""

    number: int
    task_id: str
    url: str
    kind: Kind
    tries: int
    """How often it was sent so far."""
    due_at: float | None
    """Epoch seconds; None while its task has no end. Later while somebody carries it."""


@dataclass(frozen=True, slots=True)
class Post:
    """One try to call back, by the clock of the books."""

    task_id: str
    kind: Kind
    letter: int
    """Equal for all tries of one letter; a callback that comes twice is two letters."""
    attempt: int
    """1 for the first try of its letter."""
    started_at: float
    answered_at: float | None
    status: int | None
    """HTTP status of the answer; None where none came."""
    words: str
    """Why no answer came, or an empty string."""


def plan_letters(
    row: Mapping[str, str | float | None], errand: Errand | None
) -> list[dict[str, str | float]]:
    """The rows of the letters that a new task owes.

    None go anywhere but to this machine, and none for a task that nobody will ever see.
    """
    url = str(row["callback_url"])
    if not is_this_machine(url) or row["fate"] == "vanish":
        return []
    how = errand.how if errand else ""
    created_at, ready_at = float(row["created_at"] or 0), float(row["ready_at"] or 0)
    end: dict[str, str | float] = {
        "task_id": str(row["task_id"]),
        "url": url,
        "kind": "end",
        "due_at": ready_at,
        "after_s": errand.seconds if errand and how == "late" else 0.0,
    }
    forged_at = created_at + (ready_at - created_at) * FORGED_SHARE
    match how:
        case "never":
            return []
        case "twice":
            return [end, end]
        case "forged":
            return [{**end, "kind": "forged", "due_at": forged_at}, end]
        case "garbled":
            return [{**end, "kind": "garbled"}]
    return [end]
