"""The records field: rows of fields that can be added, moved and removed.

The problem of one value is shown in its row, beside the field; a problem of all rows together is
shown below them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from kling_nb.core.errors import Problem
from kling_nb.models.records import Column, Fault, Records
from kling_nb.models.spec import Parameter

from .fields import Field, control_traits
from .widgets import Rows

_PLACE = re.compile(r"\w+ (\d+): (\w+): (.+)", re.DOTALL)
"""Matches the record and field of a problem: `element 2: images: ...`."""

_Row = dict[str, Field]
"""The fields of one record, by column."""


class RowsField(Field):
    """Records, each a row of fields; `make` makes the field of a column."""

    keeps_invalid = True
    control: Rows

    def __init__(
        self,
        parameter: Parameter,
        kind: Records,
        make: Callable[[Parameter], Field],
        remarks: Sequence[str] = (),
    ) -> None:
        self._kind, self._make = kind, make
        self._rows: tuple[_Row, ...] = ()
        self._numbers = itertools.count()
        super().__init__(
            parameter,
            Rows(
                **control_traits(parameter, "; ".join(filter(None, (parameter.help, *remarks)))),
                noun=kind.noun,
                most=kind.max_count,
                columns=len(kind.columns),
            ),
        )
        self.control.on_add = self._add
        self.control.on_remove = self._remove
        self.control.on_move = self._move
        self.clear()

    @property
    def value(self) -> object | None:
        """A mapping for each row; None without rows."""
        return self._collect(lambda field: field.value)

    @property
    def written(self) -> object | None:
        """The same as written in a cell."""
        return self._collect(lambda field: field.written)

    @property
    def kept(self) -> object | None:
        """The same with files as `FileValue`."""
        return self._collect(lambda field: field.kept)

    @property
    def error(self) -> str:
        """The error of the first invalid file."""
        for index, column, field in self._cells():
            if field.error:
                return f"{self._kind.noun} {index + 1}: {column.name}: {field.error}"
        return ""

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each control in the rows."""
        return {
            name: model_id
            for _, _, field in self._cells()
            for name, model_id in field.controls.items()
        }

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in the rows."""
        return tuple(field for _, _, field in self._cells())

    def with_column(self, name: str) -> tuple[Mapping[str, object], ...]:
        """Return the records, also invalid ones; nothing if one has no valid value in a column."""
        if any(fault.column == name for fault in self._kind.faults(self.value)):
            return ()
        return tuple(_records(self.value))

    def set_value(self, value: object, written: object = None) -> None:
        """Set these records; values without a field are ignored."""
        rows, words = _records(value)[: self._kind.max_count], _records(written)
        if len(words) != len(rows):
            words = [{}] * len(rows)
        self._set_rows(tuple(map(self._new_row, rows, words)))
        self.changed()

    def clear(self) -> None:
        """Set the required number of new rows."""
        number = self._kind.min_count if self.parameter.required else 0
        self._set_rows(tuple(self._initial_row() for _ in range(number)))
        self.changed()

    def sync_values(self, shown: Mapping[str, object]) -> None:
        """Set the values that a page shows in the rows."""
        for field in self.fields:
            field.sync_values(shown)

    def touch(self) -> None:
        """Show problems of all rows from now on."""
        super().touch()
        for field in self.fields:
            field.touch()

    def shows(self, problem: Problem) -> bool:
        """Whether an invalid field was edited; a new row shows no problem yet."""
        wrong = [field for field, words in self._cell_problems().items() if words]
        if not wrong:
            return super().shows(problem)
        return any(field.shows(problem) for field in wrong)

    def add_problem(self, problem: Problem) -> None:
        """Add a problem of a file in one of the rows."""
        found = _PLACE.fullmatch(problem.given)
        for index, column, field in self._cells():
            if found and (str(index + 1), column.name) == found.groups()[:2]:
                field.add_problem(Problem(column.name, found[3], problem.allowed))

    def show_problem(self, problem: Problem | None) -> None:
        """Show problems beside their fields, else below the rows."""
        cell_problems = self._cell_problems()
        for field, wrong in cell_problems.items():
            field.show_problem(wrong if wrong and problem and field.shows(wrong) else None)
        super().show_problem(None if any(cell_problems.values()) else problem)

    def close(self) -> None:
        """Close the field and its rows."""
        super().close()
        for field in self.fields:
            field.close()

    def _collect(self, read: Callable[[Field], object | None]) -> object | None:
        rows = [{name: read(field) for name, field in row.items()} for row in self._rows]
        return [{n: value for n, value in row.items() if value is not None} for row in rows] or None

    def _cells(self) -> Iterator[tuple[int, Column, Field]]:
        for index, row in enumerate(self._rows):
            for column in self._kind.columns:
                yield index, column, row[column.name]

    def _cell_problems(self) -> dict[Field, Problem | None]:
        """Return the problem of each field."""
        faults = {(each.place, each.column): each for each in self._kind.faults(self.value)}
        return {
            field: _problem(field, column, faults.get((index, column.name)))
            for index, column, field in self._cells()
        }

    def _initial_row(self) -> _Row:
        return self._new_row({column.name: column.initial for column in self._kind.columns}, {})

    def _new_row(self, record: Mapping[str, object], words: Mapping[str, object]) -> _Row:
        # A number that no other row ever has, so that late messages of a page for a removed or
        # moved row do not change another row.
        prefix = f"{self.parameter.name}/{next(self._numbers)}"
        row: _Row = {}
        for column in self._kind.columns:
            parameter = Parameter(
                f"{prefix}/{column.name}", column.kind, column.help, required=column.required
            )
            field = row[column.name] = self._make(parameter)
            if record.get(column.name) is not None:
                field.set_value(record[column.name], words.get(column.name))
                field.is_touched = True
            field.on_change = self._on_field_change
        return row

    def _set_rows(self, rows: tuple[_Row, ...]) -> None:
        gone = set(self.fields)
        self._rows = rows
        self.control.children = [field.control for field in self.fields]
        for field in gone - set(self.fields):
            field.close()

    def _add(self) -> None:
        if len(self._rows) < self._kind.max_count:
            self._set_rows((*self._rows, self._initial_row()))
            self.changed()

    def _remove(self, at: int) -> None:
        self._set_rows(tuple(row for index, row in enumerate(self._rows) if index != at))
        self.changed()

    def _move(self, at: int, to: int) -> None:
        rows = list(self._rows)
        if 0 <= at < len(rows) and 0 <= to < len(rows):
            rows.insert(to, rows.pop(at))
            self._set_rows(tuple(rows))
            self.changed()

    def _on_field_change(self, field: Field) -> None:
        field.is_touched = True
        self.changed()


def _records(value: object) -> list[Mapping[str, object]]:
    value = value if isinstance(value, list | tuple) else ()
    return [item for item in value if isinstance(item, Mapping)]


def _problem(field: Field, column: Column, fault: Fault | None) -> Problem | None:
    value = field.error or (fault.given if fault else "")
    return Problem(column.name, value, column.kind.allowed) if value else None
