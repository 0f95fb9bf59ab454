"""The form of a model: a field for each parameter of its spec, and what is wrong with them.

Made from the spec alone: it names no model and no parameter. The one validator judges; a field is
judged once a person has touched it, and all of them when a clip is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import ipywidgets as widgets

from ..errors import InvalidInput, Problem
from ..kinds import Choice, Flag, Media, Number, Text
from ..specs import ModelSpec, Parameter, Values, validate
from .fields import ChoiceField, Field, FlagField, NumberField, TextField, label_of
from .pictures import Chosen, PictureField, Surroundings

__all__ = ["Form", "Kept", "check", "field_for"]

_PREDICATES = ("is ", "has ", "does ")
"""How what is wrong begins where it is said of the field."""

Kept = dict[str, object]
"""What fields held, by parameter; pictures as a tuple of `Chosen`."""


class Form:
    """The fields of a model.

    Args:
        spec: The model.
        values: What the fields hold at first.
        around: What the name of a picture may mean.

    Raises:
        InvalidInput: Values that were given are not allowed.
    """

    def __init__(self, spec: ModelSpec, values: Values, around: Surroundings) -> None:
        self.spec = spec
        self.on_change: Callable[[], None] | None = None
        """Called after each change of a value or a problem, also from the portal's thread."""
        self.problems: tuple[Problem, ...] = ()
        """Those that are shown, in the order of the fields."""
        allowed = _allowed_at_first(spec, values)
        self._fields = {p.name: field_for(p, around, spec.remarks(p.name)) for p in spec.parameters}
        self._touched: set[str] = set()
        self._judging = threading.RLock()
        self.box = widgets.HBox([field.control for field in self._fields.values()])
        self.box.add_class("kling-form")
        for name, field in self._fields.items():
            field.on_change = self._take_change
            if name in allowed:
                field.give(allowed[name])
        self._touched.clear()

    @property
    def values(self) -> dict[str, object]:
        """What is given, by parameter."""
        given = {name: field.given for name, field in self._fields.items()}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def allowed(self) -> dict[str, object]:
        """Those values that are allowed as they are, defaults filled in."""
        return check(self.spec, self.values)[0]

    @property
    def written(self) -> dict[str, object]:
        """What is given, as it is written in a cell."""
        words = {name: field.written for name, field in self._fields.items()}
        return {name: word for name, word in words.items() if word is not None}

    @property
    def sources(self) -> dict[str, str]:
        """How the pictures are written in a cell."""
        names = [parameter.name for parameter in self.spec.media]
        return {name: str(word) for name, word in self.written.items() if name in names}

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each field's control."""
        return {name: field.control.model_id for name, field in self._fields.items()}

    @property
    def kept(self) -> Kept:
        """What the fields hold, for a form of another model."""
        return {
            name: field.chosen if isinstance(field, PictureField) else field.given
            for name, field in self._fields.items()
            if field.given is not None
        }

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold what a page shows in the controls: it may be ahead of what has arrived."""
        for name, value in shown.items():
            if name in self._fields:
                self._fields[name].hold(value)

    def fill(self, values: Values, written: Mapping[str, str]) -> None:
        """Hold the values of another request, as far as they are allowed here."""
        given = {name: value for name, value in values.items() if name in self._fields}
        allowed = check(self.spec, given)[0]
        for name, value in given.items():
            field = self._fields[name]
            if name in allowed:
                field.give(allowed[name], written.get(name, ""))
            elif isinstance(field, TextField):  # a text too long is not thrown away
                field.give(value)

    def start_from(self, values: Values, written: Mapping[str, str]) -> None:
        """Hold another request and nothing else: what it did not give is as in a new form."""
        usual = check(self.spec, {})[0]
        for name, field in self._fields.items():
            if name in values:
                continue
            if name in usual:
                field.give(usual[name])
            else:
                field.clear()
        self.fill(values, written)

    def take_picture(self, content: bytes, name: str) -> None:
        """Hold a picture in the first field that takes one."""
        for field in self._fields.values():
            if isinstance(field, PictureField):
                field.take((Chosen(content, "picture", name),))
                return

    def take_over(self, kept: Kept) -> None:
        """Hold what another form held, as far as it is allowed here."""
        plain = {n: value for n, value in kept.items() if not isinstance(value, tuple)}
        self.fill(plain, {})
        for name, value in kept.items():
            field = self._fields.get(name)
            if isinstance(field, PictureField) and isinstance(value, tuple):
                field.take(value)

    def judge_all(self) -> None:
        """Show every problem, also of fields that nobody has touched."""
        self._touched.update(self._fields)
        self._judge()

    def take_problems(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Show problems that somebody else found; returns those that no field is about."""
        with self._judging:
            for problem in problems:
                field = self._fields.get(problem.field)
                if isinstance(field, PictureField) and field.given is not None:
                    field.fault = problem.given
            self.judge_all()
            shown = {problem.field for problem in self.problems}
            return tuple(problem for problem in problems if problem.field not in shown)

    def close(self) -> None:
        """Take the form away."""
        self.on_change = None
        for field in self._fields.values():
            field.close()
        self.box.close()

    def _take_change(self, field: Field) -> None:
        self._touched.add(field.parameter.name)
        self._judge()

    def _judge(self) -> None:
        with self._judging:
            found = {problem.field: problem for problem in check(self.spec, self.values)[1]}
            for parameter in self.spec.media:
                field = self._fields[parameter.name]
                if isinstance(field, PictureField) and field.fault:
                    # A file that was refused says more than that there is none.
                    found[parameter.name] = Problem(
                        parameter.name, field.fault, parameter.kind.allowed
                    )
            shown = {n: found[n] for n in self._fields if n in found and n in self._touched}
            self.problems = tuple(shown.values())
            for name, field in self._fields.items():
                field.tell(_words(shown.get(name), field))
            if self.on_change is not None:
                self.on_change()


def _allowed_at_first(spec: ModelSpec, values: Values) -> dict[str, object]:
    given = {name: value for name, value in values.items() if value is not None}
    allowed, problems = check(spec, given)
    problems = tuple(problem for problem in problems if problem.field in given)
    if problems:
        raise InvalidInput(problems)
    return allowed


def _words(problem: Problem | None, field: Field) -> str:
    if problem is None:
        return ""
    # What is wrong inside a picture says by itself what to do.
    is_fault = isinstance(field, PictureField) and problem.given == field.fault
    words = problem.given if is_fault else f"{problem.given}; {problem.allowed}"
    label = f"{label_of(field.parameter)} " if words.startswith(_PREDICATES) else ""
    return label + words


def check(spec: ModelSpec, values: Values) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """The values that are allowed, and the problems of all others."""
    try:
        return validate(spec, values), ()
    except InvalidInput as invalid:
        bad = {problem.field for problem in invalid.problems}
        kept = tuple(p for p in spec.parameters if p.name not in bad)
        fine: Mapping[str, object] = {n: value for n, value in values.items() if n not in bad}
        # Without its rules, which may be about a field that is left out here.
        return validate(replace(spec, parameters=kept, rules=()), fine), invalid.problems


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
            return PictureField(parameter, kind, around, remarks)
        case _:
            assert_never(parameter.kind)
