"""Each named fault as a client meets it, in process and over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.emulator import KNOWN_FAULTS

SHORT = httpx.Timeout(5.0, read=0.5)


@pytest.fixture(scope="module", params=["local", "served"])
def way(request: pytest.FixtureRequest) -> Any:
    """One service for all tests of this file, once in process and once served."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def clip(way: Any) -> str:
    """The URL of a finished clip."""
    return str(way.clip_url())


@pytest.fixture(autouse=True)
def no_faults_left(way: Any) -> Iterator[None]:
    """Every fault is used up by the request it was meant for."""
    yield
    left = way.account.faults()
    way.account.clear_faults()
    assert left == []


def tasks_made(way: Any, act: Callable[[], object]) -> int:
    """How many tasks the act has made, each of them charged."""
    before, balance = way.account.count_tasks(), way.account.balance()
    act()
    made = way.account.count_tasks() - before
    assert way.account.balance() == balance - 55 * made
    return int(made)


@pytest.mark.parametrize(
    ("name", "argument", "code"),
    [
        ("refuse", "", 422),
        ("create-429", "", 429),
        ("create-500", "", 500),
        ("create-media-host", "", 500),
        ("credits", "", 402),
        ("maintenance", "", 455),
        ("key-limit", "", 433),
        *(("create-code", name, int(name[:3])) for name in KNOWN_FAULTS["create-code"].choices),
    ],
)
def test_a_refusal_creates_no_task(way: Any, name: str, argument: str, code: int) -> None:
    """HTTP 200 with the code in the envelope; for an unreachable media host word for word (L)."""
    way.account.inject(name, argument=argument)
    answers = []
    assert tasks_made(way, lambda: answers.append(way.create())) == 0
    assert answers[0].status_code == 200
    document = answers[0].json()
    assert (document["code"], document["data"]) == (code, None)
    if name == "create-media-host":
        assert document["msg"] == "Server exception, please try again later"


@pytest.mark.parametrize("code", KNOWN_FAULTS["poll-code"].choices)
def test_a_record_request_may_get_each_code(way: Any, code: str) -> None:
    """The argument is the code; the next answer is true."""
    task_id = way.create().json()["data"]["taskId"]
    way.account.inject("poll-code", argument=code)
    codes = [way.record(task_id).json()["code"] for _ in range(2)]
    assert codes == [int(code), 200]


@pytest.mark.parametrize(
    ("name", "method", "path", "made"),
    [
        ("create-trickle", "POST", "/api/v1/jobs/createTask", 1),
        ("create-flood", "POST", "/api/v1/jobs/createTask", 1),
        ("poll-trickle", "GET", "/api/v1/jobs/recordInfo", 0),
        ("poll-flood", "GET", "/api/v1/jobs/recordInfo", 0),
        ("download-trickle", "GET", "", 0),
    ],
)
def test_endless_answers(way: Any, clip: str, name: str, method: str, path: str, made: int) -> None:
    """Data keep coming, so that no read timeout ends the answer."""
    way.account.inject(name)
    assert tasks_made(way, lambda: way.read_some(method, path or clip)) == made


@pytest.mark.parametrize(
    ("name", "status", "kind", "text"),
    [
        ("create-502", 502, "text/html", "<html>"),
        ("create-524", 524, "text/html", "<html>"),
        ("create-html", 200, "text/html", "<html>"),
        ("create-no-id", 200, "application/json", '{"code":200,"msg":"success","data":{}}'),
        ("create-garbled", 200, "application/json", '{"code":200,"msg":"success","data":{"task'),
    ],
)
def test_an_answer_without_an_id(way: Any, name: str, status: int, kind: str, text: str) -> None:
    """A gateway's page, or JSON without an id; the task exists and is charged."""
    way.account.inject(name)
    answers = []
    assert tasks_made(way, lambda: answers.append(way.create())) == 1
    assert answers[0].status_code == status
    assert answers[0].headers["content-type"].startswith(kind)
    assert answers[0].text.startswith(text)


