"""The form of a model: a field for each parameter, their layout, and validation of all values.

Depends on parameter kinds only: it names no model and no parameter. Values are validated as for a
request. A field shows its problem after the user has edited it; *Generate* shows all problems.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal, TypeVar, assert_never

import ipywidgets as widgets

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.models.parameter_kind import Rejected
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.records import Records
from kling_nb.models.rules import PresenceFlag, Summed, Unsent
from kling_nb.models.spec import (
    MediaFacts,
    ModelSpec,
    Parameter,
    Values,
    check_durations,
    price_credits,
    validate,
    warnings_of,
)

from .fields import ChoiceField, Field, FlagField, NumberField, TextField
from .file_field import FileContext, FileValue, MediaField
from .records_field import RowsField

_Place = Literal["scene", "options", "lists"]
"""Groups of fields: the content of the clip, its options, and lists of both."""

_RANKS: dict[_Place, int] = {"scene": 0, "options": 1, "lists": 2}


def place_of(parameter: Parameter) -> _Place:
    """Return the group of fields that a parameter belongs to."""
    return _position(parameter)[0]


def sorted_names(parameters: Iterable[Parameter]) -> list[str]:
    """Return the names in the order of the fields on the page and of the Tab key."""
    return [name for _, names in arranged(parameters) for name in names]


def arranged(parameters: Iterable[Parameter]) -> Iterator[tuple[_Place, list[str]]]:
    """Yield the groups that have a field, and the names in each."""
    for place, group in groupby(sorted(parameters, key=_rank), place_of):
        yield place, [parameter.name for parameter in group]


def _rank(parameter: Parameter) -> tuple[int, bool]:
    """Return the sort key of a parameter: files before text, short fields before a line of text."""
    place, is_text = _position(parameter)
    return _RANKS[place], is_text


def _position(parameter: Parameter) -> tuple[_Place, bool]:
    """Return the group of a parameter, and whether its field is a text."""
    match parameter.kind:
        case Records():
            return "lists", False
        case Media():
            return "scene", False
        case Text(one_line=one_line):
            return "options" if one_line else "scene", True
        case Choice() | Flag() | Number():
            return "options", False
        case _:
            assert_never(parameter.kind)


T = TypeVar("T")

FormContent = dict[str, object]
"""Content of fields, by parameter; files as a tuple of `FileValue`."""


class Form:
    """The fields of a model.

    Args:
        spec: The model.
        values: The initial values.
        context: Resolves names of files and variables.

    Raises:
        InvalidInput: A value is not allowed.
    """

    def __init__(self, spec: ModelSpec, values: Values, context: FileContext) -> None:
        self.spec = spec
        self.on_change: Callable[[], None] | None = None
        """Called after each change of a value or a problem, also on the background loop."""
        self.problems: tuple[Problem, ...] = ()
        """The problems shown, in the order of the fields on the page."""
        allowed = _initial_values(spec, values)
        self._sums = tuple(each for each in spec.implied if isinstance(each, Summed))
        self._computed = {each.field for each in self._sums if values.get(each.field) is None}
        self._wrong_sums: set[str] = set()
        """Computed fields with a sum that is not allowed."""
        self._fields = {
            p.name: _field_for(p, context, spec.remarks(p.name)) for p in spec.parameters
        }
        self._validating, self._is_updating = threading.RLock(), False
        self._order = sorted_names(spec.parameters)
        self.box = self._arranged()
        for name, field in self._fields.items():
            # A computed value would not change with its inputs, so it is not set.
            if name in allowed and (values.get(name) is not None or _has_default(field)):
                field.set_value(allowed[name])
            field.on_change = self._on_field_change
        self._validate()  # a file may have been read before `on_change` was set

    @property
    def values(self) -> dict[str, object]:
        """The values, by parameter."""
        return _without_none({n: field.value for n, field in self._user_fields.items()})

    @property
    def allowed(self) -> dict[str, object]:
        """The valid values, with defaults."""
        allowed = _check(self.spec, self.values, self.durations_s)[0]
        # A sum and its price stay on screen while its inputs are invalid.
        stale = [e.field for e in self._sums if e.of in self.values and e.of not in allowed]
        known = allowed | {name: self._fields[name].value for name in self._computed & {*stale}}
        return {name: value for name, value in known.items() if name not in self._wrong_sums}

    @property
    def price_credits(self) -> float | None:
        """The listed price; None if it is unknown."""
        return price_credits(self.spec, self.allowed, self.durations_s)

    @property
    def written(self) -> dict[str, object]:
        """The values as written in a cell."""
        return _without_none({n: field.written for n, field in self._user_fields.items()})

    @property
    def sources(self) -> dict[str, object]:
        """The files, and rows that may contain files, as written in a cell."""
        return {
            name: word
            for name, word in self.written.items()
            if isinstance(self._fields[name], MediaField | RowsField)
        }

    @property
    def durations_s(self) -> dict[str, float]:
        """The durations of the videos and audio files that were read, by parameter."""
        return _without_none({n: field.duration_s for n, field in self._media_fields.items()})

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the files that were read."""
        sizes_px = {n: field.sizes_px for n, field in self._media_fields.items()}
        return warnings_of(self.spec.advisories, MediaFacts(self.durations_s, sizes_px))

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each control that has a value, by its name."""
        return {n: i for field in self._fields.values() for n, i in field.controls.items()}

    @property
    def kept(self) -> FormContent:
        """The content of the fields, for a form of another model."""
        held = {name: field.kept for name, field in self._fields.items()}
        return {name: value for name, value in held.items() if value not in (None, ())}

    def sync_values(self, shown: Mapping[str, object]) -> None:
        """Set the values that a page shows; they may be newer than those received before."""
        for field in self._fields.values():
            field.sync_values(shown)

    def fill(self, values: Values, written: Mapping[str, object]) -> None:
        """Set those values of another request that are valid for this model."""
        values = {name: value for name, value in values.items() if name in self._fields}
        allowed = _check(self.spec, values)[0]
        for name, value in values.items():
            field = self._fields[name]
            if name in allowed:
                field.set_value(allowed[name], written.get(name))
            elif field.keeps_invalid:
                field.set_value(value)

    def load(self, values: Values, written: Mapping[str, object]) -> None:
        """Set another request; fields without a value are as in a new form."""
        usual = _check(self.spec, {})[0]
        for name, field in self._fields.items():
            if name in values:
                continue
            if name in usual and _has_default(field):
                field.set_value(usual[name])
            else:
                field.clear()
        self.fill(values, written)

    def set_image(self, content: bytes, name: str) -> None:
        """Set an image in the first image field."""
        for field in self._media_fields.values():
            if field.medium == "image":
                field.set_files((FileValue(content, "picture", name),))
                return

    def restore(self, kept: FormContent) -> None:
        """Set the content of another form, where it is valid for this model."""
        plain = {n: value for n, value in kept.items() if not isinstance(value, tuple)}
        self.fill(plain, {})
        for name, value in kept.items():
            field = self._fields.get(name)
            if isinstance(field, MediaField) and isinstance(value, tuple):
                field.set_files(value)

    def validate_all(self) -> None:
        """Show every problem, including those of fields that were not edited."""
        for field in self._fields.values():
            field.touch()
        self._validate()

    def add_problems(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Show problems found elsewhere; return those that belong to no field."""
        with self._validating:
            for problem in problems:
                field = self._fields.get(_root(problem))
                if field is not None:
                    field.add_problem(problem)
            self.validate_all()
            shown = {problem.field for problem in self.problems}
            return tuple(problem for problem in problems if _root(problem) not in shown)

    def close(self) -> None:
        """Close the form."""
        self.on_change = None
        for field in self._fields.values():
            field.close()
        for group in self.box.children:
            group.close()
        self.box.close()

    def _arranged(self) -> widgets.VBox:
        groups = []
        for place, names in arranged(self.spec.parameters):
            group = widgets.HBox([self._fields[name].control for name in names])
            groups.append(group.add_class(f"kling-{place}"))
        return widgets.VBox(groups).add_class("kling-form")

    @property
    def _media_fields(self) -> dict[str, MediaField]:
        """The fields of files."""
        return {n: field for n, field in self._fields.items() if isinstance(field, MediaField)}

    @property
    def _user_fields(self) -> dict[str, Field]:
        """The fields set by the user, not computed from others."""
        return {n: field for n, field in self._fields.items() if n not in self._computed}

    def _on_field_change(self, field: Field) -> None:
        with self._validating:
            if self._is_updating:  # set by the form, not by the user
                return
            field.is_touched = True
            # The last edit wins: a sum set by the user stays until its inputs change.
            self._computed.discard(field.parameter.name)
            name = field.parameter.name
            self._computed.update(each.field for each in self._sums if each.of == name)
            self._validate()

    def _validate(self) -> None:
        with self._validating:
            allowed, problems = _check(self.spec, self.values, self.durations_s)
            found = {problem.field: problem for problem in problems}
            for name, field in self._fields.items():
                if field.error:
                    # The error of a file is more specific than a missing value.
                    found[name] = Problem(name, field.error, field.parameter.kind.allowed)
            sums = self._sums_of(allowed, found)
            self._wrong_sums = self._computed & found.keys()
            self._show(found)
            self._update_sums(sums)
            if self.on_change is not None:
                self.on_change()

    def _show(self, found: Mapping[str, Problem]) -> None:
        """Show in each field its problem, unless it is too early to show it."""
        wrong = {name: found.get(name) for name in self._fields}
        shown = {
            name: each
            for name, each in wrong.items()
            if each and (self._fields[name].shows(each) or name in self._wrong_sums)
        }
        self.problems = tuple(shown[name] for name in self._order if name in shown)
        for name, field in self._fields.items():
            field.show_problem(shown.get(name))

    def _sums_of(self, allowed: Values, found: dict[str, Problem]) -> dict[str, object]:
        """Return the computed sums that are allowed; add the problems of the others.

        Records that are invalid elsewhere count, too, so that the price of a shot is right before
        its prompt is written. A sum with an invalid summand is left out: it stays as it is.
        """
        sums: dict[str, object] = {}
        for each in (one for one in self._sums if one.field in self._computed):
            field, kind = self._fields[each.of], self.spec.parameter(each.field).kind
            if each.of not in found:
                sums |= {each.field: allowed[each.field]} if each.field in allowed else {}
            elif isinstance(field, RowsField) and (rows := field.with_column(each.column)):
                total = each.follows({each.of: rows})
                try:
                    sums[each.field] = kind.parse(total)
                except Rejected:
                    found[each.field] = Problem(each.field, each.why(total), kind.allowed)
        return sums

    def _update_sums(self, sums: Mapping[str, object]) -> None:
        """Show computed sums in their fields."""
        self._is_updating = True
        for name, value in sums.items():
            self._fields[name].set_value(value)
        self._is_updating = False


