"""Convert values to request bodies, and answer bytes to statuses or errors.

The only module with the service's field names (`taskId`, `resultJson`, `msg`). Pure: an
answer is an `Answer`, and any bytes raise only errors of this package. Sources in the docstrings: D
published documentation, L live traffic recorded by others from April to October 2026, C behaviour
that several public clients rely on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from kling_nb.core import errors
from kling_nb.core.charge_evidence import ANSWER_LIMIT
from kling_nb.core.errors import ContradictoryAnswer, Problem, ServiceError, UnreadableAnswer
from kling_nb.core.task_status import (
    TaskFailure,
    TaskMissing,
    TaskPending,
    TaskStatus,
    TaskSucceeded,
)
from kling_nb.kie.json_values import clean, is_url, read_float, read_integer, read_json, read_text

from .pages import page_text

_PARAMETER_PHRASES = ("is required", "not within the range of allowed")
_CREDIT_PHRASES = ("credits insufficient", "insufficient credits")
_BY_CODE: Mapping[int, type[ServiceError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    402: errors.InsufficientCredits,
    404: errors.EndpointNotFound,
    422: errors.BadRequest,
    433: errors.KeyLimitReached,
    455: errors.Maintenance,
}
_REFUSAL_STATUSES = frozenset({200, 401, 402, 404, 422, 429})
_URL_IN_TEXT = re.compile(
    r"""https?://[^\s/\\"'<>\x00-\x1f\ud800-\udfff]+/[^\s\\"'<>,\x00-\x1f\ud800-\udfff]*""",
    re.IGNORECASE,
)
_ECHOES = frozenset({"param", "paramJson", "callBackUrl"})
"""Fields of a record that repeat the request."""
_MAX_RESULTS = 16
_MAX_DEPTH = 30
_ID_NAMES = ("taskId", "recordId", "task_id", "record_id")
_ID_NAME = re.compile("(?:task|record)[_-]?ids?", re.IGNORECASE)
_ID_IN_JSON = re.compile(
    r"""(?<=")(?:task|record)[_-]?ids?\\{0,9}"\s{0,99}:\s{0,99}\[?\s{0,99}"""
    r"""(?:\\{0,9}"([^"\\]{1,200})\\{0,9}"|([1-9][0-9]{0,29}))""",
    re.IGNORECASE,
)
"""Repetitions are bounded, so that the search is fast for any answer."""
_ID_IN_TEXT = re.compile(
    r"""(?<!["\\])\b(?:task|record)[\s_-]?ids?[\\"']{0,9}\s{0,9}[=:>]\s{0,9}[\\"']{0,9}"""
    r"""((?=[\w.:-]{0,199}\d)[\w-](?:[\w.:-]{0,198}[\w-])?)(?![\w-])""",
    re.IGNORECASE | re.ASCII,
)
"""In text that is not JSON: `taskId=…` in a form, `Task ID: …` in text, `<taskId>…` in a page.
An id has a digit, as all known ones do: `task_id: is required` names none."""
_MAX_IDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of an HTTP answer that this module needs."""

    status: int
    body: bytes
    retry_after_s: float | None = None
    through: str = ""
    """The proxy of the request, for messages; empty without one."""

    @property
    def whole_text(self) -> str:
        """Return the whole body as text, without the byte order mark."""
        return self.body.decode("utf-8", "replace").replace("\0", "").lstrip("\ufeff\ufffd")

    @property
    def text(self) -> str:
        """Return the body for the ledger: cut if it is long, but with all its task ids."""
        whole = self.whole_text
        kept = whole[:ANSWER_LIMIT]
        cut_off = [each for each in named_ids(whole) if each not in kept][:_MAX_IDS]
        if not cut_off:
            return kept
        end = " … " + ", ".join(f'"taskId": "{each}"' for each in cut_off)
        return kept[: ANSWER_LIMIT - len(end)] + end


@dataclass(frozen=True, slots=True)
class _Envelope:
    """`{"code", "msg" or "message", "data"}`. Source: D L; old documentation spells `message`."""

    code: int
    message: str
    data: object
    readable: bool = True
    """False: made from the HTTP status; the answer may be a gateway's."""
    document: object = None
    """The whole JSON body."""


