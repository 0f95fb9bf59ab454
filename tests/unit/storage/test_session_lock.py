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
from tests.support.records import advance_to

STAGES = (Stage.INTENDED, Stage.SENDING, Stage.ACCEPTED, Stage.SUCCEEDED, Stage.SAVED)


def led(ledger: Ledger, stage: Stage, fingerprint: str = "f") -> JobRecord:
    """Return a job in this stage."""
    row, _ = ledger.intend(JobRecord(fingerprint, "live", "m", {}, 1, 55.0))
    return advance_to(ledger, row, stage)


def test_jobs_of_a_living_session_and_ended_ones_do_not_change(
    ledger: Ledger, other: Ledger
) -> None:
    """Jobs of a living session and finished jobs do not change."""
    for stage in STAGES:
        led(other, stage, str(stage))
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
def test_without_a_lock_file_an_owner_is_dead(ledger: Ledger, owner: str) -> None:
    """An owner without a file is dead; a probe creates no file."""
    assert not ledger.owner_is_alive(owner)
    assert [path.stem for path in (ledger.folder / "owners").iterdir()] == [ledger.owner]


def test_closing_removes_the_lock_file(tmp_path: Path, ledger: Ledger, other: Ledger) -> None:
    """Closing twice does nothing; a ledger is also closed after its file was deleted."""
    ledger.open()
    ledger.open()
    (tmp_path / "ledger.sqlite3").unlink()
    ledger.close()
    ledger.close()
    assert list((tmp_path / "owners").iterdir()) == []
    assert not other.owner_is_alive(ledger.owner)


def test_a_lock_that_cannot_be_tried_is_alive(tmp_path: Path) -> None:
    """A session that may be alive keeps its jobs."""
    (tmp_path / "x.lock").mkdir()
    assert SessionLocks(tmp_path).is_alive("x")


def test_the_session_that_advances_a_job_owns_it(ledger: Ledger, other: Ledger) -> None:
    """The session that adopts a task follows it."""
    row = led(ledger, Stage.UNKNOWN)
    assert other.advance(row.id, Stage.ACCEPTED, task_id="t").owner == other.owner


def test_any_session_may_claim_a_released_job(ledger: Ledger, other: Ledger) -> None:
    """`settle` ignores it; the first session that claims it owns it."""
    row = led(ledger, Stage.ACCEPTED)
    ledger.release(row.id)
    assert ledger.recover_orphans("live") == other.recover_orphans("live") == []
    assert other.claim(row.id)
    assert not ledger.claim(row.id)
    assert other.claim(row.id)
    assert not ledger.claim(led(ledger, Stage.SAVED, "ended").id)


@pytest.mark.parametrize("stage", [Stage.INTENDED, Stage.SENDING])
def test_a_job_under_submission_is_not_released(ledger: Ledger, stage: Stage) -> None:
    """Only the session that submits learns how that ends."""
    row = led(ledger, stage)
    with pytest.raises(
        LedgerError, match=f"job {row.id} is {row.stage}: the service has not answered"
    ):
        ledger.release(row.id)
    assert ledger.row(row.id).owner == ledger.owner


def test_many_threads_at_once(ledger: Ledger) -> None:
    """Forty threads each move a job to its end: none finds the ledger locked."""
    together = threading.Barrier(40)

    def lead(number: int) -> JobRecord:
        together.wait(30)
        return led(ledger, Stage.SAVED, str(number))

    with ThreadPoolExecutor(40) as threads:
        ended = list(threads.map(lead, range(40)))
    assert [row.stage for row in ended] == [Stage.SAVED] * 40
    assert len(ledger.rows(Stage.SAVED)) == 40
