"""What `cells` promises: what is written reads back, the body is raw, mistakes are named."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.cells import (
    EMBED_CHOICES,
    Cell,
    fill_prompt,
    find_model,
    help_text,
    names_in,
    nearest,
    options_of,
    read_cell,
    read_line,
    write_cell,
)
from kling_nb.errors import InvalidInput
from kling_nb.kinds import Choice
from kling_nb.models import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.specs import ModelSpec, validate

SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)


def mistake(line: str) -> str:
    """What is said of a line that is not allowed."""
    with pytest.raises(InvalidInput) as caught:
        read_line(line)
    return str(caught.value)


def read_back(cell: str) -> Cell:
    """A whole cell as a notebook has it: the magic's line, then the body."""
    first, _, body = cell.partition("\n")
    name, _, line = first.partition(" ")
    assert name == "%%kling"
    return read_cell(line, body, {})


# --- reading -----------------------------------------------------------------------------------


def test_the_readmes_cell_reads() -> None:
    """Every option of the example, short and long, lands in its place."""
    cell = read_cell("-i fox.png -d 5 --sound -o fox", "A red fox\n", {})
    assert cell == Cell(
        spec=IMAGE_TO_VIDEO,
        values={"image": "fox.png", "duration": "5", "sound": True, "prompt": "A red fox\n"},
        output="fox",
    )


def test_a_bare_line_is_text_to_video() -> None:
    """Without an image the model is the one that needs none; nothing else is set."""
    assert read_line("") == Cell(spec=TEXT_TO_VIDEO, values={})


@pytest.mark.parametrize("line", ["-i x", "--image x", "--image=x", "-ix"])
def test_an_image_chooses_image_to_video(line: str) -> None:
    """However the image is written, the model fits it."""
    assert read_line(line) == Cell(spec=IMAGE_TO_VIDEO, values={"image": "x"})


def test_a_model_can_be_named() -> None:
    """What is asked for by name is what is used."""
    assert read_line(f"-m {TEXT_TO_VIDEO.name}").spec is TEXT_TO_VIDEO


def test_the_cells_own_options() -> None:
    """Waiting, take, dry run, embedding and callback are no values of the model."""
    cell = read_line("-w --take 2 -n --embed never --callback https://x/y --no-sound")
    assert cell == Cell(
        spec=TEXT_TO_VIDEO,
        values={"sound": False},
        wait=True,
        take=2,
        dry_run=True,
        embed="never",
        callback_url="https://x/y",
    )


@pytest.mark.parametrize("path", ["my fox.png", "it's.png", 'a "b".png', "-x.png", "$HOME", "{x}"])
def test_a_path_may_have_any_characters(path: str) -> None:
    """Quoted as a shell would have it, a path is taken as it is."""
    assert read_line(f"--image={shlex.quote(path)}").values["image"] == path


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "close"),
    [("--imag fox.png", "--image"), ("--duraton=5", "--duration"), ("--sounds", "--sound")],
)
def test_an_unknown_option_names_the_nearest(line: str, close: str) -> None:
    """A slip of the finger is answered with the option that was meant, and all there are."""
    text = mistake(line)
    assert f"did you mean {close}?" in text
    assert "--take" in text


def test_an_option_of_another_model_names_that_model() -> None:
    """`--aspect-ratio` is no slip of the finger: image to video has no such field."""
    text = mistake("-i fox.png --aspect-ratio 16:9")
    assert f"only {TEXT_TO_VIDEO.name} takes it" in text
    assert "did you mean" not in text


def test_an_abbreviation_is_no_option() -> None:
    """`--dur` may mean something else in a later version."""
    assert "did you mean --duration?" in mistake("--dur 5")


def test_a_prompt_on_the_line_is_told_where_it_belongs() -> None:
    """A word that is no option is most likely the prompt."""
    assert "the prompt goes into the body of the cell" in mistake("-d 5 fox")


def test_an_open_quote_is_named() -> None:
    """An apostrophe in a path is the usual slip."""
    assert "close the quotes" in mistake("--image it's.png")


def test_an_unknown_model_names_the_nearest() -> None:
    """A model is spelt as the service spells it."""
    text = mistake("--model kling-2.6/image-to-vidoe")
    assert "did you mean kling-2.6/image-to-video?" in text
    assert TEXT_TO_VIDEO.name in text


@pytest.mark.parametrize("take", ["0", "-1", "two", "1.5"])
def test_a_take_counts_from_one(take: str) -> None:
    """A take that is no number from 1 is refused and not guessed."""
    assert "take" in mistake(f"--take {take}")


@pytest.mark.parametrize("name", ["my-fox", "1fox", "class", "a.b"])
def test_an_output_is_a_variable(name: str) -> None:
    """What cannot be assigned to is refused before anything is paid."""
    assert "Python variable name" in mistake(f"-o {name}")


@pytest.mark.parametrize("line", ["--embed some", "--sound=yes", "--image", "--wait=1"])
def test_other_mistakes_are_one_sentence(line: str) -> None:
    """The parser never prints or exits: whatever is wrong is an `InvalidInput` of one line."""
    assert "\n" not in mistake(line)