def create_body(
    model: str, sent: Mapping[str, object], callback_url: str = ""
) -> dict[str, object]:
    """Return the body of createTask.

    Args:
        model: The service's name of the model.
        sent: The `input` object, see `clip_request.request_input`.
        callback_url: Sent as `callBackUrl` (capital B and U) unless empty.
    """
    if callback_url:
        return {"model": model, "callBackUrl": callback_url, "input": dict(sent)}
    return {"model": model, "input": dict(sent)}


def parse_created(answer: Answer, fields: tuple[Problem, ...] = ()) -> str:
    """Return the task id of a createTask answer; opaque, not empty.

    The id is `data.taskId` or `data.recordId` (source: D L). If neither is present, it is read by
    the same names at the root, and as `task_id` or `record_id`, as in callbacks: undocumented, but
    no task is lost because of a spelling.

    Args:
        answer: The answer.
        fields: The given and the allowed values, for the message of a refusal.

    Raises:
        ContradictoryAnswer: The answer contradicts itself; the task may exist.
        ServiceError: A subclass for the error; see `create_may_exist`.
    """
    contradiction = _contradiction(answer)
    envelope = _envelope(answer)
    if contradiction:
        advice = f"{ContradictoryAnswer.advice.rstrip('.')}: {contradiction}."
        raise ContradictoryAnswer(envelope.code, envelope.message, advice=advice)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope, fields)
    task_id = _created_id(envelope)
    if not task_id:
        raise UnreadableAnswer(200, "success without a task id")
    return task_id


def _created_id(envelope: _Envelope) -> str:
    """Return the id of the created task; empty if the answer names none."""
    for place in (envelope.data, envelope.document):
        named = place if isinstance(place, dict) else {}
        for value in map(named.get, _ID_NAMES):
            if isinstance(value, str) and value.strip():
                return clean(value).strip()
    return ""


def named_ids(text: str) -> tuple[str, ...]:
    """Return every id that an answer names as `taskId` or `recordId`, at any depth.

    Searches the raw text, so that no id is missed in a document that is cut, has a key twice or
    contains JSON in a string; then the parsed document, for escaped characters. Also reads plain
    text: `taskId=…` and `Task ID: …`.
    """
    found = _ID_IN_JSON.findall(text) + [(each, "") for each in _ID_IN_TEXT.findall(text)]
    document = read_json(text)
    if isinstance(document, dict | list):
        found += _ID_IN_JSON.findall(json.dumps(document, ensure_ascii=False))
    ids = (clean(quoted or number).strip() for quoted, number in found)
    return tuple(dict.fromkeys(filter(None, ids)))


def _contradiction(answer: Answer) -> str:
    """Return why a createTask answer contradicts itself; empty if it does not.

    HTTP 200 agrees with any `code`; another status agrees with a body without a `code`, or with
    the same `code`. A body that begins as JSON and cannot be parsed may name a task.
    """
    text = answer.whole_text.strip()
    document, duplicates = _read_pairs(text)
    if duplicates:
        return f"the key {duplicates[0]!r} occurs twice"
    code = document.get("code") if isinstance(document, dict) else None
    if answer.status != 200:
        if text.startswith(("{", "[")) and document is None:
            return f"HTTP {answer.status} with JSON that cannot be read"
        if code is not None and read_integer(code) != answer.status:
            return f"HTTP {answer.status} with code {read_text(code)[:20] or type(code).__name__}"
    ids = named_ids(text)
    is_success = answer.status == 200 and read_integer(code) in (200, None)
    if not is_success and (ids or _has_id(document)):
        named = f"task {', '.join(ids[:_MAX_IDS])}" if ids else "a task"
        return f"it reports no success but names {named}"
    return ""


