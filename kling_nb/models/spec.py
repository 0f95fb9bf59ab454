"""ModelSpec: the parameters, rules, advisories and prices of a model, and the one validator.

A hosted model is data: a `ModelSpec` literal in `models/catalog`. Validation, the magic's options,
the panel, the price and the fingerprint all derive from it. A rule refuses what a model's page
forbids; an advisory warns before payment if sources disagree, or if a limit comes from another
source. Must not depend on a model's name, on files or on service answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.core.formatting import shorten
from kling_nb.core.text import similar

from .parameter_kind import Rejected
from .parameters import ROUNDING_S, Choice, Flag, Media, Number, Text
from .prices import PriceList
from .records import Records
from .rules import Filled, Implied, NotTaken, Rule, RuleInput, Summed, broken_rules


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Measurements of a request's media, by parameter; empty until the files are read."""

    durations_s: Mapping[str, float] = field(default_factory=dict)
    """Length of the videos and audio files; the sum if a parameter has several."""
    sizes_px: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Width and height of each image and video."""


@dataclass(frozen=True, slots=True)
class LengthAdvisory:
    """A video or audio `field` may be too long for the service above `longest_s`."""

    field: str
    longest_s: float
    reason: str
    """The source of the limit, as a sentence without its full stop."""

    def warnings(self, facts: MediaFacts) -> list[str]:
        """Return a warning if the media are longer, else nothing."""
        duration_s = facts.durations_s.get(self.field, 0.0)
        if duration_s <= self.longest_s + ROUNDING_S:
            return []
        advice = f"Cut it to {self.longest_s:g} s to be safe."
        return [f"{self.field}: {duration_s:.1f} s. {self.reason}. {advice}"]


@dataclass(frozen=True, slots=True)
class FrameAdvisory:
    """An image of `field` may be too small, too long or too wide for the service."""

    field: str
    side_px: int
    """The shortest side that the service certainly accepts."""
    ratio: tuple[float, float]
    """Lowest and highest width divided by height that the service certainly accepts."""
    reason: str

    def warnings(self, facts: MediaFacts) -> list[str]:
        """Return a warning for each image outside of these limits."""
        sizes = facts.sizes_px.get(self.field, ())
        return [self._warning(size) for size in sizes if not self._fits(size)]

    def _fits(self, size_px: tuple[int, int]) -> bool:
        return min(size_px) >= self.side_px and self._has_shape(size_px)

    def _has_shape(self, size_px: tuple[int, int]) -> bool:
        lowest, highest = self.ratio
        return lowest <= size_px[0] / size_px[1] <= highest

    def _warning(self, size_px: tuple[int, int]) -> str:
        width, height = size_px
        advice = (
            "Use a larger image." if self._has_shape(size_px) else "Crop it, or use another image."
        )
        return f"{self.field}: {width:,} × {height:,} px. {self.reason}. {advice}"


Advisory = LengthAdvisory | FrameAdvisory


def warnings_of(advisories: Sequence[Advisory], facts: MediaFacts) -> tuple[str, ...]:
    """Return the warnings for a request, a few sentences each.

    Args:
        advisories: The model's.
        facts: The measurements of the files.
    """
    return tuple(warning for each in advisories for warning in each.warnings(facts))


_MAX_LABELLED_CHARS = 60
"""Maximum length of a text beside other values; a longer one is cut."""

_UNBOUNDED_S = 300.0
"""Assumed duration of a video or audio input without a limit: the longest of all models."""

Kind = Text | Choice | Flag | Number | Media | Records
"""All kinds of a parameter; a new one is added here."""

Values = Mapping[str, object]
"""Validated values by parameter name; a `Media` value is the source as given."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a model's input."""

    name: str
    """What a person writes: `%%kling --NAME`, `NAME=…`."""
    kind: Kind
    help: str
    sent_as: str = ""
    """The service's name for it; empty if it is the same."""
    default: object = None
    required: bool = True
    """Whether a value is required; a default counts as one."""
    flag: str = ""
    """One letter for the magic, e.g. `d`."""
    added_later: bool = False
    """Added after the model's first release here. The fingerprint omits its default value, so that
    older requests keep their fingerprints."""

    @property
    def field(self) -> str:
        """Return the service's name of the field."""
        return self.sent_as or self.name

    def is_default(self, value: object) -> bool:
        """Return whether a value is the default.

        Without a default nothing is compared: an image may be an array, which has no truth value.
        """
        return self.default is not None and value == self.default


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A hosted model."""

    name: str
    """The service's name, e.g. `kling-2.6/image-to-video`."""
    title: str
    parameters: tuple[Parameter, ...]
    prices: PriceList
    usual_s: float
    """Typical time to make a clip, in seconds; used until this folder has enough clips."""
    source: str
    """Source of the fields, with a date."""
    rules: tuple[Rule, ...] = ()
    """Rules between the fields."""
    implied: tuple[Implied, ...] = ()
    """Values that follow from others."""
    advisories: tuple[Advisory, ...] = ()
    """Warnings about inputs that the service may refuse, shown before payment."""
    confidence: Literal["recorded", "documented", "unconfirmed"] = "documented"
    """Confidence in the fields: recorded live traffic, the model's page, or combined sources."""

    def parameter(self, name: str) -> Parameter:
        """Return the parameter with a name, or raise KeyError."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    @property
    def media(self) -> tuple[Parameter, ...]:
        """Return the parameters that are media; see `media_of` for media in records."""
        return tuple(p for p in self.parameters if p.kind.medium)

    @property
    def sources(self) -> tuple[Parameter, ...]:
        """Return the parameters that a cell gives as files, URLs or names of variables."""
        return tuple(p for p in self.parameters if p.kind.is_source)

    @property
    def defaults(self) -> dict[str, object]:
        """Return the default values of the parameters that have one."""
        return {p.name: p.default for p in self.parameters if p.default is not None}

    def remarks(self, name: str) -> tuple[str, ...]:
        """Return the rules of a parameter in words, for its help text."""
        return tuple(rule.remark for rule in self.rules if rule.fields[0] == name)


def validate(spec: ModelSpec, values: Values) -> dict[str, object]:
    """Return the value of every parameter for a request, including defaults.

    Args:
        spec: The model.
        values: By the names of `spec.parameters`; None counts as not given.

    Raises:
        InvalidInput: With all problems, in the order of the parameters.
    """
    known = [p.name for p in spec.parameters]
    problems = [
        Problem(name, f"{spec.name} has no such parameter", _suggest(name, known))
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


def _suggest(name: str, known: list[str]) -> str:
    close = similar(name, known)
    return f"{f'did you mean {close[0]}? ' if close else ''}allowed: {', '.join(known)}"


def check_durations(
    spec: ModelSpec, values: Values, durations_s: Mapping[str, float]
) -> list[Problem]:
    """Return the problems with the durations of video and audio inputs.

    Args:
        spec: The model.
        values: Validated values.
        durations_s: The durations, by parameter.
    """
    return broken_rules(spec.rules, RuleInput(values, spec.defaults, durations_s))


def price_credits(
    spec: ModelSpec, values: Values, durations_s: Mapping[str, float] | None = None
) -> float | None:
    """Return the price of a request in credits, or None without a price line or a duration.

    Args:
        spec: The model.
        values: Validated values, or some of them.
        durations_s: Durations of video and audio inputs, by parameter. The rounding of the service
            is not known: they are rounded up to whole seconds, so that no budget is exceeded.
    """
    return spec.prices.credits(values, durations_s or {})


def most_credits(spec: ModelSpec) -> float:
    """Return the highest price of a request to a model, in credits."""
    return max(
        line.credits * (spec.parameter(line.per_s_of).kind.longest_s or _UNBOUNDED_S)
        if line.per_s_of
        else line.credits
        for line in spec.prices.lines
    )


def describe(spec: ModelSpec, values: Values) -> dict[str, str]:
    """Return the values for people: `{"sound": "no sound", "duration": "5 s"}`."""
    words: dict[str, str] = {}
    for parameter in spec.parameters:
        name, kind, value = parameter.name, parameter.kind, values.get(parameter.name)
        if value is not None and name != "prompt" and not kind.medium:
            text = kind.format_value(value)
            words[name] = _labelled(name, text) if kind.is_labelled else text
    return {name: text for name, text in words.items() if text}


def describe_named(spec: ModelSpec, values: Values) -> dict[str, str]:
    """Return the values for people with the names of the media, except a single image's.

    A card shows that image.

    Args:
        spec: The model.
        values: Validated values, with names in place of media.
    """
    words = describe(spec, values)
    for parameter in spec.media:
        name = parameter.name
        if name in values and (name != "image" or parameter.kind.is_multiple):
            words[name] = _labelled(name, values[name])
    return words


def request_text(values: Values) -> str:
    """Return the prompt of a request, or without one the prompts of its shots."""
    if prompt := values.get("prompt"):
        return str(prompt)
    lists = [value for value in values.values() if isinstance(value, list | tuple)]
    records = [each for value in lists for each in value if isinstance(each, Mapping)]
    return "; ".join(str(record["prompt"]) for record in records if "prompt" in record)


def review(spec: ModelSpec, values: Values) -> tuple[Problem, ...]:
    """Return each field with its value and the allowed values: possible causes of a refusal."""
    return tuple(
        Problem(p.name, f"given {shorten(values[p.name])}", p.kind.allowed)
        for p in spec.parameters
        if p.name in values
    )


def _parse(spec: ModelSpec, values: Values) -> tuple[dict[str, object], list[Problem]]:
    """Return each parsed value, and the problems of single values."""
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
    """Add the values that follow from others and were not given."""
    invalid = {problem.field for problem in wrong}
    for each in spec.implied:
        if not isinstance(each, Filled | Summed) or {each.field} & (invalid | parsed.keys()):
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
    invalid = frozenset(problem.field for problem in wrong)
    return broken_rules(spec.rules, RuleInput(parsed, spec.defaults), invalid=invalid)


def _not_taken(spec: ModelSpec, parsed: Values) -> set[str]:
    """Return the fields with their default value that the service does not accept."""
    rules = (rule for rule in spec.rules if isinstance(rule, NotTaken))
    return {rule.field for rule in rules if rule.when.holds(parsed)}


def _labelled(name: str, value: object) -> str:
    text = str(value)
    if len(text) > _MAX_LABELLED_CHARS:
        text = f"{text[: _MAX_LABELLED_CHARS - 1]}…"
    return f"{name.replace('_', ' ')} {text}"
