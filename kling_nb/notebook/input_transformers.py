"""Transform cell text before it runs: `--wait` to `await`, comments above `%%kling` removed.

A cell that runs inside another (`%%time`, `%%capture`, `run_cell`) cannot use `await` and is not
changed. `%load_ext` imports this module; only a `%%kling` cell loads the options of the models.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import join_lines

AWAITED = "kling_awaited"
"""The cell magic that replaces a `%%kling --wait`; it returns a coroutine."""


_MAY_WAIT = re.compile(r"-\w*w")
"""Matches `--wait`, `-w`, and `-w` after other short options."""


class CellClock:
    """Counts the cells of a shell by its events, and knows whether one is running."""

    def __init__(self, shell: Any) -> None:
        self.now = 0
        """The number of cells that have started."""
        self._running: list[str] = []
        shell.events.register("pre_run_cell", self._start)
        shell.events.register("post_run_cell", self._stop)

    @property
    def is_running(self) -> bool:
        """Return whether a cell runs, including one that runs other cells."""
        return bool(self._running)

    @property
    def runs_only_kling(self) -> bool:
        """Return whether one cell runs, and it is a `%%kling` cell: it has no other output."""
        if len(self._running) != 1:
            return False
        return without_comments(self._running[0].splitlines())[0].lstrip().startswith("%%kling")

    def _start(self, info: Any) -> None:
        self.now += 1
        self._running.append(info.raw_cell)

    def _stop(self, result: Any) -> None:
        # Matched by text, since the events are not paired: an empty cell has no start, and an
        # interrupted one ends without a result.
        cell = self._running[:1] if result is None else [result.info.raw_cell]
        while cell and cell[0] in self._running:
            self._running.pop()


def awaiting(clock: CellClock) -> Callable[[list[str]], list[str]]:
    """Return a transformer that changes a top-level `%%kling --wait` cell to an `await`.

    A blocking wait would not answer buttons.
    """

    def transform(lines: list[str]) -> list[str]:
        if clock.is_running or not lines or "run_cell_magic" not in lines[0]:
            return lines
        found = _cell_magic("".join(lines))
        if found is None or found[0] != "kling":
            return lines
        line, body = join_lines(*found[1:])
        if not _waits(line):
            return lines
        return [f"await get_ipython().run_cell_magic({AWAITED!r}, {line!r}, {body!r})\n"]

    return transform


def without_comments(lines: list[str]) -> list[str]:
    """Remove comments and blank lines above `%%kling`, which IPython does not allow."""
    code = lines[_first_code(lines) :]
    return code if code and code[0].lstrip().startswith("%%kling") else lines


def with_body(lines: list[str]) -> list[str]:
    """Add an empty body to a `%%kling` line with words, since IPython requires one.

    The prompts may be in `--shots`; of a mistake, our own error says what to write.
    """
    words = lines[0].split() if len(lines) == 1 else []
    if words[:1] == ["%%kling"] and len(words) > 1 and not words[1].startswith("?"):
        return [f"{lines[0].rstrip()}\n", "\n"]
    return lines


def without_prompt(lines: list[str]) -> list[str]:
    """Remove the prompt below a `%kling` line with options, which is no Python.

    The line then raises an error that says how to write the cell.
    """
    place = _first_code(lines)
    words = " ".join(lines[place : place + 1]).split()
    is_request = words[:1] == ["%kling"] and words[1:] and words[1].startswith("-")
    return lines[: place + 1] if is_request and not {"-h", "--help"} & {*words} else lines


def _first_code(lines: list[str]) -> int:
    """Return the place of the first line that is neither blank nor a comment."""
    is_code = (line.strip() and not line.lstrip().startswith("#") for line in lines)
    return next((place for place, is_one in enumerate(is_code) if is_one), len(lines))


# Not called when a terminal checks whether the typed cell is complete: its body may follow.
with_body.has_side_effects = True  # type: ignore[attr-defined]

CLEANUP = (without_comments, with_body, without_prompt)
"""What changes a cell before IPython reads it."""


def _cell_magic(code: str) -> tuple[str, str, str] | None:
    """Return the name, line and body of a transformed cell magic, or None."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    match tree.body:
        case [ast.Expr(ast.Call(func=ast.Attribute(attr="run_cell_magic"), args=args))]:
            texts = [a.value for a in args if isinstance(a, ast.Constant)]
            if len(texts) == 3 and all(isinstance(text, str) for text in texts):
                return str(texts[0]), str(texts[1]), str(texts[2])
    return None


def _waits(line: str) -> bool:
    if not _MAY_WAIT.search(line):  # reading the line loads the models; a placeholder comes first
        return False
    from kling_nb.models.cell import read_line

    try:
        return read_line(line).wait
    except InvalidInput:  # raised again when the cell runs
        return False
