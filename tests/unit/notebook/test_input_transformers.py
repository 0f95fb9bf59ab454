"""The text of a cell before it runs: when it becomes an `await`, and when it must not."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from kling_nb.notebook.input_transformers import (
    AWAITED,
    CLEANUP,
    CellClock,
    awaiting,
    with_body,
    without_comments,
    without_prompt,
)
from tests.support.shells import open_shell


class Events:
    """The events of a shell, and a way to let them happen."""

    def __init__(self) -> None:
        self.registered: dict[str, Any] = {}

    def register(self, name: str, function: Any) -> None:
        """Remember whom to tell."""
        self.registered[name] = function

    def begin(self, cell: str) -> None:
        """A cell starts."""
        self.registered["pre_run_cell"](SimpleNamespace(raw_cell=cell))

    def end(self, cell: str | None) -> None:
        """A cell has ended; None where the kernel has no result for it."""
        info = SimpleNamespace(info=SimpleNamespace(raw_cell=cell))
        self.registered["post_run_cell"](None if cell is None else info)


@pytest.fixture
def events() -> Events:
    """The events of a shell that runs nothing yet."""
    return Events()


@pytest.fixture
def clock(events: Events) -> CellClock:
    """A clock that hears them."""
    return CellClock(SimpleNamespace(events=events))


def transform(clock: CellClock, cell: str) -> str:
    """A cell as it runs, after IPython's own changes and ours."""
    manager = TransformerManager()
    manager.cleanup_transforms[:0] = CLEANUP
    text = manager.transform_cell(cell)
    return "".join(awaiting(clock)(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("--wait", "--wait"),
        ("-w", "-w"),
        ("-i fox.png --wait -o fox", "-i fox.png --wait -o fox"),
        ("-d 10 -w --sound", "-d 10 -w --sound"),
        ("-i fox.png \\\n  --wait", "-i fox.png --wait"),
    ],
)
def test_a_waiting_cell_is_awaited(clock: CellClock, written: str, line: str) -> None:
    """By a magic of its own, with line and body unchanged, also where the line goes on."""
    body = "A fox, {it} said \"100 %\" and 'ran'\n\\n\n"
    awaited = f"await get_ipython().run_cell_magic({AWAITED!r}, {line!r}, {body!r})\n"
    assert transform(clock, f"%%kling {written}\n{body}") == awaited


@pytest.mark.parametrize(
    "cell",
    [
        "%%kling -i fox.png\n--wait",
        "%%kling --wiat\nfox",
        "%%kling -i --wait\nfox",
        "%%klingon --wait\nfox",
        "%%time\n%%kling --wait\nfox",
        "%%capture\n%%kling --wait\nfox",
        "get_ipython().run_cell_magic('kling', '--wait')",
        "x = get_ipython().run_cell_magic('kling', '--wait', 'fox')",
        "get_ipython().run_cell_magic('kling', '--wait', 'fox')\nprint()",
        "get_ipython().run_cell_magic('kling', line, 'fox')",
        "print('run_cell_magic",
        "run_cell_magic\0",
        "",
    ],
)
def test_any_other_cell_is_left_alone(clock: CellClock, cell: str) -> None:
    """One that does not wait, holds another magic, is more than a magic, or is no Python."""
    lines = cell.splitlines(keepends=True)
    assert awaiting(clock)(lines) is lines
    assert AWAITED not in transform(clock, cell)


def test_a_cell_within_a_cell_is_left_alone(clock: CellClock, events: Events) -> None:
    """There, `await` has no loop to return to; afterwards it has."""
    cell = "%%kling --wait\nfox"
    events.begin("%%time\n" + cell)
    assert AWAITED not in transform(clock, cell)
    events.end("%%time\n" + cell)
    assert AWAITED in transform(clock, cell)


