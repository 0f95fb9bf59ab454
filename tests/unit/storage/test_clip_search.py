"""Test `clip_search`: which clips match, how many, and what is read for it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.storage.clip_search import ClipFilter, ClipPage, fits, is_kept
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.html_states import CLIP
from tests.support.records import advance_to

PROMPTS = ("A red fox", "A BLUE whale sings", "Mist <b>over</b> the lake")
MODEL = "kling-2.6/text-to-video"


def save(ledger: Ledger, prompt: str, **more: object) -> JobRecord:
    """Add a saved clip; its file has the name of its job."""
    request = JobRecord(prompt, "emulator", MODEL, {"prompt": prompt}, 1, 55.0, b"still")
    row, _ = ledger.intend(replace(request, **more))  # type: ignore[arg-type]
    advance_to(ledger, row, Stage.SUCCEEDED)
    clip = replace(CLIP, path=str(ledger.folder / f"Clip-{row.id}.mp4"))
    return ledger.advance(row.id, Stage.SAVED, clip=clip)


@pytest.fixture
def rows(ledger: Ledger) -> list[JobRecord]:
    """Three saved clips, the first of them starred; and a job that failed."""
    rows = [save(ledger, prompt) for prompt in PROMPTS]
    failed, _ = ledger.intend(JobRecord("failed", "emulator", MODEL, {"prompt": "fox"}, 1, 55.0))
    advance_to(ledger, failed, Stage.FAILED)
    return [ledger.mark(rows[0].id, starred=True), *rows[1:]]


def find(ledger: Ledger, count: int = 24, **wanted: object) -> ClipPage:
    """Return the clips that match a filter."""
    return ledger.clip_search.find(ClipFilter(**wanted), count)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"words": "red FOX"}, [0]),
        ({"words": "blue  sings"}, [1]),
        ({"words": "fox whale"}, []),
        ({"words": "text-to-video"}, [2, 1, 0]),
        ({"model": MODEL}, [2, 1, 0]),
        ({"model": "kling-2.6/image-to-video"}, []),
        ({"starred": True}, [0]),
        ({"words": "whale", "starred": True}, []),
        ({"words": ".mp4 <b>"}, [2]),
        ({"words": "Emulated whale"}, [1]),
    ],
)
def test_a_filter(
    ledger: Ledger, rows: list[JobRecord], wanted: dict[str, object], expected: list[int]
) -> None:
    """Records, with all their fields, and their number follow words, model and star."""
    page = find(ledger, **wanted)
    assert page == ClipPage([rows[n] for n in expected], len(expected), 3, [MODEL])


def test_hidden_clips_are_found_only_if_included(ledger: Ledger, rows: list[JobRecord]) -> None:
    """They do not count either."""
    hidden = ledger.mark(rows[1].id, hidden=True)
    for words in ("", "mp4"):
        assert find(ledger, words=words) == ClipPage([rows[2], rows[0]], 2, 2, [MODEL])
        every = [rows[2], hidden, rows[0]]
        assert find(ledger, words=words, hidden=True) == ClipPage(every, 3, 3, [MODEL])


def test_a_clip_is_found_by_its_job_and_by_its_file(ledger: Ledger, rows: list[JobRecord]) -> None:
    """Both are what other outputs name."""
    for words in (rows[1].id, f"CLIP-{rows[1].id}"):
        assert find(ledger, words=words).records == [rows[1]]


def test_a_page_has_the_newest(ledger: Ledger, rows: list[JobRecord]) -> None:
    """The counts are those of all clips; a page may be larger than what exists."""
    for words in ("", "mp4"):
        assert find(ledger, 2, words=words) == ClipPage([rows[2], rows[1]], 3, 3, [MODEL])
    assert len(find(ledger, 10**30).records) == 3


def test_models_are_those_of_all_clips(ledger: Ledger, rows: list[JobRecord]) -> None:
    """Sorted, also if none of their clips match; an empty folder has none."""
    save(ledger, "A kite", model="kling-2.6/image-to-video")
    assert find(ledger, starred=True).models == ["kling-2.6/image-to-video", MODEL]
    assert len(rows) == 3


def test_a_folder_without_clips(ledger: Ledger) -> None:
    """Nothing is found and nothing is counted."""
    assert find(ledger) == find(ledger, words="fox") == ClipPage([], 0, 0, [])


def test_the_numbers_of_clips(ledger: Ledger, rows: list[JobRecord]) -> None:
    """All that match, newest first, also by the time of the request; then the rows are read."""
    search = ledger.clip_search
    numbers = search.numbers(ClipFilter())
    assert search.records(numbers) == [rows[2], rows[1], rows[0]]
    assert search.records(numbers[1:]) == [rows[1], rows[0]]
    for wanted, expected in (
        (ClipFilter("fox"), [2]), (ClipFilter(starred=True), [2]), (ClipFilter("mist"), [0])
    ):  # fmt: skip
        assert search.numbers(wanted) == [numbers[place] for place in expected]
    since = rows[1].created_at
    assert search.numbers(ClipFilter(), since) == numbers[:2]
    assert search.numbers(ClipFilter("whale"), since.astimezone()) == [numbers[1]]
    assert search.numbers(ClipFilter("fox"), since) == []
    assert search.numbers(ClipFilter(model="another")) == []


def test_a_row_that_is_no_clip_any_more_is_left_out(ledger: Ledger, rows: list[JobRecord]) -> None:
    """It may have been deleted since the numbers were read."""
    numbers = ledger.clip_search.numbers(ClipFilter())
    assert ledger.clip_search.records([*numbers, 10**6]) == [rows[2], rows[1], rows[0]]


@pytest.mark.parametrize("words", ["", "fox"])
def test_a_search_reads_one_page_at_a_time(
    ledger: Ledger, rows: list[JobRecord], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A read blocks a commit for no longer than one page; only what is shown has a thumbnail."""
    for number in range(5):
        save(ledger, f"Fox {number}")
    statements: list[str] = []
    connect = sqlite3.connect

    def trace(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[arg-type]
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", trace)
    ledger._database.close()  # connections that are opened from now on are traced
    for module in ("jobs_table", "clip_search"):
        monkeypatch.setattr(f"kling_nb.storage.{module}.PAGE_ROWS", 2)
    assert [row.prompt for row in find(ledger, 3, words=words).records] == [
        "Fox 4", "Fox 3", "Fox 2"
    ]  # fmt: skip
    reads = [each for each in statements if "number IN" in each]
    assert len(reads) == 2
    assert all("content FROM thumbnails" not in each for each in statements if each not in reads)
    pages = [each for each in statements if "AND number <" in each]
    assert all(each.split()[-1] == "2" for each in pages)
    assert bool(pages) is bool(words)
    assert len(rows) == 3


@pytest.mark.parametrize(
    "wanted",
    [
        ClipFilter(),
        ClipFilter("red FOX"),
        ClipFilter("emulated .mp4"),
        ClipFilter(model=MODEL),
        ClipFilter(model="other"),
        ClipFilter(starred=True),
        ClipFilter(hidden=True),
        ClipFilter("whale", hidden=True),
    ],
)
def test_one_record_is_judged_as_the_search_does(
    ledger: Ledger, rows: list[JobRecord], wanted: ClipFilter
) -> None:
    """A page with that filter is sent the same clips one by one as in a list."""
    ledger.mark(rows[1].id, hidden=True)
    page, every = ledger.clip_search.find(wanted, 24), ledger.rows()
    assert [row for row in every if fits(row, wanted)] == page.records
    assert sum(is_kept(row, wanted) for row in every) == page.kept
    assert not fits(None, wanted)
    assert not is_kept(None, wanted)


def test_a_newer_clip_has_a_higher_number(ledger: Ledger, rows: list[JobRecord]) -> None:
    """In a list, and for one clip."""
    numbers = find(ledger).numbers
    assert numbers == sorted(numbers, reverse=True)
    assert numbers == [ledger.clip_search.number_of(row.id) for row in reversed(rows)]
    assert ledger.clip_search.number_of("unknown") == 0


def test_the_stamp_of_the_file_shows_a_change_by_others(
    ledger: Ledger, rows: list[JobRecord]
) -> None:
    """Without a change it stays; there is none before the first job."""
    before = ledger.file_stamp
    ledger.row(rows[0].id)
    assert ledger.file_stamp == before
    other = Ledger(ledger.folder)
    other.mark(rows[0].id, starred=False)
    other.close()
    assert ledger.file_stamp != before
    assert Ledger(ledger.folder / "none").file_stamp == ""
