"""Observers of clips: told of each change of a saved clip, after it is on disk, and of no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import Queue
from typing import Any

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.storage.clip_events import ClipChange, ignore_clips, observe_clips
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.html_states import CLIP
from tests.support.records import advance_to

MODEL = "kling-2.6/text-to-video"
PATIENCE_S = 60.0


@dataclass(eq=False)
class Observer:
    """Collects what it is told."""

    react: Callable[[ClipChange], object] = lambda _: None
    told: list[ClipChange] = field(default_factory=list)

    def on_clip_change(self, change: ClipChange) -> None:
        """Note a change."""
        self.told.append(change)
        self.react(change)

    @property
    def stages(self) -> list[tuple[str, str]]:
        """Stages before and after each change."""
        return [(each.before.stage if each.before else "", each.after.stage) for each in self.told]


@pytest.fixture
def observer() -> Iterator[Observer]:
    """An observer until the test ends."""
    made = Observer()
    observe_clips(made)
    yield made
    ignore_clips(made)


def save(ledger: Ledger, prompt: str = "fox") -> JobRecord:
    """Add a saved clip."""
    request = JobRecord(prompt, "emulator", MODEL, {"prompt": prompt}, 1, 55.0)
    row = advance_to(ledger, ledger.intend(request)[0], Stage.SUCCEEDED)
    clip = replace(CLIP, path=str(ledger.folder / f"{row.id}.mp4"))
    return ledger.advance(row.id, Stage.SAVED, clip=clip)


def test_a_saved_clip_is_reported_once(ledger: Ledger, observer: Observer) -> None:
    """Not the steps before it: they are no clip."""
    row = save(ledger)
    assert observer.stages == [("succeeded", "saved")]
    assert (observer.told[0].after, observer.told[0].folder) == (row, ledger.folder)


def test_a_change_is_reported_when_others_can_read_it(ledger: Ledger, observer: Observer) -> None:
    """A page that is told looks it up at once."""
    row, seen = save(ledger), Queue[bool]()
    with ThreadPoolExecutor(1) as elsewhere:
        # The thread that writes would see its own changes before the commit.
        observer.react = lambda change: seen.put(
            elsewhere.submit(ledger.row, change.after.id).result().starred
        )
        ledger.mark(row.id, starred=True)
        ledger.submit(ledger.mark, row.id, starred=False).result()
        assert [seen.get(timeout=PATIENCE_S) for _ in range(2)] == [True, False]


def test_a_clip_that_is_lost_and_one_that_is_recovered(ledger: Ledger, observer: Observer) -> None:
    """The first was a clip before the change, the second is a new row."""
    row = save(ledger)
    ledger.advance(row.id, Stage.SUCCEEDED)
    ledger.import_record(replace(row, id="00000001", fingerprint="other", task_id="other"))
    assert observer.stages[1:] == [("saved", "succeeded"), ("", "saved")]


def test_a_transaction_that_fails_reports_nothing(ledger: Ledger, observer: Observer) -> None:
    """Its changes are undone."""
    row = save(ledger)

    def fail() -> None:
        ledger.mark(row.id, starred=True)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.submit(fail).result()
    assert len(observer.told) == 1


def test_the_changes_of_one_transaction_come_in_order(ledger: Ledger, observer: Observer) -> None:
    """Also where it is run in parts."""
    row = save(ledger)

    def change() -> None:
        for starred in (True, False, True):
            ledger.mark(row.id, starred=starred)

    ledger.submit(change).result()
    assert [each.after.starred for each in observer.told[1:]] == [True, False, True]


def test_an_observer_that_fails_harms_neither_the_ledger_nor_the_others(
    ledger: Ledger, observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged."""

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    broken = Observer(fail)
    observe_clips(broken)
    assert save(ledger).stage is Stage.SAVED
    assert len(observer.told) == len(broken.told) == 1
    assert "an observer of clips failed" in caplog.text


def test_an_observer_ends(ledger: Ledger) -> None:
    """By itself when it is deleted, or on demand."""
    kept = Observer()
    observe_clips(Observer())
    observe_clips(kept)
    ignore_clips(kept)
    save(ledger)
    assert kept.told == []
