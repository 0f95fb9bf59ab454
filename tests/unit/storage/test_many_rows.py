"""Test that the work for one job does not grow with the ledger, in instructions of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import BLOCKING, ClipFacts, Stage
from kling_nb.display.gallery_views import View
from kling_nb.storage.clip_events import ClipChange, ignore_clips, observe_clips
from kling_nb.storage.clip_search import ClipFilter
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.records import advance_to, copy_jobs

FEW, MANY = 400, 4_000
PAGE_ROWS = 20
MODEL = "kling-2.6/text-to-video"
CLIP = ClipFacts("fox.mp4", 1280, 720, 5.04, 24.0, "h264", "", 12345)


class StepCounter:
    """Counts the instructions that SQLite runs in all connections opened meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self._connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", self.connect)

    def connect(self, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        """Open a connection that counts."""
        connection = self._connect(*args, **kwargs)
        connection.set_progress_handler(self._add, 1)
        return connection

    def _add(self) -> None:
        self.steps += 1


def request(name: str) -> JobRecord:
    """Return a live request, identified by its name."""
    return JobRecord(name, "live", MODEL, {}, 1, 55.0)


def fill(folder: Path, rows: int) -> Ledger:
    """Return a ledger with this many jobs: clips, failures and forgotten ones."""
    ledger = Ledger(folder)
    ends = Stage.SAVED, Stage.EXPIRED, Stage.FAILED, Stage.FORGOTTEN
    for number, stage in enumerate(ends):
        intent = replace(request(stage), take=number + 1)
        row = advance_to(ledger, ledger.intend(intent)[0], stage)
        ledger.note(row.id, clip=CLIP)
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        past = "strftime('%Y-%m-%dT%H:%M:%S+00:00', created_at, '-' || copy || ' days')"
        copy_jobs(connection, rows // len(ends) - 1, created_at=past)
    return ledger


names = count()
"""Numbers for the names of new jobs."""


def make(ledger: Ledger) -> None:
    """Make a job and save its clip."""
    row, _ = ledger.intend(request(f"new {next(names)}"))
    advance_to(ledger, row, Stage.SAVED)


def follow(ledger: Ledger) -> None:
    """Save a clip while a gallery with a filter is on show."""
    view = View(ClipFilter("new"), {}, 0, 0, "")

    class Observer:
        def on_clip_change(self, change: ClipChange) -> None:
            view.count(change)
            ledger.clip_search.number_of(change.after.id)

    observer = Observer()
    observe_clips(observer)
    row, _ = ledger.intend(request(f"new {next(names)}"))
    ledger.note(advance_to(ledger, row, Stage.SAVED).id, clip=CLIP)
    ignore_clips(observer)
    assert view.kept == 1


ACTIONS: dict[str, Callable[[Ledger], object]] = {
    "new job": make,
    "known": lambda ledger: ledger.blocking("saved", "f"),
    "durations": lambda ledger: ledger.durations_s(MODEL, "live"),
    "take": lambda ledger: ledger.last_take(MODEL, "live", lambda take: (f"{take}",)),
    "payments": lambda ledger: next(ledger.paid_requests(*BLOCKING)),
    "callback": lambda ledger: ledger.by_callback_token("n"),
    "orphans": lambda ledger: ledger.recover_orphans("live"),
    "newest": lambda ledger: ledger.rows(Stage.SAVED, Stage.FAILED, limit=PAGE_ROWS),
    "clips": lambda ledger: ledger.clips(PAGE_ROWS),
    "clip on show": follow,
}


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[StepCounter]:
    """Count steps, and read small pages."""
    for module in ("job_queries", "jobs_table"):
        monkeypatch.setattr(f"kling_nb.storage.{module}.PAGE_ROWS", PAGE_ROWS)
    with monkeypatch.context() as patch:
        yield StepCounter(patch)


def test_ten_times_the_rows(counter: StepCounter, tmp_path: Path) -> None:
    """Each action takes less than 1.5 times the steps."""
    steps: dict[int, dict[str, int]] = {}
    for rows in (FEW, MANY):
        with closing(fill(tmp_path / str(rows), rows)) as ledger:
            steps[rows] = {}
            for name, act in ACTIONS.items():
                counter.steps = 0
                act(ledger)
                steps[rows][name] = counter.steps
    grown = {
        name: (few, steps[MANY][name])
        for name, few in steps[FEW].items()
        if steps[MANY][name] > 1.5 * few
    }
    assert grown == {}
