"""How requests are read within limits, kept, and answered; without a server."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

import kling_nb.callbacks.asgi_app as module
from kling_nb.callbacks.asgi_app import Intake
from kling_nb.callbacks.receive import AcceptedCallback, CallbackRequest, RejectedCallback
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES

NONCE = "n0nce"
HEARD = AcceptedCallback(NONCE, "t", None)


class Post:
    """One request, and what was answered."""

    def __init__(self, *parts: bytes, path: str = "/", nonce: str = NONCE) -> None:
        self.parts = [*parts]
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": f"kling_nb={nonce}".encode(),
            "headers": [(b"X-Thing", b"\xe4")],
        }
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """The body, part by part; the last part is the last."""
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: Any) -> None:
        """Keep what is answered."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The HTTP status that was answered."""
        return int(self.sent[0]["status"])

    @property
    def said(self) -> Any:
        """The body that was answered."""
        return json.loads(self.sent[1]["body"])


class Desk:
    """An intake that hears everything, or as the test says; and what it was given and told."""

    def __init__(self, verdict: AcceptedCallback | RejectedCallback = HEARD) -> None:
        self.verdict = verdict
        self.taken: list[CallbackRequest] = []
        self.told: list[bool] = []
        self.intake = Intake(lambda path: path == "/", self.take_in, lambda: self.told.append(True))

    def take_in(self, posted: CallbackRequest) -> AcceptedCallback | RejectedCallback:
        """Keep it and say what the test says."""
        self.taken.append(posted)
        return self.verdict

    def post(self, *posts: Post) -> None:
        """Send requests one after the other."""

        async def play() -> None:
            for post in posts:
                await self.intake(post.scope, post.receive, post.send)

        asyncio.run(play())


def test_what_is_heard_is_answered_and_told() -> None:
    """With 200 and a tiny document; the body comes in parts."""
    desk, post = Desk(), Post(b"he", b"llo", b"")
    desk.post(post)
    assert post.status == 200
    assert post.said == {"heard": True}
    assert [posted.body for posted in desk.taken] == [b"hello"]
    assert desk.taken[0].headers == {"x-thing": "ä"}
    assert desk.told == [True]
    assert desk.intake.counts == {"heard": 1}


def test_it_is_kept_before_it_is_answered() -> None:
    """Once the service has its answer it will not send it again."""
    desk, post = Desk(), Post(b"x")
    answered: list[bool] = []
    desk.intake.take_in = lambda posted: answered.append(bool(post.sent)) or HEARD
    desk.post(post)
    assert answered == [False]
    assert post.status == 200


def test_what_is_turned_away_is_not_told() -> None:
    """The answer says why, and the count knows it."""
    desk, post = Desk(RejectedCallback(405, "No.")), Post(b"x")
    desk.post(post)
    assert post.status == 405
    assert post.said == {"heard": False, "why": "No."}
    assert (b"allow", b"POST") in post.sent[0]["headers"]
    assert desk.told == []
    assert desk.intake.counts == {"turned away: 405": 1}


def test_there_is_one_route() -> None:
    """Another path is nowhere, and nothing of the request is read."""
    desk, post = Desk(), Post(b"x", path="/admin")
    desk.post(post)
    assert post.status == 404
    assert post.parts == [b"x"]
    assert desk.taken == []


def test_a_long_body_is_not_kept() -> None:
    """One byte more than the limit is enough to judge by, and it is read no further for ever."""
    desk = Desk(RejectedCallback(413, "Long."))
    short, endless = Post(*[b"x" * 1000] * 300), Post(*[b"x" * 65536] * 1000)
    desk.post(short, endless)
    assert [len(posted.body) for posted in desk.taken] == [CALLBACK_LIMIT_BYTES + 1] * 2
    assert short.parts == []
    assert len(endless.parts) > 900
    assert endless.status == 413


def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for beyond the limit."""
    monkeypatch.setattr(module, "_READ_S", 0.01)
    desk, post = Desk(), Post()

    async def never() -> dict[str, Any]:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    post.receive = never  # type: ignore[method-assign]
    desk.post(post)
    assert post.status == 408
    assert desk.taken == []


def test_who_hangs_up_is_not_answered() -> None:
    """There is nobody left."""
    desk, post = Desk(), Post()

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    post.receive = gone  # type: ignore[method-assign]
    desk.post(post)
    assert post.sent == []
    assert desk.intake.counts == {"broken off": 1}


def test_nothing_but_http_is_answered() -> None:
    """A server that offers a lifespan or a web socket gets nothing."""
    desk, post = Desk(), Post(b"x")
    post.scope["type"] = "websocket"
    desk.post(post)
    assert post.sent == []


def test_the_log_has_a_line_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the value nor the body."""
    desk = Desk(RejectedCallback(400, "Empty."))
    with caplog.at_level(logging.DEBUG, "kling_nb"):
        desk.post(Post(b"secret-body"))
    lines = [record.getMessage() for record in caplog.records if record.name == "kling_nb"]
    assert lines == ["a request was turned away: 400 Empty."]
