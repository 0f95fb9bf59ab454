"""Fields: one class for each kind of parameter, with its value and its validation message.

A field connects a parameter to a control. It does not validate: the form passes it the problem to
show. Files and records have their own modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from kling_nb.core.errors import Problem
from kling_nb.models.parameters import Choice, Flag, Number, Text
from kling_nb.models.spec import Parameter

from .widgets import Control, Labelled

_PREDICATES = ("is ", "has ", "does ")
"""First words of messages that need the field's label before them."""
_FEW = 4
_FEW_CHARS = 32
"""Limits for buttons: options, and characters in all. Larger choices are lists."""


class Field(ABC):
    """A parameter in the form."""

    keeps_invalid: ClassVar[bool] = False
    """Whether the field accepts invalid values, so that typed text is not lost."""

    def __init__(self, parameter: Parameter, control: Labelled) -> None:
        self.parameter, self.control = parameter, control
        self.is_touched = False
        """Whether the user has edited it."""
        self.on_change: Callable[[Field], None] | None = None
        """Called after each change, also from the background loop's thread."""

    @property
    @abstractmethod
    def value(self) -> object | None:
        """The value as in Python; None if there is none."""

    @property
    def written(self) -> object | None:
        """The value as written in a cell."""
        return self.value

    @property
    def kept(self) -> object | None:
        """The content, for a field of the same name in another form."""
        return self.value

    @property
    def error(self) -> str:
        """An error that validators cannot find, e.g. an unreadable file."""
        return ""

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each control in the field, by the control's name."""
        return {self.parameter.name: str(self.control.model_id)}

    @abstractmethod
    def set_value(self, value: object, written: object = None) -> None:
        """Set a validated value; `written` is how it is written in a cell."""

    @abstractmethod
    def clear(self) -> None:
        """Reset the field, without its default."""

    def sync_values(self, shown: Mapping[str, object]) -> None:
        """Set the value that a page shows, from the values of its controls by name."""
        if self.parameter.name in shown:
            self.control.set_trait("value", shown[self.parameter.name])

    def touch(self) -> None:
        """Show problems from now on, even if the user has not edited the field."""
        self.is_touched = True

    def shows(self, _problem: Problem) -> bool:
        """Whether the field shows that problem now."""
        return self.is_touched

    def add_problem(self, _problem: Problem) -> None:
        """Add a problem found elsewhere, e.g. by the service."""
        return

    def show_problem(self, problem: Problem | None) -> None:
        """Show a problem, or none."""
        self.control.problem = "" if problem is None else self._describe(problem)

    def changed(self, _: object = None) -> None:
        """Report that the value has changed."""
        if self.on_change is not None:
            self.on_change(self)

    def close(self) -> None:
        """Close the field."""
        self.on_change = None
        self.control.close()

    def _describe(self, problem: Problem) -> str:
        # The error of a file already says what to do.
        is_fault = bool(self.error) and problem.given == self.error
        words = problem.given if is_fault else f"{problem.given}; {problem.allowed}"
        label = f"{label_of(self.parameter)} " if words.startswith(_PREDICATES) else ""
        return label + words


class _PlainField(Field):
    """A field with the value of its control."""

    control: Control

    def __init__(self, parameter: Parameter, kind: str, note: str = "", **traits: Any) -> None:
        traits |= control_traits(parameter, note) | {"kind": kind}
        self._initial = traits.get("value")
        super().__init__(parameter, Control(**traits))
        self.control.observe(self.changed, "value")

    @property
    def value(self) -> object | None:
        """The value of the control; None if it is empty."""
        value: object = self.control.value
        return None if value == "" else value

    def set_value(self, value: object, _written: object = None) -> None:
        """Set the value of the control."""
        self.control.value = value

    def clear(self) -> None:
        """Set the initial value."""
        self.control.value = self._initial


class TextField(_PlainField):
    """Several lines of text with a live count."""

    keeps_invalid = True

    def __init__(self, parameter: Parameter, kind: Text, remarks: Sequence[str] = ()) -> None:
        super().__init__(
            parameter,
            "text",
            note="; ".join(remarks),
            placeholder=parameter.help,
            limits=[1, kind.max_chars],
            value="",
        )

    @property
    def value(self) -> object | None:
        """The text as typed; None if it is blank."""
        value = self.control.value
        return None if isinstance(value, str) and not value.strip() else value


class ChoiceField(_PlainField):
    """Buttons for a few short options, else a list."""

    def __init__(self, parameter: Parameter, kind: Choice, remarks: Sequence[str] = ()) -> None:
        options = [[option, kind.format_value(option)] for option in kind.options]
        if parameter.default is None:
            options.insert(0, ["", "not set"])
        chars = sum(len(words) for _, words in options)
        is_small = len(options) <= _FEW and chars <= _FEW_CHARS
        super().__init__(
            parameter,
            "segments" if is_small else "list",
            note="; ".join((parameter.help, *remarks)),
            options=options,
            value=options[0][0],
        )


class FlagField(_PlainField):
    """A switch."""

    def __init__(self, parameter: Parameter, kind: Flag, remarks: Sequence[str] = ()) -> None:
        note = "; ".join((parameter.help, *remarks))
        options = [[False, kind.off or "off"], [True, kind.on or "on"]]
        super().__init__(parameter, "switch", note=note, options=options, value=False)


class NumberField(_PlainField):
    """A number with limits; an empty one is not sent."""

    def __init__(self, parameter: Parameter, kind: Number, remarks: Sequence[str] = ()) -> None:
        scale = f"{kind.low:g} to {kind.high:g} {kind.unit}".rstrip()
        # The help may name the limits already.
        limits = () if scale in parameter.help else (scale,)
        empty = "" if parameter.required else "not sent"
        super().__init__(
            parameter,
            "number",
            note="; ".join((parameter.help, *limits, *remarks)),
            placeholder=empty if parameter.default is None else str(parameter.default),
            limits=[kind.low, kind.high, kind.step],
        )


def label_of(parameter: Parameter) -> str:
    """Return the label of a parameter: `Aspect ratio`; for `shots/2/prompt`, `Prompt`."""
    return parameter.name.rpartition("/")[2].replace("_", " ").capitalize()


def control_traits(parameter: Parameter, note: str) -> dict[str, Any]:
    """Return the traits of a control that describe its parameter."""
    return {
        "name": parameter.name,
        "label": label_of(parameter),
        "note": note,
        "required": not _is_optional(parameter),
    }


def _is_optional(parameter: Parameter) -> bool:
    return not parameter.required and parameter.default is None
