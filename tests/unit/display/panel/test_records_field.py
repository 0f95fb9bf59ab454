"""What rows promise: added, moved and taken away, each with its own fields and its own problems."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.display.panel.records_field import RowsField
from kling_nb.display.panel.widgets import Rows
from kling_nb.errors import InvalidInput, Problem
from kling_nb.models import catalog
from tests.support.panes import actions, choose_file, controls, png, press, read_all, text_of

MODEL = catalog.kling_3.VIDEO.name
SHOTS = [{"prompt": "fog", "duration": 3}, {"prompt": "snow", "duration": 4}]


def rows_of(made: Any, label: str = "Shots") -> Rows:
    """The rows with that label."""
    field = made._form._fields[label.lower()]
    assert isinstance(field, RowsField)
    return field.control


def send(rows: Rows, **message: object) -> None:
    """What a page sends for a click."""
    rows._handle_custom_msg(message, [])


def cells(rows: Rows) -> list[list[Any]]:
    """The controls, row by row."""
    every = list(rows.children)
    return [every[at : at + rows.columns] for at in range(0, len(every), rows.columns)]


def test_rows_are_there_from_the_start(make) -> None:
    """What the call gives is in them, each column in its own control."""
    made = make(MODEL, shots=SHOTS)
    shown = [[one.value for one in row] for row in cells(rows_of(made))]
    assert shown == [["fog", 3], ["snow", 4]]
    assert made.values["shots"] == SHOTS
    assert made.problems == ()


def test_a_row_is_added(make) -> None:
    """It has a length only, and nobody is told of what is missing before it was worked with."""
    made = make(MODEL)
    send(rows_of(made), do="add")
    ((prompt, duration),) = cells(rows_of(made))
    assert (prompt.label, duration.label) == ("Prompt", "Duration")
    assert (prompt.value, duration.value) == ("", 3)
    assert made.problems == ()
    prompt.value = "fog"
    prompt.value = ""
    assert prompt.problem.startswith("Prompt is missing")
    assert duration.problem == ""


def test_there_are_never_too_many_rows(make) -> None:
    """A page that asks for more is not heard."""
    made = make(MODEL)
    rows = rows_of(made)
    for _ in range(7):
        send(rows, do="add")
    assert len(cells(rows)) == rows.most == 5


def test_a_row_is_taken_away_and_closed(make) -> None:
    """The others stay as they are."""
    made = make(MODEL, shots=SHOTS)
    gone = cells(rows_of(made))[0]
    send(rows_of(made), do="remove", at=0)
    assert made.values["shots"] == SHOTS[1:]
    assert all(control.comm is None for control in gone)
    send(rows_of(made), do="remove", at=0)
    assert "shots" not in made.values


def test_rows_change_places(make) -> None:
    """With all that is in them; what is beyond the ends is not heard."""
    made = make(MODEL, shots=SHOTS)
    send(rows_of(made), do="move", at=1, to=0)
    assert made.values["shots"] == SHOTS[::-1]
    send(rows_of(made), do="move", at=1, to=2)
    assert made.values["shots"] == SHOTS[::-1]


def test_a_problem_stands_in_its_row_and_column(make) -> None:
    """Beside the field that it is about, and nowhere else."""
    made = make(MODEL, shots=SHOTS)
    first, second = cells(rows_of(made))
    second[0].value = "x" * 501
    assert second[0].problem == "Prompt has 501 characters; allowed: 1 to 500 characters"
    assert first[0].problem == first[1].problem == second[1].problem == ""
    assert rows_of(made).problem == ""
    assert [problem.field for problem in made.problems] == ["shots"]
    assert "Fix Shots above" in text_of(made)
    second[0].value = "snow"
    assert made.problems == ()


def test_every_row_is_judged_when_a_clip_is_asked_for(make) -> None:
    """Then also those that nobody worked with."""
    made = make(MODEL)
    send(rows_of(made), do="add")
    with pytest.raises(InvalidInput):
        made.generate()
    prompt, duration = rows_of(made).children
    assert prompt.problem.startswith("Prompt is missing")
    assert duration.problem == ""


def test_a_problem_of_all_rows_stands_below_them(make) -> None:
    """Where none of them is wrong by itself."""
    made = make(MODEL, shots=SHOTS)
    made._form._fields["shots"].show_problem(Problem("shots", "are too many", "leave some out"))
    assert rows_of(made).problem == "are too many; leave some out"


def test_what_somebody_else_found_stands_beside_its_field(make, fox) -> None:
    """A file that was refused when the request was prepared."""
    images = [str(fox), str(fox)]
    made = make(MODEL, elements=[{"name": "fox", "description": "red", "images": images}])
    read_all(made)
    given = "element 1: images: fox.png: too small"
    left = made._form.add_problems([Problem("elements", given, "give another")])
    assert left == (Problem("prompt", "is missing", "x"),)[:0]
    picker = cells(rows_of(made, "Elements"))[0][2]
    assert picker.problem == "fox.png: too small; give another"


def test_pictures_come_in_a_row(make) -> None:
    """As everywhere: dropped, kept, shown, and given."""
    made = make(MODEL)
    send(rows_of(made, "Elements"), do="add")
    picker = cells(rows_of(made, "Elements"))[0][2]
    choose_file(picker, png(), "a.png")
    choose_file(picker, png(colour="red"), "b.png")
    read_all(made)
    assert [view["name"] for view in picker.pictures] == ["a.png", "b.png"]
    (element,) = made.values["elements"]  # type: ignore[misc]
    assert [one.name for one in element["images"]] == ["a.png", "b.png"]


def test_a_file_that_is_no_good_is_told_in_its_row(make) -> None:
    """With the file's own fault, which no validator sees."""
    made = make(MODEL)
    send(rows_of(made, "Elements"), do="add")
    picker = cells(rows_of(made, "Elements"))[0][2]
    picker.value = "nowhere.png"
    read_all(made)
    assert "no file 'nowhere.png'" in picker.problem
    assert [problem.field for problem in made.problems] == ["elements"]


