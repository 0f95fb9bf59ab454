"""What `webhooks` promises: the specification's own texts parse, a signature is checked wholly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from kling_nb.core.task_status import TaskFailure, TaskPending, TaskSucceeded
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


def parsed(document: object) -> Callback:
    """A notification given as a document."""
    return parse_callback(json.dumps(document).encode())


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


@pytest.mark.parametrize("name", ["callback.success.txt", "callback.failure.txt"])
def test_the_specifications_texts_are_no_json(name: str) -> None:
    """The samples stand as they were published; that is why a repair exists."""
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(sample(name))


def test_the_specifications_success_parses() -> None:
    """Id, URL, credits and time of the text as it stands; the result is judged by content."""
    callback = parse_callback(sample("callback.success.txt"))
    assert callback.task_id == SUCCESS_ID
    assert callback.raw == sample("callback.success.txt").decode()
    assert callback.status == TaskSucceeded(
        SUCCESS_ID,
        ("https://example.com/generated-image.jpg",),
        100.0,
        10.0,
        '{"resultUrls":["https://example.com/generated-image.jpg"]}',
    )


def test_the_specifications_failure_parses() -> None:
    """Code, message and credits of the text as it stands."""
    callback = parse_callback(sample("callback.failure.txt"))
    assert callback.task_id == FAILURE_ID
    assert callback.status == TaskFailure(FAILURE_ID, "500", "Internal server error", 0.0)


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"taskId": "a1", "state": "waiting"}},
        {"data": {"task_id": "a1", "state": "waiting"}},
        {"taskId": "a1", "data": {"state": "waiting"}},
    ],
    ids=["data.taskId", "data.task_id", "root taskId"],
)
def test_the_id_has_three_places(document: object) -> None:
    """Documentation and samples put the id in different places."""
    assert parsed(document).status == TaskPending("a1", "waiting", None)


def test_the_newer_name_of_credits_is_read() -> None:
    """`creditsConsumed` for `consumeCredits` (source: D)."""
    data = {"taskId": "a1", "state": "fail", "failMsg": "no", "creditsConsumed": 3}
    assert parsed({"data": data}).status == TaskFailure("a1", "", "no", 3.0)


def test_without_a_state_nothing_is_claimed() -> None:
    """A notification that only names a task makes us ask, and says nothing itself."""
    assert parsed({"data": {"taskId": "a1"}}).status is None


def test_a_broken_body_still_names_its_task() -> None:
    """Where only the id can be read, the id is read."""
    cut = sample("callback.success.txt").replace(b'"state"', b'"sta')
    assert parse_callback(cut) == Callback(SUCCESS_ID, None, cut.decode())


def test_a_number_is_an_id_as_it_stands() -> None:
    """An id that comes as a number is not rounded."""
    assert parsed({"data": {"taskId": 123456789012}}).task_id == "123456789012"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'"taskId"', b"\xff\xfe", b'{"taskId": ""}'])
def test_a_body_without_a_task_is_unreadable(body: bytes) -> None:
    """There is nothing to ask about."""
    with pytest.raises(UnreadableAnswer):
        parse_callback(body)


def test_a_body_full_of_ends_is_given_up() -> None:
    """Anybody can post to a callback address: a body of many possible ends costs few parses."""
    body = b'{"param":"' + b'}","a":' * 100_000
    with pytest.raises(UnreadableAnswer):
        parse_callback(body)


# --- the signature -----------------------------------------------------------------------------


def test_the_signature_is_base64_of_hmac_sha256() -> None:
    """Over `taskId + "." + timestamp` (source: D), and the same for ever."""
    assert sign_callback(KEY, SUCCESS_ID, AT) == SIGNATURE == LITERAL_SIGNATURE


def test_a_right_signature_passes() -> None:
    """The key's owner sent it, just now."""
    assert verified()


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
    """Rightly signed, but more than 5 minutes away either way: a replay, or a wrong clock."""
    assert verified(now_s=1755599644.0 + late_s) is fresh


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1755599644", "1755599644.0", " 1755599644", "1755599644\n",
                  "١٧٥٥", "9" * 13],
)  # fmt: skip
def test_a_malformed_timestamp_fails(timestamp: str) -> None:
    """Even rightly signed, a timestamp that is no plain number of seconds fails."""
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
def test_the_nonce_stands_behind_a_persons_own_query(url: str, sent: str) -> None:
    """Which stays as it was; what was put in is what is found."""
    assert add_callback_token(url, "a-1_Z") == sent
    assert read_callback_token(sent.partition("?")[2].partition("#")[0]) == "a-1_Z"


@pytest.mark.parametrize("query", ["", "user=7", "xkling_nb=a", "kling_nb=", "kling_nb=a b", "%"])
def test_a_query_without_a_nonce(query: str) -> None:
    """Nothing is found in what is not ours."""
    assert read_callback_token(query) == ""
