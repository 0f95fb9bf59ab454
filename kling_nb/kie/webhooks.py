"""Webhooks: parse the JSON that the service posts to a `callBackUrl`, and verify its signature.

A callback is not trusted: it only makes the session poll recordInfo.
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
from kling_nb.kie.json_values import read_json, read_text

from .wire import parse_task

_TOKEN_NAME = "kling_nb"
_TOKEN_PATTERN = re.compile(rf"(?:^|&){_TOKEN_NAME}=([A-Za-z0-9_-]{{1,100}})(?=&|$)")

_MAX_ENDS = 50
"""Each possible end of `param` costs a parse of the whole body, and any sender can post one."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A notification that a task has ended. Source: the specification's two documents, and D."""

    task_id: str
    status: TaskStatus | None
    """The reported status; None if only the task id could be read."""
    raw: str


def parse_callback(body: bytes) -> Callback:
    r"""Parse a notification, in every documented form.

    The two documents of the specification are not valid JSON: inside `param` a quote is written
    `\\"`, which ends the string. So the body is parsed strictly, then with that repaired, and then
    searched for a task id. The id is read as `data.taskId`, `data.task_id` or root `taskId`.

    Raises:
        UnreadableAnswer: It has no readable task id.
    """
    raw = body.decode("utf-8", "replace")
    for text in _readings(raw):
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
    """Return base64(HMAC-SHA256(key, taskId + "." + timestamp)), the signature of a notification.

    Source: D. The body is not signed.
    """
    message = f"{task_id}.{timestamp}".encode("utf-8", "replace")
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def verify_callback(
    key: str, task_id: str, *, timestamp: str, signature: str, now_s: float, max_age_s: float = 300
) -> bool:
    """Return whether `X-Webhook-Signature` is right and `X-Webhook-Timestamp` is recent.

    Args:
        key: The account's webhook key.
        task_id: The id in the body.
        timestamp: The header: unix seconds.
        signature: The header.
        now_s: The current time in unix seconds.
        max_age_s: Allowed difference between the timestamp and now, either way.
    """
    expected = sign_callback(key, task_id, timestamp).encode("ascii")
    matches = hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    fresh = re.fullmatch(r"[0-9]{1,12}", timestamp) is not None
    return matches and fresh and abs(now_s - int(timestamp)) <= max_age_s


def add_callback_token(url: str, nonce: str) -> str:
    """Add a callback token to the query of the user's URL.

    With it a notification gives the id of a task if the answer to createTask was lost.
    """
    address, mark, fragment = url.partition("#")
    path, _, query = address.partition("?")
    query = "&".join(filter(None, (query, f"{_TOKEN_NAME}={nonce}")))
    return f"{path}?{query}{mark}{fragment}"


def read_callback_token(query: str) -> str:
    """Return the callback token in the query of a callback URL; empty if there is none."""
    found = _TOKEN_PATTERN.findall(query)
    return found[-1] if found else ""


def _readings(raw: str) -> Iterator[str]:
    r"""Yield the text, then the text with `\\"` inside `param` corrected to `\\\"`."""
    yield raw
    start = re.search(r'"param"\s*:\s*"', raw)
    if start is None:
        return
    ends = re.finditer(r'\}"(?=\s*(?:,\s*"\w+"\s*:|\}))', raw[start.end() :])
    for end in islice(ends, _MAX_ENDS):
        param = raw[start.end() : start.end() + end.start() + 1]
        repaired = re.sub(r'(?<!\\)\\\\(?=")', r"\\\\\\", param)
        yield raw[: start.end()] + repaired + raw[start.end() + end.start() + 1 :]
