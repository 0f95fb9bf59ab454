"""The options of `cell`: each parameter is an option, told and completed; mistakes are named."""

from __future__ import annotations

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import read_cell, read_line, split_prompt
from kling_nb.models.option_parser import (
    EMBED_CHOICES,
    help_text,
    option_rows,
    options_of,
    parser_of,
    source_options,
    unknown_option,
)
from kling_nb.models.parameters import Choice
from kling_nb.models.spec import ModelSpec

SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
VIDEO = CATALOGUE["kling-3.0/video"]


def test_help_lists_every_model_and_the_options_of_the_usual_ones() -> None:
    """`%%kling?` fits on a page: a line for each model, and where the rest is told."""
    text = help_text()
    for name in CATALOGUE:
        assert f"    {name} " in text
    for spec in (IMAGE_TO_VIDEO, TEXT_TO_VIDEO):
        for option in options_of(spec):
            assert option in text
    assert "%kling models NAME" in text
    assert len(text.splitlines()) < 80


@SPECS
def test_the_options_of_one_model_are_a_table(spec: ModelSpec) -> None:
    """Each parameter with what it takes, its default, and its help with what rules say."""
    rows = dict(zip((p.name for p in spec.parameters), option_rows(spec), strict=True))
    assert rows["prompt"][0] == "the cell's body"
    for parameter in spec.parameters:
        option, takes, default, text = rows[parameter.name]
        assert takes
        assert parameter.help in text
        assert all(remark in text for remark in spec.remarks(parameter.name))
        assert bool(default) == (parameter.default is not None)
        if parameter.name != "prompt":
            assert f"--{parameter.name.replace('_', '-')}" in option


@SPECS
def test_choices_are_in_the_help_and_completed(spec: ModelSpec) -> None:
    """Where there are few values, both name them all."""
    text = " ".join(parser_of(spec).format_help().split())
    options = options_of(spec)
    assert options["--model"] == options["-m"] == tuple(CATALOGUE)
    assert options["--embed"] == EMBED_CHOICES
    for parameter in spec.parameters:
        if isinstance(parameter.kind, Choice):
            assert ", ".join(parameter.kind.options) in text
            assert options[f"--{parameter.name.replace('_', '-')}"] == parameter.kind.options


@SPECS
def test_completion_knows_every_option(spec: ModelSpec) -> None:
    """Each parameter but the prompt is an option, and so are the cell's own."""
    options = options_of(spec)
    for parameter in spec.parameters:
        if parameter.name != "prompt":
            assert f"--{parameter.name.replace('_', '-')}" in options
            assert not parameter.flag or f"-{parameter.flag}" in options
    assert {"-m", "-o", "-w", "-n", "--take", "--callback"} <= options.keys()
    assert "--prompt" not in options


def test_numbers_are_completed_where_they_are_few() -> None:
    """Seconds and steps are a choice; they are written as a person writes them."""
    omni = options_of(CATALOGUE["kling-3.0-omni/text-to-video"])
    assert omni["--duration"] == omni["-d"] == tuple(str(second) for second in range(3, 16))
    assert options_of(CATALOGUE["kling/v2-1-pro"])["--cfg-scale"][:4] == ("0", "0.1", "0.2", "0.3")


def test_sources_are_what_takes_a_file_or_a_variable() -> None:
    """Pictures, videos, sounds, and records."""
    assert source_options(VIDEO) == {"--image", "-i", "--shots", "--elements"}
    avatar = CATALOGUE["kling/ai-avatar-pro"]
    assert source_options(avatar) == {"--image", "-i", "--audio", "-a"}


