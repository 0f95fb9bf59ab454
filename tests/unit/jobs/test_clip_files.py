"""Names of clips: which words they have, and how the files of a job are found."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_nb.core.job_state import ClipFacts
from kling_nb.jobs.clip_files import (
    clip_name,
    clip_path,
    is_clip_name,
    is_file_of,
    prompt_words,
    stray_clips,
)
from tests.support.records import record_of

AT = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)
ID = "d57859d5"
OLD = f"20261129-233000-{ID}.mp4"
RECORD = record_of(ID, "kling-2.6/text-to-video", "Red fox shakes", AT)
CLIP = ClipFacts("", 64, 36, 5.0, 24.0, "h264", "", 100)
RESERVED = {"con", "prn", "aux", "nul", "com1", "lpt9"}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A patch for the time zone of the process; restored at the end."""
    with monkeypatch.context() as patch:
        yield patch
    time.tzset()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("Red fox shakes", "red-fox-shakes"),
        ("A red fox, the SNOW & an owl", "red-fox-snow-owl"),
        ("Ein Fuchs schüttelt Schnee; straße", "ein-fuchs-schuttelt-schnee-strasse"),
        ("It's the fox’s den", "its-foxs-den"),
        ("fox_trot in 4K", "fox-trot-in-4k"),
        ("Лиса бежит", ""),
        ("雪の中の狐", ""),
        ("Лиса runs, 雪", "runs"),
        ("Łódź at night", "at-night"),
        ("𝓐 ＦＯＸ", "fox"),
        ("", ""),
        ("!?… 🦊", ""),
        ("../../etc/<fox>\n%00", "etc-fox-00"),
        ("one two three four five six seven eight nine", "one-two-three-four-five-six-seven-eight"),
        ("x" * 39 + " y", "x" * 39),
        ("x" * 40 + " y", "x" * 40),
        ("x" * 5_000, "x" * 40),
    ],
)
def test_the_words_of_a_prompt(prompt: str, words: str) -> None:
    """Whole ASCII words without accents and articles, at most 40 characters."""
    assert prompt_words(prompt) == words


@given(st.text(max_size=300), st.integers(0, 2**32 - 1))
def test_any_prompt_gives_a_file_name_for_every_system(prompt: str, number: int) -> None:
    """Short, ASCII, no reserved name of Windows; the job of the file is found by its name."""
    job_id = f"{number:08x}"
    name = clip_name(record_of(job_id, "m", prompt, AT))
    assert re.fullmatch(r"[0-9]{8}-[a-z0-9-]+\.mp4", name)
    assert "--" not in name
    assert len(name) <= 62
    assert name.partition(".")[0] not in RESERVED
    assert is_file_of(Path(name), job_id)
    assert is_file_of(Path(name).with_suffix(".part"), job_id)
    assert is_file_of(Path(name.replace(".mp4", "-12.mp4")), job_id)


def test_a_reserved_name_of_windows_is_only_a_part_of_the_name() -> None:
    """A prompt may be one."""
    assert clip_name(record_of(ID, "m", "CON", AT)).endswith(f"-con-{ID}.mp4")


def test_jobs_with_the_same_prompt_have_different_names() -> None:
    """The id is part of the name."""
    assert clip_name(RECORD) != clip_name(replace(RECORD, id="d57859d6"))


@pytest.mark.parametrize(("zone_name", "date"), [("UTC0", "20261129"), ("EAST-9", "20261130")])
def test_the_date_is_local(zone: pytest.MonkeyPatch, zone_name: str, date: str) -> None:
    """As people remember it."""
    zone.setenv("TZ", zone_name)
    time.tzset()
    assert clip_name(RECORD) == f"{date}-red-fox-shakes-{ID}.mp4"


def test_a_new_clip_gets_a_new_name(tmp_path: Path) -> None:
    """Further clips have a number."""
    name = clip_name(RECORD)
    assert clip_path(tmp_path, RECORD) == tmp_path / name
    assert clip_path(tmp_path, RECORD, 3) == tmp_path / name.replace(".mp4", "-3.mp4")


def test_a_recorded_clip_keeps_its_name(tmp_path: Path) -> None:
    """Saved cards link the file, so that a download must not rename it."""
    row = replace(RECORD, clip=replace(CLIP, path=str(tmp_path / OLD)))
    assert clip_path(tmp_path, row) == tmp_path / OLD
    assert clip_path(tmp_path, row, 2) == tmp_path / OLD.replace(".mp4", "-2.mp4")


def test_a_path_in_another_folder_is_not_written_to(tmp_path: Path) -> None:
    """A folder from a stranger must not make us write elsewhere."""
    row = replace(RECORD, clip=replace(CLIP, path=str(tmp_path.parent / OLD)))
    assert clip_path(tmp_path, row).parent == tmp_path


def test_a_recorded_file_that_is_no_clip_is_not_written_to(tmp_path: Path) -> None:
    """A ledger from a stranger must not make a download replace another file."""
    row = replace(RECORD, clip=replace(CLIP, path=str(tmp_path / "ledger.sqlite3")))
    assert is_file_of(clip_path(tmp_path, row), ID)


def test_a_download_that_an_older_version_began_continues_under_its_name(tmp_path: Path) -> None:
    """It saved the first clip and ended before the others and the record."""
    (tmp_path / OLD).touch()
    (tmp_path / f"notes-{ID}.mp4").touch()
    assert clip_path(tmp_path, RECORD) == tmp_path / OLD
    assert clip_path(tmp_path, RECORD, 1) == tmp_path / OLD.replace(".mp4", "-1.mp4")


@pytest.mark.parametrize(
    "name",
    [
        OLD,
        OLD.replace(".mp4", "-3.mp4"),
        f"20261129-{ID}.mp4",
        f"20261129-red-fox-{ID}.mp4",
        f"20261129-deadbeef-12345678-{ID}-12.mp4",
    ],
)
def test_names_of_all_versions_belong_to_their_job(name: str) -> None:
    """Also if words look like an id."""
    assert is_clip_name(name)
    assert is_file_of(Path(name), ID)
    assert not is_file_of(Path(name), "00000000")


@pytest.mark.parametrize("name", ["holiday.mp4", "20261129-fox.mp4", f"{ID}.mp4", f"x-{ID}.mp4"])
def test_other_names_belong_to_no_job(name: str) -> None:
    """They are the user's own."""
    assert not is_clip_name(name)


def test_stray_clips_are_those_of_no_known_job(tmp_path: Path) -> None:
    """Of any version; `recover` appends a hash if the name is taken."""
    recovered = f"20261129-red-fox-{ID}-0a1b2c3d.mp4"
    for name in (OLD, clip_name(RECORD), recovered, "holiday.mp4", f"20261129-{ID}.part"):
        (tmp_path / name).touch()
    assert stray_clips(tmp_path, {ID}) == []
    assert stray_clips(tmp_path, set()) == sorted([OLD, clip_name(RECORD), recovered])
    assert stray_clips(tmp_path / "none", set()) == []