def test_an_unseen_task_is_null_for_a_while(start: Any, clock: Any) -> None:
    """Its record is missing for 0.4 s, or as long as the argument says (C)."""
    service = start(clock=clock, seconds=1000)
    service.account.inject("unseen")
    service.account.inject("unseen", argument="3")
    tasks = [service.create().json()["data"]["taskId"] for _ in range(2)]
    codes = []
    for seconds in (0.0, 0.5, 3.0):
        clock.move(seconds)
        codes.append([service.record(task).json()["code"] for task in tasks])
    assert codes == [[422, 422], [200, 422], [200, 200]]
    assert service.record("none").json() == {"code": 422, "msg": "recordInfo is null", "data": None}


@pytest.mark.parametrize(
    ("name", "error", "made"),
    [
        ("lose-answer", httpx.RemoteProtocolError, 1),
        ("create-stall", httpx.ReadTimeout, 1),
        ("drop", httpx.ReadError, 0),
    ],
)
def test_a_broken_create(way: Any, name: str, error: type[Exception], made: int) -> None:
    """The exception does not say whether the task was created; the account does."""
    way.account.inject(name)

    def create() -> None:
        with pytest.raises(error):
            way.create(timeout=SHORT)

    assert tasks_made(way, create) == made


def test_unreachable_refuses_the_connection(way: Any) -> None:
    """In process nothing connects; a served emulator can only reset."""
    way.account.inject("unreachable")

    def create() -> None:
        with pytest.raises((httpx.ConnectError, httpx.ReadError)) as caught:
            way.create()
        served = way.hosts["api"].startswith("http://")
        assert caught.type is (httpx.ReadError if served else httpx.ConnectError)

    assert tasks_made(way, create) == 0


def test_unreachable_can_name_another_endpoint(way: Any) -> None:
    """Its argument is the endpoint."""
    way.account.inject("unreachable", argument="other")
    assert way.create().json()["code"] == 200
    with pytest.raises(httpx.TransportError):
        way.call("GET", "api", "/api/v1/chat/credit")


@pytest.mark.parametrize(
    ("name", "error"), [("poll-drop", httpx.ReadError), ("poll-stall", httpx.ReadTimeout)]
)
def test_a_broken_poll_raises(way: Any, name: str, error: type[Exception]) -> None:
    """Asking breaks once; the next question is answered."""
    task_id = way.create().json()["data"]["taskId"]
    way.account.inject(name)
    with pytest.raises(error):
        way.record(task_id, timeout=SHORT)
    assert way.finish(task_id)["state"] == "success"


@pytest.mark.parametrize(
    ("name", "status", "start"),
    [("poll-502", 502, "<html>"), ("poll-html", 200, "<html>"), ("poll-garbled", 200, '{"code"')],
)
def test_a_record_may_be_no_json(way: Any, name: str, status: int, start: str) -> None:
    """HTML or half of the JSON, once."""
    way.account.inject(name)
    answer = way.record("any")
    assert (answer.status_code, answer.text[: len(start)]) == (status, start)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert way.record("any").json()["code"] == 422


def test_an_upload_may_get_a_gateway_error(way: Any, photo: bytes) -> None:
    """HTTP 502 once, then the same upload succeeds."""
    way.account.inject("upload-502")
    with pytest.raises(json.JSONDecodeError):
        way.upload(photo)
    assert way.upload(photo)["code"] == 200


