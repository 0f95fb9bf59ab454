"""Test `ledger`: changes of stages, blocking requests, and queries."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.charge_evidence import BalanceHistory
from kling_nb.core.job_state import BLOCKING, NEXT_STAGES, ClipFacts, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.errors import LedgerError
from kling_nb.storage import jobs_table
from kling_nb.storage.clip_search import ClipFilter
from kling_nb.storage.job_record import REQUEST, JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.spending import likelihood
from tests.support.records import advance_to
from tests.support.service import Clock

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STORED = StoredInput("ab" * 32, "fox.png", "image/png")


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still at `START`."""
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Yield an empty ledger, and close it."""
    ledger = Ledger(tmp_path / "clips", clock=clock)
    yield ledger
    ledger.close()


def intent(fingerprint: str = "f" * 64) -> JobRecord:
    """Return a request, identified by its fingerprint."""
    return JobRecord(
        fingerprint=fingerprint,
        service="live",
        model="kling-2.6/image-to-video",
        values={"prompt": "Ein Fuchs, 雪", "duration": "5", "sound": False},
        take=1,
        price_credits=55.0,
        thumbnail=b"\xff\xd8jpeg",
        callback_url="https://example.com/done",
        cell="%%kling\nEin Fuchs",
        sources={"image": (STORED,)},
    )


def make(ledger: Ledger, stage: Stage, fingerprint: str = "f" * 64) -> JobRecord:
    """Add a row and move it to a stage."""
    return advance_to(ledger, ledger.intend(intent(fingerprint))[0], stage)


def clip_at(path: Path) -> ClipFacts:
    """Return the facts of a clip."""
    return ClipFacts(str(path), 1280, 720, 5.04, 24.0, "h264", "", 12345, "ab" * 32)


def test_nothing_on_disk_before_first_use(tmp_path: Path) -> None:
    """A ledger that is not used creates no folder, also when it is closed."""
    Ledger(tmp_path / "clips").close()
    assert list(tmp_path.iterdir()) == []


def test_an_intent_is_kept_as_given(ledger: Ledger) -> None:
    """Every field of the request is in the row and is read back unchanged."""
    request = intent()
    row, new = ledger.intend(request)
    assert new
    assert all(getattr(row, name) == getattr(request, name) for name in REQUEST)
    assert (row.stage, row.owner, row.task_id) == (Stage.INTENDED, ledger.owner, "")
    assert (row.created_at, row.updated_at, row.sent_at) == (START, START, None)
    assert ledger.row(row.id) == row


@pytest.mark.parametrize("before", Stage)
@pytest.mark.parametrize("after", Stage)
def test_only_the_steps_of_the_table_exist(ledger: Ledger, before: Stage, after: Stage) -> None:
    """A change of stage is allowed only if `NEXT_STAGES` has it."""
    row = make(ledger, before)
    if after in NEXT_STAGES[before]:
        assert ledger.advance(row.id, after).stage is after
    else:
        with pytest.raises(LedgerError, match=rf"from {before} to {after}; allowed next stages: "):
            ledger.advance(row.id, after)
        assert ledger.row(row.id) == row


@pytest.mark.parametrize("stage", Stage)
def test_the_same_request_again(ledger: Ledger, stage: Stage) -> None:
    """A blocking row answers the request; after any other a new row is added."""
    first = make(ledger, stage)
    second, new = ledger.intend(intent())
    assert new is (stage not in BLOCKING)
    assert (second.id == first.id) is (stage in BLOCKING)
    found = ledger.blocking(first.fingerprint)
    assert found is not None
    assert found.id == second.id
    assert ledger.blocking("another request") is None


def test_facts_come_with_a_step_or_alone(ledger: Ledger) -> None:
    """`advance` and `note` both save facts."""
    row = make(ledger, Stage.SENDING)
    ledger.note(row.id, balance_before=5916.25)
    ledger.advance(row.id, Stage.ACCEPTED, task_id="56074f12")
    row = ledger.note(row.id, balance_after=5861, credits=55)
    assert (row.stage, row.task_id, row.credits) == (Stage.ACCEPTED, "56074f12", 55)
    assert (row.balance_before, row.balance_after) == (5916.25, 5861)


def test_each_change_returns_the_row_as_it_is_on_disk(ledger: Ledger) -> None:
    """Without reading it again: times, paths, numbers and broken characters too."""
    row, _ = ledger.intend(
        replace(intent(), values={"prompt": "a"}, cell="\ud83d", price_credits=55)
    )
    stored = replace(STORED, path=str(ledger.folder / "inputs" / "fox.png"))
    changes = (
        lambda: row,
        lambda: ledger.save_sources(row.id, {"image": [stored]}),
        lambda: ledger.advance(row.id, Stage.SENDING, nonce="n"),
        lambda: ledger.advance(row.id, Stage.ACCEPTED, task_id="t-1", answer="{}"),
        lambda: ledger.note(row.id, credits=42, watch=BalanceHistory(START, ())),
        lambda: ledger.advance(row.id, Stage.SUCCEEDED, result_url="u", result_urls=("u", "v")),
        lambda: ledger.advance(row.id, Stage.SAVED, clip=clip_at(ledger.folder / "a.mp4")),
        lambda: ledger.mark(row.id, starred=True),
    )
    for change in changes:
        found, expected = change(), ledger.row(row.id)
        assert (found, repr(found)) == (expected, repr(expected))


def test_times_are_filled_in_once(ledger: Ledger, clock: Clock) -> None:
    """Each stage sets its time; downloading a lost file again does not change it."""
    row = make(ledger, Stage.SENDING)
    clock.move(1)
    ledger.advance(row.id, Stage.ACCEPTED)
    clock.move(160)
    ledger.advance(row.id, Stage.SUCCEEDED)
    clock.now += timedelta(days=1)
    ledger.advance(row.id, Stage.SAVED)
    row = ledger.advance(row.id, Stage.SUCCEEDED)
    assert (row.sent_at, row.accepted_at) == (START, START + timedelta(seconds=1))
    assert row.finished_at == START + timedelta(seconds=161)
    assert row.updated_at == clock.now


def test_a_reason_belongs_to_its_stage(ledger: Ledger, clock: Clock) -> None:
    """The next stage clears the old reason, which the history keeps, with the time of each step."""
    row = make(ledger, Stage.SENDING)
    clock.move(3)
    ledger.advance(row.id, Stage.UNKNOWN, reason="no answer in 60 s", code="524")
    row = ledger.advance(row.id, Stage.ACCEPTED, task_id="t")
    assert (row.reason, row.code) == ("", "")
    assert ledger.events(row.id) == [
        (START, Stage.INTENDED, ""),
        (START, Stage.SENDING, ""),
        (clock.now, Stage.UNKNOWN, "no answer in 60 s"),
        (clock.now, Stage.ACCEPTED, ""),
    ]


def test_the_clip_follows_its_folder(ledger: Ledger, tmp_path: Path) -> None:
    """The paths of clips follow a folder that was moved."""
    clip = clip_at(ledger.folder / "day" / "fox.mp4")
    saved = ledger.advance(make(ledger, Stage.SUCCEEDED).id, Stage.SAVED, clip=clip)
    assert saved.clip == clip
    ledger.close()
    shutil.move(ledger.folder, tmp_path / "moved")
    with closing(Ledger(tmp_path / "moved")) as moved:
        assert moved.row(saved.id).clip == clip_at(tmp_path / "moved" / "day" / "fox.mp4")


def test_a_job_is_found_by_the_start_of_its_id(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any digits are enough while they are unique; otherwise the error names the candidates."""
    ids = iter(["abcd0000", "abcd0000", "abcd1111", "ffff0000"])
    monkeypatch.setattr("kling_nb.storage.jobs_table.secrets.token_hex", lambda _: next(ids))
    for fingerprint in "abc":
        ledger.intend(intent(fingerprint))
    assert ledger.row(" FFF").id == ledger.row("f").id == "ffff0000"
    assert ledger.row("abcd1").id == "abcd1111"
    for given in ("abc", "abcd"):
        listed = f"'{given}': abcd1111 Ein Fuchs, 雪, abcd0000 Ein Fuchs, 雪; give more of the id"
        with pytest.raises(LedgerError, match=listed):
            ledger.row(given)


