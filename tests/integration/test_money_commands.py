"""`%kling budget` and `%kling spend` in a shell."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.magics import show_quote
from tests.support.shells import texts

PATIENCE_S = 20.0


@pytest.fixture
def told_notebook(tmp_path: Path) -> str:
    """Return the path of the notebook."""
    return str(tmp_path / "fox.ipynb")


def test_a_budget_is_set_shown_and_ended(command: Commands, shell: Any) -> None:
    """Each command shows all budgets."""
    for line in ("budget", "budget $3 --per notebook", "budget 500", "budget off --per notebook"):
        command.run(line)
    none, first, both, last = texts(shell)
    assert "No budget is set (emulated, no real credits)" in none
    assert "notebook fox.ipynb: 0 of 600 credits ($3.00) spent, 600 left" in first
    assert "notebook fox.ipynb" in both
    assert "this folder: 0 of 500 credits ($2.50) spent, 500 left" in both
    assert "notebook" not in last.replace("kling_nb", "")
    command.run("budget off")
    assert "No budget is set" in texts(shell)[-1]


def test_a_scope_without_a_sum_is_refused(command: Commands) -> None:
    """The error has an example."""
    with pytest.raises(InvalidInput, match=r"no limit given; e\.g\. `%kling budget 500 --per day`"):
        command.run("budget --per day")


def test_the_status_shows_the_budget(command: Commands, shell: Any) -> None:
    """With mode, balance and running jobs."""
    command.run("budget 500")
    command.run("")
    assert "this folder: 0 of 500 credits ($2.50) spent, 500 left" in texts(shell)[-1]


def test_a_dry_run_shows_what_is_left(command: Commands, shell: Any, session: Session) -> None:
    """It shows how many credits are missing."""
    wish = ClipRequest(TEXT_TO_VIDEO, {"prompt": "A red fox"})
    command.run("budget 390")
    show_quote(session.quote(wish))
    assert "budget left 390 → 335" in texts(shell)[-1]
    command.run("budget 35")
    show_quote(session.quote(wish))
    assert "budget left 35: short by 20" in texts(shell)[-1]


@pytest.mark.parametrize("by", ["notebook", "day", "model"])
def test_what_was_spent(command: Commands, shell: Any, session: Session, by: str) -> None:
    """A table, with a caption for emulated credits."""
    job = session.text_to_video("A red fox")
    job.result(PATIENCE_S)
    session.star(job.id)
    command.run(f"spend --by {by}")
    [shown] = texts(shell)
    head, row = shown.splitlines()
    assert head.split()[0] == by
    assert row.split()[1:] == ["1", "55", "$0.28", "0", "1", "55"]
    assert "Emulated: no real credits" in shell.display_pub.outputs[0]["data"]["text/html"]


def test_nothing_was_spent(command: Commands, shell: Any) -> None:
    """A sentence replaces an empty table."""
    command.run("spend")
    assert texts(shell) == ["Nothing was spent in this folder"]


def test_spending_as_csv(command: Commands, shell: Any, session: Session, tmp_path: Path) -> None:
    """An existing file is overwritten only with `--replace`."""
    session.text_to_video("A red fox")
    path = tmp_path / "spent.csv"
    command.run(f"spend --by notebook --csv '{path}'")
    with path.open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["service"], row["notebook"], row["credits"]) == ("emulator", "fox.ipynb", "55.0")
    assert texts(shell)[-1] == f"Written to {path}"
    with pytest.raises(InvalidInput, match="exists; `--replace` overwrites it"):
        command.run(f"spend --csv '{path}'")
    command.run(f"spend --by model --csv '{path}' --replace")
    assert path.read_text(encoding="utf-8").startswith("service,model,")


def test_a_file_that_cannot_be_written(command: Commands, session: Session, tmp_path: Path) -> None:
    """The error names it and what to do."""
    with pytest.raises(InvalidInput, match="cannot be written"):
        command.run(f"spend --csv '{tmp_path / 'no folder' / 'spent.csv'}'")
