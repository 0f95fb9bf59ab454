"""Prices of a model: data with a date and a source. Knows no model and no service answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

__all__ = ["Price", "PriceList"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs when its values are these."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    per_s_of: str = ""
    """Whose seconds multiply it: a parameter that holds them, or one of the media, as long as it
    is. Empty where the price is one for each clip."""


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
            if all(values.get(name) == value for name, value in line.when.items()):
                return line
        return None


def _priced(
    line: Price, values: Mapping[str, object], lengths_s: Mapping[str, float]
) -> float | None:
    if not line.per_s_of:
        return line.credits
    if line.per_s_of in lengths_s:
        return line.credits * math.ceil(lengths_s[line.per_s_of] - 0.01)
    try:
        return line.credits * float(str(values[line.per_s_of]))
    except (KeyError, ValueError):
        return None
