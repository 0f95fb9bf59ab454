"""The API host follows kie-api.md, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator import Limits
from kling_nb.emulator.account.account import parse_rate_limits
from kling_nb.emulator.account.tasks import TaskRequest
from tests.support.sample_files import document

NO_ACCESS = {"code": 401, "msg": "You do not have access permissions", "data": None}
TOO_OFTEN = "Your call frequency is too high. Please try again later."


@pytest.mark.parametrize("key", [None, "", " ", "bad-key"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/jobs/createTask"),
        ("GET", "/api/v1/jobs/recordInfo"),
        ("GET", "/api/v1/chat/credit"),
        ("POST", "/api/v1/common/download-url"),
    ],
)
def test_a_bad_key_has_no_access(local: Any, method: str, path: str, key: str | None) -> None:
    """HTTP 200 with code 401, in the live wording (L)."""
    answer = local.call(method, "api", path, key=key)
    assert answer.status_code == 200
    assert answer.json() == NO_ACCESS


@pytest.mark.parametrize(
    ("duration", "sound", "price"),
    [("5", False, 55), ("10", False, 110), ("5", True, 110), ("10", True, 220)],
)
def test_the_price_is_taken_at_submission(
    start: Any, duration: str, sound: bool, price: int
) -> None:
    """The credits are gone, and named as consumed, while the task still waits (L)."""
    service = start(seconds=1000)
    task_id = service.create(duration=duration, sound=sound).json()["data"]["taskId"]
    credit = service.call("GET", "api", "/api/v1/chat/credit").json()
    assert credit == {"code": 200, "msg": "success", "data": 5916.0 - price}
    assert service.record(task_id).json()["data"]["creditsConsumed"] == price


def test_without_credits_there_is_no_task(service: Any) -> None:
    """Code 402, nothing made."""
    service.account.set_balance(54.9)
    assert service.create().json()["code"] == 402
    assert service.account.count_tasks() == 0
    service.account.set_balance(55)
    assert service.create().json()["code"] == 200
    assert service.account.balance() == 0


def test_more_than_20_tasks_in_10_s_are_rejected(start: Any, clock: Any) -> None:
    """The 21st is not queued; after the window it goes through."""
    service = start(clock=clock, limits=Limits(), seconds=1000)
    answers = [service.create().json()["code"] for _ in range(20)]
    refused = service.create().json()
    assert set(answers) == {200}
    assert (refused["code"], refused["msg"]) == (429, TOO_OFTEN)
    clock.move(10.1)
    assert service.create().json()["code"] == 200


def test_more_than_10_questions_a_second_are_rejected(start: Any, clock: Any) -> None:
    """Counted for each key."""
    service = start(clock=clock, limits=Limits())
    codes = [service.record("any").json()["code"] for _ in range(11)]
    assert codes == [422] * 10 + [429]
    assert service.record("any", key="another").json()["code"] == 422
    clock.move(1.1)
    assert service.record("any").json()["code"] == 422


def test_the_terms_tell_the_limits(start: Any, clock: Any) -> None:
    """Other accounts have others: counts and windows, each for itself."""
    limits = parse_rate_limits(Limits(), "create=2/5, status=3/2.5")
    service = start(clock=clock, limits=limits, seconds=1000)
    assert [service.create().json()["code"] for _ in range(3)] == [200, 200, 429]
    assert [service.record("any").json()["code"] for _ in range(4)] == [422, 422, 422, 429]
    clock.move(2.6)
    assert service.create().json()["code"] == 429
    assert service.record("any").json()["code"] == 422
    clock.move(2.5)
    assert service.create().json()["code"] == 200


def test_a_task_lives_by_the_clock(start: Any, clock: Any) -> None:
    """Known at once (L, 37 of 37 conversations): waiting, generating, success."""
    service = start(clock=clock, seconds=8.0, limits=Limits(status_requests_per_window=1000))
    task_id = service.create().json()["data"]["taskId"]
    states = []
    for seconds in (0.0, 2.5, 5.4):
        clock.move(seconds)
        states.append(service.record(task_id).json()["data"]["state"])
    assert states == ["waiting", "generating", "generating"]
    clock.move(0.2)
    assert service.finish(task_id)["state"] == "success"


def test_a_json_answer_names_its_type_and_characters(local: Any) -> None:
    """`application/json;charset=UTF-8` (L), on both hosts, errors too."""
    answers = [
        local.create(),
        local.record("none"),
        local.call("GET", "api", "/api/v1/chat/credit", key=None),
        local.call("GET", "api", "/no/such/path"),
        local.call("POST", "upload", "/api/file-stream-upload"),
        local.call("POST", "upload", "/api/file-base64-upload", json={"base64Data": "aGk="}),
    ]
    types = {answer.headers["content-type"] for answer in answers}
    assert types == {"application/json;charset=UTF-8"}


def test_a_running_record_looks_like_a_live_one(start: Any, clock: Any) -> None:
    """Ten keys and creditsConsumed; nothing of the result yet; param is JSON in JSON (L)."""
    service = start(clock=clock, seconds=1000)
    record = service.record(service.create().json()["data"]["taskId"]).json()["data"]
    assert record.keys() == document("record.generating.json")["data"].keys() | {"creditsConsumed"}
    assert record["resultJson"] == ""
    for name in ("failCode", "failMsg", "costTime", "completeTime"):
        assert record[name] is None
    assert record["createTime"] == int(clock.now * 1000)
    param = json.loads(record["param"])
    assert param["model"] == "kling-2.6/text-to-video"
    assert json.loads(param["input"])["prompt"] == "A red fox"


def test_a_finished_record_looks_like_a_live_one(start: Any, clock: Any) -> None:
    """The result's URL in JSON in JSON, times in ms, costTime in whole seconds (L)."""
    service = start(clock=clock, seconds=127.6)
    task_id = service.create().json()["data"]["taskId"]
    clock.move(127.6)
    record = service.finish(task_id)
    assert record["costTime"] == 127
    assert record["completeTime"] - record["createTime"] == 127_600
    (url,) = json.loads(record["resultJson"])["resultUrls"]
    start_of_url = (
        f"https://tempfile.aiquickdraw.com/k/{task_id}_1_{record['completeTime'] // 1000}"
    )
    assert url.startswith(start_of_url)
    assert len(url) == len(f"{start_of_url}_7969.mp4")


