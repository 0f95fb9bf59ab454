"""Rules between the fields of a model: what needs, excludes or allows what.

A rule is data in a `ModelSpec`; it looks at values that are each allowed by themselves and names
the field where it can be mended. It knows no model and no kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import Problem

__all__ = [
    "Asked",
    "Excludes",
    "Needed",
    "NeededWithout",
    "Needs",
    "OneOf",
    "OnlyWith",
    "Rule",
    "broken_rules",
]

_MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule looks at."""

    values: Mapping[str, object]
    """Every value that would be used, defaults filled in."""
    defaults: Mapping[str, object]
    """What fields have by themselves."""

    def has(self, name: str) -> bool:
        """Whether the field has a value, be it its default; a flag that is off is none."""
        return self.values.get(name, False) is not False

    def chosen(self, name: str) -> bool:
        """Whether the field has a value that it would not have by itself."""
        if not self.has(name) or name not in self.defaults:
            return self.has(name)
        # What has no default is never compared: a picture may be an array, which has no truth.
        return self.values[name] != self.defaults[name]


@dataclass(frozen=True, slots=True)
class Needs:
    """Whoever gives `field` gives `other` too."""

    field: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"needs {self.other}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at the field that is missing."""
        if not asked.chosen(self.field) or asked.has(self.other):
            return None
        return Problem(self.other, _MISSING, f"{self.field} needs it; leave that out otherwise")


@dataclass(frozen=True, slots=True)
class Excludes:
    """`field` and `other` do not go together."""

    field: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"not together with {self.other}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        if not (asked.chosen(self.field) and asked.chosen(self.other)):
            return None
        return Problem(self.field, f"does not go with {self.other}", "leave one of the two out")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of these fields is given."""

    fields: tuple[str, ...]

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"give exactly one of {', '.join(self.fields)}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at the first field when none is given, else at the first too many."""
        given = [name for name in self.fields if asked.has(name)]
        if not given:
            return Problem(self.fields[0], _MISSING, self.says)
        if len(given) > 1:
            return Problem(given[1], f"is given beside {given[0]}", self.says)
        return None


@dataclass(frozen=True, slots=True)
class OnlyWith:
    """`field` is taken only while `other` has one of `values`."""

    field: str
    other: str
    values: tuple[object, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"only with {_setting(self.other, self.values)}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        if not asked.chosen(self.field) or _is_among(asked.values.get(self.other), self.values):
            return None
        setting = _setting(self.other, self.values)
        return Problem(self.field, f"is taken only with {setting}", "set that, or leave this out")


@dataclass(frozen=True, slots=True)
class Needed:
    """`field` has to be given while `other` has one of `values`."""

    field: str
    other: str
    values: tuple[object, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"needed with {_setting(self.other, self.values)}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        if asked.has(self.field) or not _is_among(asked.values.get(self.other), self.values):
            return None
        return Problem(self.field, _MISSING, self.says)


@dataclass(frozen=True, slots=True)
class NeededWithout:
    """`field` has to be given where `other` is not."""

    field: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"needed without {self.other}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        if asked.has(self.field) or asked.has(self.other):
            return None
        return Problem(self.field, _MISSING, f"give it, or {self.other}")


Rule = Needs | Excludes | OneOf | OnlyWith | Needed | NeededWithout


def broken_rules(
    rules: tuple[Rule, ...],
    values: Mapping[str, object],
    defaults: Mapping[str, object],
    *,
    unsure: frozenset[str] = frozenset(),
) -> list[Problem]:
    """Every problem of values that are each allowed by themselves, one for each field.

    Args:
        rules: The model's.
        values: What would be used, defaults filled in.
        defaults: What fields have by themselves.
        unsure: Fields that are wrong already; no rule about one of them is judged.
    """
    asked = Asked(values, defaults)
    found: dict[str, Problem] = {}
    for rule in rules:
        problem = None if unsure & {*rule.fields} else rule.problem(asked)
        if problem is not None:
            found.setdefault(problem.field, problem)
    return list(found.values())


def _is_among(value: object, values: tuple[object, ...]) -> bool:
    # True equals 1 in Python, and a flag is no number.
    return any(type(value) is type(each) and value == each for each in values)


def _setting(name: str, values: tuple[object, ...]) -> str:
    """A field and its values in words: `mode pro or 4K`, `sound on`."""
    words = {True: "on", False: "off"}
    said = [words[each] if isinstance(each, bool) else str(each) for each in values]
    return f"{name} {' or '.join(said)}"