def _has_id(value: object, depth: int = 0) -> bool:
    """Return whether a value contains a task id, also one that `named_ids` cannot read."""
    return any(
        (_ID_NAME.fullmatch(name) and inner and str(inner).strip()) or _has_id(inner, depth + 1)
        for name, inner in _members(value, depth)
    )


def _read_pairs(text: str) -> tuple[object, list[str]]:
    """Return the JSON document, or None, and its duplicate keys."""
    duplicates: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        counted = Counter(name for name, _ in pairs)
        duplicates.extend(clean(name)[:40] for name, count in counted.items() if count > 1)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=collect), duplicates
    except (ValueError, RecursionError):
        return None, duplicates


def create_may_exist(answer: Answer, error: ServiceError) -> bool:
    """Return whether a task may exist although createTask answered with this error.

    Only HTTP 200, 401, 402, 404, 422 and 429 certainly come from the service. Any other status may
    come from a gateway that timed out while the service goes on.
    """
    return error.may_exist or answer.status not in _REFUSAL_STATUSES


def parse_record(answer: Answer, task_id: str) -> TaskStatus:
    """Return the status of a task from a recordInfo answer.

    An unknown state counts as pending. `resultJson` is read only on `success`. `code` 408 means
    that the task is over (source: D). Source of the fields: L, 595 answers.

    Raises:
        ServiceError: The status request failed; this says nothing about the task.
    """
    envelope = _envelope(answer)
    if envelope.readable and envelope.code in {404, 422}:
        return TaskMissing(task_id, envelope.message or "recordInfo is null")
    if envelope.readable and envelope.code == 408:
        message = envelope.message or "no result for over 10 minutes"
        return TaskFailure(task_id, "408", message, raw=answer.text)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    if not isinstance(envelope.data, dict):
        raise UnreadableAnswer(200, "recordInfo without data")
    answered = read_text(envelope.data.get("taskId"))
    if answered and answered != task_id:
        raise UnreadableAnswer(200, "recordInfo answers about another task")
    return parse_task(envelope.data, task_id)


def parse_uploaded(answer: Answer) -> str:
    """Return the URL of an uploaded file. Source: L; an old example has `fileUrl`."""
    data = _data(answer)
    for name in ("downloadUrl", "fileUrl"):
        if isinstance(data, dict) and is_url(data.get(name)):
            return str(data[name])
    raise UnreadableAnswer(200, "upload without a downloadUrl")


def parse_credit(answer: Answer) -> float:
    """Return the balance in credits. Source: D L, `{"code":200,"msg":"success","data":5916.25}`."""
    credits = read_float(_data(answer))
    if credits is None:
        raise UnreadableAnswer(200, "the balance is not a number")
    return credits


def parse_download_url(answer: Answer) -> str:
    """Return a result's link, valid for 20 minutes. Source: D, a bare string in `data`."""
    url = _data(answer)
    if not is_url(url):
        raise UnreadableAnswer(200, "download-url without a URL")
    return str(url)


def _data(answer: Answer) -> object:
    """Return the `data` of a successful answer; raise the exception for any other."""
    envelope = _envelope(answer)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    return envelope.data


def _raise_service_error(
    answer: Answer, envelope: _Envelope, fields: tuple[Problem, ...] = ()
) -> NoReturn:
    """Raise the exception for an error answer."""
    code = envelope.code if answer.status == 200 else answer.status
    message = envelope.message.lower()
    if code == 429:
        raise errors.RateLimited(code, envelope.message, retry_after_s=answer.retry_after_s)
    kind = _BY_CODE.get(code)
    if code == 500 and any(phrase in message for phrase in _CREDIT_PHRASES):
        kind = errors.InsufficientCredits
    elif code == 500 and any(phrase in message for phrase in _PARAMETER_PHRASES):
        kind = errors.BadRequest
    if kind is None:
        kind = errors.BadRequest if 400 <= code < 500 and code != 408 else errors.ServerFault
    if answer.status not in _REFUSAL_STATUSES:
        kind = errors.ServerFault  # the task may have been charged
    advice = "\n".join(["Nothing was charged.", *map(str, fields)]) if fields else ""
    raise kind(code, envelope.message, advice=advice if kind is errors.BadRequest else "")