def test_of_many_jobs_that_begin_so_a_few_are_listed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error stays one line of a readable length, and is read from a few rows."""
    ids = (f"abc{number:05}" for number in range(100))
    monkeypatch.setattr("kling_nb.storage.jobs_table.secrets.token_hex", lambda _: next(ids))
    for number in range(12):
        ledger.intend(intent(str(number)))
    read: list[object] = []
    parse = jobs_table.parse_record
    monkeypatch.setattr(jobs_table, "parse_record", lambda *row: (read.append(row), parse(*row))[1])
    with pytest.raises(LedgerError, match="and more; give more of the id") as error:
        ledger.row("a")
    assert str(error.value).count("abc") == 8
    assert len(read) == 9


@pytest.mark.parametrize("given", ["", " ", "ffe", "0000000g", "%", "____", "ffff00001"])
def test_no_such_job(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """No digits, wildcards and unknown ids find nothing; the message names the command."""
    monkeypatch.setattr("kling_nb.storage.jobs_table.secrets.token_hex", lambda _: "ffff0000")
    ledger.intend(intent())
    with pytest.raises(LedgerError, match=rf"no job '{given}'.*`%kling jobs` lists"):
        ledger.row(given)


def test_a_job_is_found_by_its_task(ledger: Ledger) -> None:
    """The task id finds the job; an empty one, or one of another service, finds none."""
    row = make(ledger, Stage.SENDING)
    assert ledger.by_task("", "live") is None
    row = ledger.advance(row.id, Stage.ACCEPTED, task_id="t1")
    assert ledger.by_task("t1", "live") == row
    assert ledger.by_task("t2", "live") is ledger.by_task("t1", "emulator") is None


def test_rows_newest_first(ledger: Ledger, clock: Clock) -> None:
    """Newest first, by stage, within the limit, also if the clock is put back."""
    first = make(ledger, Stage.SENDING, "a")
    second = make(ledger, Stage.FAILED, "b")
    clock.now -= timedelta(hours=1)
    third = make(ledger, Stage.SENDING, "c")
    assert [row.id for row in ledger.rows()] == [third.id, second.id, first.id]
    assert [row.id for row in ledger.rows(Stage.SENDING)] == [third.id, first.id]
    assert [row.id for row in ledger.rows(limit=1)] == [third.id]


def test_durations_of_past_clips(ledger: Ledger) -> None:
    """From acceptance to completion, newest first; only clips of the same model and service."""
    for fingerprint, seconds in (("a", 127), ("b", 188), ("adopted", -30)):
        row = make(ledger, Stage.ACCEPTED, fingerprint)
        ledger.advance(row.id, Stage.SUCCEEDED, finished_at=START + timedelta(seconds=seconds))
    make(ledger, Stage.FAILED, "c")
    model = intent().model
    assert ledger.durations_s(model, "live") == [188, 127]
    assert ledger.durations_s(model, "live", limit=1) == [188]
    assert ledger.durations_s(model, "emulator") == []
    assert ledger.durations_s("another", "live") == []


def test_marks_of_a_person(ledger: Ledger) -> None:
    """Starred and hidden are independent; a mark that is not given stays."""
    row = make(ledger, Stage.SAVED)
    assert (row.starred, row.hidden) == (False, False)
    ledger.mark(row.id[:4], starred=True)
    marked = ledger.mark(row.id, hidden=True)
    assert (marked.starred, marked.hidden) == (True, True)
    assert ledger.mark(row.id) == marked
    row = ledger.mark(row.id, starred=False)
    assert (row.starred, row.hidden) == (False, True)
    with pytest.raises(LedgerError, match="no job"):
        ledger.mark("ffffffff", starred=True)


def test_a_mark_is_no_news_of_the_task(ledger: Ledger, clock: Clock) -> None:
    """A mark does not change the owner and `updated_at`, which are evidence."""
    row, _ = ledger.intend(intent())
    clock.now += timedelta(hours=1)
    marked = ledger.mark(row.id, starred=True)
    sources = {"image": (STORED, replace(STORED, name="hen.png"))}
    noted = ledger.save_sources(row.id, sources)
    assert noted.sources == sources
    for after in (marked, noted):
        assert (after.owner, after.updated_at, after.stage) == (ledger.owner, START, row.stage)
    assert len(ledger.events(row.id)) == 1


def test_the_clips_of_a_folder(ledger: Ledger, tmp_path: Path) -> None:
    """Only saved ones, newest first, hidden ones on demand."""
    rows = [make(ledger, stage, f"f {number}") for number, stage in enumerate(Stage)]
    assert ledger.clips() == []  # saved without facts of a clip
    saved = []
    for name in "abc":
        row = make(ledger, Stage.SUCCEEDED, name)
        clip = clip_at(tmp_path / f"{name}.mp4")
        saved.append(ledger.advance(row.id, Stage.SAVED, clip=clip))
    a, b, c = (row.id for row in saved)
    assert [row.id for row in ledger.clips()] == [c, b, a]
    assert [row.id for row in ledger.clips(2)] == [c, b]
    ledger.mark(b, hidden=True)
    assert [row.id for row in ledger.clips()] == [c, a]
    assert [row.id for row in ledger.clips(include_hidden=True)] == [c, b, a]
    assert len(ledger.rows()) == len(rows) + 3


@pytest.mark.parametrize("stage", sorted(Stage))
def test_the_last_take_that_is_answered(ledger: Ledger, stage: Stage) -> None:
    """Only that of the same request, of one model and service, by any of its fingerprints."""
    model = intent().model
    answered = {1: Stage.SAVED, 4: Stage.SAVED, 7: stage, 9: Stage.FAILED}
    for take, end in answered.items():
        row, _ = ledger.intend(replace(intent(f"fox {take}"), take=take))
        advance_to(ledger, row, end)
    ledger.intend(replace(intent("owl 8"), take=8))

    def names(take: int) -> tuple[str, str]:
        return f"new {take}", f"fox {take}"

    assert ledger.last_take(model, "live", names) == (7 if stage in BLOCKING else 4)
    assert ledger.last_take(model, "live", lambda take: (f"owl {take}",)) == 8
    assert ledger.last_take(model, "live", lambda take: (f"wolf {take}",)) == 0
    assert ledger.last_take("another", "live", names) == 1


@pytest.mark.parametrize("stage", [Stage.SAVED, Stage.ACCEPTED, Stage.UNKNOWN, Stage.FAILED])
def test_a_row_of_another_ledger_is_brought_in_once(
    ledger: Ledger, tmp_path: Path, stage: Stage
) -> None:
    """It is unchanged and has its id; the second time nothing changes."""
    row = replace(make(ledger, stage), owner="", starred=True, task_id="t" * 32)
    if stage is Stage.SAVED:
        row = replace(row, clip=clip_at(tmp_path / "other" / "a.mp4"), credits=55.0)
    with closing(Ledger(tmp_path / "other", clock=lambda: START)) as other:
        assert other.import_record(row) == row
        assert other.import_record(row) is None
        assert other.rows() == [row]
        assert [event[1] for event in other.events(row.id)] == [stage]


def test_a_row_for_a_request_that_is_answered_is_not_brought_in(ledger: Ledger) -> None:
    """Neither under another id nor as another request with the same task."""
    row = ledger.note(make(ledger, Stage.SAVED).id, task_id="t" * 32)
    assert ledger.import_record(replace(row, id="0" * 8, task_id="other")) is None
    assert ledger.import_record(replace(row, id="0" * 8, fingerprint="other")) is None
    assert ledger.rows() == [row]


def test_an_id_that_is_taken_is_not_brought_in(ledger: Ledger) -> None:
    """The job gets another id, and has its own history."""
    row = make(ledger, Stage.UNKNOWN)
    found = replace(row, fingerprint="other", reason="recovered from a.ipynb")
    brought = ledger.import_record(found)
    assert brought is not None
    assert brought.id != row.id
    assert ledger.row(row.id) == row
    [event] = ledger.events(brought.id)
    assert event[1:] == (Stage.UNKNOWN, "recovered from a.ipynb")


@pytest.mark.parametrize("limit", [0, 1, 2, 4, 5, 9, -1])
def test_many_rows_are_read_in_pages(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """The rows are the same, whether or not the last page is full."""
    rows = [ledger.intend(intent(str(number)))[0] for number in range(5)][::-1]
    monkeypatch.setattr("kling_nb.storage.jobs_table.PAGE_ROWS", 2)
    assert ledger.rows(limit=limit) == (rows if limit < 0 else rows[:limit])
    assert ledger.rows(Stage.INTENDED, limit=limit) == (rows if limit < 0 else rows[:limit])
    assert ledger.rows(Stage.SENDING, limit=limit) == []
    assert ledger.ids() == {row.id for row in rows}


def test_no_query_of_a_job_reads_every_row(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index serves each: a ledger may have tens of thousands of rows."""
    statements: list[str] = []
    connect = sqlite3.connect

    def trace(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", trace)
        row = make(ledger, Stage.SUCCEEDED)
        ledger.advance(row.id, Stage.SAVED)
        ledger.row(row.id[:5])
        ledger.durations_s(row.model, row.service)
        ledger.by_task("t", "live")
        ledger.by_callback_token("n")
        ledger.last_take(row.model, row.service, lambda take: [f"f{take}"])
        ledger.recover_orphans("live")
        ledger.rows(Stage.UNKNOWN)
        ledger.clip_search.find(ClipFilter(), 24)
    queries = [each for each in statements if " jobs" in each and "CREATE" not in each]
    queries = [each for each in queries if each.split()[0] in {"SELECT", "UPDATE"}]
    assert len(queries) > 20
    with closing(sqlite3.connect(ledger.folder / "ledger.sqlite3")) as connection:
        connection.create_function("likelihood", 3, likelihood)
        for query in queries:
            plan = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [step for step in plan if step == "SCAN jobs"], query


def test_a_url_of_an_input_is_known(ledger: Ledger) -> None:
    """The hash is that of the last request with the URL; a part of a URL is another one."""
    url = 'https://example.com/föx "1".png'
    for number in (1, 2):
        source = replace(STORED, source_sha256=str(number) * 64, url=url)
        ledger.intend(replace(intent(str(number)), sources={"image": (source,)}))
    ledger.intend(intent("without a URL"))
    assert ledger.source_sha256_of(url) == "2" * 64
    assert ledger.source_sha256_of(url[:-1]) == ""


def test_the_jobs_of_a_panel(ledger: Ledger) -> None:
    """Newest first: those of the same name, notebook and service; hidden clips are omitted."""
    sent = replace(intent(), panel="p", notebook="a.ipynb")
    oldest = ledger.intend(replace(sent, fingerprint="oldest"))[0]
    ledger.intend(replace(sent, fingerprint="a", panel="q"))
    ledger.intend(replace(sent, fingerprint="b", notebook="b.ipynb"))
    ledger.intend(replace(sent, fingerprint="c", service="emulator"))
    newest = ledger.intend(replace(sent, fingerprint="newest"))[0]
    hidden = ledger.intend(replace(sent, fingerprint="hidden"))[0]
    ledger.mark(hidden.id, hidden=True)
    found = ledger.of_panel("p", "a.ipynb", "live")
    assert [row.id for row in found] == [newest.id, oldest.id]
    assert newest.panel == found[0].panel == "p"


def test_a_request_without_a_panel_is_of_no_panel(ledger: Ledger) -> None:
    """Rows of older versions have none, either."""
    ledger.intend(intent())
    assert ledger.of_panel("", "", "live") == []
