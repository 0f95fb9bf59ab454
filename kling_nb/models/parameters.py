"""Parameter kinds: the allowed values of a request, and how to parse them.

A kind parses one value, or rejects it. `Records` are lists of rows, such as shots, whose columns
are kinds again. Must not depend on models, files or other fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Literal, cast

from kling_nb.core.formatting import shorten
from kling_nb.core.unicode_text import comparable_text, normalize_text, plain_lines

__all__ = [
    "ROUNDING_S",
    "Choice",
    "Column",
    "Fault",
    "Flag",
    "Kind",
    "Media",
    "Medium",
    "Number",
    "Records",
    "Rejected",
    "Text",
    "count_words",
    "load_records",
]

_MOST_SAID = 4
"""So many options in a row are said one by one."""

ROUNDING_S = 0.1
"""How much longer a file may be than the whole seconds that it was made for.

A clip of 5 s has 121 frames at 24 a second (5.04 s), and a sound track ends up to two packets after
the last frame (0.05 s). The recorded price of a clip of 5 s is that of 5 s and not of 6. Source:
recorded live traffic, kling-3.0-omni, 2026-08-20.
"""

Medium = Literal["image", "video", "audio"]


class Rejected(Exception):
    """A kind's word that a value is not allowed; the validator makes the `Problem` of it."""

    def __init__(self, given: str, advice: str = "") -> None:
        super().__init__(given)
        self.given = given
        self.advice = advice
        """What to do where `given` says already what is allowed."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of 1 to `max_chars` characters (Unicode code points), see `normalize_text`."""

    max_chars: int
    one_line: bool = False
    """Whether lines are joined: what is an option of a cell has one line to be written in."""

    @property
    def takes(self) -> str:
        """What it may be, in a table."""
        return f"1 to {self.max_chars:,} characters"

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"{self.takes} are allowed"

    def parse(self, value: object) -> str:
        """Return the text that is sent."""
        if not isinstance(value, str):
            raise Rejected(f"{shorten(value)} is not text")
        text = self._joined(normalize_text(value))
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Rejected("holds half a character (a lone surrogate)")
        if not comparable_text(text):
            raise Rejected("is empty")
        if len(text) > self.max_chars:
            raise Rejected(f"has {len(text):,} characters")
        return text

    def parse_earlier(self, value: str) -> str:
        """Return the text that versions before normalization sent; old fingerprints use it."""
        return self._joined(plain_lines(value))

    def _joined(self, text: str) -> str:
        return " ".join(text.splitlines()) if self.one_line else text


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few strings; a number that reads the same counts as the string."""

    options: tuple[str, ...]
    unit: str = ""
    """For people only, e.g. `s`."""
    words: tuple[str, ...] = ()
    """How each option reads to a person where it says nothing by itself, in their order."""

    def say(self, option: str) -> str:
        """An option for people: `5 s`; one that another version knew, as it is."""
        said = dict(zip(self.options, self.words, strict=False))
        return said.get(option) or f"{option} {self.unit}".rstrip()

    @property
    def takes(self) -> str:
        """What it may be, in a table; a long row of whole numbers by its ends."""
        first = self.options[0]
        if len(self.options) > _MOST_SAID and first.isdecimal():
            row = range(int(first), int(first) + len(self.options))
            if self.options == tuple(map(str, row)):
                return f"{first} to {self.options[-1]}"
        return ", ".join(self.options)

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"allowed: {self.takes}"

    def parse(self, value: object) -> str:
        """The option that is sent: `5`, `5.0` and `"5"` are all `"5"`."""
        text = value.strip() if isinstance(value, str) else ""
        if isinstance(value, Real) and not isinstance(value, bool):
            # Whole numbers beyond a float are legal Python, and no option.
            with suppress(OverflowError):
                text = f"{float(value):.15g}"
        if text not in self.options:
            near = [option for option in self.options if option.lower() == text.lower()]
            advice = f"write {near[0]}" if near else "choose one of them"
            raise Rejected(f"{shorten(value)} is not one of {self.takes}", advice)
        return text


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    on: str = "on"
    off: str = "off"
    """How a person reads the two, e.g. `sound` and `no sound`; empty: left unsaid."""

    @property
    def takes(self) -> str:
        """What it may be, in a table."""
        return "True, False"

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"allowed: {self.takes}"

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
    unit: str = ""
    """For people only, e.g. `s`."""

    @property
    def takes(self) -> str:
        """What it may be, in a table."""
        ends = f"{self.low:g} to {self.high:g}"
        is_plain = self.integer and self.step == 1
        return f"whole numbers, {ends}" if is_plain else f"{ends} in steps of {self.step:g}"

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"allowed: {self.takes}"

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
        if self.integer:
            return round(number)
        # 0.1 + 0.2 and 0.3 are the same request.
        return round(float(self.low + round(steps) * self.step), 9)


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, a video or a sound that is uploaded; its URL is what is sent.

    Only presence and number are judged here; content is judged by whoever opens the file.
    """

    mime_types: tuple[str, ...]
    """All of one medium."""
    max_bytes: int
    max_count: int = 1
    as_list: bool = True
    """Whether the service wants an array of URLs even for one."""
    min_count: int = 1
    over_px: int = 0
    """Each side of the picture has more pixels than that."""
    ratio: tuple[float, float] | None = None
    """Lowest and highest width divided by height."""
    length_s: tuple[float, float] | None = None
    """Shortest and longest, in seconds."""
    side_px: tuple[int, int] | None = None
    """Shortest and longest allowed side; 0 as the longest means no limit."""
    max_px: int = 0
    """Width times height, at most; 0: no limit."""
    fps: tuple[float, float] | None = None
    """Lowest and highest number of frames a second."""

    @property
    def medium(self) -> Medium:
        """What it is: `image`, `video` or `audio`."""
        return cast("Medium", self.mime_types[0].partition("/")[0])

    @property
    def takes(self) -> str:
        """What it may be, in a table."""
        kinds = [_FORMATS.get(kind, kind.partition("/")[2].upper()) for kind in self.mime_types]
        either = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        number = str(self.max_count)
        if self.min_count != self.max_count:
            number = f"{self.min_count} to {self.max_count}"
        words = f"{number} {either} of at most {self.max_bytes / 1e6:g} MB"
        if self.length_s is not None:
            shortest, longest = self.length_s
            words += f", {shortest:g} to {longest:g} s" if shortest else f", at most {longest:g} s"
        if self.over_px:
            words += f", each side over {self.over_px} px"
        if self.ratio is not None:
            words += f", width to height from {self.ratio[0]:g} to {self.ratio[1]:g}"
        return words + self._frame_words

    @property
    def _frame_words(self) -> str:
        """Return the limits of a frame's sides, of its area and of the frame rate in words."""
        words = ""
        if self.side_px is not None:
            shortest, longest = self.side_px
            words += f", each side {shortest:,} to {longest:,} px" if longest else ""
            words += "" if longest else f", each side at least {shortest:,} px"
        if self.max_px:
            words += f", at most {self.max_px:,} px in all"
        if self.fps is not None:
            words += f", {self.fps[0]:g} to {self.fps[1]:g} frames a second"
        return words

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"give {self.takes}"

    def parse(self, value: object) -> object:
        """The given source, unopened; a tuple of several."""
        items = value if isinstance(value, list | tuple) else (value,)
        if not self.min_count <= len(items) <= self.max_count:
            raise Rejected(count_words(len(items)))
        if any(isinstance(item, str) and not item.strip() for item in items):
            raise Rejected("is empty")
        return items[0] if len(items) == 1 else tuple(items)


