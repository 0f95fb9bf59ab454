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

from .fields import Field, words_of
from .widgets import Rows

__all__ = ["RowsField"]

_PLACE = re.compile(r"\w+ (\d+): (\w+): (.+)", re.DOTALL)
"""How a problem says which record and field it is about: `element 2: images: ...`."""

Row = dict[str, Field]
"""The fields of one record, by column."""


class RowsField(Field):
    """Records, each a row of fields.

    Args:
        parameter: What it is for.
        kind: What the service takes. Source: `ModelSpec`.
        make: Makes the field of a column.
        remarks: What the model's rules say of it.
    """

    keeps_wrong = True
    control: Rows

    def __init__(
        self,
        parameter: Parameter,
        kind: Records,
        make: Callable[[Parameter], Field],
        remarks: Sequence[str] = (),
    ) -> None:
        self._kind, self._make = kind, make
        self._rows: tuple[Row, ...] = ()
        self._numbers = itertools.count()
        super().__init__(
            parameter,
            Rows(
                **words_of(parameter, "; ".join(filter(None, (parameter.help, *remarks)))),
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
    def given(self) -> object | None:
        """A mapping for each row; None while there is no row."""
        return self._gathered(lambda field: field.given)

    @property
    def written(self) -> object | None:
        """The same as it is written in a cell."""
        return self._gathered(lambda field: field.written)

    @property
    def kept(self) -> object | None:
        """The same with files as they were chosen."""
        return self._gathered(lambda field: field.kept)

    @property
    def fault(self) -> str:
        """What is wrong with the first file that is no good."""
        for place, column, field in self._cells():
            if field.fault:
                return f"{self._kind.noun} {place + 1}: {column.name}: {field.fault}"
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

    def give(self, value: object, written: object = None) -> None:
        """Hold these records, as far as there is a field for what is in them."""
        rows, words = _records(value)[: self._kind.max_count], _records(written)
        if len(words) != len(rows):
            words = [{}] * len(rows)
        self._put(tuple(map(self._new_row, rows, words)))
        self.changed()

    def clear(self) -> None:
        """Hold as many empty rows as there have to be."""
        number = self._kind.min_count if self.parameter.required else 0
        self._put(tuple(self._new_row({}, {}) for _ in range(number)))
        self.changed()

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold what a page shows in the rows that are there."""
        for field in self.fields:
            field.hold(shown)

    def touch(self) -> None:
        """Have every row judged."""
        super().touch()
        for field in self.fields:
            field.touch()

    def shows(self, problem: Problem) -> bool:
        """Whether somebody worked with a field that is wrong; a new row is not wrong yet."""
        wrong = [field for field, words in self._told().items() if words]
        if not wrong:
            return super().shows(problem)
        return any(field.shows(problem) for field in wrong)

    def blame(self, problem: Problem) -> None:
        """Hear what is wrong with a file in one of the rows."""
        found = _PLACE.fullmatch(problem.given)
        for place, column, field in self._cells():
            if found and (str(place + 1), column.name) == found.groups()[:2]:
                field.blame(Problem(column.name, found[3], problem.allowed))

    def tell(self, problem: Problem | None) -> None:
        """Show what is wrong beside the fields that it is about, else below the rows."""
        told = self._told()
        for field, wrong in told.items():
            field.tell(wrong if wrong and problem and field.shows(wrong) else None)
        super().tell(None if any(told.values()) else problem)

    def close(self) -> None:
        """Take the rows away, too."""
        super().close()
        for field in self.fields:
            field.close()

    def _gathered(self, read: Callable[[Field], object | None]) -> object | None:
        rows = [{name: read(field) for name, field in row.items()} for row in self._rows]
        return [{n: value for n, value in row.items() if value is not None} for row in rows] or None

    def _cells(self) -> Iterator[tuple[int, Column, Field]]:
        for place, row in enumerate(self._rows):
            for column in self._kind.columns:
                yield place, column, row[column.name]

    def _told(self) -> dict[Field, Problem | None]:
        """What is wrong in each field."""
        faults = {(each.place, each.column): each for each in self._kind.faults(self.given)}
        return {
            field: _problem(field, column, faults.get((place, column.name)))
            for place, column, field in self._cells()
        }

    def _new_row(self, record: Mapping[str, object], words: Mapping[str, object]) -> Row:
        # A number that no other row ever has: what a page still sends for a row that is gone, or
        # stands elsewhere now, is not taken for another's.
        prefix = f"{self.parameter.name}/{next(self._numbers)}"
        row: Row = {}
        for column in self._kind.columns:
            parameter = Parameter(
                f"{prefix}/{column.name}", column.kind, column.help, required=column.required
            )
            field = row[column.name] = self._make(parameter)
            if record.get(column.name) is not None:
                field.give(record[column.name], words.get(column.name))
                field.is_touched = True
            field.on_change = self._take_change
        return row

    def _put(self, rows: tuple[Row, ...]) -> None:
        gone = set(self.fields)
        self._rows = rows
        self.control.children = [field.control for field in self.fields]
        for field in gone - set(self.fields):
            field.close()

    def _add(self) -> None:
        if len(self._rows) < self._kind.max_count:
            self._put((*self._rows, self._new_row({}, {})))
            self.changed()

    def _remove(self, at: int) -> None:
        self._put(tuple(row for place, row in enumerate(self._rows) if place != at))
        self.changed()

    def _move(self, at: int, to: int) -> None:
        rows = list(self._rows)
        if 0 <= at < len(rows) and 0 <= to < len(rows):
            rows.insert(to, rows.pop(at))
            self._put(tuple(rows))
            self.changed()

    def _take_change(self, field: Field) -> None:
        field.is_touched = True
        self.changed()


def _records(value: object) -> list[Mapping[str, object]]:
    given = value if isinstance(value, list | tuple) else ()
    return [item for item in given if isinstance(item, Mapping)]


def _problem(field: Field, column: Column, fault: Fault | None) -> Problem | None:
    given = field.fault or (fault.given if fault else "")
    return Problem(column.name, given, column.kind.allowed) if given else None
