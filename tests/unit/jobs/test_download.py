"""A clip on its way to disk: it takes its place whole, or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import ClipFacts
from kling_nb.errors import LedgerError, MediaError, WrongLength
from kling_nb.jobs.download import fetch_clip
from kling_nb.jobs.job import Job
from kling_nb.kie.http import Progress, Received
from kling_nb.media import clips
from tests.support.service import World

HASH = "5d" * 32


class FakeDownloader:
    """A fetcher that has one file."""

    def __init__(self, content: bytes | OSError) -> None:
        self.content = content
        self.unfinished: dict[Path, object] = {}

    async def download(self, url: str, path: Path, progress: Progress) -> Received:
        """Put the file there, or fail as a disk does."""
        size_bytes = self.put(path)
        progress(size_bytes, None)
        return Received(size_bytes, HASH)

    def put(self, path: Path) -> int:
        """The file, or the half of it that a full disk takes."""
        if isinstance(self.content, OSError):
            path.write_bytes(b"half")
            raise self.content
        return path.write_bytes(self.content)


def fetch(
    world: World, content: bytes | OSError, *, url: str = "https://a.example/x.mp4", odd: bool
) -> ClipFacts:
    """Fetch that as the clip of a job of 5 s."""
    job: Job = world.submit()
    context = replace(world.context, clips=FakeDownloader(content))  # type: ignore[arg-type]
    row = world.ledger.row(job.id)
    return asyncio.run(fetch_clip(context, job, row, url, accept_odd=odd))


def test_a_clip_takes_its_place(world: World, clip_path: Path) -> None:
    """With a still beside it, and nothing else."""
    facts = fetch(world, clip_path.read_bytes(), odd=True)
    assert Path(facts.path).read_bytes() == clip_path.read_bytes()
    assert Path(facts.path).with_suffix(".jpg").is_file()
    assert world.files() == [Path(facts.path).name]


def test_a_clip_is_hashed_once(world: World, clip_path: Path) -> None:
    """The hash of the download is saved; the file is not read for it."""
    assert fetch(world, clip_path.read_bytes(), odd=True).sha256 == HASH


def test_it_is_on_the_disk_before_it_has_its_name(
    world: World, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clip that the ledger calls saved must not be empty after the power was cut."""
    named: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: named.append(world.files()))
    fetch(world, clip_path.read_bytes(), odd=True)
    [[name]] = [each for each in named if each]
    assert name.endswith(".part")


def test_another_length_than_asked_for(world: World, clip_path: Path) -> None:
    """It is refused while it may still come right; nothing is left of it."""
    with pytest.raises(WrongLength):
        fetch(world, clip_path.read_bytes(), odd=False)
    assert world.files() == []


@pytest.mark.parametrize(
    ("content", "more", "error", "words"),
    [
        (b"<html>", {}, MediaError, None),
        (b"", {"url": ""}, MediaError, "returned no URL"),
        (OSError(errno.ENOSPC, "No space left"), {}, LedgerError, r"No space.*0 credits"),
    ],
    ids=["no clip", "no file", "full disk"],
)
def test_what_is_no_whole_clip(
    world: World, content: bytes | OSError, more: dict[str, str], error: type, words: str | None
) -> None:
    """It never gets a clip's name, and nothing is left of it."""
    with pytest.raises(error, match=words):
        fetch(world, content, **more, odd=True)  # type: ignore[arg-type]
    assert world.files() == []


def test_two_clips_are_verified_at_a_time(
    world: World, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes memory and a processor; meanwhile a third one waits."""
    job: Job = world.submit()
    content = clip_path.read_bytes()
    context = replace(world.context, clips=FakeDownloader(content))  # type: ignore[arg-type]
    row, meeting, full = world.ledger.row(job.id), threading.Barrier(2, timeout=60), []
    real = clips.probe_clip

    def probe_clip(path: Path, sha256: str) -> ClipFacts:
        meeting.wait()
        full.append(context.verifying.locked())
        meeting.wait()
        return real(path, sha256)

    async def fetch_two() -> None:
        url = "https://a.example/x.mp4"
        fetching = (fetch_clip(context, job, row, url, accept_odd=True, place=n) for n in (0, 1))
        await asyncio.gather(*fetching)

    monkeypatch.setattr(clips, "probe_clip", probe_clip)
    asyncio.run(fetch_two())
    assert full == [True, True]
