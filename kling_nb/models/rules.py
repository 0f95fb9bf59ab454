"""Rules between the fields of a model: one field requires, excludes, allows or implies another.

A rule is data in a `ModelSpec`, and so is `When`: a form of a request, by the fields that are set
or missing. A rule checks values that are each valid alone, and names the field to change. Must not
depend on a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kling_nb.core.errors import Problem

from .parameter_kind import wrong_count
from .parameters import ROUNDING_S


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


_MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class RuleInput:
    """The values that a rule checks."""

    values: Mapping[str, object]
    """Every value of the request, including defaults."""
    defaults: Mapping[str, object]
    """The default of each field."""
    durations_s: Mapping[str, float] = field(default_factory=dict)
    """Durations of video and audio inputs, by field; empty until the files are read."""

    def has(self, name: str) -> bool:
        """Return whether the field has a value or a default; a flag that is off has none."""
        return has_value(self.values, name)

    def chosen(self, name: str) -> bool:
        """Return whether the field has another value than its default."""
        if not self.has(name) or name not in self.defaults:
            return self.has(name)
        # Without a default nothing is compared: an image may be an array, without a truth value.
        return self.values[name] != self.defaults[name]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A rule between `field` and `other`."""

    field: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """Return all fields of the rule; its remark belongs to the first."""
        return self.field, self.other


@dataclass(frozen=True, slots=True)
class Needs(_Pair):
    """`field` requires `other`."""

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"needs {self.other}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at the missing field."""
        if not request.chosen(self.field) or request.has(self.other):
            return None
        advice = f"{self.field} needs it; give it, or leave {self.field} out"
        return Problem(self.other, _MISSING, advice)


@dataclass(frozen=True, slots=True)
class Excludes(_Pair):
    """`field` and `other` exclude each other."""

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"not allowed with {self.other}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        if not (request.chosen(self.field) and request.chosen(self.other)):
            return None
        return Problem(self.field, f"is not allowed with {self.other}", "leave one of the two out")


@dataclass(frozen=True, slots=True)
class OnlyWith(_Pair):
    """`field` is allowed only if `other` has one of `values`."""

    values: tuple[object, ...]

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"only with {_format_setting(self.other, self.values)}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        if not request.chosen(self.field) or _is_among(request.values.get(self.other), self.values):
            return None
        setting = _format_setting(self.other, self.values)
        return Problem(self.field, f"is allowed only with {setting}", "set that, or leave this out")


@dataclass(frozen=True, slots=True)
class NeededWithout(_Pair):
    """`field` is required without `other`."""

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"required without {self.other}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        if request.has(self.field) or request.has(self.other):
            return None
        return Problem(self.field, _MISSING, f"give it, or {self.other}")


@dataclass(frozen=True, slots=True)
class SumOf(_Pair):
    """`field` is the sum of `column` in the records of `other`."""

    column: str

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"with {self.other}, the sum of their {self.column}s"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        total = _sum_of(request.values.get(self.other), self.column)
        given = request.values.get(self.field)
        if total is None or given is None or float(str(given)) == total:
            return None
        return Problem(
            self.field,
            f"is {given}, but the {self.other} add up to {total:g}",
            f"set {total:g}, leave {self.field} out, or change the {self.other}",
        )


@dataclass(frozen=True, slots=True)
class LastsAtMost(_Pair):
    """A video or audio `field` lasts at most `longest_s` if `other` has one of `values`.

    Not checked without the duration.
    """

    values: tuple[object, ...]
    longest_s: float

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its first field."""
        return f"at most {self.longest_s:g} s with {_format_setting(self.other, self.values)}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        duration_s = request.durations_s.get(self.field, 0.0)
        if not _is_among(request.values.get(self.other), self.values):
            return None
        if duration_s <= self.longest_s + ROUNDING_S:
            return None
        advice = f"shorten it, or set another {self.other}"
        return Problem(self.field, f"lasts {duration_s:.1f} s", f"{self.remark}; {advice}")


class _InOneForm:
    """A rule for `field` in one form of a request."""

    __slots__ = ()
    field: str
    when: When

    @property
    def fields(self) -> tuple[str, ...]:
        """Return all fields of the rule."""
        return self.field, *self.when.fields


@dataclass(frozen=True, slots=True)
class AtMost(_InOneForm):
    """`field` has at most `most` values in this form of a request."""

    field: str
    most: int
    when: When

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its field."""
        return f"at most {self.most} {self.when.words}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        count = count_of(request.values.get(self.field))
        if count <= self.most or not self.when.holds(request.values):
            return None
        return Problem(self.field, wrong_count(count), f"allowed: {self.remark}")


