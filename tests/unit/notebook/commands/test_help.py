"""`%kling help`, and the lines that correct a command or a cell in the wrong place."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.commands.help import not_a_cell
from kling_nb.notebook.commands.parser import PARSERS
from tests.support.shells import texts


@pytest.fixture
def commands(shell: Any) -> Commands:
    """The commands of a shell without a session."""
    return Commands(shell)


@pytest.mark.parametrize("line", ["help", "-h", "--help", " --help"])
def test_help_lists_every_command(commands: Commands, shell: Any, line: str) -> None:
    """With its help, an example of a cell, and where more is."""
    assert commands.run(line) is None
    table, cell = texts(shell)
    for parser in PARSERS.values():
        assert any(
            row.startswith(parser.usage_line) and row.endswith(parser.help)
            for row in table.splitlines()
        )
    for text in ("`%%kling --image fox.png", "`%%kling?`", "`kling_nb.generate?`", "README"):
        assert text in cell


@pytest.mark.parametrize("line", ["help adopt", "adopt -h", "adopt t1 --help"])
def test_help_explains_one_command(commands: Commands, shell: Any, line: str) -> None:
    """Nothing is run."""
    assert commands.run(line) is None
    assert texts(shell) == [
        "%kling adopt TASK_ID [ID]\nDownload the clip of a task that exists at the service."
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-i fox.png", "`%%kling -i fox.png`, with the prompt on the next line"),
        ("-i fox.png It's a fox", "`%%kling -i fox.png`, with `It's a fox` on the next line"),
        ("A red fox runs", "`%%kling`, with `A red fox runs` on the next line"),
        ("shwo 1234", "did you mean show? allowed: balance"),
        ("help shwo", "did you mean show? allowed: balance"),
        ("xyzzy", "'xyzzy'; allowed: balance"),
        ("xyzzy", "`%kling help` explains them"),
    ],
)
def test_a_line_that_is_no_command(
    capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """One line says what to type: the closest command, or the cell for a request."""
    with pytest.raises(InvalidInput) as error:
        Commands(None).run(line)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_a_command_in_place_of_a_cell() -> None:
    """It has one percent sign."""
    assert "write `%kling show 3f2a`" in str(not_a_cell(["show", "3f2a"]))
