"""One field for each kind of parameter: what it holds, and what is wrong with it.

A field turns a parameter into a control and the control into a given value. It judges nothing: the
problem that stands beside it is told to it. Pictures have their own module, `pictures`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ..kinds import Choice, Flag, Number, Text
from ..specs import Parameter
from .controls import Control, Picker

__all__ = [
    "ChoiceField",
    "Field",
    "FlagField",
    "NumberField",
    "PlainField",
    "TextField",
    "label_of",
    "words_of",
]

_FEW = 4
"""Up to so many choices are buttons side by side; more are a list."""


class Field(ABC):
    """A parameter as a person sees it.

    Args:
        parameter: What it is for.
        control: What a person works with.
    """

    def __init__(self, parameter: Parameter, control: Control | Picker) -> None:
        self.parameter, self.control = parameter, control
        self.on_change: Callable[[Field], None] | None = None
        """Called after each change, also from the portal's thread."""

    @property
    @abstractmethod
    def given(self) -> object | None:
        """The value as it would be given in Python; None when there is none."""

    @property
    def written(self) -> object | None:
        """The value as it is written in a cell."""
        return self.given

    @abstractmethod
    def give(self, value: object, written: str = "") -> None:
        """Hold this value, which was validated; `written` is how it reads in a cell."""

    @abstractmethod
    def clear(self) -> None:
        """Hold what a field of a new form holds, apart from its default."""

    def hold(self, shown: object) -> None:
        """Hold what a page shows in the control."""
        self.control.value = shown

    def tell(self, problem: str) -> None:
        """Show what is wrong, or nothing."""
        self.control.problem = problem

    def changed(self, _: object = None) -> None:
        """Say that the value has changed."""
        if self.on_change is not None:
            self.on_change(self)

    def close(self) -> None:
        """Take the field away."""
        self.on_change = None
        self.control.close()


class PlainField(Field):
    """A field whose control holds the value as it is."""

    def __init__(self, parameter: Parameter, kind: str, note: str = "", **traits: Any) -> None:
        traits |= words_of(parameter, note) | {"kind": kind}
        self._at_first = traits.get("value")
        super().__init__(parameter, Control(**traits))
        self.control.observe(self.changed, "value")

    @property
    def given(self) -> object | None:
        """What is in the control; nothing where it is empty."""
        value: object = self.control.value
        return None if value == "" else value

    def give(self, value: object, _written: str = "") -> None:
        """Show this value."""
        self.control.value = value

    def clear(self) -> None:
        """Show what is shown at first."""
        self.control.value = self._at_first


class TextField(PlainField):
    """Several lines of text with a live count."""

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
    def given(self) -> object | None:
        """The text as it was typed; None while it is blank."""
        value = self.control.value
        return None if isinstance(value, str) and not value.strip() else value


class ChoiceField(PlainField):
    """Buttons for a few options, a list for many."""

    def __init__(self, parameter: Parameter, kind: Choice, remarks: Sequence[str] = ()) -> None:
        options = [[option, f"{option} {kind.unit}".strip()] for option in kind.options]
        if parameter.default is None:
            options.insert(0, ["", "not set"])
        super().__init__(
            parameter,
            "segments" if len(options) <= _FEW else "list",
            note="; ".join((parameter.help, *remarks)),
            options=options,
            value=options[0][0],
        )


class FlagField(PlainField):
    """A switch."""

    def __init__(self, parameter: Parameter, _: Flag, remarks: Sequence[str] = ()) -> None:
        note = "; ".join((parameter.help, *remarks))
        super().__init__(parameter, "switch", note=note, value=False)


class NumberField(PlainField):
    """A number in its limits; an empty one is not sent."""

    def __init__(self, parameter: Parameter, kind: Number, remarks: Sequence[str] = ()) -> None:
        super().__init__(
            parameter,
            "number",
            note="; ".join((f"{parameter.help}, {kind.low:g} to {kind.high:g}", *remarks)),
            placeholder="not sent" if parameter.default is None else str(parameter.default),
            limits=[kind.low, kind.high, kind.step],
        )


def label_of(parameter: Parameter) -> str:
    """The parameter's name as a label: `Aspect ratio`."""
    return parameter.name.replace("_", " ").capitalize()


def words_of(parameter: Parameter, note: str) -> dict[str, Any]:
    """What every control is told of its parameter."""
    return {
        "name": parameter.name,
        "label": label_of(parameter),
        "note": note,
        "required": not _may_lack(parameter),
    }


def _may_lack(parameter: Parameter) -> bool:
    return not parameter.required and parameter.default is None
