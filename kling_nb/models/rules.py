"""Rules between the fields of a model: one field requires, excludes, allows or implies another.

A rule is data in a `ModelSpec`. It checks values that are each valid alone, and names the field to
change. Must not depend on a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kling_nb.core.errors import Problem

from .conditions import When, count_of, has_value
from .parameter_kind import format_count
from .parameters import ROUNDING_S

__all__ = [
    "Asked",
    "AtMost",
    "Excludes",
    "Filled",
    "Implied",
    "LastsAtMost",
    "Needed",
    "NeededWithout",
    "Needs",
    "NotTaken",
    "OneOf",
    "OneValueOf",
    "OnlyWith",
    "Rule",
    "SumOf",
    "Summed",
    "Told",
    "Unsent",
    "broken_rules",
    "sum_of",
]

_MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule looks at."""

    values: Mapping[str, object]
    """Every value that would be used, defaults filled in."""
    defaults: Mapping[str, object]
    """What fields have by themselves."""
    lengths_s: Mapping[str, float] = field(default_factory=dict)
    """How long the videos and sounds are, by field; empty until somebody has opened them."""

    def has(self, name: str) -> bool:
        """Whether the field has a value, be it its default; a flag that is off is none."""
        return has_value(self.values, name)

    def chosen(self, name: str) -> bool:
        """Whether the field has a value that it would not have by itself."""
        if not self.has(name) or name not in self.defaults:
            return self.has(name)
        # What has no default is never compared: a picture may be an array, which has no truth.
        return self.values[name] != self.defaults[name]


