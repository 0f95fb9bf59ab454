"""The answer to a request that claims to be a callback, case by case."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.callbacks.receive import (
    AcceptedCallback,
    CallbackRequest,
    RejectedCallback,
    check_callback,
)
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.core.task_status import TaskFailure, TaskPending, TaskSucceeded
from kling_nb.kie.webhooks import sign_callback

SAMPLES = Path(__file__).parents[2] / "samples"
TOKEN = "token-of_sixteen-bytes"
KEY = "whsec-0123456789"
NOW_S = 1_795_000_000.0
ID = "e989621f54392584b05867f87b160672"
BODY = json.dumps({"code": 200, "data": {"taskId": ID, "state": "success"}}).encode()
POSTED = CallbackRequest(f"kling_nb={TOKEN}", {"content-type": "application/json"}, BODY)


def judge(
    posted: CallbackRequest, *, key: str = "", now_s: float = NOW_S
) -> AcceptedCallback | RejectedCallback:
    """The verdict where one callback token is known."""
    return check_callback(
        posted, is_known=lambda token: token == TOKEN, webhook_key=key, now_s=now_s
    )


def status(posted: CallbackRequest, *, key: str = "") -> int:
    """The status of the answer; 200 for an accepted callback."""
    verdict = judge(posted, key=key)
    return verdict.status if isinstance(verdict, RejectedCallback) else 200


def signed(at_s: float, *, key: str = KEY, task_id: str = ID) -> CallbackRequest:
    """A callback signed at that time."""
    at = f"{at_s:.0f}"
    signature = sign_callback(key, task_id, at)
    return replace(POSTED, headers={"x-webhook-timestamp": at, "x-webhook-signature": signature})


def test_a_callback_is_accepted() -> None:
    """With its claim, which is not trusted."""
    verdict = judge(POSTED)
    assert isinstance(verdict, AcceptedCallback)
    assert (verdict.callback_token, verdict.task_id) == (TOKEN, ID)
    assert isinstance(verdict.claimed_status, TaskSucceeded)


@pytest.mark.parametrize(
    ("sample", "kind"),
    [("callback.success.txt", TaskSucceeded), ("callback.failure.txt", TaskFailure)],
)
def test_the_specifications_own_documents_are_accepted(sample: str, kind: type) -> None:
    """With their odd escapes, byte for byte."""
    verdict = judge(replace(POSTED, body=(SAMPLES / sample).read_bytes()))
    assert isinstance(verdict, AcceptedCallback)
    assert isinstance(verdict.claimed_status, kind)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"taskId": ID}),
        json.dumps({"data": {"task_id": ID}}),
        f'{{"data": {{"taskId": "{ID}", "param": "broken \\\\" off',
    ],
)
def test_every_form_of_the_id(body: str) -> None:
    """Also if only the id can be read."""
    verdict = judge(replace(POSTED, body=body.encode()))
    assert isinstance(verdict, AcceptedCallback)
    assert verdict.task_id == ID
    assert not isinstance(verdict.claimed_status, TaskSucceeded | TaskFailure | TaskPending)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (BODY + b" " * (CALLBACK_LIMIT_BYTES - len(BODY)), {}, 200),
        (BODY + b" " * (CALLBACK_LIMIT_BYTES - len(BODY) + 1), {}, 413),
        (BODY, {"content-length": str(CALLBACK_LIMIT_BYTES)}, 200),
        (BODY, {"content-length": str(CALLBACK_LIMIT_BYTES + 1)}, 413),
        (BODY, {"content-length": "9" * 5000}, 413),
        (BODY, {"content-length": "many"}, 200),
        (BODY, {"content-length": "-1"}, 200),
    ],
)
def test_the_longest_body(body: bytes, headers: dict[str, str], expected: int) -> None:
    """By its own length and by Content-Length; the limit itself is allowed."""
    assert status(replace(POSTED, body=body, headers=headers)) == expected


def test_a_long_body_is_not_checked() -> None:
    """Not even its callback token."""
    long = replace(POSTED, body=b"x" * (CALLBACK_LIMIT_BYTES + 1))
    asked: list[str] = []
    check_callback(
        long, is_known=lambda token: bool(asked.append(token)), webhook_key="", now_s=NOW_S
    )
    assert asked == []


@pytest.mark.parametrize(
    "query", ["", "kling_nb=", "kling_nb=wrong", f"x={TOKEN}", f"kling_nb={TOKEN}x", "kling_nb=ä"]
)
def test_missing_and_wrong_tokens_get_the_same_answer(query: str) -> None:
    """So that nobody can test for tokens."""
    verdict = judge(replace(POSTED, query=query))
    assert verdict == judge(replace(POSTED, query=""))
    assert isinstance(verdict, RejectedCallback)
    assert verdict.status == 403


def test_without_a_token_the_answer_says_nothing_of_the_body() -> None:
    """Good or bad, encoded or not: the token is checked first."""
    bodies = (BODY, b"", b"\xff\xfe", b"[" * 100_000)
    answers = {judge(replace(POSTED, query="kling_nb=wrong", body=body)) for body in bodies}
    encoded = replace(POSTED, query="", headers={"content-encoding": "gzip"})
    assert answers == {judge(encoded)}


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("identity", 200), (" Identity ", 200), ("", 200), ("gzip", 415), ("br", 415), ("x", 415)],
)
def test_a_body_comes_as_it_is(encoding: str, expected: int) -> None:
    """Nothing is unpacked."""
    body = gzip.compress(BODY, mtime=0) if encoding == "gzip" else BODY
    assert status(replace(POSTED, body=body, headers={"content-encoding": encoding})) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"null",
        b"[]",
        b'{"data": null}',
        b'{"data": {"taskId": ""}}',
        b'{"data": {"taskId": {"a": 1}}}',
        b'{"data": {"taskId": "two words"}}',
        b'{"data": {"taskId": "line\\nbreak"}}',
        b'{"data": {"taskId": "\xc3\xa4"}}',
        json.dumps({"data": {"taskId": "x" * 201}}).encode(),
        BODY.decode().encode("utf-16"),
        b"[" * 200_000,
        b'{"a":' * 50_000,
        b"9" * 200_000,
    ],
)
def test_without_a_task_id_there_is_nothing_to_poll(body: bytes) -> None:
    """Malformed, endless, or an id that cannot be one."""
    assert status(replace(POSTED, body=body)) == 400


def test_a_signature_that_fits() -> None:
    """Up to five minutes old, or as much ahead."""
    for at_s in (NOW_S, NOW_S - 299, NOW_S + 299):
        assert status(signed(at_s), key=KEY) == 200


@pytest.mark.parametrize(
    "posted",
    [
        POSTED,
        signed(NOW_S - 301),
        signed(NOW_S + 301),
        signed(NOW_S, key="another"),
        signed(NOW_S, task_id="another"),
        replace(POSTED, headers={"x-webhook-timestamp": f"{NOW_S:.0f}"}),
        replace(POSTED, headers={"x-webhook-signature": sign_callback(KEY, ID, "")}),
        replace(POSTED, headers={"x-webhook-signature": "ä", "x-webhook-timestamp": "٣"}),
    ],
)
def test_a_signature_that_does_not_fit(posted: CallbackRequest) -> None:
    """Missing, half, old, from the future, of another key or task: all are answered alike."""
    verdict = judge(posted, key=KEY)
    assert verdict == judge(POSTED, key=KEY)
    assert isinstance(verdict, RejectedCallback)
    assert verdict.status == 403


def test_without_a_key_a_signature_is_not_checked() -> None:
    """An account without one sends none."""
    assert status(signed(0.0, key="another")) == 200


def test_the_token_shows_nowhere() -> None:
    """Not in what could be logged of a request or a verdict, and in no answer."""
    shown = [repr(POSTED), repr(judge(POSTED)), repr(judge(replace(POSTED, body=TOKEN.encode())))]
    assert not any(TOKEN in text for text in shown)
