"""Fields: one class for each kind of parameter, with its value and its validation message.

A field turns a parameter into a control, and the control into a value. It validates nothing: it
shows the problem that the form passes to it. Media and records have their own modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from kling_nb.core.errors import Problem
from kling_nb.models.parameters import Choice, Flag, Number, Text
from kling_nb.models.spec import Parameter

from .widgets import Control, Labelled

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

_PREDICATES = ("is ", "has ", "does ")
"""How what is wrong begins where it is said of the field."""
_FEW = 4
_FEW_CHARS = 32
"""Up to so many choices, and so long together, are buttons side by side; others are a list."""


class Field(ABC):
    """A parameter as a person sees it.

    Args:
        parameter: What it is for.
        control: What a person works with.
    """

    keeps_wrong: ClassVar[bool] = False
    """Whether it holds a value that is not allowed, too: what was typed is not thrown away."""

    def __init__(self, parameter: Parameter, control: Labelled) -> None:
        self.parameter, self.control = parameter, control
        self.is_touched = False
        """Whether a person has worked with it."""
        self.on_change: Callable[[Field], None] | None = None
        """Called after each change, also from the background loop's thread."""

    @property
    @abstractmethod
    def given(self) -> object | None:
        """The value as it would be given in Python; None when there is none."""

    @property
    def written(self) -> object | None:
        """The value as it is written in a cell."""
        return self.given

    @property
    def kept(self) -> object | None:
        """What it holds, for a field of the same name in another form."""
        return self.given

    @property
    def fault(self) -> str:
        """What is wrong with what is there, which no validator sees: a file that is none."""
        return ""

    @property
    def controls(self) -> dict[str, str]:
        """The model id of each control in it, by the control's name."""
        return {self.parameter.name: str(self.control.model_id)}

    @abstractmethod
    def give(self, value: object, written: object = None) -> None:
        """Hold this value, which was validated; `written` is how it reads in a cell."""

    @abstractmethod
    def clear(self) -> None:
        """Hold what a field of a new form holds, apart from its default."""

    def hold(self, shown: Mapping[str, object]) -> None:
        """Hold what a page shows, by the names of `widgets`."""
        if self.parameter.name in shown:
            self.control.set_trait("value", shown[self.parameter.name])

    def touch(self) -> None:
        """Have it judged, whether or not a person has worked with it."""
        self.is_touched = True

    def shows(self, _problem: Problem) -> bool:
        """Whether a person is to see that problem now."""
        return self.is_touched

    def blame(self, _problem: Problem) -> None:
        """Hear of a problem that somebody else found in what it holds."""
        return

    def tell(self, problem: Problem | None) -> None:
        """Show what is wrong, or nothing."""
        self.control.problem = "" if problem is None else self._words(problem)

    def changed(self, _: object = None) -> None:
        """Say that the value has changed."""
        if self.on_change is not None:
            self.on_change(self)

    def close(self) -> None:
        """Take the field away."""
        self.on_change = None
        self.control.close()

    def _words(self, problem: Problem) -> str:
        # What is wrong inside a file says by itself what to do.
        is_fault = bool(self.fault) and problem.given == self.fault
        words = problem.given if is_fault else f"{problem.given}; {problem.allowed}"
        label = f"{label_of(self.parameter)} " if words.startswith(_PREDICATES) else ""
        return label + words


class PlainField(Field):
    """A field whose control holds the value as it is."""

    control: Control

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

    def give(self, value: object, _written: object = None) -> None:
        """Show this value."""
        self.control.value = value

    def clear(self) -> None:
        """Show what is shown at first."""
        self.control.value = self._at_first


class TextField(PlainField):
    """Several lines of text with a live count."""

    keeps_wrong = True

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
    """Buttons for a few short options, a list for others."""

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


class FlagField(PlainField):
    """A switch."""

    def __init__(self, parameter: Parameter, kind: Flag, remarks: Sequence[str] = ()) -> None:
        note = "; ".join((parameter.help, *remarks))
        options = [[False, kind.off or "off"], [True, kind.on or "on"]]
        super().__init__(parameter, "switch", note=note, options=options, value=False)


class NumberField(PlainField):
    """A number in its limits; an empty one is not sent."""

    def __init__(self, parameter: Parameter, kind: Number, remarks: Sequence[str] = ()) -> None:
        scale = f"{kind.low:g} to {kind.high:g} {kind.unit}".rstrip()
        # A help that names the ends itself is not told them twice.
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
    """The parameter's name as a label: `Aspect ratio`; of `shots/2/prompt` it is `Prompt`."""
    return parameter.name.rpartition("/")[2].replace("_", " ").capitalize()


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
