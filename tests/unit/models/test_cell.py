"""The options of `cell`: each parameter is an option, told and completed; mistakes are named."""

from __future__ import annotations

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import (
    EMBED_CHOICES,
    help_text,
    option_rows,
    options_of,
    parser_of,
    read_line,
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
        ("--duraton", IMAGE_TO_VIDEO, "did you mean --duration? allowed: --image"),
        ("--shot", VIDEO, "did you mean --shots? "),
        ("--last-image=a", IMAGE_TO_VIDEO,
         "only kling/v2-5-turbo-image-to-video-pro, kling/v2-1-pro take it: set --model"),
        ("--background-source", IMAGE_TO_VIDEO,
         "only kling-3.0/motion-control takes it: set --model"),
        ("-v", IMAGE_TO_VIDEO, "kling-2.6/motion-control, kling-3.0/motion-control"),
        ("fox", IMAGE_TO_VIDEO, "the prompt goes into the body of the cell"),
    ],
)  # fmt: skip
def test_an_unknown_option_is_explained(word: str, spec: ModelSpec, said: str) -> None:
    """A slip names the nearest option, another model's option names those models."""
    assert said in str(unknown_option(word, spec))


def test_the_parser_never_ends_the_process() -> None:
    """Its mistakes are problems like any other."""
    with pytest.raises(InvalidInput, match="see %%kling\\?"):
        read_line("--take two")
