"""Webhooks: parse the JSON that the service posts to a `callBackUrl`, and verify its signature.

Parsing and verifying only. A callback is not trusted: it makes the session poll recordInfo.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from kling_nb.core.errors import UnreadableAnswer
from kling_nb.core.task_status import TaskStatus

from .wire import parse_task, read_json, read_text

__all__ = [
    "Callback",
    "nonce_in",
    "parse_callback",
    "sign_callback",
    "verify_callback",
    "with_nonce",
]

_NONCE = "kling_nb"
_NONCE_SIGN = re.compile(rf"(?:^|&){_NONCE}=([A-Za-z0-9_-]{{1,100}})(?=&|$)")

_ENDS_TRIED = 50
"""Each possible end of `param` costs a parse of the whole body, and anybody can post a body."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A notification that a task has ended. It is never believed: it makes us ask recordInfo.

    Source: the specification's two documents, and D.
    """

    task_id: str
    status: TaskStatus | None
    """What the notification claims; None when only the task id could be read."""
    raw: str


def parse_callback(body: bytes) -> Callback:
    r"""A notification, in every documented form.

    The specification's own two documents are not valid JSON as a whole: inside `param` a quote is
    written `\\"`, which ends the string. So: strictly first, then with that one repair, then the
    task id by itself. The id is read as `data.taskId`, `data.task_id` or root `taskId`.

    Raises:
        UnreadableAnswer: Not even a task id can be read.
    """
    raw = body.decode("utf-8", "replace")
    for text in _candidates(raw):
        document = read_json(text)
        if not isinstance(document, dict):
            continue
        data = document.get("data")
        data = data if isinstance(data, dict) else {}
        task_id = read_text(data.get("taskId")) or read_text(data.get("task_id"))
        task_id = task_id or read_text(document.get("taskId"))
        if task_id:
            return Callback(task_id, parse_task(data, task_id) if "state" in data else None, raw)
    found = re.search(r'"task_?[iI]d"\s*:\s*"([^"\\\s]{1,200})"', raw)
    if found is None:
        raise UnreadableAnswer(0, "a callback without a task id")
    return Callback(found[1], None, raw)


def sign_callback(key: str, task_id: str, timestamp: str) -> str:
    """The signature of a notification: base64(HMAC-SHA256(key, taskId + "." + timestamp)).

    Source: D. The body is not signed.
    """
    message = f"{task_id}.{timestamp}".encode("utf-8", "replace")
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def verify_callback(
    key: str, task_id: str, *, timestamp: str, signature: str, now_s: float, max_age_s: float = 300
) -> bool:
    """Whether `X-Webhook-Signature` fits the id and `X-Webhook-Timestamp` (unix seconds) is fresh.

    Args:
        key: The account's webhook key.
        task_id: The id that the body names.
        timestamp: The header as it came.
        signature: The header as it came.
        now_s: The present time in unix seconds.
        max_age_s: How far the timestamp may be from now, either way.
    """
    expected = sign_callback(key, task_id, timestamp).encode("ascii")
    matches = hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    fresh = re.fullmatch(r"[0-9]{1,12}", timestamp) is not None
    return matches and fresh and abs(now_s - int(timestamp)) <= max_age_s


def with_nonce(url: str, nonce: str) -> str:
    """The address that is sent: a person's own with our one-time value behind its query.

    By it a notification brings back the id of a task whose creation went unanswered.
    """
    address, mark, fragment = url.partition("#")
    path, _, query = address.partition("?")
    query = "&".join(filter(None, (query, f"{_NONCE}={nonce}")))
    return f"{path}?{query}{mark}{fragment}"


def nonce_in(query: str) -> str:
    """The one-time value in the query of a notification's address; empty where there is none."""
    found = _NONCE_SIGN.findall(query)
    return found[-1] if found else ""


def _candidates(raw: str) -> Iterator[str]:
    r"""The text as it is, then with `\\"` inside `param` read as the `\\\"` it should have been."""
    yield raw
    start = re.search(r'"param"\s*:\s*"', raw)
    if start is None:
        return
    ends = re.finditer(r'\}"(?=\s*(?:,\s*"\w+"\s*:|\}))', raw[start.end() :])
    for end in islice(ends, _ENDS_TRIED):
        param = raw[start.end() : start.end() + end.start() + 1]
        repaired = re.sub(r'(?<!\\)\\\\(?=")', r"\\\\\\", param)
        yield raw[: start.end()] + repaired + raw[start.end() + end.start() + 1 :]
