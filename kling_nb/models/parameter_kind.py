"""The interface of all parameter kinds, and the exception for a value that is not allowed.

Other modules call these methods and do not test for a kind; only the panel matches on the kind, to
choose a field. Must not depend on any kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from kling_nb.core.text import plain_lines

Medium = Literal["image", "video", "audio"]

LookUp = Callable[[object], object]
"""Returns what a text in a cell names, or its argument if it names nothing."""


class Rejected(Exception):
    """A value is not allowed; the validator makes a `Problem` of it."""

    def __init__(self, given: str, advice: str = "") -> None:
        super().__init__(given)
        self.given = given
        self.advice = advice
        """What to do; only if `given` already states what is allowed."""


class ParameterKind(ABC):
    """What a kind must provide; the defaults suit a kind with one plain value."""

    __slots__ = ()

    @property
    @abstractmethod
    def takes(self) -> str:
        """Return the allowed values, for a table."""

    @property
    def allowed(self) -> str:
        """Return the allowed values, for an error message."""
        return f"allowed: {self.takes}"

    @abstractmethod
    def parse(self, value: object) -> object:
        """Return the value for a request, or raise `Rejected`."""

    def parse_earlier(self, value: str) -> str:
        """Return the text that versions before normalization sent; old fingerprints use it."""
        return plain_lines(value)

    @property
    def medium(self) -> Medium | None:
        """Return the medium if the value is uploaded, else None."""
        return None

    @property
    def is_multiple(self) -> bool:
        """Return whether several files may be given."""
        return False

    @property
    def longest_s(self) -> float | None:
        """Return the highest value as a duration in seconds, or None without a limit."""
        return None

    def format_value(self, value: object) -> str:
        """Return a parsed value for people; empty if it is not worth a mention."""
        return str(value)

    @property
    def is_labelled(self) -> bool:
        """Return whether a formatted value needs the parameter's name before it."""
        return False

    # The option in a `%%kling` line

    @property
    def is_switch(self) -> bool:
        """Return whether the option has a `--no-` form instead of a value."""
        return False

    @property
    def is_source(self) -> bool:
        """Return whether the option takes a file, a URL or the name of a variable."""
        return False

    @property
    def argparse_settings(self) -> dict[str, Any]:
        """Return keyword arguments for `add_argument`."""
        return {"metavar": "X"}

    @property
    def option_takes(self) -> str:
        """Return what the option takes, for a table."""
        return self.takes

    @property
    def option_note(self) -> str:
        """Return the allowed values, to follow the parameter's own help text."""
        return ""

    def choices(self) -> tuple[str, ...]:
        """Return the values that completion offers."""
        return ()

    def cell_texts(self, value: object) -> list[str]:
        """Return the value as unquoted texts in a cell, one for each option."""
        return [str(value)]

    def resolve(self, value: object, look_up: LookUp) -> tuple[object, object]:
        """Return the value with names of variables replaced, and the value to write in a cell."""
        return look_up(value), value

    # The value in a request

    def transform(self, value: object, path: str, change: Change) -> object:
        """Return the result of `change`; a kind with fields calls it for each field."""
        return change(self, value, path)

    def wire_value(self, value: object) -> object:
        """Return the value with the service's names of its fields."""
        return value

    def format_path(self, path: str) -> str:
        """Return the path of a value for people: `image`, or `element 2: images`."""
        return path


Change = Callable[[ParameterKind, object, str], object]
"""Takes a kind, a value and its path, e.g. `elements[1].images`; returns the new value, or None to
omit it."""


def as_tuple(value: object) -> tuple[object, ...]:
    """Return the items of a list or tuple, or any other value as the only item."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def wrong_count(number: int) -> str:
    """Return `1 was given` or `2 were given`, for a wrong number of values."""
    return f"{number} {'was' if number == 1 else 'were'} given"