def test_a_cut_download_raises(way: Any, clip: str) -> None:
    """Half of the body, then the end: shorter than its Content-Length."""
    way.account.inject("download-cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        way.call("GET", "", clip, key=None)


@pytest.mark.parametrize(
    ("name", "status", "kind"), [("download-404", 404, "text/html"), ("bad-clip", 200, "video/mp4")]
)
def test_a_download_may_be_no_video(way: Any, clip: str, name: str, status: int, kind: str) -> None:
    """A complete answer of another content, once."""
    way.account.inject(name)
    answer = way.call("GET", "", clip, key=None)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(kind)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert b"ftyp" not in answer.content
    assert way.call("GET", "", clip, key=None).content[4:8] == b"ftyp"


def test_a_slow_download_is_whole_in_the_end(way: Any, clip: str) -> None:
    """Small pieces over the seconds of its argument; nothing is missing."""
    way.account.inject("download-slow", argument="0.1")
    slow = way.call("GET", "", clip, key=None).content
    assert slow == way.call("GET", "", clip, key=None).content


def test_a_slow_download_can_outlast_the_read_timeout(way: Any, clip: str) -> None:
    """The pause between two pieces counts."""
    way.account.inject("download-slow", argument="60")
    with pytest.raises(httpx.ReadTimeout):
        way.call("GET", "", clip, key=None, timeout=SHORT)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("fail-media", "422", "Your media file is unavailable, please replace it."),
        (
            "fail-policy",
            "422",
            "CONTENT_POLICY_BLOCKED: The input or output was flagged as sensitive.",
        ),
        ("fail-content", "400", "The current content could not be processed"),
        ("fail-internal", "500", "Internal Error, Please try again later."),
        ("fail-generation", "501", "Generation failed"),
        ("script-fail", "500", "<script>alert(1)</script>"),
    ],
)
def test_a_failed_task_costs_nothing(way: Any, name: str, code: str, message: str) -> None:
    """Code and message are the real ones; the task consumed nothing."""
    balance = way.account.balance()
    way.account.inject(name)
    record = way.make()
    assert record["state"] == "fail"
    assert record["failCode"] == code
    assert record["failMsg"] == message
    assert record["resultJson"] == ""
    assert record["creditsConsumed"] == 0
    assert way.account.balance() == balance


def test_success_may_come_without_a_url(way: Any) -> None:
    """An empty list of results."""
    way.account.inject("no-url")
    assert json.loads(way.make()["resultJson"]) == {"resultUrls": []}


@pytest.mark.parametrize(
    ("name", "status", "codes"),
    [
        ("create-429-made", 200, [429]),
        ("create-mismatch", 429, [200]),
        ("create-key-twice", 200, [422, 200]),
    ],
)
def test_an_answer_that_denies_its_task(way: Any, name: str, status: int, codes: list[int]) -> None:
    """The task is made and charged, and its id is the true one."""
    way.account.inject(name)
    answer = way.create()
    task = way.account.tasks()[-1]
    pairs = json.loads(answer.text, object_pairs_hook=list)
    assert answer.status_code == status
    assert [value for key, value in pairs if key == "code"] == codes
    assert f'"taskId": "{task.task_id}"' in answer.text


def test_a_result_may_have_several_files(way: Any) -> None:
    """A cover image first, then two clips; each is given out, and has a fresh link."""
    way.account.inject("several-files")
    urls = json.loads(way.make()["resultJson"])["resultUrls"]
    files = [way.call("GET", "", url, key=None) for url in urls]
    assert [file.headers["content-type"] for file in files] == [
        "image/jpeg",
        "video/mp4",
        "video/mp4",
    ]
    assert [file.content[:3] for file in files][:1] == [b"\xff\xd8\xff"]
    for url in urls:
        fresh = way.call("POST", "api", "/api/v1/common/download-url", json={"url": url}).json()
        assert fresh["data"].startswith(url)


def test_a_vanished_task_is_charged_and_never_known(way: Any) -> None:
    """Its record stays null."""
    balance = way.account.balance()
    way.account.inject("vanish")
    task_id = way.create().json()["data"]["taskId"]
    assert way.record(task_id).json() == {"code": 422, "msg": "recordInfo is null", "data": None}
    assert way.account.balance() == balance - 55


def test_a_short_clip_has_half_the_length(way: Any, tmp_path: Path) -> None:
    """2.5 of the 5 seconds asked for."""
    import av

    way.account.inject("short-clip")
    target = tmp_path / "short.mp4"
    target.write_bytes(way.call("GET", "", way.clip_url(), key=None).content)
    with av.open(str(target)) as film:
        assert film.duration == 2_500_000


def test_a_lost_answer_and_a_failure_may_meet(way: Any) -> None:
    """A fault of the request and a fault of the task strike the same createTask."""
    way.account.inject("lose-answer")
    way.account.inject("fail-content")
    with pytest.raises(httpx.RemoteProtocolError):
        way.create()
    assert way.finish(way.account.tasks()[-1].task_id)["state"] == "fail"


def test_an_unknown_code_names_the_known(way: Any) -> None:
    """A fault with choices takes one of them."""
    with pytest.raises(ValueError, match="'499' is unknown; use one of 400, 401"):
        way.account.inject("create-code", argument="499")
