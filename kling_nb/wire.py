"""Values → request body; answer bytes → status or error.

The only module that knows the service's spelling (`taskId`, `resultJson`, `msg`). Nothing here
touches the network: an answer comes in as an `Answer`, and whatever its bytes are, only this
package's own errors go out. Sources, as each docstring names them: D published documentation,
L live traffic recorded by others from April to October 2026, C what several public clients rely on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from . import errors
from .errors import Problem, ServiceError, UnreadableAnswer
from .evidence import ANSWER_LIMIT
from .tasks import TaskFailed, TaskMissing, TaskPending, TaskStatus, TaskSucceeded

__all__ = [
    "CREATE_PATH",
    "CREDIT_PATH",
    "DOWNLOAD_URL_PATH",
    "RECORD_PATH",
    "UPLOAD_PATH",
    "Answer",
    "clean",
    "create_body",
    "create_may_exist",
    "parse_created",
    "parse_credit",
    "parse_download_url",
    "parse_record",
    "parse_task",
    "parse_uploaded",
    "read_json",
    "read_text",
]

CREATE_PATH = "/api/v1/jobs/createTask"
RECORD_PATH = "/api/v1/jobs/recordInfo"
CREDIT_PATH = "/api/v1/chat/credit"
DOWNLOAD_URL_PATH = "/api/v1/common/download-url"
UPLOAD_PATH = "/api/file-stream-upload"

_PARAMETER_WORDS = ("is required", "not within the range of allowed")
_CREDIT_WORDS = ("credits insufficient", "insufficient credits")
_BY_CODE: Mapping[int, type[ServiceError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    402: errors.InsufficientCredits,
    404: errors.EndpointNotFound,
    422: errors.BadRequest,
    433: errors.KeyLimitReached,
    455: errors.Maintenance,
}
_STATUSES_THAT_REFUSE = frozenset({200, 401, 402, 404, 422, 429})
_URL = re.compile(r"https?://[^\s/\x00-\x1f\ud800-\udfff]+/[^\s\x00-\x1f\ud800-\udfff]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, as far as this module needs it."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def text(self) -> str:
        """The body as it is kept: cut where it is long."""
        return self.body.decode("utf-8", "replace")[:ANSWER_LIMIT]


@dataclass(frozen=True, slots=True)
class _Envelope:
    """`{"code", "msg" or "message", "data"}`. Source: D L; old documentation spells `message`."""

    code: int
    message: str
    data: object
    readable: bool = True
    """False: made from the HTTP status, so that a gateway may have spoken."""


def create_body(
    model: str, sent: Mapping[str, object], callback_url: str = ""
) -> dict[str, object]:
    """The body of createTask.

    Args:
        model: The service's name of the model.
        sent: The `input` object, see `specs.request_input`.
        callback_url: Sent as `callBackUrl` (capital B and U) unless empty.
    """
    if callback_url:
        return {"model": model, "callBackUrl": callback_url, "input": dict(sent)}
    return {"model": model, "input": dict(sent)}


def parse_created(answer: Answer, fields: tuple[Problem, ...] = ()) -> str:
    """The task id of a createTask answer; opaque, not empty.

    Args:
        answer: What came back.
        fields: What was given and is allowed, for the message of a refusal.

    Raises:
        ServiceError: The fitting class; see `create_may_exist` for what it means.
    """
    envelope = _envelope(answer)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope, fields)
    data = envelope.data if isinstance(envelope.data, dict) else {}
    task_id = data.get("taskId") or data.get("recordId")
    if not isinstance(task_id, str) or not task_id.strip():
        raise UnreadableAnswer(200, "success without a task id")
    return clean(task_id)


def create_may_exist(answer: Answer, error: ServiceError) -> bool:
    """Whether a task may exist although createTask answered with this error.

    A refusal counts only where the service itself speaks: HTTP 200, 401, 402, 404, 422 or 429.
    Any other HTTP status may come from a gateway that gave up on a request that goes on behind it.
    """
    return error.may_exist or answer.status not in _STATUSES_THAT_REFUSE


def parse_record(answer: Answer, task_id: str) -> TaskStatus:
    """What recordInfo says of a task.

    A state word that is new to us is not an end. `resultJson` is read only on `success`.
    `code` 408 means that the task is over (source: D). Source of the fields: L, 595 answers.

    Raises:
        ServiceError: The question failed; that says nothing about the task.
    """
    envelope = _envelope(answer)
    if envelope.readable and envelope.code in {404, 422}:
        return TaskMissing(task_id, envelope.message or "recordInfo is null")
    if envelope.readable and envelope.code == 408:
        message = envelope.message or "no result for over 10 minutes"
        return TaskFailed(task_id, "408", message, raw=answer.text)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    if not isinstance(envelope.data, dict):
        raise UnreadableAnswer(200, "recordInfo without data")
    answered = read_text(envelope.data.get("taskId"))
    if answered and answered != task_id:
        raise UnreadableAnswer(200, "recordInfo answers about another task")
    return parse_task(envelope.data, task_id)


def parse_uploaded(answer: Answer) -> str:
    """The URL of an uploaded file. Source: L; an old example has `fileUrl`."""
    envelope = _envelope(answer)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    data = envelope.data if isinstance(envelope.data, dict) else {}
    for name in ("downloadUrl", "fileUrl"):
        if _is_url(data.get(name)):
            return str(data[name])
    raise UnreadableAnswer(200, "upload without a downloadUrl")


def parse_credit(answer: Answer) -> float:
    """The balance in credits. Source: D L, `{"code":200,"msg":"success","data":5916.25}`."""
    envelope = _envelope(answer)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    credits = _number(envelope.data)
    if credits is None:
        raise UnreadableAnswer(200, "the balance is not a number")
    return credits


def parse_download_url(answer: Answer) -> str:
    """A link to a result that is valid for 20 minutes. Source: D, a bare string in `data`."""
    envelope = _envelope(answer)
    if answer.status != 200 or envelope.code != 200:
        _raise_service_error(answer, envelope)
    if not _is_url(envelope.data):
        raise UnreadableAnswer(200, "download-url without a URL")
    return str(envelope.data)


def _raise_service_error(
    answer: Answer, envelope: _Envelope, fields: tuple[Problem, ...] = ()
) -> NoReturn:
    """The one place that turns an error answer into an exception."""
    code = envelope.code if answer.status == 200 else answer.status
    words = envelope.message.lower()
    if code == 429:
        raise errors.RateLimited(code, envelope.message, retry_after_s=answer.retry_after_s)
    kind = _BY_CODE.get(code)
    if code == 500 and any(phrase in words for phrase in _CREDIT_WORDS):
        kind = errors.InsufficientCredits
    elif code == 500 and any(phrase in words for phrase in _PARAMETER_WORDS):
        kind = errors.BadRequest
    if kind is None:
        kind = errors.BadRequest if 400 <= code < 500 and code != 408 else errors.ServerFault
    if answer.status not in _STATUSES_THAT_REFUSE:
        kind = errors.ServerFault  # nobody here can promise that nothing was charged
    advice = "\n".join(["Nothing was charged.", *map(str, fields)]) if fields else ""
    raise kind(code, envelope.message, advice=advice if kind is errors.BadRequest else "")


def _envelope(answer: Answer) -> _Envelope:
    """The envelope of an answer; outside HTTP 200 a missing one is made from the status."""
    document = read_json(answer.body.decode("utf-8", "replace"))
    if isinstance(document, dict):
        code = _integer(document.get("code"))
        if code is not None:
            message = read_text(document.get("msg")) or read_text(document.get("message"))
            return _Envelope(code, message[:500], document.get("data"))
    if answer.status != 200:
        message = f"HTTP {answer.status} without a readable body"
        return _Envelope(answer.status, message, None, readable=False)
    raise UnreadableAnswer(200, "the body is not the documented JSON")


def parse_task(data: Mapping[str, object], task_id: str) -> TaskStatus:
    """What a task object says, as recordInfo and a callback carry it."""
    state = read_text(data.get("state"))
    credits = _number(data.get("creditsConsumed"))
    credits = _number(data.get("consumeCredits")) if credits is None else credits
    if state == "success":
        result = data.get("resultJson")
        raw = result if isinstance(result, str) else json.dumps(result)
        return TaskSucceeded(task_id, _result_urls(result), credits, _took_s(data), clean(raw))
    if state == "fail":
        code, message = read_text(data.get("failCode")), read_text(data.get("failMsg"))
        # Without the echo of our own request, which may hold a secret of a callback's address.
        said = {name: value for name, value in data.items() if name != "param"}
        raw = clean(json.dumps(said, ensure_ascii=False)[:ANSWER_LIMIT])
        return TaskFailed(task_id, code, message or "no reason was given", credits, raw)
    return TaskPending(task_id, state or "waiting", credits)


def _result_urls(result: object) -> tuple[str, ...]:
    """`resultUrls` of a `resultJson`. Source: L a JSON string; C sometimes an object."""
    document = read_json(result) if isinstance(result, str) else result
    urls = document.get("resultUrls") if isinstance(document, dict) else None
    urls = [urls] if isinstance(urls, str) else urls
    return tuple(url for url in urls if _is_url(url)) if isinstance(urls, list) else ()


def _took_s(data: Mapping[str, object]) -> float | None:
    """Completion minus creation, both epoch milliseconds (L).

    `costTime` is not used: D and L disagree about its unit.
    """
    start, end = _number(data.get("createTime")), _number(data.get("completeTime"))
    return (end - start) / 1000 if start and end and end >= start else None


def read_json(text: str) -> object:
    """The JSON document, or None where there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_text(value: object) -> str:
    """A string or a number as text that can be written; anything else is empty."""
    if isinstance(value, str):
        return clean(value).strip()
    number = None if isinstance(value, bool) else _number(value)
    return "" if number is None else f"{number:.15g}"


def clean(text: str) -> str:
    """Text that can be written as UTF-8: JSON may carry half characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < 1e15 else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _is_url(value: object) -> bool:
    return isinstance(value, str) and _URL.fullmatch(value) is not None