@dataclass(frozen=True, slots=True)
class _Pair:
    """What `field` demands of `other`, or the other way round."""

    field: str
    other: str

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the rule is about; it is told at the first."""
        return self.field, self.other


@dataclass(frozen=True, slots=True)
class Needs(_Pair):
    """Whoever gives `field` gives `other` too."""

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
class Excludes(_Pair):
    """`field` and `other` do not go together."""

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
class OnlyWith(_Pair):
    """`field` is taken only while `other` has one of `values`."""

    values: tuple[object, ...]

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
class Needed(_Pair):
    """`field` has to be given while `other` has one of `values`."""

    values: tuple[object, ...]

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
class NeededWithout(_Pair):
    """`field` has to be given where `other` is not."""

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"needed without {self.other}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        if asked.has(self.field) or asked.has(self.other):
            return None
        return Problem(self.field, _MISSING, f"give it, or {self.other}")


@dataclass(frozen=True, slots=True)
class SumOf(_Pair):
    """`field` is what the records of `other` have together in their column `column`."""

    column: str

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"with {self.other} their {self.column}s together"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        total = sum_of(asked.values.get(self.other), self.column)
        given = asked.values.get(self.field)
        if total is None or given is None or float(str(given)) == total:
            return None
        return Problem(
            self.field,
            f"is {given}, and the {self.other} have {total:g} together",
            f"set {total:g}, leave {self.field} out, or change the {self.other}",
        )


@dataclass(frozen=True, slots=True)
class LastsAtMost(_Pair):
    """A video or sound `field` lasts at most `longest_s` while `other` has one of `values`.

    Nothing is said of it while its length is not known.
    """

    values: tuple[object, ...]
    longest_s: float

    @property
    def says(self) -> str:
        """The rule as a remark on its first field."""
        return f"at most {self.longest_s:g} s with {_setting(self.other, self.values)}"

    def problem(self, asked: Asked) -> Problem | None:
        """What is wrong, at `field`."""
        length_s = asked.lengths_s.get(self.field, 0.0)
        if not _is_among(asked.values.get(self.other), self.values):
            return None
        if length_s <= self.longest_s + ROUNDING_S:
            return None
        advice = f"shorten it, or set another {self.other}"
        return Problem(self.field, f"lasts {length_s:.1f} s", f"{self.says}; {advice}")


class _InOneForm:
    """What one form of a request demands of `field`."""

    __slots__ = ()
    field: str
    when: When

    @property
    def fields(self) -> tuple[str, ...]:
        """Return all fields that the rule is about."""
        return self.field, *self.when.fields


@dataclass(frozen=True, slots=True)
class AtMost(_InOneForm):
    """`field` holds at most `most` in this form of a request."""

    field: str
    most: int
    when: When

    @property
    def says(self) -> str:
        """Return the rule as a remark on its field."""
        return f"at most {self.most} {self.when.words}"

    def problem(self, asked: Asked) -> Problem | None:
        """Return what is wrong, at `field`."""
        count = count_of(asked.values.get(self.field))
        if count <= self.most or not self.when.holds(asked.values):
            return None
        return Problem(self.field, format_count(count), f"allowed: {self.says}")


@dataclass(frozen=True, slots=True)
class OneValueOf(_InOneForm):
    """`field` has one of `values` in this form of a request, or is left out."""

    field: str
    values: tuple[object, ...]
    when: When

    @property
    def says(self) -> str:
        """Return the rule as a remark on its field."""
        return f"{self.when.words} only {_value_words(self.values)}"

    def problem(self, asked: Asked) -> Problem | None:
        """Return what is wrong, at `field`."""
        value = asked.values.get(self.field)
        if value is None or _is_among(value, self.values) or not self.when.holds(asked.values):
            return None
        allowed = _value_words(self.values)
        advice = f"set {allowed}, or leave {self.field} out"
        return Problem(self.field, f"is {_value_words((value,))} {self.when.words}", advice)


@dataclass(frozen=True, slots=True)
class NotTaken(_InOneForm):
    """The service takes no `field` in this form of a request.

    Its default does not count there: the validator leaves it out.
    """

    field: str
    when: When

    @property
    def says(self) -> str:
        """Return the rule as a remark on its field."""
        return f"not taken {self.when.words}"

    def problem(self, asked: Asked) -> Problem | None:
        """Return what is wrong, at `field`."""
        if not asked.chosen(self.field) or not self.when.holds(asked.values):
            return None
        return Problem(self.field, f"is {self.says}", f"leave {self.field} out")


Rule = (
    Needs
    | Excludes
    | OneOf
    | OnlyWith
    | Needed
    | NeededWithout
    | SumOf
    | LastsAtMost
    | AtMost
    | OneValueOf
    | NotTaken
)


def broken_rules(
    rules: tuple[Rule, ...], asked: Asked, *, unsure: frozenset[str] = frozenset()
) -> list[Problem]:
    """Every problem of values that are each allowed by themselves, one for each field.

    Args:
        rules: The model's.
        asked: What would be used, and what fields have by themselves.
        unsure: Fields that are wrong already; no rule about one of them is judged.
    """
    found: dict[str, Problem] = {}
    for rule in rules:
        problem = None if unsure & {*rule.fields} else rule.problem(asked)
        if problem is not None:
            found.setdefault(problem.field, problem)
    return list(found.values())


def sum_of(records: object, column: str) -> float | None:
    """What records have together in a column; None where there are no records."""
    if not isinstance(records, tuple) or not records:
        return None
    return sum(float(str(record.get(column, 0))) for record in records)


def _is_among(value: object, values: tuple[object, ...]) -> bool:
    # True equals 1 in Python, and a flag is no number.
    return any(type(value) is type(each) and value == each for each in values)


def _setting(name: str, values: tuple[object, ...]) -> str:
    """A field and its values in words: `mode pro or 4K`, `sound on`."""
    return f"{name} {_value_words(values)}"


def _value_words(values: tuple[object, ...]) -> str:
    """Return values in words: `pro or 4K`, `on`."""
    words = {True: "on", False: "off"}
    return " or ".join(words[each] if isinstance(each, bool) else str(each) for each in values)


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
