"""The chaos tool: its judge by hand-made tables, its plan, and sixty runs of it.

`python -m tests.chaos --runs 1000 --kills 200 --seed 7` is the same with more runs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.emulator import KNOWN_FAULTS
from kling_nb.models.cell import read_cell
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.chaos import __main__ as command
from tests.chaos.evidence import stage_at_death, stage_of
from tests.chaos.judge import Evidence, Kind, Noted, Paid, Played, judge
from tests.chaos.plan import make_plan
from tests.chaos.table import write_table
from tests.chaos.troubles import CALM, TROUBLES

ROOT = Path(__file__).parents[2]
CLIP = "c" * 64
CALM_RUN = Played(0, "calm", CALM, struck=False)
LOST_RUN = Played(1, "lost", "lose-answer", struck=True)
FAILED_RUN = Played(2, "failed", "fail-policy", struck=True)
REFUSED_RUN = Played(3, "refused", "refuse", struck=True)
KILLED_RUN = Played(4, "killed", CALM, struck=False, killed=True, died_in="sending")

GOOD = Evidence(
    played=(CALM_RUN, LOST_RUN, FAILED_RUN, REFUSED_RUN, KILLED_RUN),
    paid=(
        Paid("t0", "calm", "success", 55, CLIP),
        Paid("t1", "lost", "success", 55, CLIP),
        Paid("t2", "failed", "fail", 0),
        Paid("t4", "killed", "success", 55, CLIP),
    ),
    noted=(
        Noted("j0", "calm", "saved", "t0", CLIP),
        Noted("j1", "lost", "unknown"),
        Noted("j2", "failed", "failed", "t2"),
        Noted("j3", "refused", "refused"),
        Noted("j4", "killed", "unknown"),
    ),
    integrity=("ok",),
)
"""One run of each kind, and nothing wrong with any of them."""


def kinds(evidence: Evidence) -> list[Kind]:
    """What the judge finds."""
    return [finding.kind for finding in judge(evidence).findings]


def alone(run: Played, *rows: Noted, paid: tuple[Paid, ...] = ()) -> Evidence:
    """The tables of one run."""
    return Evidence((run,), paid, rows, ("ok",))


SAVED = Noted("j0", "calm", "saved", "t0", CLIP)
DONE = Paid("t0", "calm", "success", 55, CLIP)


# --- the judge ---------------------------------------------------------------------------------


def test_what_the_books_tell_is_no_finding() -> None:
    """Saved, failed and refused as in the account; unknown only where nothing could tell."""
    verdict = judge(GOOD)
    assert verdict.findings == ()
    assert list(verdict.ends.values()) == ["saved", "unknown", "failed", "refused", "unknown"]


@pytest.mark.parametrize("stage", ["unknown", "saved", "failed", "refused", "discarded"])
def test_one_answer_for_everything_fails(stage: str) -> None:
    """A ledger that says the same of all requests is found out, `unknown` like any other."""
    rows = tuple(replace(row, stage=stage, task_id="") for row in GOOD.noted)
    assert len(kinds(replace(GOOD, noted=rows))) >= 3


def test_everything_unknown_is_unexplained_wherever_one_could_know() -> None:
    """The calm, the failed and the refused run; the lost and the killed one stay as they are."""
    rows = tuple(replace(row, stage="unknown", task_id="") for row in GOOD.noted)
    found = judge(replace(GOOD, noted=rows)).findings
    assert [(each.kind, each.number) for each in found] == [
        ("unexplained", 0),
        ("unexplained", 2),
        ("unexplained", 3),
    ]


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        (alone(CALM_RUN, paid=(DONE,)), "unnoted"),
        (replace(GOOD, noted=GOOD.noted[1:]), "unnoted"),
        (alone(CALM_RUN, SAVED, paid=(DONE, replace(DONE, task_id="t9"))), "double"),
        (alone(CALM_RUN, replace(SAVED, clip_sha256=""), paid=(DONE,)), "lost"),
        (alone(CALM_RUN, replace(SAVED, clip_sha256="d" * 64), paid=(DONE,)), "lost"),
        (alone(CALM_RUN, replace(SAVED, stage="failed"), paid=(DONE,)), "lost"),
        (replace(GOOD, integrity=("ok", "row 3 missing from index")), "corrupt"),
        (alone(CALM_RUN, replace(SAVED, stage="unknown", task_id="")), "unexplained"),
        (alone(CALM_RUN, replace(SAVED, stage="succeeded"), paid=(DONE,)), "wrong end"),
        (alone(CALM_RUN, SAVED), "wrong end"),
        (alone(CALM_RUN), "wrong end"),
        (alone(replace(CALM_RUN, error="no loop"), SAVED, paid=(DONE,)), "wrong end"),
        (alone(replace(CALM_RUN, has_ended=False), SAVED, paid=(DONE,)), "no end"),
        (replace(GOOD, paid=(*GOOD.paid, replace(DONE, request="?"))), "unnoted"),
        (replace(GOOD, noted=(*GOOD.noted, replace(SAVED, request="?"))), "wrong end"),
    ],
)
def test_each_violation_has_its_name(evidence: Evidence, kind: Kind) -> None:
    """Tables with one thing wrong give that finding."""
    assert kind in kinds(evidence)


def test_one_doubt_stands_for_one_task() -> None:
    """A resent request makes two tasks: paid twice, and the second is in no ledger."""
    twice = (replace(DONE, request="lost"), replace(DONE, request="lost", task_id="t9"))
    assert kinds(alone(LOST_RUN, Noted("j1", "lost", "unknown"), paid=twice)) == [
        "double",
        "unnoted",
    ]


def test_a_failure_paid_for_once_more_is_no_double() -> None:
    """A failed task costs nothing, so the same cell may make another."""
    rows = (Noted("j2", "failed", "failed", "t2"), Noted("j5", "failed", "saved", "t5", CLIP))
    paid = (Paid("t2", "failed", "fail", 0), Paid("t5", "failed", "success", 55, CLIP))
    assert kinds(alone(FAILED_RUN, *rows, paid=paid)) == []


@pytest.mark.parametrize(
    "run",
    [
        replace(LOST_RUN, struck=False),
        replace(KILLED_RUN, died_in="accepted"),
        replace(KILLED_RUN, died_in=""),
        replace(KILLED_RUN, trouble="note-locked", struck=True),
        replace(REFUSED_RUN),
        replace(CALM_RUN, trouble="disk-full", struck=True),
    ],
)
def test_only_a_lost_answer_or_a_death_while_sending_explains_doubt(run: Played) -> None:
    """Not a trouble that struck nothing, nor a kill at another time, nor a full disk."""
    assert kinds(alone(run, Noted("j", run.request, "unknown"))) == ["unexplained"]


@pytest.mark.parametrize(("stage", "run"), [("failed", REFUSED_RUN), ("refused", FAILED_RUN)])
def test_an_end_needs_the_trouble_that_leads_to_it(stage: str, run: Played) -> None:
    """A refusal is no failure."""
    assert kinds(alone(run, Noted("j", run.request, stage))) == ["wrong end"]


def test_what_was_surely_not_sent_needs_a_later_row() -> None:
    """Discarded and then saved is well; discarded alone means that nothing came of it."""
    dropped = Noted("j9", "calm", "discarded")
    assert kinds(alone(CALM_RUN, dropped, SAVED, paid=(DONE,))) == []
    assert kinds(alone(CALM_RUN, dropped)) == ["wrong end"]


# --- the plan ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_plan() -> None:
    """And another seed another one."""
    assert make_plan(7, 100, 20, 3) == make_plan(7, 100, 20, 3)
    assert make_plan(7, 100, 20, 3) != make_plan(8, 100, 20, 3)


def test_a_plan_has_every_trouble_as_many_kills_as_asked_and_no_request_twice() -> None:
    """Sixty runs are enough for each trouble to come once."""
    plan = make_plan(7, 60, 12, 3)
    assert {run.trouble for run in plan} == {CALM, *TROUBLES}
    assert sum(run.kill is not None for run in plan) == 12
    assert len({run.prompt for run in plan}) == 60
    assert {run.lane for run in plan} == {0, 1, 2}


def test_more_kills_than_runs_are_refused() -> None:
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="kills: 5 is not allowed; use 0 to 4"):
        make_plan(7, 4, 5, 1)


def test_the_cells_of_a_plan_can_be_run() -> None:
    """A magic's line parses, any other cell compiles."""
    for run in make_plan(7, 60, 12, 3):
        if run.cell.startswith("%%kling"):
            line, _, body = run.cell.removeprefix("%%kling ").partition("\n")
            assert read_cell(line, body, {}).spec.name == run.model
        else:
            assert compile(run.cell, "cell", "exec")


