"""Records: the parameter kind for a list of rows, such as shots, with a kind for each column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

from kling_nb.core.formatting import format_count, shorten

from .parameter_kind import Change, LookUp, ParameterKind, Rejected, as_tuple, wrong_count
from .parameters import Choice, Flag, Media, Number, Text


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record."""

    name: str
    """What a person writes."""
    kind: Text | Choice | Flag | Number | Media
    help: str
    sent_as: str = ""
    """The service's name for it; empty if it is the same."""
    required: bool = True
    initial: object = None
    """The value in a new row of the panel; None if it is empty. A request has no such default: a
    record without a required value is refused."""

    @property
    def field(self) -> str:
        """Return the service's name of the field."""
        return self.sent_as or self.name


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem in one record."""

    place: int
    """Index of the record, from 0."""
    column: str
    """Name of the column; empty if the problem is in none of them."""
    given: str


@dataclass(frozen=True, slots=True)
class Records(ParameterKind):
    """A list of items with several fields each: the shots of a clip, the elements in it."""

    columns: tuple[Column, ...]
    max_count: int
    noun: str
    """One item, e.g. `shot`."""
    min_count: int = 1
    one_of: tuple[str, ...] = ()
    """Columns; each record has exactly one of them."""
    rising: tuple[str, ...] = ()
    """Columns with numbers that must increase in this order, e.g. a start and an end."""

    is_source = True

    @property
    def takes(self) -> str:
        """Return the number of records and their columns."""
        columns = ", ".join(map(self._describe_column, self.columns))
        either = f" (either {' or '.join(self.one_of)})" if self.one_of else ""
        return f"{self.min_count} to {self.max_count} {self.noun}s, each with {columns}{either}"

    def _describe_column(self, column: Column) -> str:
        is_optional = not column.required and column.name not in self.one_of
        return f"{column.name} ({column.kind.takes})" + (", optional" if is_optional else "")

    @property
    def allowed(self) -> str:
        """Return the allowed values, for an error message."""
        return f"give {self.takes}"

    def parse(self, value: object) -> tuple[dict[str, object], ...]:
        """Return the records with parsed fields; takes mappings or their JSON text."""
        items = _load_records(value)
        if isinstance(items, str):
            raise Rejected(f"{shorten(items)} is neither JSON nor a variable with {self.noun}s")
        if not _are_records(items):
            raise Rejected(f"{shorten(value)} is not a list of {self.noun}s")
        if not self.min_count <= len(items) <= self.max_count:
            raise Rejected(wrong_count(len(items)))
        faults: list[Fault] = []
        parsed = tuple(self._parse_one(place, item, faults) for place, item in enumerate(items))
        if faults:
            raise Rejected("; ".join(map(self._format_fault, faults)))
        return parsed

    def faults(self, value: object) -> tuple[Fault, ...]:
        """Return the problems in the records; none if the value is not a list of records."""
        faults: list[Fault] = []
        for place, item in enumerate(value if isinstance(value, list | tuple) else ()):
            if isinstance(item, Mapping):
                self._parse_one(place, item, faults)
        return tuple(faults)

    def _parse_one(
        self, place: int, item: Mapping[str, object], faults: list[Fault]
    ) -> dict[str, object]:
        known = [column.name for column in self.columns]
        faults += [
            Fault(place, "", f"has no field {shorten(name)}") for name in item if name not in known
        ]
        parsed: dict[str, object] = {}
        for column in self.columns:
            value = item.get(column.name)
            if value is None:
                if column.required:
                    faults.append(Fault(place, column.name, "is missing"))
                continue
            try:
                parsed[column.name] = column.kind.parse(value)
            except Rejected as rejected:
                faults.append(Fault(place, column.name, rejected.given))
        faults += self._broken_rules(place, item, parsed)
        return parsed

    def _broken_rules(
        self, place: int, item: Mapping[str, object], parsed: Mapping[str, object]
    ) -> list[Fault]:
        """Return the problems between the fields of one record."""
        found = []
        sources = [name for name in self.one_of if item.get(name) is not None]
        if self.one_of and len(sources) != 1:
            either = " or ".join(self.one_of)
            has = f"has {' and '.join(sources)}" if sources else "has no source"
            found.append(Fault(place, "", f"{has}; give one of: {either}"))
        numbers = [(name, float(str(parsed[name]))) for name in self.rising if name in parsed]
        for (first, low), (second, high) in pairwise(numbers):
            if low >= high:
                found.append(Fault(place, second, f"{high:g} must be greater than {first} {low:g}"))
        return found

    def _format_fault(self, fault: Fault) -> str:
        column = f": {fault.column}:" if fault.column else ""
        return f"{self.noun} {fault.place + 1}{column} {fault.given}"

    def format_value(self, value: object) -> str:
        """Return the number of records: `2 shots`."""
        return format_count(len(value) if isinstance(value, list | tuple) else 0, self.noun)

    @property
    def argparse_settings(self) -> dict[str, Any]:
        """Return keyword arguments for `add_argument`."""
        return {"metavar": f"{self.noun.upper()}S"}

    @property
    def option_takes(self) -> str:
        """Return what the option takes, for a table."""
        return f"{self.takes}: JSON or a variable with {self.noun}s"

    @property
    def option_note(self) -> str:
        """Return the forms of the value."""
        return ": JSON, or the name of a variable"

    def cell_texts(self, value: object) -> list[str]:
        """Return JSON, or the name of a variable."""
        if isinstance(value, str):
            return [value]
        text = json.dumps(value, ensure_ascii=False)
        # IPython ends a line at these characters; JSON may have them escaped.
        for end in "\x85\u2028\u2029":
            text = text.replace(end, f"\\u{ord(end):04x}")
        return [text]

    def resolve(self, value: object, look_up: LookUp) -> tuple[object, object]:
        """Return the records with sources resolved; a cell has records only if they are text."""
        records = _load_records(look_up(value))
        if not _are_records(records):
            return records, records
        sources = [column for column in self.columns if column.kind.is_source]
        resolved = [
            {
                **record,
                **{
                    c.name: c.kind.resolve(record[c.name], look_up)[0]
                    for c in sources
                    if c.name in record
                },
            }
            for record in records
        ]
        # An image in memory has no text: then only the name of the variable identifies the records.
        is_text = all(_is_text(record.get(c.name)) for record in records for c in sources)
        return resolved, records if is_text else value

    def transform(self, value: object, path: str, change: Change) -> object:
        """Return the records with the result of `change` for each field."""
        records = _load_records(value)
        if not _are_records(records):
            return value
        kinds = {column.name: column.kind for column in self.columns}
        changed = (
            {
                name: kinds[name].transform(field, f"{path}[{place}].{name}", change)
                for name, field in record.items()
                if name in kinds
            }
            for place, record in enumerate(records)
        )
        return tuple(
            {n: field for n, field in each.items() if field is not None} for each in changed
        )

    def wire_value(self, value: object) -> object:
        """Return the records with the service's names of their fields."""
        if not _are_records(value):
            return value
        return [
            {c.field: record[c.name] for c in self.columns if c.name in record} for record in value
        ]

    def format_path(self, path: str) -> str:
        """Return the path of a field for people: `element 2: images`."""
        place, _, column = path.partition("[")[2].partition("].")
        return f"{self.noun} {int(place) + 1}: {column}" if column else path


def _load_records(value: object) -> object:
    """Return records as given: parse JSON text, and make a single record a list of one."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return [value] if isinstance(value, Mapping) else value


def _are_records(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    """Return whether a value is a list of mappings."""
    return isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value)


def _is_text(value: object) -> bool:
    return value is None or all(isinstance(each, str) for each in as_tuple(value))
