"""What follows from what was given: values that nobody has to write.

Data in a `ModelSpec`, as rules are. A `Filled` or a `Summed` is the value of a field that was left
out; a `Told` is a flag that the service wants beside what it tells already; `Unsent` names what the
service does not take in one form of a request. Knows no model and no kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .conditions import When
from .rules import sum_of

__all__ = ["Filled", "Implied", "Summed", "Told", "Unsent"]


@dataclass(frozen=True, slots=True)
class Filled:
    """Where neither `field` nor `without` is given, `field` is `value`."""

    field: str
    value: object
    without: str

    def follows(self, given: Mapping[str, object]) -> object | None:
        """The field's value; None where nothing follows."""
        return None if self.without in given else self.value

    def why(self, value: object) -> str:
        """Where a value that is not allowed is from."""
        return f"is {value} without {self.without}"


@dataclass(frozen=True, slots=True)
class Summed:
    """Where `field` is left out, it is what the records of `of` have together in `column`."""

    field: str
    of: str
    column: str

    def follows(self, given: Mapping[str, object]) -> object | None:
        """The field's value; None where nothing follows."""
        return sum_of(given.get(self.of), self.column)

    def why(self, value: object) -> str:
        """Where a value that is not allowed is from."""
        return f"the {self.of} have {value:g} together"


@dataclass(frozen=True, slots=True)
class Told:
    """The service's flag `sent_as` tells whether `of` is given; a person has no such field."""

    sent_as: str
    of: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """The service's `fields` are not sent in this form of a request.

    They stay part of the fingerprint, so that requests made before keep theirs.
    """

    fields: tuple[str, ...]
    when: When


Implied = Filled | Summed | Told | Unsent