@pytest.mark.parametrize(
    ("word", "spec", "said"),
    [
        ("--duraton", IMAGE_TO_VIDEO,
         "did you mean --duration? options of kling-2.6/image-to-video: --duration, --image"),
        ("--imgae", TEXT_TO_VIDEO, "did you mean --image? options of kling-2.6/text-to-video: "),
        ("--ratio", TEXT_TO_VIDEO, "did you mean --aspect-ratio? "),
        ("--aspect_ratio", TEXT_TO_VIDEO, "did you mean --aspect-ratio? "),
        ("--shot", VIDEO, "did you mean --shots? "),
        ("--colour", IMAGE_TO_VIDEO, "an option; options of kling-2.6/image-to-video: --image"),
        ("--last-image=a", IMAGE_TO_VIDEO,
         "only kling/v2-5-turbo-image-to-video-pro, kling/v2-1-pro take it: set --model"),
        ("--background-source", IMAGE_TO_VIDEO,
         "only kling-3.0/motion-control takes it: set --model"),
        ("-v", IMAGE_TO_VIDEO, "kling-2.6/motion-control, kling-3.0/motion-control"),
        ("--prompt=fox", IMAGE_TO_VIDEO, "the prompt goes into the body of the cell"),
        ("--help", IMAGE_TO_VIDEO, "`%kling help` explains the options"),
    ],
)  # fmt: skip
def test_an_unknown_option_is_explained(word: str, spec: ModelSpec, said: str) -> None:
    """A slip names the nearest option, another model's option names those models."""
    assert said in str(unknown_option(word, spec))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lake.png", "did you mean `--image lake.png`? the prompt goes into the body"),
        ("-d 5 'my lake.JPG'", "did you mean `--image 'my lake.JPG'`?"),
        ("https://example.org/lake", "did you mean `--image https://example.org/lake`?"),
        ("dance.mp4 -i fox.png", "did you mean `--video dance.mp4`?"),
        ("fox", "did you mean `--image fox`?"),
        ("--sound maybe", "write `--sound` without a value"),
        ("--sound=maybe", "write `--sound` without a value"),
        ("maybe --sound", "the prompt goes into the body"),
        ("--no-sound yes", "write `--no-sound` without a value"),
        ("sound", "did you mean `--sound`?"),
        ("-i a.png duration=10", "did you mean `--duration 10`?"),
        ("-i a.png A red hen's nest", "cell: `%%kling -i a.png`, then `A red hen's nest`"),
        ("A red hen", "the body of the cell: `%%kling`, then `A red hen`"),
        ("A red hen -i a.png", "the prompt goes into the body of the cell"),
        ("-o 'hen", "close the quotes"),
    ],
)
def test_a_word_without_an_option_is_explained(line: str, said: str) -> None:
    """A file, a URL or a variable is an image; anything else is the prompt, in the wrong place."""
    with pytest.raises(InvalidInput) as error:
        read_cell(line, "A lake", {"fox": b"", "hen's": b""})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["yes", "on", "true", "True", "YES"])
def test_a_switch_may_be_written_with_a_value(value: str) -> None:
    """Yes and no, on and off, true and false; also after an equals sign."""
    for written in (f"--sound {value}", f"--sound={value}"):
        assert read_line(f"{written} -i a.png").values == {"sound": True, "image": "a.png"}


@pytest.mark.parametrize("value", ["no", "off", "false", "False"])
def test_a_switch_may_be_switched_off_with_a_value(value: str) -> None:
    """A switch without an opposite is as if it was not there."""
    for written in (f"--sound {value}", f"--sound={value}"):
        assert read_line(f"-i a.png {written}").values == {"sound": False, "image": "a.png"}
    assert not read_line(f"--wait {value} -n {value}").wait
    assert not read_line(f"--wait {value} -n {value}").dry_run


def test_only_a_switch_has_such_values() -> None:
    """`yes` is the text of any other option, and a file after one."""
    assert read_line("-m v2-1-pro --negative-prompt yes").values == {"negative_prompt": "yes"}
    assert read_line("-m v2-1-pro --negative-prompt=--sound=no").values == {
        "negative_prompt": "--sound=no"
    }
    assert read_line("-i yes").values == {"image": "yes"}


@pytest.mark.parametrize(
    ("line", "options", "prompt"),
    [
        ("-i fox.png A red fox", "-i fox.png", "A red fox"),
        ("--sound no It's dawn", "--sound no", "It's dawn"),
        ("A red fox", "", "A red fox"),
        ("-i fox.png", "-i fox.png", ""),
        ("-i fox.png --duraton 5", "-i fox.png --duraton 5", ""),
        ("", "", ""),
    ],
)
def test_a_prompt_behind_the_options_is_split_off(line: str, options: str, prompt: str) -> None:
    """Not if an option follows, which would be lost in it."""
    assert split_prompt(line) == (options, prompt)


def test_the_parser_never_ends_the_process() -> None:
    """Its mistakes are problems like any other."""
    with pytest.raises(InvalidInput, match="see %%kling\\?"):
        read_line("--take two")
