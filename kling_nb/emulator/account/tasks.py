"""Tasks as the service sees them: a snapshot of one, and what recordInfo says of it.

Pure: rows and times in, values out. Must not know SQLite, HTTP or how clips are made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Fail",
    "Order",
    "State",
    "Task",
    "clip_name",
    "compact",
    "read_task",
    "record_of",
    "result_names",
    "result_of",
]

State = Literal["unseen", "waiting", "generating", "success", "fail"]
WAITING_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Order:
    """A createTask request that passed all rules."""

    model: str
    input: dict[str, object]
    callback_url: str
    credits: float
    """The price, taken at submission."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Why a task failed, in the service's two fields."""

    code: str
    msg: str


@dataclass(frozen=True, slots=True)
class Task:
    """One task as it stood at the moment it was read from the books."""

    task_id: str
    model: str
    input: dict[str, object]
    callback_url: str
    created_at: float
    """Epoch seconds, as all times here."""
    ready_at: float
    ended_at: float | None
    state: State
    fate: str
    """The fault that the task was made under, or an empty string."""
    fail: Fail | None
    clip: str
    """File name of the rendered clip, or an empty string."""
    credits: float
    charged: float
    """What the task costs as things stand: its price, or 0 once it has failed."""
    unseen_s: float = 0.0
    """How long recordInfo does not know the task."""


def read_task(row: Mapping[str, object], now: float) -> Task:
    """The task of one row of the books, as it stands at `now`."""
    facts = dict(row)
    fail = Fail(str(facts.pop("fail_code")), str(facts.pop("fail_msg")))
    state = state_at(facts, now, failed=bool(fail.msg))
    return Task(
        **{**facts, "input": json.loads(str(facts["input"]))},
        state=state,
        fail=fail if state == "fail" else None,
        charged=0.0 if state == "fail" else float(str(facts["credits"])),
    )


def state_at(facts: Mapping[str, object], now: float, *, failed: bool) -> State:
    """The service's word for the task at `now`; "unseen" where recordInfo says null.

    Live paths are `waiting → generating → success`, and a new task is known at once: in 37 of 37
    recorded conversations. Source: recorded traffic (L), 2026-04-30 to 2026-10.
    """
    created_at, ready_at = float(str(facts["created_at"])), float(str(facts["ready_at"]))
    ended_at = facts["ended_at"]
    if facts["fate"] == "vanish" or now < created_at + float(str(facts["unseen_s"])):
        return "unseen"
    if ended_at is not None and now >= float(str(ended_at)):
        return "fail" if failed else "success"
    waits_until = created_at + (ready_at - created_at) * WAITING_SHARE
    return "waiting" if now < waits_until else "generating"


def clip_name(task: Task) -> str:
    """File name in the result URL: `TASKID_1_EPOCHSECONDS_4DIGITS.mp4`. Source: L."""
    digest = hashlib.sha256(task.task_id.encode()).hexdigest()
    return f"{task.task_id}_1_{int(task.ended_at or 0)}_{int(digest, 16) % 10_000:04}.mp4"


def result_names(task: Task) -> tuple[str, ...]:
    """File names of all results: the clip, or by a fault a cover, the clip and a second one."""
    name = clip_name(task)
    if task.fate != "several":
        return (name,)
    cover = name.replace("_1_", "_0_").replace(".mp4", ".jpg")
    return cover, name, name.replace("_1_", "_2_")


def record_of(task: Task, clip_url: str) -> dict[str, object]:
    """The `data` of recordInfo: the ten live keys and `creditsConsumed`; more in the newer form.

    Times are epoch milliseconds, `costTime` is whole seconds, `param` is JSON whose `input` is
    JSON again. Source: recorded live traffic (L), 595 answers, April to October 2026.
    """
    ended = task.state in ("success", "fail") and task.ended_at is not None
    record: dict[str, object] = {
        "taskId": task.task_id,
        "model": task.model,
        "state": task.state,
        "param": param_of(task),
        "resultJson": result_of(task, clip_url),
        "failCode": task.fail.code if task.fail else None,
        "failMsg": task.fail.msg if task.fail else None,
        "costTime": int((task.ended_at or 0) - task.created_at) if ended else None,
        "completeTime": int((task.ended_at or 0) * 1000) if ended else None,
        "createTime": int(task.created_at * 1000),
        "creditsConsumed": task.charged,
    }
    return record | newer_fields(task, record) if task.fate == "newer" else record


def newer_fields(task: Task, record: Mapping[str, object]) -> dict[str, object]:
    """The fields that later answers may add.

    `successFlag` is 0 while the task runs, 1 for success, 3 for failure; `response` is
    `resultJson`, parsed. The value of `operationType` is not known here: the model stands in.
    Source: recorded traffic and documentation (L, D), 2026-08 to 2026-10.
    """
    result = str(record["resultJson"])
    return {
        "operationType": task.model,
        "paramJson": record["param"],
        "response": json.loads(result) if result else None,
        "successFlag": {"success": 1, "fail": 3}.get(task.state, 0),
    }


def param_of(task: Task) -> str:
    """The request as recordInfo repeats it."""
    param = {"input": compact(task.input), "model": task.model}
    if task.callback_url:
        param = {"callBackUrl": task.callback_url, **param}
    return compact(param)


def result_of(task: Task, clip_url: str) -> str:
    """The `resultJson` of a task: empty until it has succeeded."""
    if task.state != "success":
        return ""
    if task.fate == "no-url":
        return compact({"resultUrls": []})
    place = clip_url.removesuffix(clip_name(task))
    urls = [f"{place}{name}" for name in result_names(task)] if task.fate else [clip_url]
    return compact({"resultUrls": urls})


def compact(value: object) -> str:
    """JSON without spaces, as the service writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
