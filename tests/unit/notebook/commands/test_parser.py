"""The arguments of `%kling` commands: how they are read, described and completed."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.notebook.commands import Commands
from kling_nb.notebook.commands.parser import PARSERS, Argument, CommandParser


def read(line: str) -> dict[str, Any]:
    """Return the arguments of a command line."""
    name, *words = line.split()
    return PARSERS[name].read(words)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("balance", {}),
        ("show 1a", {"job_id": "1a"}),
        ("resume", {"job_id": ""}),
        ("adopt task", {"task_id": "task", "job_id": ""}),
        ("adopt task 1a", {"task_id": "task", "job_id": "1a"}),
        ("forget --yes 1a", {"job_id": "1a", "yes": True}),
        ("forget 1a", {"job_id": "1a", "yes": False}),
        ("models", {"name": ""}),
        ("emulate on", {"switch": "on"}),
        ("budget", {"limit": "", "per": ""}),
        ("budget --per day $3", {"limit": "$3", "per": "day"}),
        ("budget off --per notebook", {"limit": "off", "per": "notebook"}),
        ("spend", {"by": "day", "csv": "", "replace": False}),
        ("spend --csv a.csv --by model", {"by": "model", "csv": "a.csv", "replace": False}),
        ("gallery", {"words": []}),
        ("gallery red -fox", {"words": ["red", "-fox"]}),
        ("pack", {"notebook": "", "to": "", "replace": False}),
        ("pack --to x a --replace", {"notebook": "a", "to": "x", "replace": True}),
        ("slim --in-place", {"notebook": "", "to": "", "in_place": True, "replace": False}),
        ("quote a.ipynb", {"notebook": "a.ipynb"}),
        ("recover a b", {"notebooks": ["a", "b"]}),
        ("listen", {"off": None, "url": "", "port": 0, "jupyter": False}),
        ("listen off", {"off": "off", "url": "", "port": 0, "jupyter": False}),
        (
            "listen --port 8900 --jupyter --url https://a.example",
            {"off": None, "url": "https://a.example", "port": 8900, "jupyter": True},
        ),
    ],
)
def test_arguments_are_read_in_any_order(line: str, arguments: dict[str, Any]) -> None:
    """Options may come before, between and after the other words."""
    assert read(line) == arguments


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show", "show: the following arguments are required: ID; usage: `%kling show ID`"),
        ("show a b", "show: 'b' is not allowed; usage: `%kling show ID`"),
        ("balance 1 2", "balance: 2 values given; usage: `%kling balance`"),
        ("emulate maybe", "emulate: on|off: invalid choice: 'maybe'"),
        ("forget 1a --no", "forget: '--no' is not allowed; usage: `%kling forget [--yes] ID`"),
        ("budget 500 600", "budget: '600' is not allowed; usage: `%kling budget [--per "),
        ("budget 500 --per", "budget: --per: expected one argument"),
        ("budget 500 --per week", "budget: --per: invalid choice: 'week'"),
        ("budget 500 --by day", "budget: '--by' is not allowed"),
        ("spend --by week", "spend: --by: invalid choice: 'week'"),
        ("spend --by", "spend: --by: expected one argument"),
        ("spend day", "spend: 'day' is not allowed; usage: `%kling spend [--by notebook|"),
        ("pack a b", "pack: 'b' is not allowed; usage: `%kling pack [--to FILE] [--replace] ["),
        ("pack --in-place", "pack: '--in-place' is not allowed"),
        ("pack --to", "pack: --to: expected one argument"),
        ("slim --rep", "slim: '--rep' is not allowed"),
        ("quote a b", "quote: 'b' is not allowed; usage: `%kling quote [NOTEBOOK]`"),
        ("listen on", "listen: off: invalid choice: 'on'"),
        ("listen off now", "listen: 'now' is not allowed"),
        ("listen --port http", "listen: --port: 'http' is not a port number; usage: `"),
        ("listen --port -1", "listen: --port: '-1' is not a port number"),
        ("listen --pot 1", "listen: '--pot' is not allowed"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_usage(line: str, message: str) -> None:
    """It contains the value and what is allowed; nothing is printed or ended."""
    with pytest.raises(InvalidInput) as caught:
        read(line)
    assert str(caught.value).startswith(message)
    assert f"; usage: `%kling {line.partition(' ')[0]}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_behind_login_is_not_shown() -> None:
    """The message counts the words."""
    with pytest.raises(InvalidInput) as caught:
        read("login sk-secret")
    assert str(caught.value) == "login: 1 value given; usage: `%kling login`"


def test_each_command_takes_its_arguments() -> None:
    """A method accepts the names that its parser reads, and has a help line."""
    for name, parser in PARSERS.items():
        parameters = list(inspect.signature(getattr(Commands, name)).parameters)[1:]
        assert parameters == [action.dest for action, _ in parser._values]
        assert parser.help_line.startswith(f"`{name}")
        assert parser.help_line.endswith(".")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([], ["one", "two", "--by", "--all"]),
        (["one"], ["two", "--by", "--all"]),
        (["--by"], ["day", "model"]),
        (["--by", "day"], ["one", "two", "--all"]),
        (["--all"], ["one", "two", "--by"]),
    ],
)
def test_what_may_come_next_is_completed(words: list[str], offered: list[str]) -> None:
    """The choices after an option, else the values and the options that are not there yet."""
    parser = CommandParser(
        "list",
        "List.",
        [
            Argument("name", values=lambda: ["one", "two"]),
            Argument("--by", choices=("day", "model")),
            Argument("--all", action="store_true"),
        ],
    )
    assert parser.complete(words) == offered