def test_the_length_follows_the_shots(make) -> None:
    """Until somebody chooses another; and again once shots change: the last word counts."""
    made = make(MODEL, shots=SHOTS)
    length = find_in_form(made, "duration")
    assert length.value == "7"
    assert "7 s" in actions(made).price
    cells(rows_of(made))[0][1].value = 5
    assert length.value == "9"
    length.value = "8"
    assert "add up to 9" in length.problem
    cells(rows_of(made))[0][1].value = 6
    assert (length.value, length.problem) == ("10", "")
    cells(rows_of(made))[0][1].value = 40
    assert length.value == "10"  # what is wrong changes nothing
    assert "10 s" in actions(made).price


def test_the_price_is_right_before_a_shot_has_its_prompt(make) -> None:
    """A new shot has a length: the sum and its price are there at once, and follow each change."""
    made = make(MODEL)
    length = find_in_form(made, "duration")
    for number in (1, 2):
        send(rows_of(made), do="add")
        assert length.value == f"{3 * number}"
        assert actions(made).amount == f"{42 * number} credits (${0.21 * number:.2f})"
    cells(rows_of(made))[1][1].value = 5
    assert (length.value, actions(made).amount) == ("8", "112 credits ($0.56)")
    cells(rows_of(made))[1][1].value = 40
    assert length.value == "8"  # what is wrong changes nothing
    send(rows_of(made), do="remove", at=1)
    assert (length.value, actions(made).amount) == ("3", "42 credits ($0.21)")
    assert made.problems == ()


def test_shots_that_are_too_long_together_have_no_price(make) -> None:
    """The problem stands beside the sum at once, with prompts and without; it goes by itself."""
    made = make(MODEL, shots=[{"prompt": "fog", "duration": 12}])
    length = find_in_form(made, "duration")
    send(rows_of(made), do="add")
    assert length.problem == ""
    for prompt in ("", "snow"):
        cells(rows_of(made))[1][0].value = prompt
        cells(rows_of(made))[1][1].value = 4
        assert length.problem.startswith("the shots add up to 16")
        assert "per second" in actions(made).price
        assert "210 credits" not in actions(made).price
        cells(rows_of(made))[1][1].value = 3
        assert (length.problem, length.value) == ("", "15")
        assert actions(made).amount == "210 credits ($1.05)"


def test_a_length_that_is_left_out_is_not_filled_in(make) -> None:
    """From the call or from another model: only a new row has one."""
    with pytest.raises(InvalidInput, match="shot 1: duration: is missing"):
        make(MODEL, shots=[{"prompt": "fog"}])
    made = make(MODEL, shots=SHOTS)
    cells(rows_of(made))[0][1].value = ""
    made.choose(catalog.kling_3.OMNI_TEXT.name)
    assert [row[1].value for row in cells(rows_of(made))] == [None, 4]


def test_what_only_follows_is_nobodys_choice(make, fox) -> None:
    """A shape that holds without a picture is not sent beside one."""
    made = make(MODEL, prompt="fog")
    assert "16:9" in actions(made).price
    find_in_form(made, "image").value = str(fox)
    assert "aspect_ratio" not in made.values
    assert "16:9" not in actions(made).price


def test_a_length_that_was_given_stays(make) -> None:
    """From the call, as from a cell: a contradiction is an error there and not mended."""
    with pytest.raises(InvalidInput, match="add up to 7"):
        make(MODEL, duration=5, shots=SHOTS)


def test_rows_go_over_to_another_model(make) -> None:
    """Also those that are not whole yet, and what is too long."""
    made = make(MODEL, shots=SHOTS)
    cells(rows_of(made))[1][0].value = "x" * 501
    made.choose(catalog.kling_3.OMNI_TEXT.name)
    shown = [[one.value for one in row] for row in cells(rows_of(made))]
    assert shown == [["fog", 3], ["x" * 501, 4]]


def test_a_page_that_is_ahead_counts_in_rows_too(make, beside, monkeypatch) -> None:
    """What stands on the screen is made, in the row where it stands."""
    made = make(MODEL, shots=SHOTS)
    wishes: list[Any] = []
    monkeypatch.setattr(made, "_on_generate", wishes.append)
    prompt = cells(rows_of(made))[1][0]
    send(rows_of(made), do="move", at=1, to=0)
    press(made, **{prompt.name: "rain"})
    beside.rest()
    assert [shot["prompt"] for shot in wishes[0].values["shots"]] == ["rain", "fog"]


def test_each_control_in_a_row_has_a_name_of_its_own(make) -> None:
    """By these names a page finds each control of the form and what it holds."""
    made = make(MODEL, shots=SHOTS)
    assert len({one.name for one in rows_of(made).children}) == 4
    assert {one.name: one.model_id for one in controls(made)} == actions(made).controls


def test_the_form_that_goes_is_closed(make) -> None:
    """Every widget of it and of its rows is closed: nothing piles up in the page."""
    made = make(MODEL, shots=SHOTS)
    gone = [one for one in controls(made) if one.label != "Model"]
    made.choose(catalog.TEXT_TO_VIDEO.name)
    assert gone
    assert all(control.comm is None for control in gone)


def find_in_form(made: Any, name: str) -> Any:
    """The control of a parameter, whatever rows have of the same label."""
    return made._form._fields[name].control
