"""Recorded conversations replayed through httpx's ordinary transport, request by request."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request

from kling_nb.core.job_state import Stage
from kling_nb.errors import InsufficientCredits, TaskFailed
from kling_nb.media.clips import probe_clip
from tests.record_cassettes import (
    FROM_EMULATOR,
    FROM_SERVICE,
    ORIGIN,
    SECRET_HEADERS,
    cassette,
    content_of,
)
from tests.support.scenarios import BAD_KEY, CASSETTES, SCENARIOS, TEST_KEY, SessionFactory, picture
from tests.support.service import CREATE, RECORD

EACH_CASSETTE = pytest.mark.parametrize("name", SCENARIOS)
MOST_BYTES = 2_000_000
PROMPT = "A lighthouse in fog"


@pytest.fixture
def factory(tmp_path: Path) -> SessionFactory:
    """Sessions that would use the network, if the cassette let them."""
    return SessionFactory(tmp_path / "clips")


@functools.cache
def interactions(name: str) -> list[dict]:
    """What a cassette holds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((CASSETTES / f"{name}.yaml").read_text(), loader)["interactions"]


@EACH_CASSETTE
def test_a_cassette_replays(name: str, tmp_path: Path) -> None:
    """The scenario comes to the same end, and every recorded answer is used."""
    scenario = SCENARIOS[name]
    with cassette(name) as tape:
        outcome = scenario.run(SessionFactory(tmp_path / "clips", scenario.key or TEST_KEY))
    assert scenario.outcome in outcome
    assert tape.all_played


# --- what is sent decides ----------------------------------------------------------------------


def make_clip(**changes: Any) -> Callable[[SessionFactory], None]:
    """The request of `image_to_video.yaml`, changed."""
    values = {"image": picture(), "prompt": "Clouds drift", "duration": 5} | changes

    def run(factory: SessionFactory) -> None:
        with factory.session() as session:
            session.generate("kling-2.6/image-to-video", **values)

    return run


def call(method: str, *given: Any) -> Callable[[SessionFactory], None]:
    """One call of a client."""
    return lambda factory: factory.call(lambda client: getattr(client, method)(*given)) and None


@pytest.mark.parametrize(
    ("name", "run", "path"),
    [
        ("image_to_video", make_clip(prompt="Clouds stand still"), CREATE),
        ("image_to_video", make_clip(sound=True), CREATE),
        ("image_to_video", make_clip(duration=10), CREATE),
        ("image_to_video", make_clip(image=picture("dawn")), "/api/file-stream-upload"),
        ("image_to_video", call("task", "0" * 32), RECORD),
        ("upload_stream", call("upload", picture("dawn"), "dusk.jpg", "image/jpeg"), "/api/file-"),
        ("upload_stream", call("upload", picture(), "dawn.jpg", "image/jpeg"), "/api/file-"),
        ("upload_stream", call("upload", picture(), "dusk.jpg", "image/png"), "/api/file-"),
        ("upload_base64", call("upload_base64", picture("dawn"), "dusk.jpg"), "/api/file-"),
        (
            "upload_from_url",
            call("upload_from_url", "https://a.example/", "copy.jpg"),
            "/api/file-",
        ),
        ("download_url_refused", call("fresh_url", "https://b.example/k/a.mp4"), "/api/v1/common"),
    ],
)
def test_another_request_does_not_replay(
    factory: SessionFactory, name: str, run: Callable[[SessionFactory], None], path: str
) -> None:
    """A changed prompt, sound, length, image, file name, type, query or URL is no match."""
    with cassette(name), pytest.raises(CannotOverwriteExistingCassetteException) as caught:
        run(factory)
    assert caught.value.failed_request.path.startswith(path)


def request_of(content: bytes, kind: str) -> Request:
    """A request with a body."""
    return Request("POST", "https://api.kie.ai/", content, {"content-type": kind})


def test_the_order_of_json_keys_is_no_difference() -> None:
    """Bodies are compared as values."""
    one, other = b'{"a": 1, "b": [2, 3]}', b'{"b":[2,3],"a":1}'
    assert content_of(request_of(one, "application/json")) == content_of(
        request_of(other, "application/json;charset=UTF-8")
    )
    swapped = content_of(request_of(b'{"a": 1, "b": [3, 2]}', "application/json"))
    assert swapped != json.loads(one)


