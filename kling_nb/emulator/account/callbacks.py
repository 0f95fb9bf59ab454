r"""Decide which callbacks a task owes, write their JSON document, and sign it.

Pure. The forms of the document: "documented" is the specification's, as valid JSON; "odd" has the
escapes as printed there, `\\"` inside `param`, which breaks the JSON; "newer" has
`creditsConsumed` and whole seconds (D); "task_id" has `data.task_id`, as the documentation's sample
of a signed callback (D).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kling_nb.emulator.faults import CallbackFault
from kling_nb.emulator.hosts import is_this_machine

from .tasks import Task, compact, result_of

CallbackForm = Literal["documented", "odd", "newer", "task_id"]
_CallbackKind = Literal["end", "forged", "garbled"]
_FORGED_SHARE = 0.5
"""The part of a task's time after which a forged callback is sent."""
_DONE = "Playground task completed successfully."
_FAILED = "Playground task failed."


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A callback to send until a receiver accepts it or the attempts are used up."""

    number: int
    task_id: str
    url: str
    kind: _CallbackKind
    tries: int
    """The number of attempts so far."""
    due_at: float | None
    """Epoch seconds; None while its task runs. Later while a process has claimed the callback."""


@dataclass(frozen=True, slots=True)
class CallbackAttempt:
    """One attempt to send a callback; times by the emulator's clock."""

    task_id: str
    kind: _CallbackKind
    letter: int
    """The number of the callback; equal for all its attempts. A duplicate has its own number."""
    attempt: int
    """1 for the first attempt."""
    started_at: float
    answered_at: float | None
    status: int | None
    """HTTP status of the answer; None without an answer."""
    words: str
    """Why there is no answer, or an empty string."""


def plan_callbacks(
    row: Mapping[str, str | float | None], fault: CallbackFault | None
) -> list[dict[str, str | float]]:
    """Return the rows of the callbacks that a new task owes.

    There are none for an address of another machine, nor for a task that recordInfo never knows.
    """
    url = str(row["callback_url"])
    if not is_this_machine(url) or row["fate"] == "vanish":
        return []
    how = fault.how if fault else ""
    created_at, ready_at = float(row["created_at"] or 0), float(row["ready_at"] or 0)
    end: dict[str, str | float] = {
        "task_id": str(row["task_id"]),
        "url": url,
        "kind": "end",
        "due_at": ready_at,
        "after_s": fault.seconds if fault and how == "late" else 0.0,
    }
    forged_at = created_at + (ready_at - created_at) * _FORGED_SHARE
    match how:
        case "never":
            return []
        case "twice":
            return [end, end]
        case "forged":
            return [{**end, "kind": "forged", "due_at": forged_at}, end]
        case "garbled":
            return [{**end, "kind": "garbled"}]
    return [end]


def write_document(
    task: Task, form: CallbackForm, *, clip_url: str, remaining_credits: float
) -> bytes:
    """Write the body of the callback for a finished task. Source: specification."""
    data = _data_of(task, clip_url) | {"remainedCredits": number(remaining_credits)}
    match form:
        case "newer":
            data["creditsConsumed"] = data.pop("consumeCredits")
            for name in ("createTime", "completeTime", "updateTime"):
                data[name] = round(int(str(data[name])) / 1000) * 1000
        case "task_id":
            data["task_id"] = data.pop("taskId")
    succeeded = task.state == "success"
    document = {
        "code": 200 if succeeded else 501,
        "data": data,
        "msg": _DONE if succeeded else _FAILED,
    }
    text = json.dumps(document, ensure_ascii=False, indent=4, sort_keys=True)
    if form == "odd":
        param = json.dumps(data["param"], ensure_ascii=False)
        text = text.replace(param, param.replace(r"\\\"", r'\\"'), 1)
    return text.encode()


def sign_document(key: str, task_id: str, timestamp: str) -> str:
    """Return `X-Webhook-Signature`: base64(HMAC-SHA256(key, taskId + "." + timestamp)) (D)."""
    digest = hmac.digest(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def _data_of(task: Task, clip_url: str) -> dict[str, object]:
    """Return the `data` of a callback; a failure has no `resultJson` and costs nothing."""
    ended_at = task.ended_at or 0.0
    succeeded = task.state == "success"
    param = {"callBackUrl": task.callback_url, "model": task.model, "input": task.input}
    data: dict[str, object] = {
        "taskId": task.task_id,
        "model": task.model,
        "state": task.state,
        "param": compact(param),
        "costTime": int(ended_at - task.created_at) if succeeded else 0,
        "createTime": int(task.created_at * 1000),
        "completeTime": int(ended_at * 1000),
        "updateTime": int(ended_at * 1000),
        "consumeCredits": number(task.charged),
    }
    if succeeded:
        return data | {"resultJson": result_of(task, clip_url)}
    fail = task.fail
    return data | {"failCode": fail.code if fail else "", "failMsg": fail.msg if fail else ""}


def number(credits: float) -> int | float:
    """Return credits as the specification writes them: an integer without a decimal point."""
    return int(credits) if credits == int(credits) else credits
