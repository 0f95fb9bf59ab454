"""Test `wire` except createTask: samples are parsed, error pages of gateways are not trusted."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from kling_nb import errors
from kling_nb.core.charge_evidence import ANSWER_LIMIT
from kling_nb.core.task_status import TaskFailure, TaskMissing, TaskPending, TaskSucceeded
from kling_nb.errors import ServiceError, UnreadableAnswer
from kling_nb.kie import wire
from kling_nb.kie.wire import Answer
from tests.support.sample_files import answer, document, sample

LIVE_ID = "56074f12319c68b246e5a03e05608f31"
RUNNING_ID = "699a79c05e1d4b0fa3c2d8e7f6b59014"
RESULT = f"https://tempfile.aiquickdraw.com/k/{LIVE_ID}_1_1777540551_7969.mp4"

RECORD_ERRORS = {
    "record.code-401.json": errors.Unauthorized,
    "record.code-429.json": errors.RateLimited,
    "record.code-455.json": errors.Maintenance,
}


# --- recordInfo --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "word", "credits"),
    [
        ("record.generating.json", "generating", None),
        ("record.waiting.json", "waiting", 70.0),
        ("record.queuing.json", "queuing", None),
    ],
)
def test_a_running_task_is_pending(name: str, word: str, credits: float | None) -> None:
    """The service's state is kept, and its credits if it reports them."""
    assert wire.parse_record(answer(name), RUNNING_ID) == TaskPending(RUNNING_ID, word, credits)


def test_a_finished_task_has_its_result() -> None:
    """URL, time by the service's clock and the raw text, as they were recorded."""
    status = wire.parse_record(answer("record.success.json"), LIVE_ID)
    raw = document("record.success.json")["data"]["resultJson"]
    assert status == TaskSucceeded(LIVE_ID, (RESULT,), None, 127.192, raw)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("record.fail-422-media.json", "422"),
        ("record.fail-422-policy.json", "422"),
        ("record.fail-400-content.json", "400"),
        ("record.fail-500-internal.json", "500"),
        ("record.fail-501-generation.json", "501"),
    ],
)
def test_a_failed_task_has_its_reason_and_cost(name: str, code: str) -> None:
    """Each real failure keeps its code and text; failed tasks consume 0 credits."""
    expected = TaskFailure(RUNNING_ID, code, document(name)["data"]["failMsg"], 0.0)
    assert wire.parse_record(answer(name), RUNNING_ID) == expected


@pytest.mark.parametrize("name", ["record.code-422.json", "record.code-404.json"])
@pytest.mark.parametrize("status", [200, 404, 422])
def test_an_unknown_task_is_missing(name: str, status: int) -> None:
    """The service does not know the task, by `code`, whatever HTTP says."""
    expected = TaskMissing(RUNNING_ID, document(name)["msg"])
    assert wire.parse_record(answer(name, status), RUNNING_ID) == expected


def test_a_task_without_a_result_for_ten_minutes_is_over() -> None:
    """`code` 408 of recordInfo is about the task, not about the request (source: D)."""
    expected = TaskFailure(RUNNING_ID, "408", document("record.code-408.json")["msg"])
    assert wire.parse_record(answer("record.code-408.json"), RUNNING_ID) == expected


@pytest.mark.parametrize("status", [403, 404, 408, 422, 500, 502, 524])
@pytest.mark.parametrize("body", [b"", sample("gateway.502.html")], ids=["empty", "HTML"])
def test_a_gateway_says_nothing_about_the_task(status: int, body: bytes) -> None:
    """An HTTP error without an envelope is a failed request: no paid task is given up."""
    with pytest.raises(ServiceError):
        wire.parse_record(Answer(status, body), RUNNING_ID)


@pytest.mark.parametrize(("name", "kind"), RECORD_ERRORS.items())
def test_a_failed_status_request_is_its_exception(name: str, kind: type[ServiceError]) -> None:
    """Codes about the request raise, since they say nothing about the task."""
    with pytest.raises(kind) as caught:
        wire.parse_record(answer(name), RUNNING_ID)
    assert type(caught.value) is kind
    assert str(caught.value).endswith(caught.value.advice)


