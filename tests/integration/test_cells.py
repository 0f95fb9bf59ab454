"""What `cells` promises: what is written reads back, the body is raw, mistakes are named."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_nb.core.text import comparable_text, join_lines
from kling_nb.errors import InvalidInput
from kling_nb.models import cell as cells
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import Cell, read_cell, read_line, write_cell
from kling_nb.models.cell_variables import names_in
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.records import Column, Records
from kling_nb.models.spec import ModelSpec, Parameter, validate
from tests.support.sample_requests import given_of

FAMILY = CATALOGUE["kling-3.0/video"]
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


@pytest.mark.parametrize(
    ("line", "spec", "values"),
    [
        ("", TEXT_TO_VIDEO, {}),
        *((line, IMAGE_TO_VIDEO, {"image": "x"}) for line in ("-i x", "--image=x", "-ix")),
        ("-i fox.png -d 5 --sound", IMAGE_TO_VIDEO,
         {"image": "fox.png", "duration": "5", "sound": True}),
        (f"-m {TEXT_TO_VIDEO.name}", TEXT_TO_VIDEO, {}),
        ("-m 3.0/video --shots mine", FAMILY, {"shots": "mine"}),
        ("-m 3.0/video -i a.png -i b.png -d 5", FAMILY,
         {"image": ["a.png", "b.png"], "duration": "5"}),
        ("-m 3.0/video -i a.png b.png", FAMILY, {"image": ["a.png", "b.png"]}),
        ("-m 3.0/video --image=a.png -i b.png", FAMILY, {"image": ["a.png", "b.png"]}),
        ("-i a.png -i b.png", IMAGE_TO_VIDEO, {"image": ["a.png", "b.png"]}),
    ],
)  # fmt: skip
def test_values_and_model_of_a_line(line: str, spec: ModelSpec, values: dict[str, Any]) -> None:
    """A unique part names the model, or an image implies it; the validator counts images."""
    assert read_line(line) == Cell(spec=spec, values=values)


def test_the_cells_own_options() -> None:
    """Output, waiting, take, dry run, embedding and callback are no values of the model."""
    cell = read_line("-w --take 2 -n --embed never --callback https://x/y --no-sound -o fox")
    assert cell == Cell(
        spec=TEXT_TO_VIDEO,
        values={"sound": False},
        output="fox",
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


@pytest.mark.parametrize("body", ["", "\n", "  \n "])
def test_an_empty_body_is_no_prompt_where_none_is_needed(body: str) -> None:
    """Shots have their own words; a model that needs a prompt still says so."""
    assert "prompt" not in read_cell("-m 3.0/video --shots mine", body, {}).values
    assert read_cell("-i fox.png", body, {}).values["prompt"] == body


CONTINUED = "-i fox.png \\\n  -d 5 \\  \n  -n\nrain\nand snow"


def test_a_line_goes_on_after_a_backslash() -> None:
    """As in IPython's own line magics; what follows the last of them is the prompt."""
    line, _, body = CONTINUED.partition("\n")
    cell = read_cell(line, body, {})
    assert cell == read_cell("-i fox.png -d 5 -n", "rain\nand snow", {})
    assert cell.dry_run


def test_a_backslash_in_the_prompt_joins_nothing() -> None:
    """Nor one at the very end of a line without a body."""
    assert read_cell("-n", "rain \\\nsnow", {}).values["prompt"] == "rain \\\nsnow"
    assert join_lines("-n \\", "") == ("-n \\", "")


PATHS = [r"C:\Users\me\fox.png", r"pics\fox.png", r"\\server\share\fox.png", r"..\fox.png"]


