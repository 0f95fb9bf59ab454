"""Build the `input` object of a request, and the fingerprint that identifies the request.

From validated values to the service's `input` object and to the fingerprint. Opens no file: the
caller passes the URL or the hash of each media input.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from kling_nb.core.unicode_text import comparable_text

from .parameters import Kind, Media, Records, Text, load_records
from .rules import Told, Unsent
from .spec import ModelSpec, Parameter, Values

__all__ = ["Input", "fingerprint", "fingerprints", "media_of", "request_input", "with_media"]

Hashes = tuple[str, ...]
"""The hashes of one media input: the current SHA-256 of its source, then those of earlier
versions of this package."""


@dataclass(frozen=True, slots=True)
class Input:
    """One place of a request where media are given."""

    path: str
    """`image`; in the second record of a parameter, `elements[1].images`."""
    parameter: str
    kind: Media
    given: tuple[object, ...]
    """As they were given, unopened."""


def media_of(spec: ModelSpec, values: Values) -> dict[str, Input]:
    """Every place where validated values hold media, by its path, in the order of the spec."""
    return {found.path: found for found in _inputs(spec, values)}


def with_media(spec: ModelSpec, values: Values, media: Mapping[str, object]) -> dict[str, object]:
    """The same values with other things in the places of the media.

    Args:
        spec: The model.
        values: Validated values.
        media: What comes into each path of `media_of`; the place of any other is left out.
    """
    changed = dict(values)
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        match parameter.kind:
            case Media() if parameter.name in media:
                changed[parameter.name] = media[parameter.name]
            case Media():
                changed.pop(parameter.name, None)
            case Records(columns=columns) if isinstance(value, tuple):
                names = [column.name for column in columns if isinstance(column.kind, Media)]
                changed[parameter.name] = tuple(
                    {name: each for name, each in record.items() if name not in names}
                    | {
                        name: media[path]
                        for name in names
                        if (path := f"{parameter.name}[{place}].{name}") in media
                    }
                    for place, record in enumerate(value)
                )
    return changed


def request_input(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """The `input` object that is sent.

    Args:
        spec: The model.
        values: Validated values.
        media: What stands for the media of each path of `media_of`: URLs, or hashes.
    """
    forms = (each for each in spec.implied if isinstance(each, Unsent))
    unsent = {name for each in forms if each.when.holds(values) for name in each.fields}
    named = _named_input(spec, values, media)
    return {name: value for name, value in named.items() if name not in unsent}


def _named_input(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Return the `input` object with all fields that the fingerprint includes."""
    sent = {
        parameter.field: _sent(parameter.kind, values[parameter.name], parameter.name, media)
        for parameter in spec.parameters
        if parameter.name in values
    }
    return sent | {
        each.sent_as: each.of in values for each in spec.implied if isinstance(each, Told)
    }


def fingerprint(
    spec: ModelSpec, values: Values, media: Mapping[str, Sequence[str]], *, service: str, take: int
) -> str:
    """Return the fingerprint of a request: 64 hex characters that never change for it.

    Texts are compared without zero-width characters.

    Args:
        spec: The model.
        values: Validated values.
        media: For each path of `media_of` the SHA-256 of each source as it was given.
        service: `live` or `emulator`.
        take: Which of several results for the same request, from 1.
    """
    values = _with_texts(spec, values, lambda _, text: comparable_text(text))
    return _digest(spec, values, media, service, take)


def fingerprints(
    spec: ModelSpec,
    values: Values,
    media: Mapping[str, Sequence[Hashes]],
    *,
    service: str,
    take: int,
    given: Values,
) -> tuple[str, ...]:
    """Return all fingerprints of a request, the current one first.

    The others are those of earlier versions, which took texts as they were written, took
    `take=True` for another take than 1, and hashed the pixels of a clip's frame. Each look-up uses
    all of them, so that a request from an older version is not paid for twice.

    Args:
        spec: The model.
        values: Validated values.
        media: For each path of `media_of` the hashes of each source, the current one first.
        service: `live` or `emulator`.
        take: Which of several results for the same request, from 1.
        given: The values before validation: texts as they were written.
    """
    current = {path: [each[0] for each in sources] for path, sources in media.items()}
    earliest = {path: [each[-1] for each in sources] for path, sources in media.items()}
    spellings = (
        values,
        _with_texts(spec, values, lambda _, text: unicodedata.normalize("NFD", text)),
        _with_texts(spec, values, lambda kind, text: kind.parse_earlier(text), given),
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
        if parameter.name in values and not _is_left_out(parameter, values[parameter.name])
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
    spec: ModelSpec, values: Values, change: Callable[[Text, str], str], given: Values | None = None
) -> dict[str, object]:
    """Return the values with every text changed; a text in `given` takes precedence."""

    def changed(kind: Kind, value: object, source: object) -> object:
        match kind:
            case Text() if isinstance(value, str):
                return change(kind, source if isinstance(source, str) else value)
            case Records(columns=columns) if isinstance(value, tuple):
                kinds = {column.name: column.kind for column in columns}
                return tuple(
                    {name: changed(kinds[name], record[name], its.get(name)) for name in record}
                    for record, its in zip(value, _records(source, value), strict=True)
                )
            case _:
                return value

    kinds = {parameter.name: parameter.kind for parameter in spec.parameters}
    found = values if given is None else given
    return {name: changed(kinds[name], values[name], found.get(name)) for name in values}


def _records(
    given: object, parsed: Sequence[Mapping[str, object]]
) -> Sequence[Mapping[str, object]]:
    """The records as they were given, where they are the ones that were parsed."""
    items = load_records(given)
    found = items if isinstance(items, list | tuple) else ()
    records = [each for each in found if isinstance(each, Mapping)]
    return records if len(records) == len(parsed) else parsed


def _inputs(spec: ModelSpec, values: Values) -> Iterator[Input]:
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        if value is None:
            continue
        match parameter.kind:
            case Media() as kind:
                yield Input(parameter.name, parameter.name, kind, _items(value))
            case Records(columns=columns) if isinstance(value, tuple):
                for place, record in enumerate(value):
                    for column in columns:
                        if isinstance(column.kind, Media) and column.name in record:
                            path = f"{parameter.name}[{place}].{column.name}"
                            yield Input(
                                path, parameter.name, column.kind, _items(record[column.name])
                            )


def _items(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _sent(kind: Kind, value: object, path: str, media: Mapping[str, Sequence[str]]) -> object:
    match kind:
        case Media(as_list=True):
            return list(media[path])
        case Media():
            return media[path][0]
        case Records(columns=columns) if isinstance(value, tuple):
            return [
                {
                    c.field: _sent(c.kind, record[c.name], f"{path}[{place}].{c.name}", media)
                    for c in columns
                    if c.name in record
                }
                for place, record in enumerate(value)
            ]
        case _:
            return value


def _is_left_out(parameter: Parameter, value: object) -> bool:
    """Whether a fingerprint has no place for a value: requests from before the field keep theirs.

    What was given as a picture may be an array, and is never compared.
    """
    is_plain = parameter.added_later and not isinstance(parameter.kind, Media)
    return is_plain and value == parameter.default
