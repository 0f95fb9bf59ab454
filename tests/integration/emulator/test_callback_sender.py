"""The end of a task is posted to its callback URL on this machine until a receiver accepts it."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kling_nb.emulator import CallbackQueue
from kling_nb.kie.webhooks import parse_callback, verify_callback
from tests.support.callback_receivers import (
    QUICK,
    Receiver,
    nothing_open,
    order,
    posts_of,
    receiving,
    wait_until,
)
from tests.support.emulator_service import in_process

Start = Callable[..., Any]


def test_a_success_is_told_once(start: Start, receiver: Receiver) -> None:
    """The record says success, too; the credits are the account's."""
    service = start(limits=QUICK)
    task_id = order(service, receiver.url)
    (got,) = receiver.wait_for(1)
    assert (got.method, got.path) == ("POST", "/hook?a=1")
    assert got.headers["content-type"] == "application/json"
    assert "x-webhook-signature" not in got.headers
    callback = parse_callback(got.body)
    assert callback.task_id == task_id
    assert b'"remainedCredits": 5861' in got.body
    assert service.record(task_id).json()["data"]["state"] == "success"
    (post,) = posts_of(service, task_id, 1)
    assert (post.kind, post.attempt, post.status, post.words) == ("end", 1, 200, "")
    assert post.answered_at is not None
    assert post.answered_at >= post.started_at
    assert nothing_open(service)


def test_a_failure_is_told(start: Start, receiver: Receiver) -> None:
    """With code 501, and the price given back."""
    service = start(limits=QUICK)
    service.account.inject("fail-policy")
    order(service, receiver.url)
    (got,) = receiver.wait_for(1)
    assert b'"code": 501' in got.body
    assert b'"remainedCredits": 5916' in got.body


def test_nobody_is_called_before_the_end(start: Start, receiver: Receiver, clock: Any) -> None:
    """The clock decides, not the rendering."""
    service = start(limits=QUICK, clock=clock, seconds=60.0)
    task_id = order(service, receiver.url)
    wait_until(lambda: service.account.task(task_id).clip)
    assert receiver.received == []
    clock.move(61)
    receiver.wait_for(1)