def multipart(boundary: str, name: str, content: str) -> object:
    """What a multipart body of one file is compared by."""
    text = f'--{boundary}\r\nname="file"; filename="{name}"\r\n\r\n{content}\r\n--{boundary}--'
    return content_of(request_of(text.encode(), f"multipart/form-data; boundary={boundary}"))


def test_a_boundary_and_a_unique_name_are_no_difference() -> None:
    """Both are new in each run; the content and a chosen name are not."""
    recorded = multipart("abc", "796fea50-f9ed5c11.jpg", "x")
    assert multipart("def", "00000000-11111111.jpg", "x") == recorded
    assert multipart("def", "00000000-11111111.png", "x") != recorded
    assert multipart("def", "00000000-11111111.jpg", "y") != recorded
    assert multipart("def", "dusk.jpg", "x") != recorded


# --- what a cassette is played for -------------------------------------------------------------


def test_a_picture_becomes_a_clip(factory: SessionFactory) -> None:
    """The file on disk is the one that was recorded."""
    with cassette("image_to_video"), factory.session() as session:
        clip = session.image_to_video(picture(), "Clouds drift", duration=5).result(60)
    assert probe_clip(clip.path).duration_s == pytest.approx(5, abs=0.3)
    assert clip.credits == 55
    assert not clip.request.emulated


def test_words_become_a_clip_with_sound(factory: SessionFactory) -> None:
    """A text-to-video task with sound gives a clip that has an audio track."""
    with cassette("text_to_video_with_sound"), factory.session() as session:
        clip = session.text_to_video(PROMPT, sound=True).result(60)
    assert clip.facts.audio_codec == "aac"


def test_a_refusal_leaves_no_task(factory: SessionFactory) -> None:
    """Code 402 raises, and the ledger says refused."""
    with cassette("create_402"), factory.session() as session:
        with pytest.raises(InsufficientCredits, match="402"):
            session.text_to_video(PROMPT)
        assert [row.stage for row in session.jobs()] == [Stage.REFUSED]


def test_a_failed_task_says_why(factory: SessionFactory) -> None:
    """A task that fails raises with the service's words and costs nothing."""
    with cassette("fail_policy"), factory.session() as session:
        job = session.text_to_video(PROMPT)
        with pytest.raises(TaskFailed, match="CONTENT_POLICY_BLOCKED"):
            job.result(60)
        assert session.jobs()[0].credits == 0


# --- the files ---------------------------------------------------------------------------------


@EACH_CASSETTE
def test_a_cassette_says_where_it_comes_from(name: str) -> None:
    """The first response names its origin, and how to record it again if it is the emulator."""
    first = interactions(name)[0]["response"]["headers"][ORIGIN][0]
    assert first in {FROM_EMULATOR, FROM_SERVICE}


@EACH_CASSETTE
def test_a_cassette_holds_no_secret(name: str) -> None:
    """No key, no cookie, no authorization, and only the service's real hosts."""
    text = (CASSETTES / f"{name}.yaml").read_text()
    for secret in (TEST_KEY, BAD_KEY):
        assert secret not in text
    assert "bearer" not in text.lower()
    for entry in interactions(name):
        for headers in (entry["request"]["headers"], entry["response"]["headers"]):
            assert not {key.lower() for key in headers} & set(SECRET_HEADERS)
        assert "127.0.0.1" not in entry["request"]["uri"]


def test_no_cassette_is_orphaned() -> None:
    """Each file is a scenario that can be recorded again, and each scenario has its file."""
    assert {path.stem for path in CASSETTES.glob("*.yaml")} == set(SCENARIOS)


def test_the_cassettes_are_listed() -> None:
    """The README beside them says what happens in each."""
    text = (CASSETTES / "README.md").read_text()
    rows = [f"| `{name}` | {scenario.what} |" for name, scenario in SCENARIOS.items()]
    assert [row for row in rows if row not in text] == []


def test_the_cassettes_are_small() -> None:
    """They are in the repository and in the source distribution."""
    assert sum(path.stat().st_size for path in CASSETTES.iterdir()) < MOST_BYTES
