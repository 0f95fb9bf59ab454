"""A task as the service reports it: its state at a moment, and its recordInfo record.

Pure: rows and times in, values out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_State = Literal["unseen", "waiting", "generating", "success", "fail"]
_WAITING_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A valid createTask request."""

    model: str
    input: dict[str, object]
    callback_url: str
    credits: float
    """The price, charged at submission."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Why a task failed, in the service's two fields."""

    code: str
    msg: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task at the moment when it was read."""

    task_id: str
    model: str
    input: dict[str, object]
    callback_url: str
    created_at: float
    """Epoch seconds, as all times here."""
    ready_at: float
    ended_at: float | None
    state: _State
    fate: str
    """The fault of the task, or an empty string."""
    fail: Fail | None
    clip: str
    """File name of the rendered clip, or empty."""
    credits: float
    charged: float
    """The price, or 0 after a failure."""
    unseen_s: float = 0.0
    """How long recordInfo does not know the task."""


def read_task(row: Mapping[str, object], now: float) -> Task:
    """Return the task of a row at the time `now`."""
    values = dict(row)
    fail = Fail(str(values.pop("fail_code")), str(values.pop("fail_msg")))
    state = _state_at(values, now, failed=bool(fail.msg))
    return Task(
        **{**values, "input": json.loads(str(values["input"]))},
        state=state,
        fail=fail if state == "fail" else None,
        charged=0.0 if state == "fail" else float(str(values["credits"])),
    )


def _state_at(row: Mapping[str, object], now: float, *, failed: bool) -> _State:
    """Return the service's state of a task at `now`; "unseen" if recordInfo answers null.

    Live paths are `waiting → generating → success`, and a new task is known at once: in 37 of 37
    recorded conversations. Source: recorded traffic (L), 2026-04-30 to 2026-10.
    """
    created_at, ready_at = float(str(row["created_at"])), float(str(row["ready_at"]))
    ended_at = row["ended_at"]
    if row["fate"] == "vanish" or now < created_at + float(str(row["unseen_s"])):
        return "unseen"
    if ended_at is not None and now >= float(str(ended_at)):
        return "fail" if failed else "success"
    waits_until = created_at + (ready_at - created_at) * _WAITING_SHARE
    return "waiting" if now < waits_until else "generating"


def clip_name(task: Task) -> str:
    """Return the file name of the result: `TASKID_1_EPOCHSECONDS_4DIGITS.mp4`. Source: L."""
    digest = hashlib.sha256(task.task_id.encode()).hexdigest()
    return f"{task.task_id}_1_{int(task.ended_at or 0)}_{int(digest, 16) % 10_000:04}.mp4"


def result_names(task: Task) -> tuple[str, ...]:
    """Return the file names of all results: the clip, or by a fault a cover and two clips."""
    name = clip_name(task)
    if task.fate != "several":
        return (name,)
    cover = name.replace("_1_", "_0_").replace(".mp4", ".jpg")
    return cover, name, name.replace("_1_", "_2_")


def record_of(task: Task, clip_url: str) -> dict[str, object]:
    """Return the `data` of recordInfo: the ten live keys and `creditsConsumed`; more by a fault.

    Times are epoch milliseconds, `costTime` is whole seconds, `param` is JSON whose `input` is
    JSON again. Source: recorded live traffic (L), 595 answers, April to October 2026.
    """
    ended = task.state in ("success", "fail") and task.ended_at is not None
    record: dict[str, object] = {
        "taskId": task.task_id,
        "model": task.model,
        "state": task.state,
        "param": _param_of(task),
        "resultJson": result_of(task, clip_url),
        "failCode": task.fail.code if task.fail else None,
        "failMsg": task.fail.msg if task.fail else None,
        "costTime": int((task.ended_at or 0) - task.created_at) if ended else None,
        "completeTime": int((task.ended_at or 0) * 1000) if ended else None,
        "createTime": int(task.created_at * 1000),
        "creditsConsumed": task.charged,
    }
    return record | _newer_fields(task, record) if task.fate == "newer" else record


def _newer_fields(task: Task, record: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that later answers may add.

    `successFlag` is 0 while the task runs, 1 for success, 3 for failure; `response` is
    `resultJson`, parsed. The value of `operationType` is unknown; it is the model here.
    Source: recorded traffic and documentation (L, D), 2026-08 to 2026-10.
    """
    result = str(record["resultJson"])
    return {
        "operationType": task.model,
        "paramJson": record["param"],
        "response": json.loads(result) if result else None,
        "successFlag": {"success": 1, "fail": 3}.get(task.state, 0),
    }


def _param_of(task: Task) -> str:
    """Return the request as recordInfo repeats it."""
    param = {"input": compact(task.input), "model": task.model}
    if task.callback_url:
        param = {"callBackUrl": task.callback_url, **param}
    return compact(param)


def result_of(task: Task, clip_url: str) -> str:
    """Return the `resultJson` of a task, empty until it succeeds."""
    if task.state != "success":
        return ""
    if task.fate == "no-url":
        return compact({"resultUrls": []})
    base = clip_url.removesuffix(clip_name(task))
    urls = [f"{base}{name}" for name in result_names(task)] if task.fate else [clip_url]
    return compact({"resultUrls": urls})


def compact(value: object) -> str:
    """Return JSON without spaces, as the service writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
