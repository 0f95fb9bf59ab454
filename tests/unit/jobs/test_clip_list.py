"""Test `clip_list`: a list of clips reads few rows, and its text is a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import InvalidInput, LedgerError
from kling_nb.jobs.clip_list import ClipList, parse_since
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import CLIP
from tests.support.records import record_of

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MODEL = "kling-2.6/text-to-video"
NO_CONTROLLER: Any = {}.get
MAX_CHARS = 105
"""What fits into a line of a notebook that is 900 pixels wide."""


class Rows:
    """The clips of a ledger by their row numbers; notes which are read."""

    def __init__(self, count: int) -> None:
        self.rows: dict[int, JobRecord] = {number: self._row(number) for number in range(count)}
        self.read: list[Sequence[int]] = []

    def records(self, numbers: Sequence[int]) -> list[JobRecord]:
        """Return rows, newest first."""
        self.read.append(numbers)
        return [
            self.rows[number] for number in sorted(numbers, reverse=True) if number in self.rows
        ]

    def list(self) -> ClipList:
        """Return all, newest first."""
        search: Any = self
        return ClipList(search, NO_CONTROLLER, sorted(self.rows, reverse=True))

    def _row(self, number: int) -> JobRecord:
        path = str(Path.cwd() / "clips" / f"{number}.mp4")
        row = record_of(f"{number:08}", MODEL, f"Fox {number}\nruns", NOW)
        url = "https://files.example/a.mp4?token=s3cret"
        clip = replace(CLIP, path=path)
        return replace(row, stage=Stage.SAVED, clip=clip, finished_at=NOW, result_url=url)


def ids(clips: Sequence[Any]) -> list[int]:
    """Return the numbers of clips."""
    return [int(clip.request.id) for clip in clips]


def test_a_list_reads_what_is_used() -> None:
    """Its length reads nothing, a clip one row, a loop one page after the other."""
    rows = Rows(120)
    clips = rows.list()
    assert len(clips) == 120
    assert rows.read == []
    assert (clips[0].request.id, clips[-1].request.id) == ("00000119", "00000000")
    assert rows.read == [[119], [0]]
    rows.read.clear()
    assert ids(clips) == [*range(119, -1, -1)]
    assert [len(numbers) for numbers in rows.read] == [50, 50, 20]
    rows.read.clear()
    repr(clips)
    assert [len(numbers) for numbers in rows.read] == [20]


def test_a_part_of_a_list_is_a_list() -> None:
    """In any order; it reads nothing before it is used."""
    rows = Rows(9)
    clips = rows.list()
    part, oldest_first, second = clips[:2], clips[::-1], clips[::2]
    assert rows.read == []
    assert ids(part) == [8, 7]
    assert ids(oldest_first) == [*range(9)]
    assert ids(second) == [8, 6, 4, 2, 0]
    assert part[1] in clips
    assert clips.index(part[1]) == 1
    with pytest.raises(IndexError):
        clips[9]


def test_a_clip_that_was_deleted_since_is_left_out() -> None:
    """By its place, the error says what to do."""
    rows = Rows(3)
    clips = rows.list()
    rows.rows[1] = replace(rows.rows[1], clip=None)
    del rows.rows[0]
    assert ids(clips) == [2]
    for place in (1, 2):
        with pytest.raises(LedgerError, match=r"was deleted; `kling_nb\.clips\(\)` lists"):
            clips[place]


def test_the_text_of_a_list_is_a_table() -> None:
    """Id, time, model, seconds, the title or the start of the prompt; without a token."""
    rows = Rows(2)
    rows.rows[1] = replace(rows.rows[1], service="emulator", title="Fox, take 2")
    title, head, first, second = repr(rows.list()).splitlines()
    assert title == "2 clips"
    assert head.split() == ["job", "made", "model", "seconds", "prompt"]
    assert first.split()[0] == "00000001"
    assert f"{MODEL} (emulated)  " in first
    assert NOW.astimezone().strftime("%Y-%m-%d %H:%M") in second
    assert first.endswith("  Fox, take 2")
    assert second.endswith(f"{CLIP.duration_s:.1f}  Fox 0 runs")
    assert max(map(len, (head, first, second))) < MAX_CHARS
    assert "s3cret" not in repr(rows.list()) + repr(rows.list()[0])
    assert repr(rows.list()[:0]) == "0 clips"


def test_the_text_of_a_long_list_is_short() -> None:
    """It says how many there are."""
    lines = repr(Rows(21).list()).splitlines()
    assert lines[0] == "21 clips, of which the first 20"
    assert len(lines) == 22


@pytest.mark.parametrize(
    ("since", "parsed"),
    [
        (timedelta(days=2), NOW - timedelta(days=2)),
        (date(2026, 11, 29), datetime(2026, 11, 29).astimezone()),
        ("2026-11-29", datetime(2026, 11, 29).astimezone()),
        ("2026-11-29 14:30", datetime(2026, 11, 29, 14, 30).astimezone()),
        ("2026-11-29T14:30+01:00", datetime(2026, 11, 29, 13, 30, tzinfo=UTC)),
        (NOW.astimezone(timezone(timedelta(hours=5))), NOW),
    ],
)
def test_a_time_may_be_given_in_several_ways(since: object, parsed: datetime) -> None:
    """Without a zone it is that of this machine."""
    assert parse_since(since, NOW) == parsed


@pytest.mark.parametrize("since", ["last week", 5, True, [], timedelta.max, ""])
def test_what_is_no_time_is_refused(since: object) -> None:
    """What was given, and what to give."""
    with pytest.raises(InvalidInput, match="is not a time; give a date such as '2026-11-29'"):
        parse_since(since, NOW)
