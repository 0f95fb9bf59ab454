"""What the form promises: made from the spec alone, and judged by the one validator."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models import catalog
from kling_nb.models.parameters import Choice
from kling_nb.models.spec import Parameter
from tests.support.panes import (
    INVENTED,
    choose_file,
    find,
    labels,
    png,
    press,
    read_all,
    text_of,
)


def test_a_new_model_has_a_working_form(make, invented) -> None:
    """A spec in the catalogue is all that a form needs; each kind has its control."""
    made = make(invented)
    kinds = {one: find(made, one).kind for one in labels(made)}
    assert kinds == {
        "Model": "list",
        "Prompt": "text",
        "Mood": "text",
        "Image": "picture",
        "References": "picture",
        "Duration": "segments",
        "Ratio": "list",
        "Sound": "switch",
        "Shots": "number",
        "Cfg scale": "number",
    }
    find(made, "Prompt").value = "go"
    find(made, "Duration").value = "4"
    find(made, "Ratio").value = "g"
    find(made, "Sound").value = True
    find(made, "Shots").value = 4
    find(made, "References").value = "a.png\nb.png"
    read_all(made)
    assert made.values == {
        "prompt": "go",
        "references": ["a.png", "b.png"],
        "duration": "4",
        "ratio": "g",
        "sound": True,
        "shots": 4,
    }


def test_fields_stand_in_the_order_of_their_kinds(make, invented) -> None:
    """The Tab key goes through the model, what is in the clip, and how it is made."""
    scene = ["Image", "References", "Prompt", "Mood"]
    options = ["Duration", "Ratio", "Sound", "Shots", "Cfg scale"]
    assert labels(make(invented)) == ["Model", *scene, *options]


def test_an_optional_number_is_left_out_while_it_is_empty(make, invented) -> None:
    """A number without a default is not sent because its control must show one."""
    made = make(invented)
    assert "cfg_scale" not in made.values
    find(made, "Cfg scale").value = 0.3
    assert made.values["cfg_scale"] == 0.3
    find(made, "Cfg scale").value = None
    assert "cfg_scale" not in made.values


def test_what_is_no_number_is_told_beside_its_field(make, invented) -> None:
    """The one validator judges what a browser could not read as a number."""
    made = make(invented)
    find(made, "Shots").value = "what is written"
    assert "is not a number; allowed: whole numbers, 1 to 5" in find(made, "Shots").problem


def test_what_may_be_left_out_says_so(make, invented) -> None:
    """An optional field is told from one that must be filled."""
    made = make(invented)
    optional = [one for one in labels(made) if not find(made, one).required]
    assert optional == ["References", "Mood", "Cfg scale"]


def test_values_that_are_given_are_in_the_form(make, fox) -> None:
    """What the call names is what the fields hold; a number counts as its option."""
    made = make(prompt="a fox", image=fox, duration=10, sound=True)
    wanted = {"prompt": "a fox", "image": str(fox), "duration": "10", "sound": True}
    assert made.values == wanted
    assert made.problems == ()


@pytest.mark.parametrize(
    ("model", "values", "word"),
    [
        ("kling-2.6/image-to-video", {"duration": 7}, "duration"),
        ("kling-2.6/image-to-video", {"mood": "calm"}, "mood"),
        ("kling-2.6/imag-to-video", {}, "did you mean"),
    ],
)
def test_wrong_arguments_are_refused_at_once(make, model, values, word) -> None:
    """A model or a value that is not allowed is an error in the cell, as everywhere."""
    with pytest.raises(InvalidInput, match=word):
        make(model, **values)


def test_an_optional_choice_can_stay_unset(make, monkeypatch) -> None:
    """A choice without a default has one more option, which sends nothing."""
    open_choice = Parameter("mode", Choice(("std", "pro")), "quality", required=False)
    spec = replace(INVENTED, name="invented-9/open", parameters=(open_choice,), rules=())
    monkeypatch.setitem(catalog.CATALOGUE, spec.name, spec)  # type: ignore[arg-type]
    made = make(spec.name)
    assert made.values == {}
    find(made, "Mode").value = "pro"
    assert made.values == {"mode": "pro"}


# --- problems ----------------------------------------------------------------------------------


def test_a_problem_stands_beside_its_field(make) -> None:
    """The validator's words are in the field's own control, and go when it is mended."""
    made = make()
    prompt = find(made, "Prompt")
    prompt.value = "x" * 1001
    assert prompt.problem == "Prompt has 1,001 characters; allowed: 1 to 1,000 characters"
    prompt.value = "fine"
    assert prompt.problem == ""
    assert made.problems == ()


def test_a_rule_is_told_beside_its_field(make, invented) -> None:
    """Rules between fields show before and after they are broken."""
    made = make(invented)
    scale = find(made, "Cfg scale")
    assert scale.note.endswith("only with sound on")
    scale.value = 0.3
    assert "only with sound on" in scale.problem
    find(made, "Sound").value = True
    assert scale.problem == ""


def test_a_rule_about_a_missing_field_is_told_there(make, invented, fox) -> None:
    """What has to be added is wrong, not what needs it; it shows when a clip is asked for."""
    made = make(invented, prompt="go", image=fox)
    choose_file(find(made, "References"), png(), "a.png")
    read_all(made)
    with pytest.raises(InvalidInput):
        made.generate()
    assert "references needs it" in find(made, "Mood").problem
    assert [problem.field for problem in made.problems] == ["mood"]


def test_what_is_written_is_never_markup(make) -> None:
    """What a person types or a file is called is told to the page as text, never as HTML."""
    made = make()
    evil = "<img src=x onerror=alert(1)>"
    find(made, "Image").value = f"{evil}.png"
    read_all(made)
    find(made, "Prompt").value = f"{evil}</textarea>"
    press(made, "copy")
    html = [one.value for one in made.children if isinstance(getattr(one, "value", None), str)]
    assert evil not in "".join(html)
    assert evil in text_of(made)


# --- models ------------------------------------------------------------------------------------


def test_every_model_is_in_the_list(make) -> None:
    """By what a clip is made from, with its title and what its standard clip costs."""
    options = find(make(), "Model").options
    assert sorted(name for name, _, _ in options) == sorted(catalog.CATALOGUE)
    words = {name: (said, group) for name, said, group in options}
    first = words[catalog.IMAGE_TO_VIDEO.name]
    assert first == ("Kling 2.6, image to video \u00b7 55 credits", "From an image")
    groups = [group for _, _, group in options]
    assert len(list(itertools.groupby(groups))) == len(set(groups)), "a group is torn apart"


def test_the_model_says_what_it_takes(make) -> None:
    """And what its standard clip is; the words follow the choice."""
    made = make()
    model = find(made, "Model")
    assert model.note.startswith("takes image; standard clip (5 s, no sound): 55 credits ($0.28)")
    model.value = catalog.TEXT_TO_VIDEO.name
    assert model.note.startswith("takes words")


def test_what_models_share_stays(make, fox) -> None:
    """Prompt, length and sound go over; the picture comes back with the model that takes it."""
    made = make(prompt="a fox", image=fox, duration=10, sound=True)
    made.choose(catalog.TEXT_TO_VIDEO.name)
    assert made.values == {
        "prompt": "a fox",
        "duration": "10",
        "sound": True,
        "aspect_ratio": "16:9",
    }
    find(made, "Prompt").value = "two foxes"
    made.choose(catalog.IMAGE_TO_VIDEO.name)
    assert made.values["image"] == str(fox)
    assert made.values["prompt"] == "two foxes"


def test_what_was_cleared_stays_cleared(make, invented, fox) -> None:
    """A model that was chosen before does not bring it back."""
    made = make(invented, prompt="A fox", mood="calm")
    made.choose(catalog.TEXT_TO_VIDEO.name)
    find(made, "Prompt").value = ""
    made.choose(invented)
    assert "prompt" not in made.values
    assert made.values["mood"] == "calm"


def test_a_form_that_starts_anew_has_its_defaults(make, invented, fox) -> None:
    """Where a request says nothing: an older one may lack what came later."""
    made = make(invented, prompt="A fox", mood="calm", duration=4, shots=5, image=fox)
    made._form.load({"prompt": "A heron"}, {})
    fresh = make(invented, prompt="A heron")
    assert made.values == fresh.values
    assert made.values["duration"] == "3"


def test_a_text_that_is_too_long_for_the_new_model_is_kept(make, invented) -> None:
    """It shows as wrong there, and is not thrown away."""
    made = make(prompt="x" * 60)
    made.choose(invented)
    assert made.values["prompt"] == "x" * 60
    assert "60 characters" in find(made, "Prompt").problem


def test_a_page_that_is_ahead_of_the_kernel_counts(make, fox, beside, monkeypatch) -> None:
    """A clip is made of what stands on the screen, also of what has not arrived by itself."""
    made = make(prompt="old", image=fox)
    wishes: list[object] = []
    monkeypatch.setattr(made, "_on_generate", wishes.append)
    held = {"prompt": "new", "duration": "10", "sound": True, "aspect_ratio": "1:1"}
    press(made, model=catalog.TEXT_TO_VIDEO.name, **held)
    beside.rest()
    (wish,) = wishes
    assert wish.spec is catalog.TEXT_TO_VIDEO  # type: ignore[attr-defined]
    assert wish.values == held  # type: ignore[attr-defined]