@pytest.mark.parametrize(
    ("steps", "is_running"),
    [
        (["begin outer", "begin inner", "end inner"], True),
        (["begin outer", "begin inner", "end inner", "end outer"], False),
        (["end %load_ext kling_nb"], False),
        (["end %load_ext kling_nb", "begin outer", "end "], True),
        (["begin outer", "begin inner", "interrupt"], False),
    ],
    ids=["inner ended", "both ended", "only ended", "empty cell ended", "interrupted"],
)
def test_a_cell_runs_until_it_ends(
    clock: CellClock, events: Events, steps: list[str], is_running: bool
) -> None:
    """An inner cell ends alone; an empty cell and the one that loads the extension only end.

    The kernel has no result for an interrupted cell, and none for what ran within.
    """
    for what, _, cell in (step.partition(" ") for step in steps):
        if what == "begin":
            moment = clock.now
            events.begin(cell)
            assert clock.now == moment + 1, "a display can be told from one of an earlier cell"
        else:
            events.end(None if what == "interrupt" else cell)
    assert clock.is_running is is_running


@pytest.mark.parametrize("above", ["", "# why\n", "\n\n", "  # one\n\n# two\n"])
def test_comments_above_the_magic_go(above: str) -> None:
    """What is below is as it was."""
    cell = ["%%kling -w\n", "# no comment\n", "\n", "a fox\n"]
    assert without_comments([*above.splitlines(keepends=True), *cell]) == cell


@pytest.mark.parametrize("end", ["", "\n"])
def test_options_alone_are_a_cell(end: str) -> None:
    """Shots have their own words: IPython would refuse the cell for its empty body."""
    cell = "%%kling -m 3.0/video --shots mine"
    assert with_body([cell + end]) == [f"{cell}\n", "\n"]


@pytest.mark.parametrize("cell", ["%%kling lake.png", "%%kling jobs"])
def test_other_words_alone_are_a_cell(cell: str) -> None:
    """Its error says what to write."""
    assert with_body([cell]) == [f"{cell}\n", "\n"]


@pytest.mark.parametrize("cell", ["%%kling", "%%kling?", "%%kling ?", "%%klingon -w"])
def test_a_cell_without_words_is_left_to_ipython(cell: str) -> None:
    """It shows help, or asks whether `%kling` was meant."""
    assert with_body([cell]) == [cell]


def test_a_prompt_below_a_line_of_options_is_not_read_as_python() -> None:
    """The line raises the error that says how to write the cell."""
    for above in ([], ["# why\n", "\n"]):
        cell = [*above, "%kling -i fox.png\n"]
        assert without_prompt([*cell, "A red fox\n"]) == cell


@pytest.mark.parametrize(
    "cell", ["%kling -h\nprint()", "%kling jobs\nprint()", "%kling\nx", "x\n%kling -i a\nb c", ""]
)
def test_what_is_below_any_other_line_stays(cell: str) -> None:
    """It is Python."""
    lines = cell.splitlines(keepends=True)
    assert without_prompt(lines) == lines


def test_a_line_that_is_being_typed_may_get_its_body() -> None:
    """In a terminal a cell ends with a blank line, and not with its first."""
    manager = TransformerManager()
    manager.cleanup_transforms[:0] = CLEANUP
    assert manager.check_complete("%%kling -i fox.png")[0] == "incomplete"
    assert manager.check_complete("%%kling -i fox.png\na fox\n\n")[0] == "complete"


@pytest.mark.parametrize(
    "cell", ["# why\nprint()\n%%kling\n", "# only this\n", "", "# why\n%%time\n%%kling\n"]
)
def test_comments_elsewhere_stay(cell: str) -> None:
    """The cell is none of ours."""
    lines = cell.splitlines(keepends=True)
    assert without_comments(lines) == lines


@pytest.fixture
def shell() -> Iterator[Any]:
    """A shell."""
    with open_shell() as shell:
        yield shell


def test_a_real_shell_drives_the_clock(shell: Any) -> None:
    """Inside cells, after errors and after cells in cells."""
    clock = shell.user_ns["clock"] = CellClock(shell)
    shell.run_cell("seen = [clock.is_running]")
    shell.run_cell("get_ipython().run_cell('')\nseen.append(clock.is_running)")
    shell.run_cell("get_ipython().run_cell('1')\nseen.append(clock.is_running)")
    shell.run_cell("raise KeyboardInterrupt")
    assert shell.user_ns["seen"] == [True, True, True]
    assert not clock.is_running
