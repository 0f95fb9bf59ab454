r"""The document that a callback carries, in each of its documented forms, and its signature.

Pure. The forms: "documented" is the specification's, as valid JSON; "odd" has its escapes as they
are printed there, `\\"` inside `param`, which breaks the JSON; "newer" has `creditsConsumed` and
whole seconds (D); "task_id" has `data.task_id`, as the documentation's sample of a signed callback
(D).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Literal

from .tasks import Task, compact, result_of

__all__ = ["Form", "sign_document", "write_document"]

Form = Literal["documented", "odd", "newer", "task_id"]
DONE = "Playground task completed successfully."
FAILED = "Playground task failed."


def write_document(task: Task, form: Form, *, clip_url: str, remaining_credits: float) -> bytes:
    """The body of the callback for a task that has ended. Source: specification."""
    data = facts_of(task, clip_url) | {"remainedCredits": number(remaining_credits)}
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
        "msg": DONE if succeeded else FAILED,
    }
    text = json.dumps(document, ensure_ascii=False, indent=4, sort_keys=True)
    if form == "odd":
        param = json.dumps(data["param"], ensure_ascii=False)
        text = text.replace(param, param.replace(r"\\\"", r'\\"'), 1)
    return text.encode()


def sign_document(key: str, task_id: str, timestamp: str) -> str:
    """`X-Webhook-Signature`: base64(HMAC-SHA256(key, taskId + "." + timestamp)). Source: D."""
    digest = hmac.digest(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def facts_of(task: Task, clip_url: str) -> dict[str, object]:
    """The `data` of a callback; a failure has no `resultJson` and has cost nothing."""
    ended_at = task.ended_at or 0.0
    succeeded = task.state == "success"
    param = {"callBackUrl": task.callback_url, "model": task.model, "input": task.input}
    facts: dict[str, object] = {
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
        return facts | {"resultJson": result_of(task, clip_url)}
    fail = task.fail
    return facts | {"failCode": fail.code if fail else "", "failMsg": fail.msg if fail else ""}


def number(credits: float) -> int | float:
    """Credits as the specification writes them: without a point where they are whole."""
    return int(credits) if credits == int(credits) else credits