@pytest.mark.parametrize("path", PATHS)
def test_on_windows_backslashes_stay(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Bare as a completion writes them, and in quotes of either kind."""
    monkeypatch.setattr(cells, "ESCAPE", "")
    for written in (path, f'"{path}"', shlex.quote(path)):
        assert read_line(f"-d 5 -i {written} -n").values["image"] == path


@pytest.mark.parametrize("path", PATHS)
def test_elsewhere_a_lost_backslash_is_told(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """With the path as it has to be written, which then is read on every system."""
    monkeypatch.setattr(cells, "ESCAPE", "\\")
    assert f"quote the path: {shlex.quote(path)}" in mistake(f"-i {path} -n")
    assert read_line(f"-i {shlex.quote(path)}").values["image"] == path


@pytest.mark.parametrize(
    ("written", "path"),
    [(r"my\ fox.png", "my fox.png"), (r"it\'s.png", "it's.png"), (r'"a\\b.png"', r"a\b.png")],
)
def test_escapes_on_posix(monkeypatch: pytest.MonkeyPatch, written: str, path: str) -> None:
    """A backslash before a space, a quote or another backslash means something."""
    monkeypatch.setattr(cells, "ESCAPE", "\\")
    assert read_line(f"-i {written}").values["image"] == path


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((f"--imag{end}", "did you mean --image?") for end in ("", " x.png", "=x.png")),
        ("--duraton=5", "did you mean --duration?"),
        ("--dur 5", "did you mean --duration?"),
        ("--sounds", "did you mean --sound?"),
        ("--sounds", "--take"),
        ("-d 5 fox", "the prompt goes into the body of the cell"),
        ("--image it's.png", "close the quotes"),
        ("-m kling-2.6/image-to-vidoe", "did you mean kling-2.6/image-to-video?"),
        ("-m kling-2.6/image-to-vidoe", TEXT_TO_VIDEO.name),
        ("-m motion-control", "kling-3.0/motion-control"),
        *((f"--take {take}", "take") for take in ("0", "-1", "two", "1.5")),
        *((f"-o {name}", "Python variable name") for name in ("my-fox", "1fox", "class", "a.b")),
        ("--embed some", "--embed"),
        ("--sound=maybe", "--sound"),
        ("--image", "--image"),
        ("--wait=1", "--wait"),
    ],
)
def test_a_mistake_is_one_line(line: str, message: str) -> None:
    """An `InvalidInput` with what was meant or is allowed; the parser never prints or exits."""
    text = mistake(line)
    assert message in text
    assert "\n" not in text


def test_an_option_of_another_model_names_that_model() -> None:
    """`--aspect-ratio` is no slip of the finger: image to video has no such field."""
    text = mistake("-i fox.png --aspect-ratio 16:9")
    assert f"only {TEXT_TO_VIDEO.name}, " in text
    assert "take it: set --model" in text
    assert "did you mean" not in text


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


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=30)
PLAIN = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
BRACES = st.text(st.sampled_from("{{}}\\ \nxé1."), min_size=1, max_size=40)
NAMES = st.tuples(PLAIN, BRACES, st.sampled_from(("{{name}}", "{{ x }}")), PLAIN).map("".join)
WORDS = st.one_of(PLAIN, BRACES, NAMES).filter(lambda text: bool(comparable_text(text)))


def values_of(parameter: Parameter | Column) -> st.SearchStrategy[object]:
    """Values of one parameter that a person could have written."""
    match parameter.kind:
        case Text(one_line=True):
            return WORDS.map(lambda text: " ".join(text.splitlines())).filter(comparable_text)
        case Text():
            return WORDS
        case Choice(options=options):
            return st.sampled_from(options)
        case Flag():
            return st.booleans()
        case Number(low=low, high=high, step=step, integer=integer):
            steps = st.integers(0, round((high - low) / step))
            return steps.map(lambda n: (int if integer else float)(low + n * step))
        case Media(min_count=least, max_count=most):
            texts = LINE.filter(lambda text: bool(text.strip()))
            return st.lists(texts, min_size=least, max_size=most).map(
                lambda items: items[0] if len(items) == 1 else items
            )
        case Records(columns=columns, max_count=most):
            record = st.fixed_dictionaries({c.name: values_of(c) for c in columns})
            return st.lists(record, min_size=1, max_size=most)
    raise TypeError(parameter.kind)


def written_values(spec: ModelSpec) -> st.SearchStrategy[dict[str, object]]:
    """Values that a person could have given, as far as one line can hold them."""
    needed = {p.name: values_of(p) for p in spec.parameters if p.required}
    free = {p.name: values_of(p) for p in spec.parameters if not p.required}
    drawn = st.fixed_dictionaries(needed, optional=free)
    return drawn.map(fitting) if "shots" in free else drawn


def unruled(spec: ModelSpec) -> ModelSpec:
    """The model without its rules, also those between the fields of a record."""
    parameters = tuple(
        replace(p, kind=replace(p.kind, one_of=(), rising=())) if isinstance(p.kind, Records) else p
        for p in spec.parameters
    )
    return replace(spec, parameters=parameters, rules=())


def fitting(values: dict[str, object]) -> dict[str, object]:
    """The same where no rule is broken: a prompt or shots, and as long as these together."""
    shots = values.get("shots")
    if not isinstance(shots, list):
        return {"prompt": "A red fox", **values}
    length = sum(shot["duration"] for shot in shots)
    if not 3 <= length <= 15:
        shots = [{**shots[0], "duration": 3}]
    return {name: value for name, value in values.items() if name != "duration"} | {"shots": shots}


@SPECS
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data(), take=st.integers(1, 99))
def test_what_is_written_reads_back(spec: ModelSpec, data: st.DataObject, take: int) -> None:
    """Any request, written as a cell and read, is the same request; rules are judged later."""
    values = data.draw(written_values(spec))
    cell = read_back(write_cell(spec, values, take=take))
    assert (cell.spec, cell.take) == (spec, take)
    assert validate(unruled(spec), cell.values) == validate(unruled(spec), values)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(prompt=st.one_of(BRACES, NAMES), name=st.sampled_from(("name", "x")))
def test_a_prompt_with_braces_is_written_as_what_it_says(prompt: str, name: str) -> None:
    """What names a variable in it is text: the variable may exist by now, and is not put in."""
    body = write_cell(TEXT_TO_VIDEO, {"prompt": prompt}).partition("\n")[2]
    assert read_cell("", body, {name: "something else"}).values["prompt"] == prompt
    assert names_in(body) == []


@pytest.mark.parametrize(
    ("prompt", "body"),
    [
        ("A {{name}} tag", r"A \{{name}} tag"),
        (r"A \{{name}} tag", r"A \\\{{name}} tag"),
        ("{name} {{}} \\ {{a b}} C:\\clips", "{name} {{}} \\ {{a b}} C:\\clips"),
    ],
)
def test_only_what_would_name_a_variable_gets_a_backslash(prompt: str, body: str) -> None:
    """Every other prompt is written as it is."""
    assert write_cell(TEXT_TO_VIDEO, {"prompt": prompt}) == f"%%kling\n{body}"


@SPECS
def test_the_sample_of_each_model_reads_back(spec: ModelSpec) -> None:
    """Every field of a model has its place in a cell."""
    values = given_of(spec)
    cell = read_back(write_cell(spec, values))
    assert cell.spec is spec
    assert validate(spec, cell.values) == validate(spec, values)


def test_a_cell_of_shots_is_what_a_person_would_write() -> None:
    """Records are JSON in one pair of quotes; each frame has its own option."""
    values: dict[str, object] = {
        "image": ("first.png", "my last.png"),
        "shots": ({"prompt": "The fox's coat, 雪", "duration": 3},),
        "duration": "3",
        "mode": "std",
    }
    written = write_cell(FAMILY, values)
    assert written == (
        "%%kling --model kling-3.0/video --image first.png --image 'my last.png' --duration 3 "
        """--shots '[{"prompt": "The fox'"'"'s coat, 雪", "duration": 3}]'\n"""
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", "\x85"])
def test_what_ends_a_line_is_on_no_line_of_options(end: str) -> None:
    """A cell's options are one line to IPython, whatever a prompt of a shot holds."""
    shots = ({"prompt": f"wakes{end}runs", "duration": 3},)
    written = write_cell(FAMILY, {"shots": shots, "duration": "3"})
    assert len(written.splitlines()) == 1
    read = validate(FAMILY, read_back(written).values)
    assert read["shots"] == validate(FAMILY, {"shots": shots})["shots"]
    pro = CATALOGUE["kling/v2-1-pro"]
    values = {"prompt": "go", "image": "a.png", "negative_prompt": f"blur{end}text"}
    assert validate(pro, values)["negative_prompt"] == "blur text"
