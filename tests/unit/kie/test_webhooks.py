"""Test `webhooks`: the texts of the specification are parsed, and signatures are verified."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from kling_nb.core.task_status import TaskFailure, TaskPending, TaskStatus, TaskSucceeded
from kling_nb.errors import UnreadableAnswer
from kling_nb.kie.webhooks import (
    Callback,
    add_callback_token,
    parse_callback,
    read_callback_token,
    sign_callback,
    verify_callback,
)
from tests.support.sample_files import sample

SUCCESS_ID = "e989621f54392584b05867f87b160672"
FAILURE_ID = "bd3a37c523149e4adf45a3ddb5faf1a8"

KEY = "webhook-key-for-tests"
AT = "1755599644"
SIGNATURE = base64.b64encode(
    hmac.new(KEY.encode(), f"{SUCCESS_ID}.{AT}".encode(), hashlib.sha256).digest()
).decode()
LITERAL_SIGNATURE = "nceE2q+V+mYFOGTlBbM6I5f0/5D7G/ccNzAAF6sywIo="


def verified(
    key: str = KEY,
    task_id: str = SUCCESS_ID,
    timestamp: str = AT,
    signature: str = SIGNATURE,
    now_s: float = 1755599644.0,
) -> bool:
    """Whether a notification passes, one thing changed at a time."""
    return verify_callback(key, task_id, timestamp=timestamp, signature=signature, now_s=now_s)


# --- parsing -----------------------------------------------------------------------------------


def test_the_texts_of_the_specification_are_parsed() -> None:
    """They are not valid JSON; the content decides what the result is."""
    callback = parse_callback(sample("callback.success.txt"))
    assert callback.task_id == SUCCESS_ID
    assert callback.raw == sample("callback.success.txt").decode()
    url = "https://example.com/generated-image.jpg"
    raw = f'{{"resultUrls":["{url}"]}}'
    assert callback.status == TaskSucceeded(SUCCESS_ID, (url,), 100.0, 10.0, raw)
    callback = parse_callback(sample("callback.failure.txt"))
    assert callback.task_id == FAILURE_ID
    assert callback.status == TaskFailure(FAILURE_ID, "500", "Internal server error", 0.0)


WAITING = TaskPending("a1", "waiting", None)


@pytest.mark.parametrize(
    ("document", "task_id", "status"),
    [
        ({"data": {"taskId": "a1", "state": "waiting"}}, "a1", WAITING),
        ({"data": {"task_id": "a1", "state": "waiting"}}, "a1", WAITING),
        ({"taskId": "a1", "data": {"state": "waiting"}}, "a1", WAITING),
        (
            {"data": {"taskId": "a1", "state": "fail", "failMsg": "no", "creditsConsumed": 3}},
            "a1",
            TaskFailure("a1", "", "no", 3.0),
        ),
        ({"data": {"taskId": "a1"}}, "a1", None),
        ({"data": {"taskId": 123456789012}}, "123456789012", None),
    ],
    ids=["taskId", "task_id", "root taskId", "creditsConsumed", "no state", "number"],
)
def test_other_spellings_are_read(
    document: object, task_id: str, status: TaskStatus | None
) -> None:
    """Documentation and samples differ; without a state the callback only triggers a poll."""
    callback = parse_callback(json.dumps(document).encode())
    assert (callback.task_id, callback.status) == (task_id, status)


def test_a_broken_body_still_names_its_task() -> None:
    """Where only the id can be read, the id is read."""
    cut = sample("callback.success.txt").replace(b'"state"', b'"sta')
    assert parse_callback(cut) == Callback(SUCCESS_ID, None, cut.decode())


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b'"taskId"', b"\xff\xfe", b'{"taskId": ""}'),
        pytest.param(b'{"param":"' + b'}","a":' * 100_000, id="many possible ends"),
    ],
)
def test_a_body_without_a_task_is_unreadable(body: bytes) -> None:
    """Any sender can post to a callback URL: a body of many possible ends costs few parses."""
    with pytest.raises(UnreadableAnswer):
        parse_callback(body)


# --- the signature -----------------------------------------------------------------------------


def test_the_signature_is_base64_of_hmac_sha256() -> None:
    """Over `taskId + "." + timestamp` (source: D), and the same for ever."""
    assert sign_callback(KEY, SUCCESS_ID, AT) == SIGNATURE == LITERAL_SIGNATURE


@pytest.mark.parametrize(
    "change",
    [
        {"key": "another-key"},
        {"task_id": FAILURE_ID},
        {"timestamp": "1755599645"},
        {"signature": SIGNATURE[:-2] + "A="},
        {"signature": SIGNATURE.rstrip("=")},
        {"signature": ""},
        {"signature": "žluťoučký kůň"},
        {"signature": "\ud800"},
    ],
    ids=str,
)
def test_a_wrong_signature_fails(change: dict[str, str]) -> None:
    """Another key, id, time or text fails, whatever characters it has."""
    assert not verified(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("late_s", "fresh"), [(299, True), (301, False), (-299, True), (-301, False)]
)
def test_an_old_or_future_notification_fails(late_s: float, fresh: bool) -> None:
    """Correctly signed, but more than 5 minutes early or late: a replay, or a wrong clock."""
    assert verified(now_s=1755599644.0 + late_s) is fresh


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1755599644", "1755599644.0", " 1755599644", "1755599644\n",
                  "١٧٥٥", "9" * 13],
)  # fmt: skip
def test_a_malformed_timestamp_fails(timestamp: str) -> None:
    """A timestamp that is no plain number of seconds fails, also if correctly signed."""
    signature = sign_callback(KEY, SUCCESS_ID, timestamp)
    assert not verified(timestamp=timestamp, signature=signature)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://my.example/done", "https://my.example/done?kling_nb=a-1_Z"),
        ("https://my.example/?user=7&x=%20", "https://my.example/?user=7&x=%20&kling_nb=a-1_Z"),
        (
            "https://my.example/?kling_nb=theirs",
            "https://my.example/?kling_nb=theirs&kling_nb=a-1_Z",
        ),
        ("https://my.example/done?#top", "https://my.example/done?kling_nb=a-1_Z#top"),
    ],
)
def test_the_token_is_appended_to_the_users_own_query(url: str, sent: str) -> None:
    """The user's query does not change, and the token is read back."""
    assert add_callback_token(url, "a-1_Z") == sent
    assert read_callback_token(sent.partition("?")[2].partition("#")[0]) == "a-1_Z"


@pytest.mark.parametrize("query", ["", "user=7", "xkling_nb=a", "kling_nb=", "kling_nb=a b", "%"])
def test_a_query_without_a_token(query: str) -> None:
    """Other parameters are no token."""
    assert read_callback_token(query) == ""
