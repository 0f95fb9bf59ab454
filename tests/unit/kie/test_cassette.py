"""Test `cassette`: what is private is replaced, and vcrpy reads the result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

from kling_nb.core.secret import Key
from kling_nb.kie.cassette import Scrubber, render_cassette
from kling_nb.kie.http_log import Exchange
from tests.support.service import KEY

API = "https://api.kie.ai/api/v1/jobs"
PROMPT = "A purple walrus waltzes through the vault"
RESULT = "https://tempfile.aiquickdraw.com/k/56074f12319c68b2_1.mp4?sig=0123456789abcdef"
TOKEN = "tok-0123456789abcdef"


def body(scrubber: Scrubber, value: Any) -> Any:
    """A JSON body as it is written."""
    return json.loads(scrubber.body(json.dumps(value).encode()))


def exchange(request: Any, answer: Any, **facts: Any) -> Exchange:
    """A request that was answered with this JSON."""
    given = {"method": "POST", "url": f"{API}/createTask", "headers": {}, "status": 200}
    return Exchange(
        **given | {"body": json.dumps(request).encode(), "answer": json.dumps(answer).encode()}
        | facts
    )  # fmt: skip


# --- what is kept ------------------------------------------------------------------------------


def test_words_numbers_and_task_ids_remain() -> None:
    """They are what a report is for."""
    value = {
        "code": 200,
        "data": {"taskId": "56074f12319c68b2", "state": "success", "creditsConsumed": 55.0},
        "input": {"duration": "5", "sound": False, "aspect_ratio": "16:9", "seed": None},
        "model": "kling-2.6/image-to-video",
    }
    assert body(Scrubber(), value) == value


def test_json_in_texts_is_read() -> None:
    """As in `param` and `resultJson`, also twice."""
    param = json.dumps({"input": json.dumps({"prompt": PROMPT, "duration": "5"}), "model": "m"})
    value = {"param": param, "resultJson": json.dumps({"resultUrls": [RESULT]})}
    found = body(Scrubber(), value)
    inner = json.loads(json.loads(found["param"])["input"])
    assert inner == {"prompt": "(41 characters)", "duration": "5"}
    assert json.loads(found["resultJson"]) == {
        "resultUrls": ["https://tempfile.aiquickdraw.com/file-1.mp4"]
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"{API}/recordInfo?taskId=abc123&extra=secret", f"{API}/recordInfo?taskId=abc123"),
        (RESULT, "https://tempfile.aiquickdraw.com/file-1.mp4"),
        (
            "https://tempfile.redpandaai.co/kieai/ada.secret",
            "https://tempfile.redpandaai.co/file-1",
        ),
        ("https://ada:pw@my.example/hook?t=1#x", "https://host-1.invalid/file-1"),
        ("https://api.kie.ai.evil.example/", "https://host-1.invalid/"),
        ("https://notkie.ai/", "https://host-1.invalid/"),
        ("http://127.0.0.1:8787/api/v1/chat/credit", "http://127.0.0.1:8787/api/v1/chat/credit"),
        ("https://[broken", "(URL)"),
    ],
)
def test_urls(given: str, shown: str) -> None:
    """Hosts and endpoints of the service remain, and nothing of a user."""
    assert Scrubber().url(given) == shown


def test_the_same_url_has_the_same_placeholder() -> None:
    """So that a report shows which answer belongs to which request."""
    scrubber = Scrubber()
    first, second = scrubber.url("https://a.example/1.png"), scrubber.url("https://a.example/2.png")
    assert first != second
    assert scrubber.url("https://a.example/1.png?again") == first


# --- what is replaced --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": PROMPT},
        {"input": {"multi_prompt": [{"prompt": PROMPT, "duration": 2}]}},
        {"input": json.dumps({"negative_prompt": PROMPT})},
        {"anything": [[PROMPT]]},
        {"state": PROMPT},
        {PROMPT: 1},
        {"input": PROMPT},
        {"data": f"https://a.example/{PROMPT}"},
        {"msg": "first", "prompt": PROMPT, "failMsg": f"no: {PROMPT}"},
        PROMPT,
    ],
)
def test_a_prompt_is_nowhere(value: Any) -> None:
    """Under any name, at any depth, in a URL and in a message."""
    assert "walrus" not in Scrubber().body(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("message", "private", "shown"),
    [
        (f"flagged: {PROMPT}", PROMPT, "flagged: (private)"),
        ("flagged: 'walrus waltzes through'", PROMPT, "flagged: '(private)'"),
        ("a fox is not allowed", "fox", "a (private) is not allowed"),
        ("foxes are allowed", "fox", "foxes are allowed"),
        (f"bad key {KEY}", "", "bad key (key)"),
        ("see https://a.example/x?y.", "", "see https://host-1.invalid/file-1."),
        ("/home/ada/clips and /home/ada", "", "~/clips and ~"),
    ],
)
def test_messages(message: str, private: str, shown: str) -> None:
    """A message is kept, without what it quotes."""
    scrubber = Scrubber([Key(KEY)], ["/home/ada/", ""])
    scrubber.learn(private)
    assert scrubber.text(message) == shown


@pytest.mark.parametrize(
    "content", [b"<html>Your IP: 192.0.2.1</html>", b'{"a":' * 100_000, b"\xff"]
)
def test_what_is_no_json_is_only_counted(content: bytes) -> None:
    """A page of a gateway shows the user's address."""
    assert Scrubber().body(content) == f"({len(content):,} bytes that are not JSON)"