def _envelope(answer: Answer) -> _Envelope:
    """Return the envelope of an answer; without one, make it from a status other than 200."""
    document = read_json(answer.whole_text)
    if isinstance(document, dict):
        code = read_integer(document.get("code"))
        if code is not None:
            message = read_text(document.get("msg")) or read_text(document.get("message"))
            return _Envelope(code, message[:500], document.get("data"), document=document)
    if answer.status != 200:
        page = page_text(answer.body)
        through = f" through the proxy {answer.through}" if answer.through else ""
        message = f"HTTP {answer.status}{through} without a readable body{page and f': {page}'}"
        return _Envelope(answer.status, message, None, readable=False)
    raise UnreadableAnswer(200, "the body is not the documented JSON")


def parse_task(data: Mapping[str, object], task_id: str) -> TaskStatus:
    """Return the status from a task object of recordInfo or of a callback."""
    state = read_text(data.get("state"))
    credits = read_float(data.get("creditsConsumed"))
    credits = read_float(data.get("consumeCredits")) if credits is None else credits
    if state == "success":
        result = data.get("resultJson")
        raw = result if isinstance(result, str) else json.dumps(result)
        return TaskSucceeded(task_id, _result_urls(data), credits, _generation_s(data), clean(raw))
    if state == "fail":
        code, message = read_text(data.get("failCode")), read_text(data.get("failMsg"))
        # Without the echo of the request, which may contain a secret of a callback URL.
        kept = {name: value for name, value in data.items() if name != "param"}
        raw = clean(json.dumps(kept, ensure_ascii=False)[:ANSWER_LIMIT])
        return TaskFailure(task_id, code, message or "no reason was given", credits, raw)
    return TaskPending(task_id, state or "waiting", credits)


def _result_urls(data: Mapping[str, object]) -> tuple[str, ...]:
    """Return every URL that may be a result, the documented places first.

    `resultJson` is a JSON string (L) or an object (C) with `resultUrls`; `response` is the same,
    parsed (L D). All other URLs of the record come last, so that a success with any URL has a
    file. The echo of the request is left out: it has the URLs of the inputs.
    """
    places = (data.get("resultJson"), data.get("response"), dict(data))
    named = [each for place in places for each in _named_results(place)]
    others = [each for place in places for each in _urls_in(place)]
    return tuple(dict.fromkeys([*named, *others]))[:_MAX_RESULTS]


def _named_results(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the URLs in every field named `resultUrl` or `resultUrls`."""
    for name, inner in _members(value, depth):
        if name.lower().replace("_", "") in {"resulturl", "resulturls"}:
            yield from _urls_in(inner, depth + 1)
        else:
            yield from _named_results(inner, depth + 1)


def _urls_in(value: object, depth: int = 0) -> Iterator[str]:
    """Yield every URL in a value; text that is neither JSON nor a URL is searched."""
    inside = _members(value, depth)
    for _, inner in inside:
        yield from _urls_in(inner, depth + 1)
    if isinstance(value, str) and not inside:
        whole = value.strip()
        yield from [whole] if is_url(whole) else _URL_IN_TEXT.findall(value)


def _members(value: object, depth: int) -> list[tuple[str, object]]:
    """Return the items of an object, a list or a JSON text, with their names."""
    if depth > _MAX_DEPTH:
        return []
    if isinstance(value, str):
        value = read_json(value) if value.lstrip()[:1] in {"{", "[", '"'} else None
        value = [value] if isinstance(value, str) else value
    if isinstance(value, dict):
        return [(name, inner) for name, inner in value.items() if name not in _ECHOES]
    return [("", inner) for inner in value] if isinstance(value, list) else []


def _generation_s(data: Mapping[str, object]) -> float | None:
    """Return completion minus creation in seconds; both are epoch milliseconds (L).

    `costTime` is not used: D and L disagree about its unit.
    """
    start, end = read_float(data.get("createTime")), read_float(data.get("completeTime"))
    return (end - start) / 1000 if start and end and end >= start else None
