"""Parameter kinds: what one value of a request may be, and how it is read.

A kind parses one given value or rejects it. It knows no model, no file and no other field.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral, Real

__all__ = ["Choice", "Flag", "Kind", "Media", "Number", "Rejected", "Text", "shorten"]


class Rejected(Exception):
    """A kind's word that a value is not allowed; the validator makes the `Problem` of it."""

    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.given = given


@dataclass(frozen=True, slots=True)
class Text:
    """A text of 1 to `max_chars` characters (Unicode code points), line ends made plain."""

    max_chars: int

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"1 to {self.max_chars:,} characters are allowed"

    def parse(self, value: object) -> str:
        """Text with plain line ends and no blank ends."""
        if not isinstance(value, str):
            raise Rejected(f"{shorten(value)} is not text")
        text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Rejected("holds half a character (a lone surrogate)")
        if not text:
            raise Rejected("is empty")
        if len(text) > self.max_chars:
            raise Rejected(f"has {len(text):,} characters")
        return text


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few strings; a number that reads the same counts as the string."""

    options: tuple[str, ...]
    unit: str = ""
    """For people only, e.g. `s`."""

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return "allowed: " + ", ".join(self.options)

    def parse(self, value: object) -> str:
        """The option that is sent: `5`, `5.0` and `"5"` are all `"5"`."""
        text = value.strip() if isinstance(value, str) else ""
        if isinstance(value, Real) and not isinstance(value, bool):
            # Whole numbers beyond a float are legal Python, and no option.
            with suppress(OverflowError):
                text = f"{float(value):.15g}"
        if text not in self.options:
            raise Rejected(f"{shorten(value)} is not one of {', '.join(self.options)}")
        return text


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    on: str = "on"
    off: str = "off"
    """How a person reads the two, e.g. `sound` and `no sound`."""

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return "allowed: True, False"

    def parse(self, value: object) -> bool:
        """A plain bool; numpy's counts, a word or a number does not."""
        if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
            return bool(value)
        raise Rejected(f"{shorten(value)} is not true or false")


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`, on a grid of `step` from `low`."""

    low: float
    high: float
    step: float = 1
    integer: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"{self.low:g} to {self.high:g} in steps of {self.step:g} are allowed"

    def parse(self, value: object) -> float | int:
        """The number, an int when the field is one."""
        try:
            number = float(value.strip() if isinstance(value, str) else value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, AttributeError):
            raise Rejected(f"{shorten(value)} is not a number") from None
        steps = (number - self.low) / self.step
        if isinstance(value, bool) or not math.isfinite(number):
            raise Rejected(f"{shorten(value)} is not a number")
        if not self.low <= number <= self.high or abs(steps - round(steps)) > 1e-6:
            raise Rejected(f"{shorten(value)} is out of range")
        return round(number) if self.integer else number


@dataclass(frozen=True, slots=True)
class Media:
    """A picture (later: a video, a sound) that is uploaded; its URL is what is sent.

    Only presence and number are judged here; content is judged by whoever opens the file.
    """

    mime_types: tuple[str, ...]
    max_bytes: int
    max_count: int = 1
    as_list: bool = True
    """Whether the service wants an array of URLs even for one."""

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        kinds = ", ".join(kind.partition("/")[2].upper() for kind in self.mime_types)
        return f"give {self.max_count} {kinds} of at most {self.max_bytes / 1e6:g} MB"

    def parse(self, value: object) -> object:
        """The given source, unopened."""
        items = value if isinstance(value, list | tuple) else (value,)
        if len(items) != 1 and not 1 <= len(items) <= self.max_count:
            raise Rejected(f"{len(items)} were given")
        if any(isinstance(item, str) and not item.strip() for item in items):
            raise Rejected("is empty")
        return items[0] if len(items) == 1 else tuple(items)


Kind = Text | Choice | Flag | Number | Media


def shorten(value: object, limit: int = 60) -> str:
    """How a given value is quoted in a message: its repr, cut, and never a whole file."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{type(value).__name__} of {len(value):,} bytes"
    if not isinstance(value, str | Integral | Real | list | tuple | dict | type(None)):
        return f"a {type(value).__name__}"
    try:
        text = repr(value)
    except Exception:  # a stranger's __repr__ must not hide the message
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
