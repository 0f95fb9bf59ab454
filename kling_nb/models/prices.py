"""Prices of a model: data with a date and a source. Independent of models and service answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from .conditions import ALWAYS, When
from .parameters import ROUNDING_S

__all__ = ["Price", "PriceList"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs when its values are these."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    per_s_of: str = ""
    """Whose seconds multiply it: a parameter that holds them, or one of the media, as long as it
    is. Empty where the price is one for each clip."""
    or_s_of: str = ""
    """A second parameter: where its seconds are more, they count. For a price that is one a second
    where it is not known of what."""
    form: When = ALWAYS
    """The form of a request that the price applies to."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of a model in credits; the first line that fits counts."""

    lines: tuple[Price, ...]
    as_of: date
    source: str

    def credits(self, values: Mapping[str, object], lengths_s: Mapping[str, float]) -> float | None:
        """What these values cost in credits; None when no line fits or a length is not known.

        Args:
            values: By parameter.
            lengths_s: How long the media are, by parameter.
        """
        line = self.line(values)
        return None if line is None else _priced(line, values, lengths_s)

    def line(self, values: Mapping[str, object]) -> Price | None:
        """The line that counts for these values; None where none fits."""
        for line in self.lines:
            fits = all(values.get(name) == value for name, value in line.when.items())
            if fits and line.form.holds(values):
                return line
        return None


def _priced(
    line: Price, values: Mapping[str, object], lengths_s: Mapping[str, float]
) -> float | None:
    names = [name for name in (line.per_s_of, line.or_s_of) if name]
    seconds = [_seconds(name, values, lengths_s) for name in names]
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return None
    return line.credits * max(known, default=1)


def _seconds(
    name: str, values: Mapping[str, object], lengths_s: Mapping[str, float]
) -> float | None:
    """Return the billed seconds of a parameter, or None if they are unknown."""
    if name in lengths_s:
        return max(1, math.ceil(lengths_s[name] - ROUNDING_S))
    try:
        return float(str(values[name]))
    except (KeyError, ValueError):
        return None
