"""The parts of which a card's text is made, whatever its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Entry", "Tone", "Wording"]

Tone = Literal["run", "away", "good", "bad", "warn", "calm"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row below the sentences: a way on, or a field that was refused."""

    name: str
    """Something to type, or the name of the field."""
    text: str


@dataclass(frozen=True, slots=True)
class Wording:
    """What a card says of a state; plain text throughout."""

    badge: str
    tone: Tone
    headline: str
    lines: tuple[str, ...] = ()
    quote: str = ""
    """The service's own words."""
    entries: tuple[Entry, ...] = ()
    answer: str = ""
    """The service's raw answer, which a card folds away."""
    cost: str = ""
    """What was paid; where it is known here, it is said before all reasons."""
