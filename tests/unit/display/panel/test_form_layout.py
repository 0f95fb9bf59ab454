"""Where fields stand: decided by their kinds alone."""

from __future__ import annotations

import pytest

from kling_nb.display.panel.form import arranged, place_of, sorted_names
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.parameters import Choice, Flag, Media, Text
from kling_nb.models.records import Column, Records
from kling_nb.models.spec import Parameter

ROWS = Parameter("rows", Records((Column("what", Text(9), "what"),), 2, "row"), "rows")
LINE = Parameter("line", Text(50, one_line=True), "a line")
WORDS = Parameter("words", Text(50), "words")
FLAG = Parameter("flag", Flag(), "a flag")
CHOICE = Parameter("choice", Choice(("a", "b")), "a choice")
FILE = Parameter("file", Media(("image/png",), 9), "a file")


def test_what_a_clip_shows_comes_first() -> None:
    """Files, words, short fields, lines, and rows at the end, whatever the model's order is."""
    given = (ROWS, LINE, WORDS, FLAG, CHOICE, FILE)
    assert sorted_names(given) == ["file", "words", "flag", "choice", "line", "rows"]


def test_groups_that_have_no_field_are_left_out() -> None:
    """A model of words and a flag has two groups."""
    assert list(arranged((FLAG, WORDS))) == [("scene", ["words"]), ("options", ["flag"])]


@pytest.mark.parametrize("model", CATALOGUE)
def test_every_field_has_one_place(model: str) -> None:
    """None is lost and none is there twice; fields of one kind keep the model's order."""
    parameters = CATALOGUE[model].parameters
    names = sorted_names(parameters)
    assert sorted(names) == sorted(parameter.name for parameter in parameters)
    for place in ("scene", "options", "lists"):
        for kind in (Media, Text, Records):
            group = [p.name for p in parameters if place_of(p) == place and type(p.kind) is kind]
            assert [name for name in names if name in group] == group
