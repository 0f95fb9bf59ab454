"""A task is read from a row and a time, and its record from the task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kling_nb.emulator.account.tasks import clip_name, read_task, record_of

ROW: dict[str, Any] = {
    "task_id": "56074f12319c68b246e5a03e05608f31",
    "model": "kling-2.6/image-to-video",
    "input": '{"prompt": "schön"}',
    "callback_url": "",
    "credits": 55.0,
    "fate": "",
    "unseen_s": 0.0,
    "created_at": 1000.0,
    "ready_at": 1008.0,
    "ended_at": None,
    "clip": "",
    "fail_code": "",
    "fail_msg": "",
}
ENDED = ROW | {"ended_at": 1009.5, "clip": "a.mp4"}
UNSEEN = ROW | {"fate": "unseen", "unseen_s": 0.4}
FAILED = ROW | {"ended_at": 1008.0, "fail_code": "501", "fail_msg": "Generation failed"}


@pytest.mark.parametrize(
    ("row", "now", "state"),
    [
        (ROW, 1000.0, "waiting"),
        (UNSEEN, 1000.3, "unseen"),
        (UNSEEN, 1000.4, "waiting"),
        (ROW, 1001.9, "waiting"),
        (ROW, 1002.0, "generating"),
        (ROW, 9999.0, "generating"),
        (ENDED, 1009.4, "generating"),
        (ENDED, 1009.5, "success"),
        (FAILED, 1007.9, "generating"),
        (FAILED, 1008.0, "fail"),
        (ENDED | {"fate": "vanish"}, 9999.0, "unseen"),
    ],
)
def test_the_state_follows_from_the_row_and_the_moment(
    row: dict[str, Any], now: float, state: str
) -> None:
    """A clip that is not made keeps the task generating, however late it is."""
    assert read_task(row, now).state == state


def test_a_failure_is_not_told_before_its_time() -> None:
    """Neither the reason nor the credits."""
    early, late = read_task(FAILED, 1001.0), read_task(FAILED, 1008.0)
    assert (early.fail, early.charged) == (None, 55.0)
    assert late.fail is not None
    assert (late.fail.msg, late.charged) == ("Generation failed", 0.0)


def test_param_is_compact_json_in_json() -> None:
    """As in the recorded answers (L), letters unescaped."""
    record = record_of(read_task(ROW, 1001.0), "")
    assert record["param"] == (
        '{"input":"{\\"prompt\\":\\"schön\\"}","model":"kling-2.6/image-to-video"}'
    )


def test_a_failed_record_has_no_result() -> None:
    """Code and text are strings; it has consumed nothing."""
    record = record_of(read_task(FAILED, 1010.0), "https://unused")
    assert (record["failCode"], record["failMsg"]) == ("501", "Generation failed")
    assert (record["resultJson"], record["creditsConsumed"]) == ("", 0.0)
    assert (record["costTime"], record["completeTime"]) == (8, 1_008_000)


def test_a_finished_record_names_its_clip() -> None:
    """Under the name that stays the same for ever."""
    task = read_task(ENDED, 1010.0)
    assert clip_name(task) == clip_name(read_task(ENDED, 9999.0))
    assert clip_name(task).startswith(f"{ROW['task_id']}_1_1009_")
    record = record_of(task, "https://clips/x.mp4")
    assert json.loads(str(record["resultJson"])) == {"resultUrls": ["https://clips/x.mp4"]}


@pytest.mark.parametrize(
    ("row", "flag", "has_response"), [(ROW, 0, False), (ENDED, 1, True), (FAILED, 3, False)]
)
def test_a_newer_record_adds_fields(row: dict[str, Any], flag: int, has_response: bool) -> None:
    """`successFlag` is 0, 1 or 3; `response` is `resultJson`, parsed; the old fields stay."""
    task, newer = read_task(row, 9999.0), read_task(row | {"fate": "newer"}, 9999.0)
    url = f"https://clips/{clip_name(task)}"
    old, record = record_of(task, url), record_of(newer, url)
    assert record.keys() - old.keys() == {"operationType", "response", "successFlag", "paramJson"}
    assert record.items() >= old.items()
    assert record["successFlag"] == flag
    response = {"resultUrls": [url]} if has_response else None
    assert record["response"] == response
