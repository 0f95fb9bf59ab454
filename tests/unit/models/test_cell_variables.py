"""What `cell_variables` promises: names are replaced by what they hold, everything else is raw."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.cell import read_cell, read_line, write_cell
from kling_nb.models.cell_variables import (
    fill_prompt,
    missing_variables,
    names_in,
    resolve,
    unresolved,
)
from kling_nb.models.spec import validate

VIDEO = CATALOGUE["kling-3.0/video"]
PICTURE = np.zeros((4, 4, 3), np.uint8)
ELEMENT = {"name": "fox", "description": "red", "images": ["side", "b.png"]}

# --- in a prompt -------------------------------------------------------------------------------


def test_a_variable_is_put_in() -> None:
    """`{{name}}` becomes the variable's text, blanks inside the braces or not."""
    assert fill_prompt("a {{animal}} and {{ n }} more", {"animal": "fox", "n": 2}) == (
        "a fox and 2 more"
    )


@pytest.mark.parametrize(
    "body",
    ["{x}", "{{}}", "{{1}}", "{{a.b}}", "{{a b}}", "50 % 100%s %%", "\"a\" 'b'",
     "a\n\n  b", "$x \\n"],
)  # fmt: skip
def test_everything_else_is_raw(body: str) -> None:
    """Braces, quotes, percent signs and lines are the prompt's own."""
    assert fill_prompt(body, {"x": "no", "a": "no", "b": "no"}) == body


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        (r"\{{n}}", "{{n}}"),
        (r"\\{{n}}", r"\2"),
        (r"\\\{{ n }}", r"\{{ n }}"),
        (r"\ {{n}} \n", r"\ 2 \n"),
        (r"{\{{n}}}", "{{{n}}}"),
        (r"\{{nobody}}", "{{nobody}}"),
    ],
)
def test_a_backslash_makes_a_name_text(body: str, filled: str) -> None:
    """Two are one backslash before a variable's text; anywhere else they are the prompt's own."""
    assert fill_prompt(body, {"n": 2}) == filled


def test_a_variables_text_is_not_filled_again() -> None:
    """What a variable holds is raw as well."""
    assert fill_prompt("{{a}}", {"a": "{{b}} \\1", "b": "no"}) == "{{b}} \\1"


def test_a_missing_variable_names_the_nearest() -> None:
    """A slip in a name is not sent to the service as braces."""
    advice = r"'anmal'.*write `\\\{\{anmal\}\}` for the literal text; did you mean 'animal'\?"
    with pytest.raises(InvalidInput, match=advice):
        fill_prompt("a {{anmal}}", {"animal": "fox", "_": 1})


def test_the_variables_of_a_prompt_are_named() -> None:
    """Those in double braces, in their order."""
    assert names_in(r"A {{ animal }} in {place}, \{{text}} \\{{mood}}") == ["animal", "mood"]


# --- media -------------------------------------------------------------------------------------


def test_a_name_is_what_it_holds() -> None:
    """A picture in memory is given by its variable's name, and written by it."""
    found = resolve(IMAGE_TO_VIDEO, {"image": "fox", "duration": "fox"}, {"fox": PICTURE})
    assert found.values["image"] is PICTURE
    assert found.values["duration"] == "fox"
    assert found.written == {"image": "fox"}


@pytest.mark.parametrize("written", [["fox", "b.png"], "frames"], ids=["names", "one name"])
def test_several_images_are_names_or_one_name(written: object) -> None:
    """Each name by itself, in their order; one variable may hold the first and the last frame."""
    variables = {"fox": PICTURE, "frames": [PICTURE, "b.png"]}
    found = resolve(VIDEO, {"image": written}, variables)
    first, last = found.values["image"]  # type: ignore[misc]
    assert first is PICTURE
    assert last == "b.png"
    assert found.written == {"image": written}


# --- records -----------------------------------------------------------------------------------


def test_shots_are_json_or_a_variable() -> None:
    """Both are the same request, and the written cell has the records; one needs no list."""
    shots = [{"prompt": "wakes", "duration": 3}]
    by_json = resolve(VIDEO, {"shots": json.dumps(shots)}, {})
    for held in (shots, shots[0]):
        assert resolve(VIDEO, {"shots": "mine"}, {"mine": held}) == by_json
    assert by_json.values == by_json.written == {"shots": shots}


