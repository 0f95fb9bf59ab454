"""Sessions in other processes: killed at any instant, alive, or asking at the same moment."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kling_nb.core.budgets import Change, Scope
from kling_nb.core.job_state import Stage
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.processes import go_on, python, read_line

STEPS = (Stage.SENDING, Stage.ACCEPTED, Stage.SUCCEEDED, Stage.SAVED)

PREAMBLE = """
import sys
from pathlib import Path
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.core.job_state import Stage

def intent(fingerprint):
    return JobRecord(fingerprint, "live", "kling-2.6/image-to-video", {}, 1, 55.0)

ledger = Ledger(Path(sys.argv[1]))
"""

LEAD = f"""{PREAMBLE}
job, _ = ledger.intend(intent("f"))
for stage in sys.argv[2:]:
    ledger.advance(job.id, Stage(stage))
print(job.id, flush=True)
sys.stdin.readline()
"""
"""Leads a job to a stage, says so, and stays alive until its input ends."""

RACE = f"""{PREAMBLE}
print("ready", flush=True)
sys.stdin.readline()
print(sum(ledger.intend(intent(str(number)))[1] for number in range(20)), flush=True)
sys.stdin.readline()
"""
"""Intends twenty requests at a signal, says how many were new, and stays alive."""


WITHIN_A_BUDGET = f"""{PREAMBLE}
from kling_nb.errors import BudgetExceeded

print("ready", flush=True)
sys.stdin.readline()
mine, known, refused = [], [], []
for number in range(20):
    try:
        (mine if ledger.intend(intent(str(number)))[1] else known).append(number)
    except BudgetExceeded:
        refused.append(number)
print(len(mine), *sorted(mine + known), *refused, flush=True)
sys.stdin.readline()
"""
"""The same race; says how many were new, then those that it may show, then those refused."""


def left_behind(folder: Path, *stages: Stage) -> JobRecord:
    """A job of a process that was killed at the last of these stages."""
    with python(LEAD, folder, *stages) as process:
        job_id = read_line(process)
        process.kill()
        process.wait()
    ledger = Ledger(folder)
    row = ledger.row(job_id)
    ledger.close()
    return row


@pytest.mark.parametrize(
    ("stages", "settled"),
    [
        ((), Stage.DISCARDED),
        (STEPS[:1], Stage.UNKNOWN),
        (STEPS[:2], Stage.ACCEPTED),
        (STEPS[:3], Stage.SUCCEEDED),
    ],
)
def test_a_killed_process_is_settled(
    tmp_path: Path, ledger: Ledger, stages: tuple[Stage, ...], settled: Stage
) -> None:
    """Killed at any instant: nothing is left in between, and what can go on is ours."""
    before = left_behind(tmp_path, *stages)
    [row] = ledger.recover_orphans("live")
    assert (row.id, row.stage) == (before.id, settled)
    if settled in (Stage.ACCEPTED, Stage.SUCCEEDED):
        assert row.owner == ledger.owner != before.owner
    assert ledger.events(row.id)[-1][1] is settled
    assert ledger.recover_orphans("live") == []


def test_a_death_while_sending_says_when(tmp_path: Path, ledger: Ledger) -> None:
    """The reason has the time of the submission, to be looked for on the provider's site."""
    before = left_behind(tmp_path, Stage.SENDING)
    [row] = ledger.recover_orphans("live")
    assert before.sent_at is not None
    assert row.reason == (
        f"The kernel died while sending, at {before.sent_at:%Y-%m-%d %H:%M:%S} UTC; "
        "the task may exist and may be paid for."
    )


def test_a_living_process_is_seen(tmp_path: Path, ledger: Ledger) -> None:
    """The lock is held across processes for as long as the other one lives."""
    with python(LEAD, tmp_path, *STEPS[:2]) as process:
        row = ledger.row(read_line(process))
        assert ledger.owner_is_alive(row.owner)
        assert not ledger.claim(row.id)
        process.kill()
        process.wait()
        assert not ledger.owner_is_alive(row.owner)
        assert ledger.claim(row.id)