_FORMATS = {
    "audio/mpeg": "MP3",
    "audio/mp4": "M4A",
    "audio/x-wav": "WAV",
    "image/webp": "WebP",
    "video/quicktime": "MOV",
}
"""How people call what a MIME type names otherwise."""


def count_words(number: int) -> str:
    """How many were given where that is the wrong number."""
    return f"{number} {'was' if number == 1 else 'were'} given"


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record."""

    name: str
    """What a person writes."""
    kind: Text | Choice | Flag | Number | Media
    help: str
    sent_as: str = ""
    """The service's name for it; empty when it is the same."""
    required: bool = True

    @property
    def field(self) -> str:
        """The service's name of the field."""
        return self.sent_as or self.name


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one record."""

    place: int
    """Which record, from 0."""
    column: str
    """Which of its fields; empty when it is none of them."""
    given: str


@dataclass(frozen=True, slots=True)
class Records:
    """Several things of several fields each: the shots of a clip, the elements in it."""

    columns: tuple[Column, ...]
    max_count: int
    noun: str
    """What one of them is, e.g. `shot`."""
    min_count: int = 1
    one_of: tuple[str, ...] = ()
    """Columns; each record has exactly one of them."""
    rising: tuple[str, ...] = ()
    """Columns with numbers that must increase in this order, e.g. a start and an end."""

    @property
    def takes(self) -> str:
        """What it may be, in a table."""
        fields = ", ".join(map(self._column_words, self.columns))
        either = f" (either {' or '.join(self.one_of)})" if self.one_of else ""
        return f"{self.min_count} to {self.max_count} {self.noun}s, each with {fields}{either}"

    def _column_words(self, column: Column) -> str:
        is_free = not column.required and column.name not in self.one_of
        return f"{column.name} ({column.kind.takes})" + (", optional" if is_free else "")

    @property
    def allowed(self) -> str:
        """What is allowed, for an error message."""
        return f"give {self.takes}"

    def parse(self, value: object) -> tuple[dict[str, object], ...]:
        """The records, each with its fields parsed; from mappings, or from JSON text of them."""
        items = load_records(value)
        if isinstance(items, str):
            raise Rejected(f"{shorten(items)} is neither JSON nor a variable with {self.noun}s")
        if not isinstance(items, list | tuple) or not all(isinstance(i, Mapping) for i in items):
            raise Rejected(f"{shorten(value)} is not a list of {self.noun}s")
        if not self.min_count <= len(items) <= self.max_count:
            raise Rejected(count_words(len(items)))
        wrong: list[Fault] = []
        found = tuple(self._parse_one(place, item, wrong) for place, item in enumerate(items))
        if wrong:
            raise Rejected("; ".join(map(self._words, wrong)))
        return found

    def faults(self, value: object) -> tuple[Fault, ...]:
        """What is wrong inside the records; nothing where it is no list of them."""
        wrong: list[Fault] = []
        for place, item in enumerate(value if isinstance(value, list | tuple) else ()):
            if isinstance(item, Mapping):
                self._parse_one(place, item, wrong)
        return tuple(wrong)

    def _parse_one(
        self, place: int, item: Mapping[object, object], wrong: list[Fault]
    ) -> dict[str, object]:
        known = [column.name for column in self.columns]
        wrong += [
            Fault(place, "", f"has no field {shorten(name)}") for name in item if name not in known
        ]
        parsed: dict[str, object] = {}
        for column in self.columns:
            given = item.get(column.name)
            if given is None:
                if column.required:
                    wrong.append(Fault(place, column.name, "is missing"))
                continue
            try:
                parsed[column.name] = column.kind.parse(given)
            except Rejected as rejected:
                wrong.append(Fault(place, column.name, rejected.given))
        wrong += self._broken(place, item, parsed)
        return parsed

    def _broken(
        self, place: int, item: Mapping[object, object], parsed: Mapping[str, object]
    ) -> list[Fault]:
        """Return what is wrong between the fields of one record."""
        found = []
        given = [name for name in self.one_of if item.get(name) is not None]
        if self.one_of and len(given) != 1:
            either = " or ".join(self.one_of)
            has = f"has {' and '.join(given)}" if given else "has no source"
            found.append(Fault(place, "", f"{has}; give one of: {either}"))
        numbers = [(name, float(str(parsed[name]))) for name in self.rising if name in parsed]
        for (first, low), (second, high) in pairwise(numbers):
            if low >= high:
                found.append(Fault(place, second, f"{high:g} is not more than {first} {low:g}"))
        return found

    def _words(self, fault: Fault) -> str:
        where = f"{self.noun} {fault.place + 1}"
        return (
            f"{where}: {fault.column}: {fault.given}" if fault.column else f"{where} {fault.given}"
        )


Kind = Text | Choice | Flag | Number | Media | Records
"""What a parameter may be."""


def load_records(value: object) -> object:
    """Records as they were given: JSON text is read, one by itself is a list of one."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return [value] if isinstance(value, Mapping) else value