def test_pictures_of_elements_may_be_variables() -> None:
    """Named in JSON they are looked up, and written as they were."""
    line = f"--elements '{json.dumps([ELEMENT])}'"
    cell = read_line(f"-m 3.0/video {line}")
    found = resolve(cell.spec, cell.values, {"side": PICTURE})
    ((element,),) = (found.values["elements"],)  # type: ignore[misc]
    assert element["images"] == [PICTURE, "b.png"]
    assert found.written == {"elements": [ELEMENT]}


def test_elements_with_pictures_in_memory_are_written_by_their_name() -> None:
    """JSON has no words for an array: the variable says which are meant."""
    held = [{**ELEMENT, "images": [PICTURE, "b.png"]}]
    found = resolve(VIDEO, {"elements": "cast"}, {"cast": held})
    assert found.written == {"elements": "cast"}
    values = validate(VIDEO, {"prompt": "go", **found.values})
    assert "--elements cast" in write_cell(VIDEO, {**values, **found.written})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{not json", "is neither JSON nor a variable with shots"),
        ("missing", "'missing' is neither JSON nor a variable with shots"),
        ('"text"', "'text' is neither JSON nor a variable with shots"),
        ("[1, 2]", "is not a list of shots"),
    ],
)
def test_what_are_no_records_is_left_to_the_validator(given: str, words: str) -> None:
    """It says what was given and what is allowed."""
    cell = read_cell(f"-m 3.0/video --shots={given!r}", "", {})
    with pytest.raises(InvalidInput, match=f"shots: .*{words}; give 1 to 5 shots"):
        validate(VIDEO, resolve(VIDEO, cell.values, {}).values)


def test_given_values_are_not_changed() -> None:
    """What a variable holds is the person's own."""
    held = [{**ELEMENT, "images": ["side", "b.png"]}]
    resolve(VIDEO, {"elements": "cast"}, {"cast": held, "side": PICTURE})
    assert held == [ELEMENT]


def test_a_name_in_place_of_records_that_nothing_has_is_told() -> None:
    """A picture may be a file of that name; shots may not."""
    given = {"image": "fox", "shots": "mine", "elements": "cast"}
    found = resolve(VIDEO, given, {"cast": [ELEMENT]})
    assert unresolved(VIDEO, found.values) == ["mine"]
    assert unresolved(VIDEO, {"shots": "[1]"}) == []


class Holder:
    """Something with an attribute."""

    def __init__(self) -> None:
        self.cover = PICTURE


HELD = {"path": "fox.png", "imgs": ["a.png", PICTURE], "by": {"fox": PICTURE}, "shelf": Holder()}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{path}", "fox.png"),
        ("{ path }", "fox.png"),
        ("$path", "fox.png"),
        ("${path}", "fox.png"),
        ("imgs[0]", "a.png"),
        ("imgs[-1]", PICTURE),
        ("{imgs[1]}", PICTURE),
        ("by[fox]", PICTURE),
        ("by['fox']", PICTURE),
        ("shelf.cover", PICTURE),
        ("$shelf.cover", PICTURE),
    ],
)
def test_names_as_people_type_them(written: str, value: object) -> None:
    """With IPython's marks, an index, a key or an attribute; written as they were."""
    found = resolve(IMAGE_TO_VIDEO, {"image": written}, HELD)
    assert found.values["image"] is value
    assert found.written["image"] == written


@pytest.mark.parametrize(
    "file",
    ["path.png", "shelf.png", "imgs[2]", "imgs[a]", "by[owl]", "shelf[0]", "a b{path}", "fox",
     "https://x/path.png"],
)  # fmt: skip
def test_what_names_nothing_is_a_file(file: str) -> None:
    """A variable may have the name of a file without its ending."""
    found = resolve(IMAGE_TO_VIDEO, {"image": file}, HELD)
    assert found.values == found.written == {"image": file}
    assert missing_variables(IMAGE_TO_VIDEO, {"image": file}) == []


@pytest.mark.parametrize("written", ["{fox}", "$fox", "${fox}", "$fox[0]"])
def test_a_marked_name_that_nothing_has_is_told(written: str) -> None:
    """No file is meant by it."""
    found = resolve(IMAGE_TO_VIDEO, {"image": ["a.png", written]}, HELD)
    (name,) = missing_variables(IMAGE_TO_VIDEO, found.values)
    assert name.startswith("fox")
    assert unresolved(IMAGE_TO_VIDEO, found.values) == [name]
