"""Test ownership of jobs: sessions that are alive, were closed, or released a job."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.errors import LedgerError
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.session_lock import SessionLocks

STEPS = (Stage.SENDING, Stage.ACCEPTED, Stage.SUCCEEDED, Stage.SAVED)


def intent(fingerprint: str = "f") -> JobRecord:
    """Return a request, identified by its fingerprint."""
    return JobRecord(fingerprint, "live", "kling-2.6/image-to-video", {}, 1, 55.0)


def led(ledger: Ledger, *stages: Stage, fingerprint: str = "f") -> JobRecord:
    """Return a job that went through these stages."""
    row, _ = ledger.intend(intent(fingerprint))
    for stage in stages:
        row = ledger.advance(row.id, stage)
    return row


def test_the_living_and_the_ended_are_left_alone(ledger: Ledger, other: Ledger) -> None:
    """Jobs of a living session and finished jobs do not change."""
    for number in range(len(STEPS) + 1):
        led(other, *STEPS[:number], fingerprint=str(number))
    before = ledger.rows()
    assert ledger.recover_orphans("live") == []
    assert ledger.rows() == before
    other.close()
    assert [row.stage for row in ledger.recover_orphans("live")] == [
        Stage.SUCCEEDED,
        Stage.ACCEPTED,
        Stage.UNKNOWN,
        Stage.DISCARDED,
    ]


def test_two_sessions_of_one_process_are_two_owners(ledger: Ledger, other: Ledger) -> None:
    """Each sees the other alive until it is closed; a probe does not take the lock away."""
    ledger.open()
    for _ in range(2):
        assert other.owner_is_alive(ledger.owner)
        assert ledger.owner_is_alive(ledger.owner)
    ledger.close()
    assert not other.owner_is_alive(ledger.owner)


@pytest.mark.parametrize("owner", ["", "nobody"])
def test_without_a_lock_file_nobody_lives(ledger: Ledger, owner: str) -> None:
    """An owner without a file is dead; a probe creates no file."""
    assert not ledger.owner_is_alive(owner)
    assert [path.stem for path in (ledger.folder / "owners").iterdir()] == [ledger.owner]


def test_closing_removes_the_lock_file(tmp_path: Path, ledger: Ledger) -> None:
    """A closed session leaves no file; closing twice does nothing."""
    ledger.open()
    ledger.open()
    ledger.close()
    ledger.close()
    assert list((tmp_path / "owners").iterdir()) == []


def test_closing_without_the_file(tmp_path: Path, ledger: Ledger, other: Ledger) -> None:
    """A ledger can be closed after its file was deleted."""
    ledger.open()
    (tmp_path / "ledger.sqlite3").unlink()
    ledger.close()
    assert not other.owner_is_alive(ledger.owner)


def test_a_lock_that_cannot_be_tried_is_alive(tmp_path: Path) -> None:
    """A session that may be alive keeps its jobs."""
    (tmp_path / "x.lock").mkdir()
    assert SessionLocks(tmp_path).is_alive("x")


def test_whoever_takes_a_step_answers_for_the_job(ledger: Ledger, other: Ledger) -> None:
    """The session that adopts a task follows it."""
    row = led(ledger, Stage.SENDING, Stage.UNKNOWN)
    assert other.advance(row.id, Stage.ACCEPTED, task_id="t").owner == other.owner


def test_a_released_job_is_for_anybody(ledger: Ledger, other: Ledger) -> None:
    """`settle` ignores it; the first session that claims it owns it."""
    row = led(ledger, *STEPS[:2])
    ledger.release(row.id)
    assert ledger.recover_orphans("live") == other.recover_orphans("live") == []
    assert other.claim(row.id)
    assert not ledger.claim(row.id)
    assert other.claim(row.id)


@pytest.mark.parametrize("number", [0, 1])
def test_a_job_under_submission_is_not_released(ledger: Ledger, number: int) -> None:
    """Only the session that submits learns how that ends."""
    row = led(ledger, *STEPS[:number])
    with pytest.raises(LedgerError, match=f"job {row.id} is {row.stage}: it can be detached"):
        ledger.release(row.id)
    assert ledger.row(row.id).owner == ledger.owner


def test_nothing_to_claim_when_it_is_over(ledger: Ledger) -> None:
    """A finished job cannot be claimed."""
    assert not ledger.claim(led(ledger, *STEPS).id)


def test_many_threads_at_once(ledger: Ledger) -> None:
    """Forty threads each move a job to its end: none finds the ledger locked."""
    together = threading.Barrier(40)

    def lead(number: int) -> JobRecord:
        together.wait(30)
        return led(ledger, *STEPS, fingerprint=str(number))

    with ThreadPoolExecutor(40) as threads:
        ended = list(threads.map(lead, range(40)))
    assert [row.stage for row in ended] == [Stage.SAVED] * 40
    assert len(ledger.rows(Stage.SAVED)) == 40