@dataclass(frozen=True, slots=True)
class OneValueOf(_InOneForm):
    """`field` has one of `values` in this form of a request, or is omitted."""

    field: str
    values: tuple[object, ...]
    when: When

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its field."""
        return f"{self.when.words} only {_format_values(self.values)}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        value = request.values.get(self.field)
        if value is None or _is_among(value, self.values) or not self.when.holds(request.values):
            return None
        allowed = _format_values(self.values)
        advice = f"set {allowed}, or leave {self.field} out"
        return Problem(self.field, f"is {_format_values((value,))} {self.when.words}", advice)


@dataclass(frozen=True, slots=True)
class NotTaken(_InOneForm):
    """The service does not take `field` in this form; the validator omits its default."""

    field: str
    when: When

    @property
    def remark(self) -> str:
        """Return the rule as a remark on its field."""
        return f"not allowed {self.when.words}"

    def problem(self, request: RuleInput) -> Problem | None:
        """Return the problem, at `field`."""
        if not request.chosen(self.field) or not self.when.holds(request.values):
            return None
        return Problem(self.field, f"is {self.remark}", f"leave {self.field} out")


Rule = (
    Needs
    | Excludes
    | OnlyWith
    | NeededWithout
    | SumOf
    | LastsAtMost
    | AtMost
    | OneValueOf
    | NotTaken
)


def broken_rules(
    rules: tuple[Rule, ...], request: RuleInput, *, invalid: frozenset[str] = frozenset()
) -> list[Problem]:
    """Return the problems between values that are each valid, at most one for each field.

    Args:
        rules: The model's.
        request: The values and the defaults.
        invalid: Fields with a problem; their rules are not checked.
    """
    found: dict[str, Problem] = {}
    for rule in rules:
        problem = None if invalid & {*rule.fields} else rule.problem(request)
        if problem is not None:
            found.setdefault(problem.field, problem)
    return list(found.values())


def _sum_of(records: object, column: str) -> float | None:
    """Return the sum of a column, or None without records."""
    if not isinstance(records, tuple) or not records:
        return None
    return sum(float(str(record.get(column, 0))) for record in records)


def _is_among(value: object, values: tuple[object, ...]) -> bool:
    # True equals 1 in Python, but a flag is not a number.
    return any(type(value) is type(each) and value == each for each in values)


def _format_setting(name: str, values: tuple[object, ...]) -> str:
    """Return a field and its values in words: `mode pro or 4K`, `sound on`."""
    return f"{name} {_format_values(values)}"


def _format_values(values: tuple[object, ...]) -> str:
    """Return values in words: `pro or 4K`, `on`."""
    return " or ".join(
        ("on" if each else "off") if isinstance(each, bool) else str(each) for each in values
    )


@dataclass(frozen=True, slots=True)
class Filled:
    """`field` is `value` if neither `field` nor `without` is given."""

    field: str
    value: object
    without: str

    def follows(self, given: Mapping[str, object]) -> object | None:
        """Return the value of the field, or None."""
        return None if self.without in given else self.value

    def why(self, value: object) -> str:
        """Return the origin of a value, for an error message."""
        return f"is {value} without {self.without}"


@dataclass(frozen=True, slots=True)
class Summed:
    """`field` is by default the sum of `column` in the records of `of`."""

    field: str
    of: str
    column: str

    def follows(self, given: Mapping[str, object]) -> object | None:
        """Return the value of the field, or None."""
        return _sum_of(given.get(self.of), self.column)

    def why(self, value: object) -> str:
        """Return the origin of a value, for an error message."""
        return f"the {self.of} add up to {value:g}"


@dataclass(frozen=True, slots=True)
class PresenceFlag:
    """The service's flag `sent_as` is true if `of` is given; it is not a parameter."""

    sent_as: str
    of: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """The service's `fields` are not sent in this form of a request.

    The fingerprint includes them, so that older requests keep their fingerprints.
    """

    fields: tuple[str, ...]
    when: When


Implied = Filled | Summed | PresenceFlag | Unsent
