"""`%kling help`: list the commands with an example of a cell, or explain one; correct a line.

From words to tables and errors; must not depend on sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import nearest
from kling_nb.display.notice import show_notice, show_table
from kling_nb.models.cell import split_prompt

from .parser import PARSERS, CommandParser

_CELL = (
    "A request is a cell of its own; the lines below the first one are the prompt:",
    "`%%kling --image fox.png --duration 5`",
    "`A red fox shakes the snow off its coat`",
    "`%%kling?` lists the options of a cell, `%kling models NAME` those of one model. "
    "`kling_nb.generate?` explains the same in Python, README the rest.",
)


def show_help(name: str = "") -> None:
    """Show all commands and an example of a cell, or the arguments and the help of one command.

    Raises:
        InvalidInput: There is no such command.
    """
    if name:
        parser = find_command(name)
        show_notice("info", f"%kling {parser.usage_line}", [parser.help])
        return
    rows = [(each.usage_line, each.help) for each in PARSERS.values()]
    show_table(("command", "effect"), rows, "Commands of %kling")
    show_notice("info", "%%kling", _CELL)


def find_command(*words: str) -> CommandParser:
    """Return the command that a line begins with.

    Raises:
        InvalidInput: There is none; names the closest, or the cell for a prompt.
    """
    name = words[0]
    if name in PARSERS:
        return PARSERS[name]
    close = nearest(name, list(PARSERS))
    hint = f"did you mean {close}? " if close else ""
    if not close and len(words) > 2:
        hint = f"a request is a cell: {_format_cell('', ' '.join(words))}; "
    allowed = f"allowed: {', '.join(PARSERS)}; `%kling help` explains them"
    raise InvalidInput.of("command", repr(name), f"{hint}{allowed}")


def not_a_command(line: str) -> InvalidInput:
    """Return the error for a line of options, which belongs to a cell: names the cell."""
    cell, option = _format_cell(*split_prompt(line)), line.split(maxsplit=1)[0]
    return InvalidInput.of("command", repr(option), f"a request is a cell: {cell}")


def not_a_cell(words: Sequence[str]) -> InvalidInput:
    """Return the error for a command in place of the options of a cell."""
    command = " ".join(words)
    return InvalidInput.of("line", f"{words[0]!r} is a command", f"write `%kling {command}`")


def _format_cell(options: str, prompt: str) -> str:
    first = f"%%kling {options}".rstrip()
    body = f"`{prompt}` on the next line" if prompt else "the prompt on the next line"
    return f"`{first}`, with {body}"