def _without_none(values: Mapping[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in values.items() if value is not None}


def _initial_values(spec: ModelSpec, values: Values) -> dict[str, object]:
    values = _without_none(values)
    allowed, problems = _check(spec, values)
    problems = tuple(problem for problem in problems if problem.field in values)
    if problems:
        raise InvalidInput(problems)
    return allowed


def _has_default(field: Field) -> bool:
    return field.parameter.default is not None


def _root(problem: Problem) -> str:
    """Return the parameter of a problem, also for a problem in one of several records."""
    return problem.field.partition("[")[0]


def _field_for(parameter: Parameter, context: FileContext, remarks: Sequence[str] = ()) -> Field:
    """Return the field of a parameter, by its kind."""
    match parameter.kind:
        case Text() as kind:
            return TextField(parameter, kind, remarks)
        case Choice() as kind:
            return ChoiceField(parameter, kind, remarks)
        case Flag() as kind:
            return FlagField(parameter, kind, remarks)
        case Number() as kind:
            return NumberField(parameter, kind, remarks)
        case Media() as kind:
            return MediaField(parameter, kind, context, remarks)
        case Records() as kind:
            return RowsField(parameter, kind, lambda column: _field_for(column, context), remarks)
        case _:
            assert_never(parameter.kind)


def _check(
    spec: ModelSpec, values: Values, durations_s: Mapping[str, float] | None = None
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """Return the valid values, and the problems of all others.

    Args:
        spec: The model.
        values: The values.
        durations_s: Durations of the videos and audio files that were read, by parameter.
    """
    try:
        allowed = validate(spec, values)
        return allowed, tuple(check_durations(spec, allowed, durations_s or {}))
    except InvalidInput as invalid:
        bad = {problem.field for problem in invalid.problems}
        kept = tuple(p for p in spec.parameters if p.name not in bad)
        implied = tuple(
            e for e in spec.implied if isinstance(e, PresenceFlag | Unsent) or e.field not in bad
        )
        fine: Mapping[str, object] = {n: value for n, value in values.items() if n not in bad}
        # Without rules, since a rule may refer to an omitted field.
        allowed = validate(replace(spec, parameters=kept, rules=(), implied=implied), fine)
        known = {n: duration_s for n, duration_s in (durations_s or {}).items() if n in allowed}
        long = [p for p in check_durations(spec, allowed, known) if p.field in known]
        return allowed, (*invalid.problems, *long)
