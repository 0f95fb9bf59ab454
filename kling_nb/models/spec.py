"""ModelSpec: the parameters, rules and prices of a model, and the one validator.

A hosted model is data: a `ModelSpec` literal in `models/catalog`. Validation, the magic's options,
the panel, the price and the fingerprint all derive from it. Must not depend on a model's name, on
files or on service answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.core.formatting import shorten

from .advisories import Advisory
from .parameter_kind import Rejected
from .parameters import Choice, Flag, Media, Number, Text
from .prices import PriceList
from .records import Records
from .rules import Asked, Filled, Implied, NotTaken, Rule, Summed, broken_rules

__all__ = [
    "Kind",
    "ModelSpec",
    "Parameter",
    "Values",
    "describe",
    "describe_named",
    "judge_lengths",
    "most_credits",
    "price_credits",
    "review",
    "validate",
    "words_of",
]

_TOLD_CHARS = 60
"""So much of a text is told among other values."""

_UNBOUNDED_S = 300.0
"""Assumed length of a video or sound without a limit: the longest that any model takes."""

Kind = Text | Choice | Flag | Number | Media | Records
"""All kinds of a parameter; a new one is added here."""

Values = Mapping[str, object]
"""Validated values by the name a person writes; a `Media` value is whatever was given."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a model's input."""

    name: str
    """What a person writes: `%%kling --NAME`, `NAME=…`."""
    kind: Kind
    help: str
    sent_as: str = ""
    """The service's name for it; empty when it is the same."""
    default: object = None
    required: bool = True
    """Whether a value must be there; a default counts as one."""
    flag: str = ""
    """One letter for the magic, e.g. `d`."""
    added_later: bool = False
    """Added after the model's first release here. Left out of the fingerprint while it has its
    default, so that requests made before keep theirs."""

    @property
    def field(self) -> str:
        """The service's name of the field."""
        return self.sent_as or self.name

    def is_default(self, value: object) -> bool:
        """Return whether a value is the default.

        Without a default nothing is compared: an image may be an array, which has no truth value.
        """
        return self.default is not None and value == self.default


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All there is to know of a hosted model."""

    name: str
    """The service's name, e.g. `kling-2.6/image-to-video`."""
    title: str
    parameters: tuple[Parameter, ...]
    prices: PriceList
    usual_s: float
    """How long a clip usually takes, in seconds, until this folder's own clips tell better."""
    source: str
    """Where the fields come from, with a date."""
    rules: tuple[Rule, ...] = ()
    """What fields demand of each other."""
    implied: tuple[Implied, ...] = ()
    """What follows from what was given."""
    advisories: tuple[Advisory, ...] = ()
    """Warnings about inputs that the service may refuse, shown before payment."""
    sureness: Literal["recorded", "documented", "less sure"] = "documented"
    """How well its fields are known: seen in live traffic, read on its page, or pieced together."""

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; KeyError when there is none."""
        return _by_name(self.parameters, name)

    @property
    def media(self) -> tuple[Parameter, ...]:
        """Return the parameters that are media; see `media_of` for media in records."""
        return tuple(p for p in self.parameters if p.kind.medium)

    @property
    def sources(self) -> tuple[Parameter, ...]:
        """Return the parameters that a cell gives as files, URLs or names of variables."""
        return tuple(p for p in self.parameters if p.kind.is_source)

    def remarks(self, name: str) -> tuple[str, ...]:
        """What the rules say of that parameter, for help beside it."""
        return tuple(rule.says for rule in self.rules if rule.fields[0] == name)


def validate(spec: ModelSpec, values: Values) -> dict[str, object]:
    """Every parameter's value as it will be used, defaults filled in.

    Args:
        spec: The model.
        values: What was given, by the names of `spec.parameters`; None counts as not given.

    Raises:
        InvalidInput: With every problem at once, in the order of the parameters.
    """
    known = [p.name for p in spec.parameters]
    problems = [
        Problem(name, f"{spec.name} has no such parameter", "allowed: " + ", ".join(known))
        for name in values
        if name not in known and values[name] is not None
    ]
    parsed, wrong = _parse(spec, values)
    _imply(spec, parsed, wrong)
    for parameter in _left_out(spec, parsed, wrong):
        if parameter.default is not None:
            parsed[parameter.name] = parameter.kind.parse(parameter.default)
        elif parameter.required:
            wrong.append(Problem(parameter.name, "is missing", parameter.kind.allowed))
    wrong += _broken_rules(spec, parsed, wrong)
    problems += sorted(wrong, key=lambda problem: known.index(problem.field))
    if problems:
        raise InvalidInput(tuple(problems))
    left_out = _not_taken(spec, parsed)
    return {name: parsed[name] for name in known if name in parsed and name not in left_out}


def judge_lengths(spec: ModelSpec, values: Values, lengths_s: Mapping[str, float]) -> list[Problem]:
    """What is wrong once it is known how long the videos and sounds are.

    Args:
        spec: The model.
        values: Validated values.
        lengths_s: The lengths, by parameter.
    """
    return broken_rules(spec.rules, Asked(values, _defaults(spec), lengths_s))


def price_credits(
    spec: ModelSpec, values: Values, lengths_s: Mapping[str, float] | None = None
) -> float | None:
    """What the request costs in credits by our table; None when no line fits or a length lacks.

    Args:
        spec: The model.
        values: Validated values, or some of them.
        lengths_s: How long the videos and sounds are that were given, by parameter. How the
            service rounds them is not known: whole seconds are counted, up, so that no budget is
            passed.
    """
    return spec.prices.credits(values, lengths_s or {})


def most_credits(spec: ModelSpec) -> float:
    """Return the highest price of a request to a model, in credits."""
    return max(
        line.credits * (spec.parameter(line.per_s_of).kind.longest_s or _UNBOUNDED_S)
        if line.per_s_of
        else line.credits
        for line in spec.prices.lines
    )


def describe(spec: ModelSpec, values: Values) -> dict[str, str]:
    """The values a person chose from, in words: `{"sound": "no sound", "duration": "5 s"}`."""
    words: dict[str, str] = {}
    for parameter in spec.parameters:
        name, kind, value = parameter.name, parameter.kind, values.get(parameter.name)
        if value is not None and name != "prompt" and not kind.medium:
            text = kind.format_value(value)
            words[name] = _labelled(name, text) if kind.is_labelled else text
    return {name: text for name, text in words.items() if text}


def describe_named(spec: ModelSpec, values: Values) -> dict[str, str]:
    """The same, and the names of what it is made from; not that of one picture, which is shown.

    Args:
        spec: The model.
        values: Validated values, with names in the places of media.
    """
    words = describe(spec, values)
    for parameter in spec.media:
        name = parameter.name
        if name in values and (name != "image" or parameter.kind.is_multiple):
            words[name] = _labelled(name, values[name])
    return words


def words_of(values: Values) -> str:
    """What a request says: its prompt, or without one those of its shots."""
    if told := values.get("prompt"):
        return str(told)
    lists = [value for value in values.values() if isinstance(value, list | tuple)]
    records = [each for value in lists for each in value if isinstance(each, Mapping)]
    return "; ".join(str(record["prompt"]) for record in records if "prompt" in record)


def review(spec: ModelSpec, values: Values) -> tuple[Problem, ...]:
    """Every field with what was given and what is allowed: what a refusal may be about."""
    return tuple(
        Problem(p.name, f"given {shorten(values[p.name])}", p.kind.allowed)
        for p in spec.parameters
        if p.name in values
    )


def _parse(spec: ModelSpec, values: Values) -> tuple[dict[str, object], list[Problem]]:
    """What was given, by itself: each value as its kind reads it, or what is wrong with it."""
    parsed: dict[str, object] = {}
    wrong: list[Problem] = []
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        if value is None:
            continue
        try:
            parsed[parameter.name] = parameter.kind.parse(value)
        except Rejected as rejected:
            advice = rejected.advice or parameter.kind.allowed
            wrong.append(Problem(parameter.name, rejected.given, advice))
    return parsed, wrong


def _imply(spec: ModelSpec, parsed: dict[str, object], wrong: list[Problem]) -> None:
    """Add what follows from what was given, where it was not given itself."""
    unsure = {problem.field for problem in wrong}
    for each in spec.implied:
        if not isinstance(each, Filled | Summed) or {each.field} & (unsure | parsed.keys()):
            continue
        value = each.follows(parsed)
        if value is None:
            continue
        kind = spec.parameter(each.field).kind
        try:
            parsed[each.field] = kind.parse(value)
        except Rejected:
            wrong.append(Problem(each.field, each.why(value), kind.allowed))


def _left_out(spec: ModelSpec, parsed: Values, wrong: Sequence[Problem]) -> list[Parameter]:
    known = {*parsed, *(problem.field for problem in wrong)}
    return [parameter for parameter in spec.parameters if parameter.name not in known]


def _broken_rules(spec: ModelSpec, parsed: Values, wrong: Sequence[Problem]) -> list[Problem]:
    unsure = frozenset(problem.field for problem in wrong)
    return broken_rules(spec.rules, Asked(parsed, _defaults(spec)), unsure=unsure)


def _not_taken(spec: ModelSpec, parsed: Values) -> set[str]:
    """Return the fields with their default value that the service does not accept."""
    rules = (rule for rule in spec.rules if isinstance(rule, NotTaken))
    return {rule.field for rule in rules if rule.when.holds(parsed)}


def _defaults(spec: ModelSpec) -> dict[str, object]:
    return {p.name: p.default for p in spec.parameters if p.default is not None}


def _labelled(name: str, value: object) -> str:
    text = str(value)
    told = text if len(text) <= _TOLD_CHARS else f"{text[: _TOLD_CHARS - 1]}…"
    return f"{name.replace('_', ' ')} {told}"


def _by_name(parameters: Sequence[Parameter], name: str) -> Parameter:
    for parameter in parameters:
        if parameter.name == name:
            return parameter
    raise KeyError(name)
