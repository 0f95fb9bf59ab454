"""The served emulator: its command line, its control paths, its connections."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import httpx
import pytest
import requests

from kling_nb.emulator.serve import add_arguments, run
from tests.support.sample_files import document


def arguments(*words: str) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


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


def test_clips_and_uploads_are_on_the_served_url(served: Any, photo: bytes) -> None:
    """A client needs no other host; the clip comes whole."""
    upload = served.upload(photo)["data"]["downloadUrl"]
    clip = served.clip_url(image_urls=[upload], aspect_ratio=None)
    base = served.hosts["api"]
    assert upload.startswith(f"{base}/kieai/")
    assert clip.startswith(f"{base}/k/")
    assert served.call("GET", "", clip, key=None).content[4:8] == b"ftyp"
    answer = served.call("POST", "api", "/api/v1/common/download-url", json={"url": clip})
    assert answer.json()["data"].startswith(f"{base}/k/")


def test_the_books_can_be_read_from_outside(served: Any) -> None:
    """As JSON, the same as on disk; of a leaked key the path only."""
    served.create()
    served.call("GET", "api", "/k/leak.mp4", key="secret-key-7")
    answer = served.call("GET", "api", "/emulator/books", key=None)
    assert "secret-key-7" not in answer.text
    account, path = answer.json(), "/api/v1/jobs/createTask"
    assert account["tasks"] == served.account.count_tasks()
    assert account["balance"] == served.account.balance()
    assert account["requests"][path] == served.account.requests(path)
    assert account["leaks"] == ["/k/leak.mp4"]


def test_an_idle_connection_is_closed_by_the_server(served: Any) -> None:
    """After --keep-alive seconds the kept connection reads as ended."""
    url = httpx.URL(served.hosts["api"])
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(b"GET /k/none.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 404")


def test_a_connection_serves_several_requests(served: Any) -> None:
    """It is kept alive between them."""

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=served.hosts["api"], verify=False) as client:
            return [(await client.get("/k/none.mp4")).status_code for _ in range(3)]

    assert asyncio.run(ask()) == [404, 404, 404]


def test_only_this_machine_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other host is refused with the reason."""
    assert run(arguments("--host", "0.0.0.0", "--folder", str(tmp_path))) == 2
    assert "'0.0.0.0' is not allowed" in capsys.readouterr().err


def test_a_taken_port_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(arguments("--port", port, "--folder", str(tmp_path))) == 2
    assert f"port: {port} cannot be used" in capsys.readouterr().err


def test_without_uvicorn_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line to install it."""
    monkeypatch.delitem(sys.modules, "kling_nb.emulator.sockets", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(arguments("--folder", str(tmp_path))) == 2
    assert 'pip install "kling_nb[serve]"' in capsys.readouterr().err


def test_the_options_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment sets the seconds."""
    monkeypatch.setenv("KLING_NB_EMULATOR_SECONDS", "2.5")
    args = arguments("--fault", "drop", "--fault", "poll-502:3")
    assert (args.port, args.seconds, args.render) == (8787, 2.5, "full")
    assert args.faults == [("drop", 1), ("poll-502", 3)]


def test_callbacks_have_their_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment gives the key, which no help text shows."""
    from kling_nb.emulator import serve

    monkeypatch.setenv("KLING_NB_EMULATOR_WEBHOOK_KEY", "whk-secret")
    seen: list[Any] = []
    monkeypatch.setattr(serve, "serve", lambda service, say: seen.append(service))
    assert run(arguments("--callback-form", "odd", "--unlimited", "--folder", str(tmp_path))) == 0
    (terms,) = [service.limits for service in seen]
    assert (terms.webhook_key, terms.callback_form) == ("whk-secret", "odd")
    assert math.isinf(terms.tasks_per_window)
    with pytest.raises(SystemExit):
        arguments("--help")
    assert "whk-secret" not in capsys.readouterr().out + repr(seen)


def test_small_answers_are_sent_at_once() -> None:
    """Asyncio sets TCP_NODELAY only for connections of a socket with a named protocol."""
    from kling_nb.emulator.serve import listen

    with listen(SimpleNamespace(host="127.0.0.1", port=0)) as listener:  # type: ignore[arg-type]
        assert listener.proto == socket.IPPROTO_TCP


def test_rate_limits_have_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment sets them; an option goes before it; one alone leaves the other."""
    monkeypatch.setenv("KLING_NB_RATE_LIMITS", "create=40/10")
    terms = arguments().rate_limits
    assert (terms.tasks_per_window, terms.task_window_s) == (40, 10.0)
    assert (terms.status_requests_per_window, terms.status_window_s) == (10, 1.0)
    assert arguments("--rate-limits", "status=3/2").rate_limits.tasks_per_window == 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20/10",
        "create=20",
        "create=x/1",
        "create=0/1",
        "create=1/0",
        "tasks=1/1",
        "create=1/-1",
    ],
)
def test_bad_rate_limits_are_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was given, and what to write instead."""
    with pytest.raises(SystemExit):
        arguments("--rate-limits", text)
    assert f"{text!r} is not allowed" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["dorp", "drop:0", "drop:x"])
def test_a_bad_fault_is_a_usage_error(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to write instead."""
    with pytest.raises(SystemExit):
        arguments("--fault", fault)
    assert "drop" in capsys.readouterr().err
