"""Prices of a model: data with a date and a source. Independent of models and service answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from .parameters import ROUNDING_S
from .rules import ALWAYS, When


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a request with these values."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    per_s_of: str = ""
    """The parameter whose seconds multiply the price: a duration, or a video or audio input. Empty
    for a price per clip."""
    or_s_of: str = ""
    """A second parameter, which counts if it is longer; for a price per second if the sources do
    not say of what."""
    form: When = ALWAYS
    """The form of a request that the price applies to."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of a model in credits; the first matching line applies."""

    lines: tuple[Price, ...]
    as_of: date
    source: str

    def credits(
        self, values: Mapping[str, object], durations_s: Mapping[str, float]
    ) -> float | None:
        """Return the price in credits, or None without a matching line or a duration.

        Args:
            values: By parameter.
            durations_s: Durations of the media, by parameter.
        """
        line = self.line(values)
        return None if line is None else _priced(line, values, durations_s)

    def line(self, values: Mapping[str, object]) -> Price | None:
        """Return the line that applies to these values, or None."""
        for line in self.lines:
            fits = all(values.get(name) == value for name, value in line.when.items())
            if fits and line.form.holds(values):
                return line
        return None


def _priced(
    line: Price, values: Mapping[str, object], durations_s: Mapping[str, float]
) -> float | None:
    names = [name for name in (line.per_s_of, line.or_s_of) if name]
    seconds = [_seconds(name, values, durations_s) for name in names]
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return None
    return line.credits * max(known, default=1)


def _seconds(
    name: str, values: Mapping[str, object], durations_s: Mapping[str, float]
) -> float | None:
    """Return the billed seconds of a parameter, or None if they are unknown."""
    if name in durations_s:
        return max(1, math.ceil(durations_s[name] - ROUNDING_S))
    try:
        return float(str(values[name]))
    except (KeyError, ValueError):
        return None
