"""One control for each kind of parameter: its label, what it holds, what is wrong with it.

A field turns a parameter into widgets and the widgets into a given value. It judges nothing: the
problem that stands beside it is told to it. Pictures have their own module, `pictures`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from ..html.markup import escape, tag
from ..html.units import one_line
from ..kinds import Choice, Flag, Number, Text
from ..specs import Parameter

__all__ = [
    "ChoiceField",
    "Field",
    "FlagField",
    "NumberField",
    "TextField",
    "help_of",
    "label_of",
    "put",
    "quiet",
]

_FEW = 4
"""Up to so many choices are buttons side by side; more are a list."""


class Field(ABC):
    """A parameter as a person sees it.

    Args:
        parameter: What it is for.
        controls: What a person works with, in the order of the Tab key.
        note: What stands below them while nothing is wrong.
    """

    def __init__(self, parameter: Parameter, *controls: Any, note: str = "") -> None:
        self.parameter = parameter
        self.on_change: Callable[[Field], None] | None = None
        """Called after each change, also from the portal's thread."""
        self.note, self.problem = widgets.HTML(), widgets.HTML()
        put(self.note, quiet(note))
        put(self.problem, "")
        self.box = widgets.VBox([*controls, self.note, self.problem])
        self.box.add_class("kling-field")
        self.box.add_class(f"kling-field-{type(parameter.kind).__name__.lower()}")

    @property
    @abstractmethod
    def given(self) -> object | None:
        """The value as it would be given in Python; None when there is none."""

    @property
    def written(self) -> object | None:
        """The value as it is written in a cell."""
        return self.given

    @abstractmethod
    def give(self, value: object) -> None:
        """Hold this value, which was validated."""

    def tell(self, problem: str) -> None:
        """Show what is wrong, or nothing."""
        said = tag("p", "", escape(problem), classes="kling-problem", role="alert")
        put(self.problem, said if problem else "")
        (self.box.add_class if problem else self.box.remove_class)("kling-wrong")

    def changed(self, _: object = None) -> None:
        """Say that the value has changed."""
        if self.on_change is not None:
            self.on_change(self)


class TextField(Field):
    """Several lines of text with a live count."""

    def __init__(self, parameter: Parameter, kind: Text) -> None:
        self._limit = kind.max_chars
        self._area = widgets.Textarea(
            description=label_of(parameter), placeholder=help_of(parameter), rows=3
        )
        super().__init__(parameter, self._area)
        self.note.add_class("kling-count")
        self._count()
        self._area.observe(self._count, "value")
        self._area.observe(self.changed, "value")

    @property
    def given(self) -> str | None:
        """The text as it was typed; None while it is blank."""
        text = str(self._area.value)
        return text if text.strip() else None

    def give(self, value: object) -> None:
        """Hold this text."""
        self._area.value = str(value)

    def _count(self, _: object = None) -> None:
        # Blank ends are not sent and so are not counted.
        length = len(str(self._area.value).strip())
        over = "kling-over" if length > self._limit else ""
        words = escape(f"{length:,} / {self._limit:,}")
        put(self.note, tag("p", "", words, classes=f"kling-quiet-note {over}".strip()))


class ChoiceField(Field):
    """Buttons for a few options, a list for many."""

    def __init__(self, parameter: Parameter, kind: Choice) -> None:
        options = [(f"{option} {kind.unit}".strip(), option) for option in kind.options]
        if parameter.default is None:
            options.insert(0, ("not set", ""))
        few = len(options) <= _FEW
        self._control = (widgets.ToggleButtons if few else widgets.Dropdown)(
            options=options, description=label_of(parameter), tooltip=parameter.help
        )
        if few:
            self._control.tooltips = [f"{parameter.help}: {words}" for words, _ in options]
        super().__init__(parameter, self._control, note=help_of(parameter))
        self._control.observe(self.changed, "value")

    @property
    def given(self) -> str | None:
        """The chosen option."""
        return self._control.value or None

    def give(self, value: object) -> None:
        """Choose this option."""
        self._control.value = value


class FlagField(Field):
    """A box to tick."""

    def __init__(self, parameter: Parameter, _: Flag) -> None:
        self._box = widgets.Checkbox(
            value=False, description=label_of(parameter), indent=False, tooltip=parameter.help
        )
        super().__init__(parameter, self._box, note=parameter.help)
        self._box.observe(self.changed, "value")

    @property
    def given(self) -> bool:
        """Whether it is ticked."""
        return bool(self._box.value)

    def give(self, value: object) -> None:
        """Tick it or not."""
        self._box.value = bool(value)


class NumberField(Field):
    """A number in its limits; one that may be left out has a box that lets it in."""

    def __init__(self, parameter: Parameter, kind: Number) -> None:
        read = int if kind.integer else float
        control = widgets.BoundedIntText if kind.integer else widgets.BoundedFloatText
        self._number = control(
            value=read(kind.low),
            min=read(kind.low),
            max=read(kind.high),
            step=read(kind.step),
            description=label_of(parameter),
            tooltip=parameter.help,
        )
        self._is_set = widgets.Checkbox(
            value=parameter.required, description=f"send {label_of(parameter)}", indent=False
        )
        optional = () if parameter.required or parameter.default is not None else (self._is_set,)
        self._is_set.value = not optional
        self._number.disabled = bool(optional)
        limits = f"{kind.low:g} to {kind.high:g}"
        super().__init__(parameter, *optional, self._number, note=f"{parameter.help}, {limits}")
        self._number.observe(self.changed, "value")
        self._is_set.observe(self._let_in, "value")

    @property
    def given(self) -> float | None:
        """The number; None while it is left out."""
        return self._number.value if self._is_set.value else None

    def give(self, value: object) -> None:
        """Hold this number and let it in."""
        self._number.value = value
        self._is_set.value = True

    def _let_in(self, _: object) -> None:
        self._number.disabled = not self._is_set.value
        self.changed()


def label_of(parameter: Parameter) -> str:
    """The parameter's name as a label: `Aspect ratio`."""
    return parameter.name.replace("_", " ").capitalize()


def help_of(parameter: Parameter) -> str:
    """What the parameter does, and whether it may be left out."""
    may_lack = not parameter.required and parameter.default is None
    return f"{parameter.help} (optional)" if may_lack else parameter.help


def put(widget: Any, markup: str) -> None:
    """Show this in an HTML widget; without anything to show it takes no room."""
    widget.value = markup
    widget.layout.display = None if markup else "none"


def quiet(text: str) -> str:
    """A line of small print as HTML; empty for no text."""
    return tag("p", "", escape(one_line(text)), classes="kling-quiet-note") if text else ""