def test_a_callback_is_signed_where_there_is_a_key(
    start: Start, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The client verifies it; the key is not logged and in no repr."""
    caplog.set_level(logging.DEBUG)
    terms = dataclasses.replace(QUICK, webhook_key="whk-secret")
    service = start(limits=terms)
    task_id = order(service, receiver.url)
    (got,) = receiver.wait_for(1)
    timestamp, signature = got.headers["x-webhook-timestamp"], got.headers["x-webhook-signature"]
    assert verify_callback(
        "whk-secret", task_id, timestamp=timestamp, signature=signature, now_s=float(timestamp)
    )
    assert "whk-secret" not in caplog.text + repr(terms)
    assert "a=1" not in caplog.text  # where a client's one-time value would be


def test_a_key_may_be_set_later(tmp_path: Path, receiver: Receiver) -> None:
    """As an account may get one; callbacks are signed from then on."""
    service, emulator = in_process(tmp_path, limits=QUICK)
    order(service, receiver.url)
    receiver.wait_for(1)
    emulator.sign_callbacks("whk")
    order(service, receiver.url)
    one, two = receiver.wait_for(2)
    emulator.close()
    signed = ["x-webhook-signature" in got.headers for got in (one, two)]
    assert signed == [False, True]


def test_an_error_is_tried_again(start: Start, receiver: Receiver) -> None:
    """Twice 500, then accepted; the account has each attempt."""
    receiver.statuses = [500, 500]
    service = start(limits=QUICK)
    task_id = order(service, receiver.url)
    posts = posts_of(service, task_id, 3)
    assert [(post.attempt, post.status) for post in posts] == [(1, 500), (2, 500), (3, 200)]
    assert {post.letter for post in posts} == {posts[0].letter}
    assert nothing_open(service)


def test_after_three_retries_it_is_given_up(start: Start, receiver: Receiver) -> None:
    """Source: documented for other products of the provider."""
    receiver.statuses = [500] * 9
    service = start(limits=QUICK)
    task_id = order(service, receiver.url)
    posts_of(service, task_id, 4)
    wait_until(lambda: nothing_open(service))
    assert len(receiver.received) == 4


def test_nobody_at_home_is_tried_again(start: Start) -> None:
    """The attempt has the reason."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        service = start(limits=QUICK)
        task_id = order(service, f"http://127.0.0.1:{closed.getsockname()[1]}/")
        posts = posts_of(service, task_id, 4)
    assert {(post.status, post.answered_at, post.words) for post in posts} == {
        (None, None, "ConnectError")
    }


def test_a_slow_answer_is_not_waited_for(start: Start, receiver: Receiver) -> None:
    """It counts as none, and does not hold up the callbacks of other tasks."""
    receiver.hold.clear()
    service = start(limits=dataclasses.replace(QUICK, callback_limit_s=1.0))
    task_id = order(service, receiver.url)
    receiver.wait_for(1)
    with receiving() as other:
        order(service, other.url)
        other.wait_for(1)
    assert posts_of(service, task_id, 1)[0].words in ("TimeoutError", "ReadTimeout")


def test_a_redirect_is_not_followed(start: Start, receiver: Receiver) -> None:
    """It counts as an error."""
    with receiving() as elsewhere:
        receiver.statuses = [307, 302]
        receiver.headers = {"Location": elsewhere.url}
        service = start(limits=QUICK)
        posts = posts_of(service, order(service, receiver.url), 3)
        assert [post.status for post in posts] == [307, 302, 200]
        assert elsewhere.received == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://127.0.0.1@example.com/",
        "http://example.com#@127.0.0.1/",
        "nonsense",
    ],
)
def test_only_loopback_is_called(start: Start, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The task is created; the log says that no callback is sent, without the URL."""
    caplog.set_level(logging.INFO, "kling_nb.emulator")
    service = start(limits=QUICK)
    task_id = order(service, url)
    assert service.finish(task_id)["state"] == "success"
    assert nothing_open(service)
    assert CallbackQueue(service.account).posts() == []
    assert "only this machine is called back" in caplog.text
    assert url not in caplog.text


def test_no_proxy_is_used(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment names is for other addresses."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    service = start(limits=QUICK)
    order(service, receiver.url)
    receiver.wait_for(1)


def test_a_callback_can_be_late(start: Start, receiver: Receiver, clock: Any) -> None:
    """By as many seconds as the fault's argument says, counted from the end."""
    service = start(limits=QUICK, clock=clock)
    service.account.inject("callback-late", argument="90")
    task_id = order(service, receiver.url)
    service.finish(task_id)
    clock.move(89)
    (callback,) = CallbackQueue(service.account).pending()
    assert callback.due_at == clock() + 1
    assert receiver.received == []
    clock.move(1)
    receiver.wait_for(1)


def test_a_forgery_comes_before_the_end(start: Start, receiver: Receiver, clock: Any) -> None:
    """It reports success for a running task, without the account's key."""
    service = start(limits=dataclasses.replace(QUICK, webhook_key="whk"), clock=clock, seconds=60.0)
    service.account.inject("callback-forged")
    task_id = order(service, receiver.url)
    clock.move(31)
    (got,) = receiver.wait_for(1)
    assert b'"state": "success"' in got.body
    assert service.record(task_id).json()["data"]["state"] == "generating"
    assert not verify_callback(
        "whk",
        task_id,
        timestamp=got.headers["x-webhook-timestamp"],
        signature=got.headers["x-webhook-signature"],
        now_s=clock(),
    )
    clock.move(30)
    receiver.wait_for(2)
    assert [post.kind for post in posts_of(service, task_id, 2)] == ["forged", "end"]


def test_a_callback_can_be_garbled(start: Start, receiver: Receiver) -> None:
    """Its JSON is broken off; refused, it comes again."""
    receiver.statuses = [400]
    service = start(limits=QUICK)
    service.account.inject("callback-garbled")
    task_id = order(service, receiver.url)
    one, two = receiver.wait_for(2)
    assert one.body == two.body
    assert not one.body.rstrip().endswith(b"}")
    assert posts_of(service, task_id, 1)[0].kind == "garbled"