@pytest.mark.parametrize("word", ["reviewing", "SUCCESS", "failed", "", None])
def test_a_word_we_do_not_know_is_no_end(word: str | None) -> None:
    """An unknown state means polling again, not losing a paid clip."""
    changed = document("record.generating.json")
    changed["data"]["state"] = word
    status = wire.parse_record(Answer(200, json.dumps(changed).encode()), RUNNING_ID)
    assert status == TaskPending(RUNNING_ID, word or "waiting", None)


def test_an_answer_about_another_task_is_refused() -> None:
    """Another task's result is never saved as this one's."""
    with pytest.raises(UnreadableAnswer, match="another task"):
        wire.parse_record(answer("record.success.json"), RUNNING_ID)


RESULTS = [
    {"resultUrls": [RESULT]},
    json.dumps({"resultUrls": [RESULT]}),
    json.dumps({"resultUrls": RESULT}),
    json.dumps({"resultUrls": ["", None, 5, "ftp://a/b", RESULT]}),
    {"resultUrls": [{"url": RESULT}]},
    {"resultUrls": [{"resultUrl": RESULT, "duration": 5}]},
    {"resultUrl": RESULT},
    json.dumps(json.dumps({"resultUrls": [RESULT]})),
    {"resultUrls": json.dumps([RESULT])},
    {"resultUrls": f"  {RESULT}\n"},
    {"info": {"resultUrls": [RESULT]}},
    RESULT,
    f" {RESULT} ",
    [RESULT],
    {"videos": [{"src": RESULT}]},
    f"the clip is at {RESULT}, for a day",
    '{"resultUrls":["' + RESULT + '"',
]
"""Shapes of `resultJson`: a JSON string (L), sometimes an object (C)."""


@pytest.mark.parametrize(
    "data",
    [
        *({"resultJson": result} for result in RESULTS),
        {"response": {"resultUrls": [RESULT]}},
        {"response": json.dumps({"resultUrls": [RESULT]}), "resultJson": ""},
        {"resultJson": "", "resultUrls": [RESULT]},
        {"resultJson": None, "resultUrl": RESULT},
        {"resultJson": "{}", "videoUrl": RESULT},
        {"resultJson": "{}", "info": {"result_urls": [RESULT]}},
    ],
    ids=lambda data: str(data)[:60].replace(RESULT[:20], "…"),
)
def test_a_result_has_many_shapes_and_places(data: dict[str, object]) -> None:
    """Only real URLs count, and no URL of the request; `response` has the same, parsed (L D)."""
    echo = {"param": json.dumps({"input": {"image_urls": ["https://a.example/in.png"]}})}
    status = wire.parse_task(
        {"state": "success", "callBackUrl": "https://b.example/"} | echo | data, "a"
    )
    assert isinstance(status, TaskSucceeded)
    assert status.urls == (RESULT,)


def test_every_url_of_a_result_is_read() -> None:
    """In the order of the answer, those that are named as results first, each once."""
    cover, second = "https://a.example/cover.jpg", "HTTPS://A.example/k/2.mp4"
    data = {
        "state": "success",
        "docs": "https://a.example/docs",
        "resultJson": json.dumps({"cover": cover, "resultUrls": [RESULT, second, RESULT]}),
        "response": {"resultUrls": [RESULT, second]},
    }
    status = wire.parse_task(data, "a")
    assert isinstance(status, TaskSucceeded)
    assert status.urls == (RESULT, second, cover, "https://a.example/docs")


@pytest.mark.parametrize("result", ["", None, "{", "[]", "{}", '{"resultUrls":null}', 5])
def test_success_without_a_url_is_success_without_a_url(result: object) -> None:
    """The service sometimes reports success before it names the file; the poller polls again."""
    status = wire.parse_task({"state": "success", "resultJson": result}, "a")
    assert isinstance(status, TaskSucceeded)
    assert status.urls == ()


