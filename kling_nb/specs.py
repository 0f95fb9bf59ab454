"""What a model takes and costs, and the one validator.

A hosted model is data: a `ModelSpec` literal in `models`. Validation, the magic's options, the
panel, the price and the fingerprint all derive from it. This module knows no model by name, no
file and no service answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from .errors import InvalidInput, Problem
from .kinds import Choice, Flag, Kind, Media, Rejected, shorten
from .rules import Rule, broken_rules

__all__ = [
    "ModelSpec",
    "Parameter",
    "Price",
    "PriceList",
    "Values",
    "describe",
    "fingerprint",
    "price_credits",
    "request_input",
    "review",
    "validate",
]

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


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs when its values are these."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of a model in credits for each clip; the first line that fits counts."""

    lines: tuple[Price, ...]
    as_of: date
    source: str


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

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; KeyError when there is none."""
        return _by_name(self.parameters, name)

    @property
    def media(self) -> tuple[Parameter, ...]:
        """The parameters that are uploaded."""
        return tuple(p for p in self.parameters if isinstance(p.kind, Media))

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
    parsed: dict[str, object] = {}
    wrong: list[Problem] = []
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        value = parameter.default if value is None else value
        if value is None:
            if parameter.required:
                wrong.append(Problem(parameter.name, "is missing", parameter.kind.allowed))
            continue
        try:
            parsed[parameter.name] = parameter.kind.parse(value)
        except Rejected as rejected:
            wrong.append(Problem(parameter.name, rejected.given, parameter.kind.allowed))
    wrong += _broken_rules(spec, parsed, wrong)
    problems += sorted(wrong, key=lambda problem: known.index(problem.field))
    if problems:
        raise InvalidInput(tuple(problems))
    return parsed


def request_input(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """The `input` object that is sent, media replaced by what `media` gives (URLs, or hashes)."""
    sent: dict[str, object] = {}
    for parameter in spec.parameters:
        if parameter.name not in values:
            continue
        if isinstance(parameter.kind, Media):
            items = list(media[parameter.name])
            sent[parameter.field] = items if parameter.kind.as_list else items[0]
        else:
            sent[parameter.field] = values[parameter.name]
    return sent


def fingerprint(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]], *, service: str, take: int
) -> str:
    """The name of a request: 64 hex characters, the same for the same request for ever.

    Args:
        spec: The model.
        values: Validated values.
        media: For each media parameter the SHA-256 of each source as it was given.
        service: `live` or `emulator`.
        take: Which of several results for the same request, from 1.
    """
    kept = {
        parameter.name: values[parameter.name]
        for parameter in spec.parameters
        if parameter.name in values and not _is_left_out(parameter, values[parameter.name])
    }
    named = {
        "service": service,
        "model": spec.name,
        "input": request_input(spec, kept, media),
        "take": take,
    }
    canonical = json.dumps(named, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def price_credits(spec: ModelSpec, values: Values) -> float | None:
    """What the request costs in credits by our table; None when no line fits."""
    for line in spec.prices.lines:
        if all(values.get(name) == value for name, value in line.when.items()):
            return line.credits
    return None


def describe(spec: ModelSpec, values: Values) -> dict[str, str]:
    """The values a person chose from, in words: `{"sound": "no sound", "duration": "5 s"}`."""
    words: dict[str, str] = {}
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        match parameter.kind:
            case _ if value is None:
                continue
            case Flag(on=on, off=off):
                words[parameter.name] = on if value else off
            case Choice(unit=unit):
                words[parameter.name] = f"{value} {unit}".strip()
            case Media():
                continue
            case _ if parameter.name != "prompt":
                words[parameter.name] = f"{parameter.name.replace('_', ' ')} {value}"
    return words


def review(spec: ModelSpec, values: Values) -> tuple[Problem, ...]:
    """Every field with what was given and what is allowed: what a refusal may be about."""
    return tuple(
        Problem(p.name, f"given {shorten(values[p.name])}", p.kind.allowed)
        for p in spec.parameters
        if p.name in values
    )


def _broken_rules(spec: ModelSpec, parsed: Values, wrong: Sequence[Problem]) -> list[Problem]:
    defaults = {p.name: p.default for p in spec.parameters if p.default is not None}
    unsure = frozenset(problem.field for problem in wrong)
    return broken_rules(spec.rules, parsed, defaults, unsure=unsure)


def _is_left_out(parameter: Parameter, value: object) -> bool:
    """Whether a fingerprint has no place for a value: requests from before the field keep theirs.

    What was given as a picture may be an array, and is never compared.
    """
    is_plain = parameter.added_later and not isinstance(parameter.kind, Media)
    return is_plain and value == parameter.default


def _by_name(parameters: Sequence[Parameter], name: str) -> Parameter:
    for parameter in parameters:
        if parameter.name == name:
            return parameter
    raise KeyError(name)