# --- the body ----------------------------------------------------------------------------------


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


def test_a_variables_text_is_not_filled_again() -> None:
    """What a variable holds is raw as well."""
    assert fill_prompt("{{a}}", {"a": "{{b}} \\1", "b": "no"}) == "{{b}} \\1"


def test_a_missing_variable_names_the_nearest() -> None:
    """A slip in a name is not sent to the service as braces."""
    with pytest.raises(InvalidInput, match=r"'anmal'.*did you mean 'animal'"):
        fill_prompt("a {{anmal}}", {"animal": "fox", "_": 1})


# --- writing -----------------------------------------------------------------------------------


def test_a_written_cell_is_what_a_person_would_write() -> None:
    """Defaults are left out, the model too where the image tells it."""
    values: dict[str, object] = {
        "prompt": "A red fox",
        "image": "my fox.png",
        "sound": True,
        "duration": "10",
    }
    assert write_cell(IMAGE_TO_VIDEO, values, take=2).splitlines() == [
        "%%kling --image 'my fox.png' --duration 10 --sound --take 2",
        "A red fox",
    ]


@pytest.mark.parametrize("path", ["my clips/it's a fox.png", "-x.png", "--sound", "- fox.png"])
def test_a_path_with_spaces_or_dashes_reads_back(path: str) -> None:
    """The cell that a card shows can be run as it is, also where a path looks like an option."""
    values: dict[str, object] = {"prompt": "fox", "image": path}
    assert read_back(write_cell(IMAGE_TO_VIDEO, values)).values == values


def written_values(spec: ModelSpec) -> st.SearchStrategy[dict[str, object]]:
    """Values that a person could have given, as far as one line can hold them."""
    line = st.characters(codec="utf-8", exclude_characters="\n\r")
    prompt = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
    choices: dict[str, st.SearchStrategy[object]] = {"prompt": prompt, "sound": st.booleans()}
    choices |= {parameter.name: st.text(line, min_size=1) for parameter in spec.media}
    for parameter in spec.parameters:
        if isinstance(parameter.kind, Choice):
            choices[parameter.name] = st.sampled_from(parameter.kind.options)
    plain = st.fixed_dictionaries(choices)
    return plain.filter(
        lambda values: (
            bool(str(values["prompt"]).strip())
            and "{{" not in str(values["prompt"])
            and all(str(values[parameter.name]).strip() for parameter in spec.media)
        )
    )


@SPECS
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data(), take=st.integers(1, 99))
def test_what_is_written_reads_back(spec: ModelSpec, data: st.DataObject, take: int) -> None:
    """Any request, written as a cell and read, is the same request."""
    values = data.draw(written_values(spec))
    cell = read_back(write_cell(spec, values, take=take))
    assert (cell.spec, cell.take) == (spec, take)
    assert validate(spec, cell.values) == validate(spec, values)


# --- help and completion -----------------------------------------------------------------------


def test_help_names_every_option_of_every_model() -> None:
    """`%%kling?` is derived from the specs: nothing is missing from it."""
    text = help_text()
    for spec in CATALOGUE.values():
        assert spec.name in text
        for option in options_of(spec):
            assert option in text
        for parameter in spec.parameters:
            if isinstance(parameter.kind, Choice):
                assert ", ".join(parameter.kind.options) in text


@SPECS
def test_completion_knows_every_option(spec: ModelSpec) -> None:
    """Each parameter but the prompt is an option, and so are the cell's own."""
    options = options_of(spec)
    for parameter in spec.parameters:
        if parameter.name != "prompt":
            assert f"--{parameter.name.replace('_', '-')}" in options
            assert not parameter.flag or f"-{parameter.flag}" in options
    assert {"-m", "-o", "-w", "-n", "--take", "--callback", "--no-sound"} <= options.keys()
    assert "--prompt" not in options


@SPECS
def test_completion_knows_the_choices(spec: ModelSpec) -> None:
    """Where there are few values, they can be completed."""
    options = options_of(spec)
    assert options["--model"] == options["-m"] == tuple(CATALOGUE)
    assert options["--embed"] == EMBED_CHOICES


def test_models_are_found_by_name() -> None:
    """A name that exists is its spec; one that is like nothing gets no guess."""
    assert find_model(IMAGE_TO_VIDEO.name) is IMAGE_TO_VIDEO
    with pytest.raises(InvalidInput) as caught:
        find_model("zzz")
    assert "did you mean" not in str(caught.value)


def test_nearest_is_nothing_where_nothing_is_near() -> None:
    """A guess that helps nobody is not made."""
    assert nearest("balanse", ["balance", "jobs"]) == "balance"
    assert nearest("xyz", ["balance", "jobs"]) == ""


def test_the_variables_of_a_prompt_are_named() -> None:
    """Those in double braces, in their order."""
    assert names_in("A {{ animal }} in {place}, {{mood}}") == ["animal", "mood"]
