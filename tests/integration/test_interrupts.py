"""SIGINT that is ignored or blocked: the suite runs nevertheless, and the doctor says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kling_nb.notebook.doctor import environment
from tests.support.scripts import run_script

ROOT = Path(__file__).parents[2]
IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a shell does to a program that it starts with `&`."""
BLOCKED = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})"
EXAMINE = """
    from kling_nb.notebook.doctor.environment import check_interrupts
    for each in check_interrupts():
        print(each.status, each.message)
        code = each.fix.partition("run `")[2].rpartition("`")[0]
        exec(code)
    print(check_interrupts())
"""
INTERRUPTS = (
    "tests/unit/jobs/test_background_loop.py::test_interrupt_leaves_the_coroutine_running",
    "tests/unit/jobs/test_run_coroutine.py::test_interrupt_cancels_and_goes_on[nested]",
)


@pytest.mark.parametrize("start", [IGNORED, BLOCKED], ids=["ignored", "blocked"])
def test_the_tests_of_interrupts_run_in_the_background(start: str) -> None:
    """Tests set the disposition that they need, for themselves and their child processes."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "--timeout", "60", *INTERRUPTS]
    begin = f"import os, sys; {start}; os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", begin, *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("start", "state"), [(IGNORED, "ignored"), (BLOCKED, "blocked")], ids=["ignored", "blocked"]
)
def test_the_doctor_tells_that_interrupts_cannot_come(start: str, state: str) -> None:
    """The doctor detects an ignored or blocked SIGINT, and the code of its fix repairs it."""
    printed = run_script(EXAMINE, start=start)
    said = f"*Interrupt* cannot reach this kernel: SIGINT is {state}"
    assert printed == f"warn {said}\n[]\n"


def test_the_doctor_says_nothing_of_interrupts_that_come() -> None:
    """The processes of the suite can be interrupted, however the suite was started."""
    assert environment.check_interrupts() == []