def test_the_callback_url_is_repeated_in_param(local: Any) -> None:
    """With its capitals, as in the specification's callbacks."""
    example = document("create.request.image-to-video.json")
    task_id = local.post_task(example).json()["data"]["taskId"]
    param = json.loads(local.record(task_id).json()["data"]["param"])
    assert param["callBackUrl"] == example["callBackUrl"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5000, b'{"model": "\\ud800"}', b"\xff"])
def test_a_body_that_is_no_json_is_refused(local: Any, body: bytes) -> None:
    """Code 400, and never a broken answer."""
    answer = local.call("POST", "api", "/api/v1/jobs/createTask", content=body)
    assert (answer.status_code, answer.json()["code"]) == (200, 400)


def test_an_unknown_task_is_null(local: Any) -> None:
    """The same answer as for a task made a moment ago (L)."""
    assert local.record("task_12345678").json()["msg"] == "recordInfo is null"
    assert local.call("GET", "api", "/api/v1/jobs/recordInfo").json()["code"] == 422


def test_a_result_can_have_another_url_for_20_minutes(start: Any, clock: Any) -> None:
    """download-url answers a bare string (D)."""
    service = start(clock=clock)
    url = service.clip_url()
    path = "/api/v1/common/download-url"
    link = service.call("POST", "api", path, json={"url": url}).json()["data"]
    assert link.startswith("https://tempfile.")
    clock.move(20 * 60 - 1)
    assert service.call("GET", "", link, key=None).status_code == 200
    clock.move(2)
    assert service.call("GET", "", link, key=None).status_code == 404
    assert service.call("GET", "", url, key=None).status_code == 200


@pytest.mark.parametrize("body", [{"url": "https://example.com/a.mp4"}, {}, [], {"url": None}])
def test_a_strange_url_is_wrong(local: Any, body: object) -> None:
    """Code 422 (D)."""
    answer = local.call("POST", "api", "/api/v1/common/download-url", json=body).json()
    assert (answer["code"], answer["msg"]) == (422, "url is wrong")


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("POST", "upload", "/api/v1/jobs/createTask"),
        ("POST", "api", "/api/file-stream-upload"),
        ("GET", "api", "/api/v1/jobs/createTask"),
        ("GET", "api", "/api/v1/jobs/list"),
        ("GET", "api", "/emulator/books"),
        ("GET", "upload", "/emulator/books"),
    ],
)
def test_each_host_has_its_own_paths_only(local: Any, method: str, host: str, path: str) -> None:
    """404 for a path at the wrong host; control is at none of the service's hosts."""
    answer = local.call(method, host, path)
    assert answer.status_code == 404
    assert answer.json()["code"] == 404


def test_a_bare_urllib_is_turned_away(local: Any) -> None:
    """403 from the gateway (C)."""
    headers = {"User-Agent": "Python-urllib/3.11"}
    answer = local.call("GET", "api", "/api/v1/chat/credit", headers=headers)
    assert (answer.status_code, answer.text) == (403, "error code: 1010")


def test_a_restarted_emulator_takes_its_tasks_up_again(start: Any, clock: Any) -> None:
    """The clip that a killed process lost is rendered when it is asked for."""
    task = {"prompt": "lost", "sound": False, "duration": "5", "aspect_ratio": "1:1"}
    first = start(clock=clock, seconds=5)
    lost = first.account.open_task(TaskRequest("kling-2.6/text-to-video", task, "", 55.0), 5)
    clock.move(6)
    assert start(clock=clock).finish(lost.task_id)["state"] == "success"


def test_a_lost_clip_is_rendered_again(start: Any, tmp_path: Path) -> None:
    """Until it is there the task is generating, at no further cost."""
    service = start()
    url = service.clip_url()
    for clip in (tmp_path / "clips").iterdir():
        clip.unlink()
    assert service.call("GET", "", url, key=None).status_code == 404
    (task,) = service.account.tasks()
    assert service.record(task.task_id).json()["data"]["state"] == "generating"
    service.finish(task.task_id)
    assert service.call("GET", "", url, key=None).status_code == 200
    assert service.account.balance() == 5916 - 55