@pytest.mark.parametrize("state", ["waiting", "generating", "fail"])
def test_a_result_is_read_only_on_success(state: str) -> None:
    """Whatever `resultJson` holds before the end is no result."""
    data = {"state": state, "resultJson": json.dumps({"resultUrls": [RESULT]})}
    assert not isinstance(wire.parse_task(data, "a"), TaskSucceeded)


def test_a_failure_without_a_reason_says_so() -> None:
    """`failCode` and `failMsg` may be null or numbers."""
    data = {"state": "fail", "failCode": 1234567, "failMsg": None}
    assert wire.parse_task(data, "a") == TaskFailure("a", "1234567", "no reason was given", None)


# --- upload, balance, fresh links --------------------------------------------------------------


@pytest.mark.parametrize("data", ["5916.25", None, True, {}, float("nan"), 10**400])
def test_a_balance_that_is_no_number_is_unreadable(data: object) -> None:
    """No balance is shown rather than a wrong one."""
    body = json.dumps({"code": 200, "data": data}).encode()
    with pytest.raises(UnreadableAnswer):
        wire.parse_credit(Answer(200, body))


UPLOADED = "https://tempfile.redpandaai.co/kieai/images/1777540422187-uhtro1d7ste.jpg"


@pytest.mark.parametrize(
    ("parse", "name", "value"),
    [
        (wire.parse_uploaded, "upload.success.json", UPLOADED),
        (wire.parse_uploaded, "upload.old.json", UPLOADED),
        (wire.parse_credit, "credit.success.json", 5916.25),
        (wire.parse_download_url, "download-url.success.json", RESULT),
    ],
)
def test_samples_have_their_value(
    parse: Callable[[Answer], object], name: str, value: object
) -> None:
    """`downloadUrl` and the older `fileUrl`; a balance; a fresh link, which has no `msg`."""
    assert parse(answer(name)) == value


def test_refusals_in_the_body_of_an_http_200() -> None:
    """The upload host refuses a key with 401, and a foreign URL gets 422 `url is wrong`."""
    with pytest.raises(errors.Unauthorized, match="Authentication failed"):
        wire.parse_uploaded(answer("upload.code-401.json"))
    with pytest.raises(errors.BadRequest, match="url is wrong"):
        wire.parse_download_url(answer("download-url.code-422.json"))


@pytest.mark.parametrize(
    "url",
    ["", "tempfile/x", "ftp://a/b", "https:///b", "https://a/b\n", "https://a/\x00",
     "https://a/b c", "https://a/\ud800", "javascript:alert(1)", 5, None],
    ids=repr,
)  # fmt: skip
def test_only_a_url_is_a_url(url: object) -> None:
    """What is fetched, shown and written is a plain http(s) URL or nothing."""
    body = json.dumps({"code": 200, "data": url}).encode()
    with pytest.raises(UnreadableAnswer):
        wire.parse_download_url(Answer(200, body))


def test_a_failure_keeps_the_answer_without_our_own_request() -> None:
    """`param` echoes what we sent, which may hold a secret; what is long is cut."""
    data = {"state": "fail", "failMsg": "no", "param": "secret", "more": "x" * 9_000}
    status = wire.parse_task(data, "a")
    assert isinstance(status, TaskFailure)
    assert status.raw.startswith('{"state": "fail", "failMsg": "no", "more": "xxx')
    assert "secret" not in status.raw
    assert len(status.raw) == ANSWER_LIMIT
    over = wire.parse_record(answer("record.code-408.json"), RUNNING_ID)
    assert isinstance(over, TaskFailure)
    assert over.raw == sample("record.code-408.json").decode()


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(" a ", "a"), (12345678, "12345678"), (422.0, "422"), (0.5, "0.5"), (True, ""), (None, ""),
     ([], ""), (float("inf"), ""), ("a\ud800", "a?")],
    ids=repr,
)  # fmt: skip
def test_text_is_read_from_text_and_numbers(value: object, text: str) -> None:
    """A code or an id may come as a number; nothing else is text."""
    assert wire.read_text(value) == text
