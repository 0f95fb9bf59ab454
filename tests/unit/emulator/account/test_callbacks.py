"""Which callbacks a task owes, and their documents, in every documented form."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
from typing import Any, get_args

import pytest

from kling_nb.emulator.account.callbacks import (
    CallbackForm,
    plan_callbacks,
    sign_document,
    write_document,
)
from kling_nb.emulator.account.tasks import Fail, Task
from kling_nb.emulator.faults import CallbackFault
from kling_nb.kie.webhooks import parse_callback, verify_callback
from tests.support.sample_files import SAMPLES, document

REQUEST = document("create.request.image-to-video.json")
CLIP = "https://example.com/generated-image.jpg"
DONE = Task(
    task_id="e989621f54392584b05867f87b160672",
    model=REQUEST["model"],
    input=REQUEST["input"],
    callback_url=REQUEST["callBackUrl"],
    created_at=1755599634.0,
    ready_at=1755599644.0,
    ended_at=1755599644.0,
    state="success",
    fate="",
    fail=None,
    clip="a.mp4",
    credits=100.0,
    charged=100.0,
)
FAILED = dataclasses.replace(
    DONE,
    task_id="bd3a37c523149e4adf45a3ddb5faf1a8",
    created_at=1755596341.0,
    ended_at=1755597081.0,
    state="fail",
    fail=Fail("500", "Internal server error"),
    charged=0.0,
)


ROW: dict[str, Any] = {
    "task_id": "t1",
    "callback_url": "http://127.0.0.1:9/hook",
    "fate": "",
    "created_at": 1000.0,
    "ready_at": 1010.0,
}
END = {
    "task_id": "t1",
    "url": "http://127.0.0.1:9/hook",
    "kind": "end",
    "due_at": 1010.0,
    "after_s": 0.0,
}


def written(task: Task, form: CallbackForm = "documented", credits: float = 2510330) -> bytes:
    """The body of a callback."""
    return write_document(task, form, clip_url=CLIP, remaining_credits=credits)


def read(task: Task, form: CallbackForm = "documented") -> dict[str, Any]:
    """The `data` of a body that is valid JSON."""
    return dict(json.loads(written(task, form))["data"])


@pytest.mark.parametrize(
    ("sample", "task", "credits"),
    [("callback.success.txt", DONE, 2510330), ("callback.failure.txt", FAILED, 2510430)],
)
def test_the_odd_form_is_the_specification_byte_for_byte(
    sample: str, task: Task, credits: int
) -> None:
    """Apart from two numbers that are the provider's own reckoning: `costTime`, `updateTime`."""
    given = (SAMPLES / sample).read_bytes().strip()
    reckoned = rb'"(costTime|updateTime)": \d+'
    ours = re.sub(reckoned, rb'"\1": 0', written(task, "odd", credits))
    assert ours == re.sub(reckoned, rb'"\1": 0', given)
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(ours)


def test_the_documented_form_says_the_same_in_valid_json() -> None:
    """A success has its result and its price, and `param` is the request, its input an object."""
    data = read(DONE)
    assert json.loads(data["param"]) == REQUEST
    assert json.loads(data["resultJson"]) == {"resultUrls": [CLIP]}
    assert (data["state"], data["consumeCredits"], data["costTime"]) == ("success", 100, 10)


def test_a_failure_has_no_result_and_costs_nothing() -> None:
    """Code 501, the task's own reason, both costs 0."""
    whole = json.loads(written(FAILED))
    assert (whole["code"], whole["msg"]) == (501, "Playground task failed.")
    data = whole["data"]
    assert "resultJson" not in data
    assert (data["failCode"], data["failMsg"]) == ("500", "Internal server error")
    assert (data["consumeCredits"], data["costTime"]) == (0, 0)


def test_the_newer_form_renames_the_price_and_rounds_times() -> None:
    """To whole seconds, still written in milliseconds."""
    task = dataclasses.replace(DONE, created_at=1755599634.4, ended_at=1755599643.7)
    data = read(task, "newer")
    assert data["creditsConsumed"] == 100
    assert "consumeCredits" not in data
    assert data["createTime"] == 1755599634000
    assert data["completeTime"] == data["updateTime"] == 1755599644000
    assert read(task)["completeTime"] == 1755599643700


def test_the_sample_form_names_the_id_otherwise() -> None:
    """`data.task_id` in place of `data.taskId`."""
    data = read(DONE, "task_id")
    assert data["task_id"] == DONE.task_id
    assert "taskId" not in data


@pytest.mark.parametrize("form", get_args(CallbackForm))
@pytest.mark.parametrize("task", [DONE, FAILED])
@pytest.mark.parametrize("prompt", ['a "b" \\"c\\ d', "ß\n\t🦊", '", "state": "fail'])
def test_the_client_reads_every_form(form: CallbackForm, task: Task, prompt: str) -> None:
    """The id and what is claimed, whatever the prompt has in it."""
    task = dataclasses.replace(task, input=dict(task.input) | {"prompt": prompt})
    callback = parse_callback(written(task, form))
    assert callback.task_id == task.task_id
    # Two backslashes before a quote cannot be told apart from the odd escape.
    if form != "odd" or "\\" not in prompt:
        assert callback.status is not None


def test_a_fraction_of_a_credit_is_kept() -> None:
    """A whole number has no point, as in the specification."""
    body = json.loads(written(DONE, credits=12.25))
    assert body["data"]["remainedCredits"] == 12.25
    assert b'"remainedCredits": 2510330,' in written(DONE)


def test_the_signature_is_the_documented_one() -> None:
    """base64(HMAC-SHA256(key, taskId + "." + timestamp)); the client agrees."""
    signature = sign_document("key", "t1", "1755599644")
    digest = hmac.new(b"key", b"t1.1755599644", hashlib.sha256).digest()
    assert base64.b64decode(signature) == digest
    assert verify_callback(
        "key", "t1", timestamp="1755599644", signature=signature, now_s=1755599644
    )


@pytest.mark.parametrize(
    ("fault", "callbacks"),
    [
        (None, [END]),
        (CallbackFault("never"), []),
        (CallbackFault("late", seconds=4.0), [{**END, "after_s": 4.0}]),
        (CallbackFault("twice"), [END, END]),
        (CallbackFault("forged"), [{**END, "kind": "forged", "due_at": 1005.0}, END]),
        (CallbackFault("garbled"), [{**END, "kind": "garbled"}]),
    ],
)
def test_a_fault_decides_which_callbacks_are_sent(
    fault: CallbackFault | None, callbacks: list[Any]
) -> None:
    """Without a fault there is one."""
    assert plan_callbacks(ROW, fault) == callbacks


@pytest.mark.parametrize("changes", [{"callback_url": "https://example.com/"}, {"fate": "vanish"}])
def test_nothing_is_owed(changes: dict[str, Any]) -> None:
    """To another machine, or for a task that recordInfo never knows."""
    assert plan_callbacks(ROW | changes, None) == []
