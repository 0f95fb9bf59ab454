"""Conditions: distinguish forms of a request by the fields that are set or missing.

Data for rules, prices and requests. Pure: must not depend on a model or on a parameter kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class When:
    """A form of a request; an empty part sets no condition."""

    given: tuple[str, ...] = ()
    """Fields that have a value."""
    without: tuple[str, ...] = ()
    """Fields that have none."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Fields and their exact number of values."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Return all fields that the condition uses."""
        return (*self.given, *self.without, *self.counts)

    @property
    def words(self) -> str:
        """Return the condition in words: `with 1 image and without shots`."""
        parts = [f"with {name}" for name in self.given]
        parts += [f"with {count} {name}" for name, count in self.counts.items()]
        parts += [f"without {name}" for name in self.without]
        return " and ".join(parts)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Return whether these values meet the condition."""
        return (
            all(has_value(values, name) for name in self.given)
            and not any(has_value(values, name) for name in self.without)
            and all(count_of(values.get(name)) == count for name, count in self.counts.items())
        )


ALWAYS = When()
"""The condition that every request meets."""


def has_value(values: Mapping[str, object], name: str) -> bool:
    """Return whether a field has a value, including its default; a flag that is off has none."""
    return values.get(name, False) is not False


def count_of(value: object) -> int:
    """Return the number of items in a value: 0 for None, 1 for anything but a list."""
    if value is None:
        return 0
    return len(value) if isinstance(value, list | tuple) else 1
