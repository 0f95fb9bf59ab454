"""A clip request: what the user asked for, the `input` object that is sent, and the fingerprint.

Opens no file: the caller passes the URL or the hash of each media input.
"""

from __future__ import annotations

import hashlib
import json
import operator
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product

from kling_nb.core.text import comparable_text

from .parameter_kind import Change, ParameterKind, as_tuple
from .parameters import Media, is_media
from .rules import PresenceFlag, Unsent
from .spec import ModelSpec, Values


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A request for one clip, as a cell, the panel or a program states it."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name, unvalidated. Media are a path, a URL, bytes, an image, an array, a
    figure, a clip or a job."""
    take: int = 1
    callback_url: str = ""
    written: Mapping[str, object] = field(default_factory=dict)
    """How media and records are written in the cell, as `write_cell` takes them: a path, the name
    of a variable, a list of them, or records whose media are texts. Empty if unknown."""
    panel: str = ""
    """The panel that sends it, as `JobRecord.panel`; not part of the fingerprint."""

    def __post_init__(self) -> None:
        """Convert the take to a plain int: `True` and a numpy integer become the equal number."""
        with suppress(TypeError):
            object.__setattr__(self, "take", int(operator.index(self.take)))


_Hashes = tuple[str, ...]
"""The hashes of one media input: the current SHA-256 of its source, then those of earlier
versions of this package."""


@dataclass(frozen=True, slots=True)
class _Input:
    """One place in a request that holds media."""

    path: str
    """`image`; in the second record of a parameter, `elements[1].images`."""
    label: str
    """The path for people: `image`, or `element 2: images`."""
    parameter: str
    kind: Media
    given: tuple[object, ...]
    """The sources as given, unopened."""


def media_of(spec: ModelSpec, values: Values) -> dict[str, _Input]:
    """Return every place where validated values hold media, by path, in the order of the spec."""
    found: dict[str, _Input] = {}

    def note(kind: ParameterKind, value: object, path: str) -> object:
        if is_media(kind):
            parameter = spec.parameter(path.partition("[")[0])
            label = parameter.kind.format_path(path)
            found[path] = _Input(path, label, parameter.name, kind, as_tuple(value))
        return value

    _transform(spec, values, note)
    return found


def with_media(spec: ModelSpec, values: Values, media: Mapping[str, object]) -> dict[str, object]:
    """Return the values with other media.

    Args:
        spec: The model.
        values: Validated values.
        media: The replacement for each path of `media_of`; media without one are omitted.
    """
    given = {**values, **{p.name: media[p.name] for p in spec.media if p.name in media}}
    return _transform(
        spec, given, lambda kind, value, path: media.get(path) if is_media(kind) else value
    )


def request_input(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Return the `input` object for the service.

    Args:
        spec: The model.
        values: Validated values.
        media: The URLs or hashes for each path of `media_of`.
    """
    forms = (each for each in spec.implied if isinstance(each, Unsent))
    unsent = {name for each in forms if each.when.holds(values) for name in each.fields}
    named = _named_input(spec, values, media)
    return {name: value for name, value in named.items() if name not in unsent}


def _named_input(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Return the `input` object with all fields that the fingerprint includes."""

    def replace(kind: ParameterKind, value: object, path: str) -> object:
        if not is_media(kind):
            return value
        return list(media[path]) if kind.as_list else media[path][0]

    changed = _transform(spec, values, replace)
    sent = {
        p.field: p.kind.wire_value(changed[p.name]) for p in spec.parameters if p.name in changed
    }
    return sent | {
        each.sent_as: each.of in values for each in spec.implied if isinstance(each, PresenceFlag)
    }


def fingerprint(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]], *, service: str, take: int
) -> str:
    """Return the fingerprint of a request: 64 hex characters that never change.

    Texts are compared without zero-width characters.

    Args:
        spec: The model.
        values: Validated values.
        media: The SHA-256 of each source as given, for each path of `media_of`.
        service: `live` or `emulator`.
        take: The number of the take, from 1.
    """
    values = _with_texts(spec, values, lambda _, text, __: comparable_text(text))
    return _digest(spec, values, media, service, take)


def fingerprints(
    spec: ModelSpec,
    values: Values,
    media: Mapping[str, Sequence[_Hashes]],
    *,
    service: str,
    take: int,
    given: Values,
) -> tuple[str, ...]:
    """Return all fingerprints of a request, the current one first.

    The others are those of earlier versions, which did not normalize texts, distinguished
    `take=True` from 1, and hashed the pixels of a clip's frame. Each look-up uses all of them, so
    that a request from an older version is not paid for twice.

    Args:
        spec: The model.
        values: Validated values.
        media: The hashes of each source, the current one first, for each path of `media_of`.
        service: `live` or `emulator`.
        take: The number of the take, from 1.
        given: The values before validation.
    """
    current = {path: [each[0] for each in sources] for path, sources in media.items()}
    earliest = {path: [each[-1] for each in sources] for path, sources in media.items()}
    originals: dict[str, str] = {}
    _with_texts(spec, given, lambda _, text, path: originals.setdefault(path, text))
    spellings = (
        values,
        _with_texts(spec, values, lambda _, text, __: unicodedata.normalize("NFD", text)),
        _with_texts(
            spec, values, lambda kind, text, path: kind.parse_earlier(originals.get(path, text))
        ),
    )
    takes = (take, True) if take == 1 else (take,)
    found = [fingerprint(spec, values, current, service=service, take=take)]
    found += [
        _digest(spec, texts, hashes, service, number)
        for texts, hashes, number in product(spellings, (current, earliest), takes)
    ]
    return tuple(dict.fromkeys(found))


def _digest(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]], service: str, take: int
) -> str:
    kept = {
        parameter.name: values[parameter.name]
        for parameter in spec.parameters
        if parameter.name in values
        and not (parameter.added_later and parameter.is_default(values[parameter.name]))
    }
    named = {
        "service": service,
        "model": spec.name,
        "input": _named_input(spec, kept, media),
        "take": take,
    }
    canonical = json.dumps(named, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _with_texts(
    spec: ModelSpec, values: Values, change: Callable[[ParameterKind, str, str], str]
) -> dict[str, object]:
    """Return the values with every text changed; `change` takes a kind, a text and its path."""

    def change_text(kind: ParameterKind, value: object, path: str) -> object:
        is_text = isinstance(value, str) and not kind.medium
        return change(kind, str(value), path) if is_text else value

    return _transform(spec, values, change_text)


def _transform(spec: ModelSpec, values: Values, change: Change) -> dict[str, object]:
    """Return the values, changed by their kinds; values without a parameter are kept."""
    changed = {
        p.name: p.kind.transform(values[p.name], p.name, change)
        for p in spec.parameters
        if values.get(p.name) is not None
    }
    return {name: value for name, value in {**values, **changed}.items() if value is not None}
