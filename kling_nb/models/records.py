"""Records: parameters that hold several things of several fields each, as shots or elements.

A record's fields are of the plain kinds. Knows no model, no file and no other parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from .kinds import Choice, Flag, Media, Number, Rejected, Text, count_words, shorten

__all__ = ["Column", "Fault", "Kind", "Records", "load_records"]


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