def test_the_troubles_of_the_service_are_faults_of_the_emulator() -> None:
    """By the same names."""
    names = {name for name, trouble in TROUBLES.items() if trouble.at == "service"}
    assert names <= KNOWN_FAULTS.keys()


# --- the evidence and the table ----------------------------------------------------------------


def test_the_stage_at_death_is_read_beside_the_ledger(tmp_path: Path) -> None:
    """As `stage_of` reads it; empty for a request that was never noted."""
    with closing(Ledger(tmp_path / "kling_clips")) as ledger:
        intent = JobRecord("f", "live", "kling-2.6/text-to-video", {"prompt": "A fox"}, 1, 55)
        row, _ = ledger.intend(intent)
        ledger.advance(row.id, Stage.SENDING)
        assert stage_at_death(tmp_path, "A fox") == stage_of(tmp_path, "A fox") == "sending"
        assert stage_at_death(tmp_path, "A bear") == stage_of(tmp_path, "A bear") == ""


def test_the_table_counts_each_trouble_and_all() -> None:
    """Runs, kills and ends in columns, then each finding in words."""
    evidence = replace(GOOD, noted=GOOD.noted[1:])
    lines = write_table(evidence, judge(evidence)).splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    assert lines[0].split()[: 2 + 4] == ["trouble", "runs", "killed", "saved", "failed", "refused"]
    assert cells["lose-answer"][:6] == ["1", "0", "0", "0", "0", "1"]
    assert cells["all"][:3] == ["5", "1", "0"]
    assert "killed while sending 1" in lines
    assert any(line.startswith("run 0: unnoted: task t0") for line in lines)


