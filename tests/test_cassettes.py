"""Recorded conversations replayed through httpx's ordinary transport."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from kling_nb.clips import probe_clip
from kling_nb.errors import InsufficientCredits, TaskFailed
from kling_nb.index import PaidIndex
from kling_nb.session import Session
from kling_nb.states import Stage
from tests.record_cassettes import (
    CASSETTES,
    FROM_EMULATOR,
    FROM_SERVICE,
    ORIGIN,
    SCENARIOS,
    SECRET_HEADERS,
    TEST_KEY,
    cassette,
    picture,
)


async def no_sleep(_seconds: float) -> None:
    """Replayed answers need no waiting."""
    await asyncio.sleep(0)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A live session that would use the network, if the cassette let it."""
    return Session(
        mode="live",
        api_key=TEST_KEY,
        folder=tmp_path,
        index=PaidIndex(tmp_path / "paid.sqlite3"),
        sleep=no_sleep,
    )


def interactions(name: str) -> list[dict]:
    """What a cassette holds."""
    return yaml.safe_load((CASSETTES / f"{name}.yaml").read_text())["interactions"]


def test_a_picture_becomes_a_clip(session: Session) -> None:
    """Upload, create, ask, download: the file on disk is the one that was recorded."""
    with cassette("image_to_video") as tape:
        job = session.image_to_video(picture(), "Clouds drift over the hills", duration=5)
        clip = job.result(60)
        session.close()
    assert tape.all_played
    assert probe_clip(clip.path).duration_s == pytest.approx(5, abs=0.3)
    assert clip.credits == 55
    assert not clip.request.emulated


def test_words_become_a_clip_with_sound(session: Session) -> None:
    """A text-to-video task with sound gives a clip that has an audio track."""
    with cassette("text_to_video_with_sound") as tape:
        job = session.text_to_video("Rain on a tin roof", sound=True)
        clip = job.result(60)
        session.close()
    assert tape.all_played
    assert clip.facts.audio_codec == "aac"


def test_a_refusal_leaves_no_task(session: Session) -> None:
    """Code 402 raises, and the ledger says refused."""
    with cassette("refused_for_credits"):
        with pytest.raises(InsufficientCredits, match="402"):
            session.text_to_video("A lighthouse in fog")
        assert [row.stage for row in session.jobs()] == [Stage.REFUSED]
        session.close()


def test_a_failed_task_says_why(session: Session) -> None:
    """A task that fails raises with the service's words and costs nothing."""
    with cassette("failed_for_content"):
        job = session.text_to_video("A street at night")
        with pytest.raises(TaskFailed, match="CONTENT_POLICY_BLOCKED"):
            job.result(60)
        assert session.jobs()[0].credits == 0
        session.close()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cassette_says_where_it_comes_from(name: str) -> None:
    """The first response names its origin, and how to record it again if it is the emulator."""
    first = interactions(name)[0]["response"]["headers"][ORIGIN][0]
    assert first in {FROM_EMULATOR, FROM_SERVICE}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cassette_holds_no_secret(name: str) -> None:
    """No key, no cookie, no authorization, and only the service's real hosts."""
    text = (CASSETTES / f"{name}.yaml").read_text()
    assert TEST_KEY not in text
    assert "bearer" not in text.lower()
    for entry in interactions(name):
        for headers in (entry["request"]["headers"], entry["response"]["headers"]):
            assert not {key.lower() for key in headers} & set(SECRET_HEADERS)
        assert "127.0.0.1" not in entry["request"]["uri"]


def test_no_cassette_is_orphaned() -> None:
    """Each file is a scenario that can be recorded again, and each scenario has its file."""
    assert {path.stem for path in CASSETTES.glob("*.yaml")} == set(SCENARIOS)