def test_a_child_process_does_not_inherit_the_lock(ledger: Ledger, other: Ledger) -> None:
    """A program that was started by a session, and outlives it, does not keep it alive."""
    ledger.open()
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    ) as child:
        assert other.owner_is_alive(ledger.owner)
        ledger.close()
        assert not other.owner_is_alive(ledger.owner)
        child.communicate(b"\n")


def test_lock_files_of_the_dead_are_removed(tmp_path: Path, ledger: Ledger, other: Ledger) -> None:
    """Settling leaves the files of the living only."""
    left_behind(tmp_path)
    other.open()
    ledger.recover_orphans("live")
    files = {path.stem for path in (tmp_path / "owners").iterdir()}
    assert files == {ledger.owner, other.owner}


def test_two_processes_race(tmp_path: Path, ledger: Ledger) -> None:
    """Two kernels make the same twenty requests in a new folder: each has one row."""
    folder = tmp_path / "new"
    with python(RACE, folder) as one, python(RACE, folder) as two:
        for process in (one, two):
            assert read_line(process) == "ready"
        go_on(one, two)
        assert int(read_line(one)) + int(read_line(two)) == 20
        raced = Ledger(folder)
        assert {row.fingerprint for row in raced.rows()} == set(map(str, range(20)))
        assert len(raced.rows()) == 20
        raced.close()


def test_two_processes_race_within_a_budget(tmp_path: Path) -> None:
    """Room for ten: ten are made in all, and both processes are refused the same other ten."""
    folder = tmp_path / "new"
    setting = Ledger(folder)
    setting.spending.change("live", [Change(Scope.FOLDER, "", 550)])
    with python(WITHIN_A_BUDGET, folder) as one, python(WITHIN_A_BUDGET, folder) as two:
        for process in (one, two):
            assert read_line(process) == "ready"
        go_on(one, two)
        told = [list(map(int, read_line(process).split())) for process in (one, two)]
        assert [order[1:] for order in told] == [list(range(20))] * 2
        assert sum(order[0] for order in told) == 10
        assert {row.fingerprint for row in setting.rows()} == set(map(str, range(10)))
        assert setting.spending.budget_statuses("live")[0].left_credits == 0
    setting.close()


MIGRATION = '''
import os, signal, sys
from pathlib import Path
from kling_nb.storage import database
from kling_nb.storage.migrations import MIGRATIONS

def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)

path, migrations = Path(sys.argv[1]), MIGRATIONS
database.MIGRATIONS = migrations[:8]
old = database.Database(path)
old.create()

def fill(connection):
    for number in range(600):
        connection.execute("""INSERT INTO jobs (id, fingerprint, service, model, "values", take,
            thumbnail, callback_url, cell, stage, owner, created_at, updated_at)
            VALUES (printf('%08x', ?), ?, 'live', 'm', '{}', 1, zeroblob(8000), '', '', 'failed',
            '', '2026-11-20T12:00:00+00:00', '2026-11-20T12:00:00+00:00')""", (number, number))

old.write(fill)
print(path.stat().st_size, flush=True)
database.MIGRATIONS = (*migrations, die)
old.create()
'''
"""Is killed at the end of a migration that does not fit into SQLite's cache."""


def test_a_migration_that_is_killed_is_undone(tmp_path: Path) -> None:
    """The next version, or the old one, finds the file as it was."""
    path = tmp_path / "ledger.sqlite3"
    with python(MIGRATION, path) as process:
        size = int(read_line(process))
        process.wait()
    assert path.with_name("ledger.sqlite3-journal").exists()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (8,)
        query = "SELECT count(*) FROM jobs WHERE length(thumbnail) = 8000"
        assert connection.execute(query).fetchone() == (600,)
    assert path.stat().st_size == size
    with closing(Ledger(tmp_path)) as ledger:
        assert {len(row.thumbnail) for row in ledger.rows(limit=-1)} == {8000}