# --- the command -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "evidence", "code"),
    [
        ([], GOOD, 0),
        ([], replace(GOOD, integrity=("broken",)), 1),
        (["--broken", "resend"], GOOD, 1),
        (
            ["--broken", "resend"],
            alone(CALM_RUN, SAVED, paid=(DONE, replace(DONE, task_id="t9"))),
            0,
        ),
    ],
)
def test_the_exit_code_tells_the_verdict(
    options: list[str], evidence: Evidence, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 for no finding; for a rule broken on purpose 0 when the double payment is seen."""
    monkeypatch.setattr(command, "blow", lambda *given, **more: evidence)
    assert command.main(options) == code


# --- kernels -----------------------------------------------------------------------------------


def storm(*options: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person runs it."""
    words = [sys.executable, "-m", "tests.chaos", "--seed", "7", *options]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.kernel
def test_sixty_runs_with_twelve_kills() -> None:
    """Nothing is paid twice or lost, and every unknown job has its reason."""
    done = storm("--runs", "60", "--kills", "12")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^all +60 +12 ", done.stdout, re.MULTILINE)
    assert ", 0 findings, " in done.stdout


@pytest.mark.kernel
def test_a_rule_that_resends_is_caught() -> None:
    """The same script with a client that sends again what was lost: requests are paid twice."""
    done = storm("--runs", "12", "--kills", "0", "--broken", "resend")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"double: paid \d times", done.stdout)
