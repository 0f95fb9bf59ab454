"""Test `http_log`: the last requests are kept, without the key and without media."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from kling_nb.core.secret import Key
from kling_nb.errors import Unreachable
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.kie.http_log import KEPT, HttpLog
from tests.support.service import KEY

URL = "https://api.kie.ai/api/v1/chat/credit"
ANSWER = httpx.Response(200, headers={"set-cookie": "session=1", "date": "today"})


def add(log: HttpLog, number: int, answer: bytes | None = b"{}") -> None:
    """Add a request for a task with this number."""
    log.add(httpx.Request("GET", f"{URL}?taskId={number}"), ANSWER, answer)


def test_the_last_requests_are_kept() -> None:
    """As many as are needed to see one job, oldest first."""
    log = HttpLog()
    for number in range(KEPT + 5):
        add(log, number)
    urls = [each.url for each in log.exchanges()]
    assert urls == [f"{URL}?taskId={number}" for number in range(5, KEPT + 5)]


def test_the_same_answer_is_kept_once() -> None:
    """Status requests of a long task do not displace the request that created it."""
    log = HttpLog()
    add(log, 0)
    for _ in range(KEPT):
        add(log, 1, b'{"state":"waiting"}')
        add(log, 2, b'{"state":"waiting"}')
    add(log, 1, b'{"state":"success"}')
    states = [(each.url[-1], each.answer) for each in log.exchanges()]
    assert states == [
        ("0", b"{}"),
        ("1", b'{"state":"waiting"}'),
        ("2", b'{"state":"waiting"}'),
        ("1", b'{"state":"success"}'),
    ]


@pytest.mark.parametrize(
    ("kind", "size"), [("multipart/form-data", 5), ("application/json", 70_000)]
)
def test_a_body_that_is_no_json_or_is_large_is_not_kept(kind: str, size: int) -> None:
    """An upload is a stream, and base64 in JSON is media too."""
    log = HttpLog()
    request = httpx.Request("POST", URL, content=b"x" * size, headers={"content-type": kind})
    log.add(request, ANSWER, b"y" * 70_000)
    assert [(each.body, each.answer) for each in log.exchanges()] == [(None, None)]


def test_a_client_keeps_each_request_without_its_key() -> None:
    """Also one without an answer, and one whose answer repeats the key."""
    log, answers = HttpLog(), [{"code": 401, "msg": f"bad key {KEY}"}, httpx.ReadError("reset")]

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return httpx.Response(200, json=given)

    client = Client(Key(KEY), transport=httpx.MockTransport(answer), log=log)
    for _ in range(2):
        with pytest.raises(Exception):  # noqa: B017, PT011 - the log is tested
            asyncio.run(client.balance())
    first, second = log.exchanges()
    assert (first.status, first.answer) == (200, b'{"code":401,"msg":"bad key (key)"}')
    assert (second.status, second.error) == (0, "api.kie.ai: ReadError reset")
    kept = repr([[getattr(each, name) for name in each.__slots__] for each in (first, second)])
    assert "kling_nb/" in kept
    assert KEY not in kept
    assert "uthorization" not in kept


def test_a_download_is_kept_without_the_file(tmp_path: Path) -> None:
    """Its head alone, also that of a redirect."""
    log = HttpLog()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a":
            return httpx.Response(302, headers={"location": "https://b.example/b"})
        return httpx.Response(404, content=b"gone")

    downloader = Downloader(transport=httpx.MockTransport(answer), log=log)
    with pytest.raises(Exception, match="404"):
        asyncio.run(downloader.download("https://a.example/a", tmp_path / "clip.mp4"))
    kept = [(each.url, each.status, each.answer) for each in log.exchanges()]
    assert kept == [("https://a.example/a", 302, None), ("https://b.example/b", 404, None)]


def test_headers_that_authorize_or_identify_are_not_kept() -> None:
    """Only those are kept that explain an answer."""
    log = HttpLog()
    log.add(httpx.Request("GET", URL, headers={"cookie": "a=1", "x-mine": "b"}), ANSWER, b"{}")
    (kept,) = log.exchanges()
    assert (kept.headers, kept.answer_headers) == ({}, {"date": "today"})


def test_an_unreachable_service_is_in_the_log() -> None:
    """It is the failure that most reports are about."""
    log = HttpLog()

    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    client = Client(Key(KEY), transport=httpx.MockTransport(refuse), log=log)
    with pytest.raises(Unreachable):
        asyncio.run(client.balance())
    (kept,) = log.exchanges()
    assert kept.error.startswith("api.kie.ai could not be reached (no route).")
