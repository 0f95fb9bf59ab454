"""The emulator against the provider's own samples: same fields, same types, same words."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import av
import pytest
import requests

from tests.support.sample_files import document
from tests.support.sample_requests import EXAMPLES, FORMS

FAILURES = {
    "fail-media": "record.fail-422-media.json",
    "fail-policy": "record.fail-422-policy.json",
    "fail-content": "record.fail-400-content.json",
    "fail-internal": "record.fail-500-internal.json",
    "fail-generation": "record.fail-501-generation.json",
}
REFUSALS = {
    "credits": "create.code-402.json",
    "create-429": "create.code-429.json",
    "maintenance": "create.code-455.json",
    "key-limit": "create.code-433.json",
    "create-500": "create.code-500.json",
}


def shape(value: Any) -> Any:
    """A document with its values replaced by their kinds; null fits anything."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize("sample", [*EXAMPLES.values(), *FORMS])
def test_a_documented_request_is_accepted(service: Any, sample: str) -> None:
    """The answer has the fields of a live one, and both ids are 32 hex characters."""
    answer = service.post_task(document(sample)).json()
    assert shape(answer) == shape(document("create.success.json"))
    task_id = answer["data"]["taskId"]
    assert task_id == answer["data"]["recordId"]
    assert len(task_id) == 32
    assert set(task_id) <= set("0123456789abcdef")


def test_a_running_record_has_the_live_fields(start: Callable[..., Any]) -> None:
    """The ten live keys and creditsConsumed; `param` is encoded twice, as live."""
    service = start(seconds=60.0)
    data = service.record(service.create().json()["data"]["taskId"]).json()["data"]
    live = document("record.generating.json")["data"]
    assert set(data) == {*live, "creditsConsumed"}
    assert {key: shape(data[key]) for key in live} == shape(live)
    assert isinstance(json.loads(json.loads(data["param"])["input"]), dict)


def test_a_finished_record_has_the_live_fields(service: Any) -> None:
    """The same fields and kinds as a live success, with one URL in a JSON string."""
    data = service.make()
    live = document("record.success.json")["data"]
    assert {key: shape(data[key]) for key in live} == shape(live)
    assert shape(json.loads(data["resultJson"])) == shape(json.loads(live["resultJson"]))


@pytest.mark.parametrize(("fault", "name"), FAILURES.items())
def test_a_failure_has_the_services_words(service: Any, fault: str, name: str) -> None:
    """Code and message of each real failure, and nothing consumed."""
    service.books.inject(fault)
    data, live = service.make(), document(name)["data"]
    assert (data["failCode"], data["state"]) == (live["failCode"], "fail")
    assert data["failMsg"].rstrip("….") == live["failMsg"].rstrip("….")
    assert data["creditsConsumed"] == 0


@pytest.mark.parametrize(("fault", "name"), REFUSALS.items())
def test_a_refusal_has_the_documented_code(service: Any, fault: str, name: str) -> None:
    """HTTP 200 and the code in the envelope, and no task."""
    service.books.inject(fault)
    answer = service.create()
    assert (answer.status_code, answer.json()["code"]) == (200, document(name)["code"])
    assert service.books.count_tasks() == 0


def test_an_upload_answers_as_live(service: Any, photo: bytes) -> None:
    """The same fields and kinds, also of the refusal of a bad key."""
    assert shape(service.upload(photo)) == shape(document("upload.success.json"))
    refused = service.call("POST", "upload", "/api/file-stream-upload", key="bad-key").json()
    assert refused == document("upload.code-401.json")


def test_the_balance_answers_as_live(service: Any) -> None:
    """A bare number in `data`."""
    answer = service.call("GET", "api", "/api/v1/chat/credit").json()
    assert shape(answer) == shape(document("credit.success.json"))


@pytest.mark.parametrize(
    ("duration", "sound", "codecs"), [("5", False, []), ("10", False, []), ("5", True, ["aac"])]
)
def test_the_specifications_example_becomes_a_clip(
    served: Any, duration: str, sound: bool, codecs: list[str]
) -> None:
    """The example posted with `requests`, followed to an H.264 clip of the asked length."""
    payload = document("create.request.image-to-video.json")
    payload["input"] |= {"duration": duration, "sound": sound}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer YOUR_API_KEY"}
    url = f"{served.hosts['api']}/api/v1/jobs/createTask"
    answer = requests.post(url, headers=headers, data=json.dumps(payload), timeout=10)
    assert answer.json()["code"] == 200
    record = served.finish(answer.json()["data"]["taskId"])
    clip = requests.get(json.loads(record["resultJson"])["resultUrls"][0], timeout=10).content
    with av.open(io.BytesIO(clip)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.duration / 1e6 == pytest.approx(float(duration), abs=0.2)
        assert [stream.codec_context.name for stream in container.streams.audio] == codecs