def test_a_message_before_the_text_that_it_quotes() -> None:
    """The whole conversation is read before it is written."""
    quoting = exchange({}, {"code": 422, "msg": f"no {PROMPT} at {TOKEN}"})
    hook = f"https://hook.example/cb?kling_token={TOKEN}"
    creating = exchange({"callBackUrl": hook, "input": {"prompt": PROMPT}}, {"code": 200})
    text = render_cassette([quoting, creating], Scrubber(), "title")
    for private in ("walrus", TOKEN, "hook.example"):
        assert private not in text


# --- the file ----------------------------------------------------------------------------------


def test_vcrpy_reads_it() -> None:
    """Each answered request with its answer; also quotes, and characters that YAML refuses."""
    odd = 'it\'s \x7f \u2028 \ud800 🦊 "quoted" #no comment: yes'
    exchanges = [
        exchange({"model": "m"}, {"msg": odd}, answer_headers={"content-type": "it's"}),
        exchange({}, {}, status=0, error="api.kie.ai: ConnectError"),
        exchange({}, {}, method="GET", url=f"{API}/recordInfo?taskId=a", status=404, body=b""),
    ]
    text = render_cassette(exchanges, Scrubber(), "kling_nb 1")
    text.encode("utf-8")
    requests, answers = deserialize(text, yamlserializer)
    assert [(each.method, each.uri) for each in requests] == [
        ("POST", f"{API}/createTask"),
        ("GET", f"{API}/recordInfo?taskId=a"),
    ]
    assert json.loads(requests[0].body) == {"model": "m"}
    assert json.loads(answers[0]["body"]["string"]) == {"msg": odd.replace("\ud800", "?")}
    assert answers[0]["headers"] == {"content-type": ["it's"]}
    assert [each["status"]["code"] for each in answers] == [200, 404]
    assert f"# POST {API}/createTask: api.kie.ai: ConnectError" in text.splitlines()


def test_an_empty_cassette() -> None:
    """Without an answer there are comments alone."""
    unanswered = exchange({}, {}, status=0, error="no\nroute")
    text = render_cassette([unanswered], Scrubber(), "title")
    assert deserialize(text, yamlserializer) == ([], [])
    assert f"# POST {API}/createTask: no route" in text
