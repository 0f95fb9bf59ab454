"""The form of a model: a field for each parameter, their layout, and validation of all values.

Depends on parameter kinds only: it names no model and no parameter. Values are validated as for a
request. A field shows its problem after the user has edited it; *Generate* shows all problems.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal, assert_never

import ipywidgets as widgets

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.models.advisories import MediaFacts, warnings_of
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.records import Records
from kling_nb.models.rules import Summed, Told, Unsent
from kling_nb.models.spec import (
    ModelSpec,
    Parameter,
    Values,
    judge_lengths,
    price_credits,
    validate,
)

from .fields import ChoiceField, Field, FlagField, NumberField, TextField
from .file_field import FileValue, MediaField, Surroundings
from .records_field import RowsField

__all__ = [
    "Form",
    "Kept",
    "Place",
    "arranged",
    "check",
    "field_for",
    "place_of",
    "sorted_names",
]

Place = Literal["scene", "options", "lists"]
"""What is in the picture, how it is filmed, and rows of both."""

_RANKS: dict[Place, int] = {"scene": 0, "options": 1, "lists": 2}


def place_of(parameter: Parameter) -> Place:
    """The group of fields that a parameter belongs to."""
    return _position(parameter)[0]


def sorted_names(parameters: Iterable[Parameter]) -> list[str]:
    """The names in the order in which a person meets the fields, by eye and by the Tab key."""
    return [name for _, names in arranged(parameters) for name in names]


def arranged(parameters: Iterable[Parameter]) -> Iterator[tuple[Place, list[str]]]:
    """The groups that have a field, and the names in each."""
    for place, group in groupby(sorted(parameters, key=_rank), place_of):
        yield place, [parameter.name for parameter in group]


def _rank(parameter: Parameter) -> tuple[int, bool]:
    """Files before words, and short fields before a line of text; else as the model has them."""
    place, is_text = _position(parameter)
    return _RANKS[place], is_text


def _position(parameter: Parameter) -> tuple[Place, bool]:
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


Kept = dict[str, object]
"""What fields held, by parameter; files as a tuple of `FileValue`."""


class Form:
    """The fields of a model.

    Args:
        spec: The model.
        values: What the fields hold at first.
        around: What the name of a picture, a video or a sound may mean.

    Raises:
        InvalidInput: Values that were given are not allowed.
    """

    def __init__(self, spec: ModelSpec, values: Values, around: Surroundings) -> None:
        self.spec = spec
        self.on_change: Callable[[], None] | None = None
        """Called after each change of a value or a problem, also on the background loop."""
        self.problems: tuple[Problem, ...] = ()
        """Those that are shown, in the order of the fields on the page."""
        allowed = _allowed_at_first(spec, values)
        self._sums = tuple(each for each in spec.implied if isinstance(each, Summed))
        self._following = {each.field for each in self._sums if values.get(each.field) is None}
        self._fields = {p.name: field_for(p, around, spec.remarks(p.name)) for p in spec.parameters}
        self._judging, self._is_following = threading.RLock(), False
        self._order = sorted_names(spec.parameters)
        self.box = self._arranged()
        for name, field in self._fields.items():
            # What only follows from others is nobody's choice, and would stay when they change.
            if name in allowed and (values.get(name) is not None or _has_default(field)):
                field.give(allowed[name])
            field.on_change = self._take_change
        self._judge()  # a file may have been read already, and nobody has heard what is wrong

    @property
    def values(self) -> dict[str, object]:
        """What is given, by parameter."""
        given = {name: field.given for name, field in self._own.items()}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def allowed(self) -> dict[str, object]:
        """Those values that are allowed as they are, defaults filled in."""
        allowed = check(self.spec, self.values, self.lengths_s)[0]
        # What a sum was stays on screen while what it sums up is wrong, and so does its price.
        stale = [e.field for e in self._sums if e.of in self.values and e.of not in allowed]
        shown = {name: self._fields[name].given for name in self._following & {*stale}}
        return allowed | shown

    @property
    def price_credits(self) -> float | None:
        """What it costs by our table, as far as that is known."""
        return price_credits(self.spec, self.allowed, self.lengths_s)

    @property
    def written(self) -> dict[str, object]:
        """What is given, as it is written in a cell."""
        words = {name: field.written for name, field in self._own.items()}
        return {name: word for name, word in words.items() if word is not None}

    @property
    def sources(self) -> dict[str, object]:
        """How files, and rows that may have some, are written in a cell."""
        return {
            name: word
            for name, word in self.written.items()
            if isinstance(self._fields[name], MediaField | RowsField)
        }

    @property
    def lengths_s(self) -> dict[str, float]:
        """How long the videos and sounds are that were read, by parameter."""
        lengths = {
            name: field.length_s
            for name, field in self._fields.items()
            if isinstance(field, MediaField)
        }
        return {name: length_s for name, length_s in lengths.items() if length_s is not None}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the warnings about the files that were read."""
        fields = self._fields.items()
        sizes_px = {n: field.sizes_px for n, field in fields if isinstance(field, MediaField)}
        return warnings_of(self.spec.advisories, MediaFacts(self.lengths_s, sizes_px))

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each control that holds a value, by its name."""
        return {n: i for field in self._fields.values() for n, i in field.controls.items()}

    @property
    def kept(self) -> Kept:
        """What the fields hold, for a form of another model."""
        held = {name: field.kept for name, field in self._fields.items()}
        return {name: value for name, value in held.items() if value not in (None, ())}

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold what a page shows in the controls: it may be ahead of what has arrived."""
        for field in self._fields.values():
            field.hold(shown)

    def fill(self, values: Values, written: Mapping[str, object]) -> None:
        """Hold the values of another request, as far as they are allowed here."""
        given = {name: value for name, value in values.items() if name in self._fields}
        allowed = check(self.spec, given)[0]
        for name, value in given.items():
            field = self._fields[name]
            if name in allowed:
                field.give(allowed[name], written.get(name))
            elif field.keeps_wrong:
                field.give(value)

    def start_from(self, values: Values, written: Mapping[str, object]) -> None:
        """Hold another request and nothing else: what it did not give is as in a new form."""
        usual = check(self.spec, {})[0]
        for name, field in self._fields.items():
            if name in values:
                continue
            if name in usual and _has_default(field):
                field.give(usual[name])
            else:
                field.clear()
        self.fill(values, written)

    def take_picture(self, content: bytes, name: str) -> None:
        """Hold a picture in the first field that takes one."""
        for field in self._fields.values():
            if isinstance(field, MediaField) and field.medium == "image":
                field.take((FileValue(content, "picture", name),))
                return

    def take_over(self, kept: Kept) -> None:
        """Hold what another form held, as far as it is allowed here."""
        plain = {n: value for n, value in kept.items() if not isinstance(value, tuple)}
        self.fill(plain, {})
        for name, value in kept.items():
            field = self._fields.get(name)
            if isinstance(field, MediaField) and isinstance(value, tuple):
                field.take(value)

    def judge_all(self) -> None:
        """Show every problem, also of fields that nobody has touched."""
        for field in self._fields.values():
            field.touch()
        self._judge()

    def take_problems(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Show problems that somebody else found; returns those that no field is about."""
        with self._judging:
            for problem in problems:
                field = self._fields.get(_root(problem))
                if field is not None:
                    field.blame(problem)
            self.judge_all()
            shown = {problem.field for problem in self.problems}
            return tuple(problem for problem in problems if _root(problem) not in shown)

    def close(self) -> None:
        """Take the form away."""
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
    def _own(self) -> dict[str, Field]:
        """The fields whose value is a person's, and does not follow from others."""
        return {n: field for n, field in self._fields.items() if n not in self._following}

    def _take_change(self, field: Field) -> None:
        with self._judging:
            if self._is_following:  # what is written there is no person's choice
                return
            field.is_touched = True
            # The last word counts: a sum that is set stays, until what it sums up is changed.
            self._following.discard(field.parameter.name)
            name = field.parameter.name
            self._following.update(each.field for each in self._sums if each.of == name)
            self._judge()

    def _judge(self) -> None:
        with self._judging:
            allowed, problems = check(self.spec, self.values, self.lengths_s)
            found = {problem.field: problem for problem in problems}
            for name, field in self._fields.items():
                if field.fault:
                    # A file that was refused says more than that there is none.
                    found[name] = Problem(name, field.fault, field.parameter.kind.allowed)
            self._show(found)
            self._follow(allowed, found)
            if self.on_change is not None:
                self.on_change()

    def _show(self, found: Mapping[str, Problem]) -> None:
        """Tell each field what is wrong with it, if a person is to see it now."""
        wrong = {name: found.get(name) for name in self._fields}
        shown = {n: each for n, each in wrong.items() if each and self._fields[n].shows(each)}
        self.problems = tuple(shown[name] for name in self._order if name in shown)
        for name, field in self._fields.items():
            field.tell(shown.get(name))

    def _follow(self, allowed: Values, found: Mapping[str, Problem]) -> None:
        """Show what follows from others where nobody chose it; while those are wrong it stays."""
        self._is_following = True
        for each in self._sums:
            if each.field in self._following & allowed.keys() and each.of not in found:
                self._fields[each.field].give(allowed[each.field])
        self._is_following = False


def _allowed_at_first(spec: ModelSpec, values: Values) -> dict[str, object]:
    given = {name: value for name, value in values.items() if value is not None}
    allowed, problems = check(spec, given)
    problems = tuple(problem for problem in problems if problem.field in given)
    if problems:
        raise InvalidInput(problems)
    return allowed


def _has_default(field: Field) -> bool:
    return field.parameter.default is not None


def _root(problem: Problem) -> str:
    """The parameter that a problem is about, also where it is about one of several records."""
    return problem.field.partition("[")[0]


def field_for(parameter: Parameter, around: Surroundings, remarks: Sequence[str] = ()) -> Field:
    """The field of a parameter, by its kind."""
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
            return MediaField(parameter, kind, around, remarks)
        case Records() as kind:
            return RowsField(parameter, kind, lambda column: field_for(column, around), remarks)
        case _:
            assert_never(parameter.kind)


def check(
    spec: ModelSpec, values: Values, lengths_s: Mapping[str, float] | None = None
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """The values that are allowed, and the problems of all others.

    Args:
        spec: The model.
        values: What was given.
        lengths_s: How long the videos and sounds are that were read, by parameter.
    """
    try:
        allowed = validate(spec, values)
        return allowed, tuple(judge_lengths(spec, allowed, lengths_s or {}))
    except InvalidInput as invalid:
        bad = {problem.field for problem in invalid.problems}
        kept = tuple(p for p in spec.parameters if p.name not in bad)
        implied = tuple(
            e for e in spec.implied if isinstance(e, Told | Unsent) or e.field not in bad
        )
        fine: Mapping[str, object] = {n: value for n, value in values.items() if n not in bad}
        # Without its rules, which may be about a field that is left out here.
        allowed = validate(replace(spec, parameters=kept, rules=(), implied=implied), fine)
        known = {n: length_s for n, length_s in (lengths_s or {}).items() if n in allowed}
        long = [p for p in judge_lengths(spec, allowed, known) if p.field in known]
        return allowed, (*invalid.problems, *long)
