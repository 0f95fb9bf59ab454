"""Whatever bytes come back, only this package's own errors go out, and every text can be written.

Over 10,000 bodies, made from the real samples: changed at every key, cut, mixed with other bytes,
nested without end.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kling_nb.errors import ServiceError
from kling_nb.kie import wire
from kling_nb.kie.webhooks import parse_callback
from kling_nb.kie.wire import Answer
from tests.support.sample_files import document, sample, sample_names

EXAMPLES_PER_PARSER = 1_700
"""Six parsers: 10,200 bodies."""

DOCUMENTS = [document(name) for name in sample_names() if name.endswith(".json")]
DOCUMENTS += [{"data": each["data"]} for each in DOCUMENTS if "data" in each]
BODIES = [sample(name) for name in sample_names()]
STATUSES = (200, 200, 200, 400, 401, 403, 404, 408, 422, 429, 500, 502, 524)

PARSERS: dict[str, Callable[[Answer], object]] = {
    "created": wire.parse_created,
    "record": lambda answer: wire.parse_record(answer, "56074f12319c68b246e5a03e05608f31"),
    "uploaded": wire.parse_uploaded,
    "credit": wire.parse_credit,
    "download-url": wire.parse_download_url,
    "callback": lambda answer: parse_callback(answer.body),
}

ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\ud800", "https://a.b/\udc00", "success", "fail", '{"resultUrls":["https://a/\\ud800"]}']
)
ANY_NUMBER = (
    st.integers()
    | st.floats()
    | st.sampled_from([200, 408, 422, 429, 500, 10**18, -(10**400), 1e308])
)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside a document, itself included."""
    yield path
    match value:
        case dict():
            inside = list(value.items())
        case list():
            inside = list(enumerate(value))
        case _:
            inside = []
    for key, inner in inside:
        yield from places(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at one place."""
    if not path:
        return value
    made = copy.deepcopy(document)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample with anything at all at one or two of its places."""
    made = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(1, 2))):
        made = changed(made, draw(st.sampled_from(list(places(made)))), draw(ANY_VALUE))
    return json.dumps(made).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sample that was cut, or has other bytes in its middle."""
    body = draw(st.sampled_from(BODIES))
    start, end = draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=20)) + body[max(start, end) :]


@st.composite
def nested(draw: st.DrawFn) -> bytes:
    """Brackets inside brackets, alone or where a sample has its data, around Python's limit too."""
    depth = draw(st.integers(1, 20) | st.integers(900, 1_050) | st.just(100_000))
    opened, closed = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")]))
    body = opened * depth + closed * depth
    around = draw(
        st.sampled_from(
            [
                b"%s",
                b'{"code":200,"data":%s}',
                b'{"code":200,"data":{"taskId":"a","state":"success","resultJson":%s}}',
                b'{"taskId":"a","data":{"taskId":"a","param":"%s"}}',
            ]
        )
    )
    return around.replace(b"%s", body)


HOSTILE = mutated() | damaged() | nested() | st.binary(max_size=60)


def texts(value: object) -> Iterator[str]:
    """Every text inside a result or an exception."""
    match value:
        case str():
            yield value
        case tuple() | list():
            for inner in value:
                yield from texts(inner)
        case ServiceError():
            yield from texts([str(value), value.message])
        case _ if dataclasses.is_dataclass(value):
            yield from texts([getattr(value, part.name) for part in dataclasses.fields(value)])


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=EXAMPLES_PER_PARSER, deadline=None, derandomize=True, database=None)
@given(status=st.sampled_from(STATUSES), body=HOSTILE)
@example(status=200, body=b'{"code":' + b"9" * 5_000 + b"}")
@example(status=200, body=b'{"code":NaN,"data":Infinity}')
@example(status=200, body=b'{"code":200,"data":' + b"9" * 400 + b"}")
@example(status=200, body=b'{"code":200,"data":"https://a/\\ud800"}')
@example(
    status=200, body=b'{"code":200,"data":{"taskId":"\\ud800","downloadUrl":"https://a/\\ud800"}}'
)
@example(status=200, body=b'\xef\xbb\xbf{"code":200,"data":{"taskId":"a"}}')
def test_only_our_own_errors_escape(name: str, status: int, body: bytes) -> None:
    """A parser returns, or raises a `ServiceError`; what it says is UTF-8."""
    try:
        result = PARSERS[name](Answer(status, body))
    except ServiceError as error:
        result = error
    for text in texts(result):
        text.encode("utf-8")
