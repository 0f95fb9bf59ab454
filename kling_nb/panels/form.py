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
from .fields import ChoiceField, Field, FlagField, NumberField, TextField
from .pictures import PictureField, Surroundings

__all__ = ["Form", "check", "field_for"]


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
        self._fields = {p.name: field_for(p, around) for p in spec.parameters}
        self._touched: set[str] = set()
        self._judging = threading.RLock()
        self.box = widgets.HBox([field.box for field in self._fields.values()])
        self.box.add_class("kling-form")
        self._fill(values)

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

    def _fill(self, values: Values) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        allowed, problems = check(self.spec, given)
        problems = tuple(problem for problem in problems if problem.field in given)
        if problems:
            raise InvalidInput(problems)
        for name, field in self._fields.items():
            field.on_change = self._take_change
            if name in allowed:
                field.give(allowed[name])
        self._touched.clear()

    def _take_change(self, field: Field) -> None:
        self._touched.add(field.parameter.name)
        self._judge()

    def _judge(self) -> None:
        with self._judging:
            values = self.values
            found = {problem.field: problem for problem in check(self.spec, values)[1]}
            for parameter in self.spec.media:
                field = self._fields[parameter.name]
                if isinstance(field, PictureField) and field.fault:
                    problem = Problem(parameter.name, field.fault, parameter.kind.allowed)
                    found.setdefault(parameter.name, problem)
            shown = {n: found[n] for n in self._fields if n in found and n in self._touched}
            self.problems = tuple(shown.values())
            for name, field in self._fields.items():
                field.tell(_words(shown.get(name), field))
            if self.on_change is not None:
                self.on_change()


def _words(problem: Problem | None, field: Field) -> str:
    if problem is None:
        return ""
    # What is wrong inside a picture says by itself what to do.
    is_fault = isinstance(field, PictureField) and problem.given == field.fault
    return problem.given if is_fault else f"{problem.given}; {problem.allowed}"


def check(spec: ModelSpec, values: Values) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """The values that are allowed, and the problems of all others."""
    try:
        return validate(spec, values), ()
    except InvalidInput as invalid:
        bad = {problem.field for problem in invalid.problems}
        kept = tuple(p for p in spec.parameters if p.name not in bad)
        fine: Mapping[str, object] = {n: value for n, value in values.items() if n not in bad}
        return validate(replace(spec, parameters=kept), fine), invalid.problems


def field_for(parameter: Parameter, around: Surroundings) -> Field:
    """The field of a parameter, by its kind."""
    match parameter.kind:
        case Text() as kind:
            return TextField(parameter, kind)
        case Choice() as kind:
            return ChoiceField(parameter, kind)
        case Flag() as kind:
            return FlagField(parameter, kind)
        case Number() as kind:
            return NumberField(parameter, kind)
        case Media() as kind:
            return PictureField(parameter, kind, around)
        case _:
            assert_never(parameter.kind)
