"""The text of a `%%kling` cell: parse it, write it, and document and complete its options.

The options of the line are derived from a model's spec, so a new parameter becomes an option
without a change here. Does not use IPython or open the files that a value names.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import join_lines, nearest

from .catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .cell_variables import fill_prompt, raw_prompt
from .lookup import find_model, format_inputs
from .spec import ModelSpec, Parameter

EMBED_CHOICES = ("auto", "always", "never")
PROMPT = "prompt"
"""The parameter that is the body of a cell."""


class LineParser(argparse.ArgumentParser):
    """An argparse parser that raises `InvalidInput` instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise the message that argparse would print."""
        raise InvalidInput.of("line", message, f"see {self.prog}?")


def option_name(parameter: Parameter) -> str:
    """Return the option of a parameter: `--aspect-ratio`."""
    return f"--{parameter.name.replace('_', '-')}"


def negative_option(parameter: Parameter) -> str:
    """Return the option that switches a parameter off: `--no-sound`."""
    return f"--no-{option_name(parameter)[2:]}"


def parser_of(spec: ModelSpec) -> LineParser:
    """Return the parser of a line for a model."""
    parser = LineParser(
        prog="%%kling",
        add_help=False,
        allow_abbrev=False,
        usage="%%%%kling [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=88),
    )
    for parameter in _line_parameters(spec):
        text = _help(spec, parameter).replace("%", "%%")
        parser.add_argument(
            *_names(parameter), default=None, help=text, **parameter.kind.argparse_settings
        )
    add = parser.add_argument
    add("--model", "-m", default=spec.name, help="the model; the default depends on --image")
    add("--output", "-o", default="", metavar="NAME", help="name of the variable for the job")
    add("--wait", "-w", action="store_true", help="keep the cell running until the clip is saved")
    add("--take", type=int, default=1, metavar="N", help="another result for the same request")
    add("--dry-run", "-n", action="store_true", help="show the price; send nothing")
    add("--embed", choices=EMBED_CHOICES, default="auto", help="embed the clip in the notebook")
    add("--callback", default="", metavar="URL", help="URL to call when the task ends")
    return parser


def help_text() -> str:
    """Return the text of `%%kling?`: usage, models, and the options of the default models."""
    width = max(map(len, CATALOGUE)) + 2
    models = [f"    {spec.name:<{width}}{format_inputs(spec)}" for spec in CATALOGUE.values()]
    parts = [
        "Make a Kling clip. The body of the cell is the prompt. {{name}} in it is replaced by the",
        "value of a variable; write \\{{name}} for the literal text. Running the cell again costs",
        "nothing and shows the saved clip.",
        "",
        "    %%kling --image fox.png --duration 5 --sound -o fox",
        "    A red fox shakes the snow off its coat, slow push-in",
        "",
        "Models and their inputs; --model takes a unique part of the name:",
        *models,
        "",
        "`%kling models` shows their prices, `%kling models NAME` the options of one.",
        "",
    ]
    for spec, when in ((IMAGE_TO_VIDEO, "with --image"), (TEXT_TO_VIDEO, "without")):
        parts += [f"{spec.title}: used {when}", parser_of(spec).format_help()]
    return "\n".join(parts)


def option_rows(spec: ModelSpec) -> list[tuple[str, str, str, str]]:
    """Return the options of a model as rows: option, allowed values, default, help."""
    return [
        (
            _format_option(parameter),
            parameter.kind.option_takes,
            "" if parameter.default is None else _format_default(parameter),
            _help(spec, parameter, with_choices=False),
        )
        for parameter in spec.parameters
    ]


def options_of(spec: ModelSpec) -> Mapping[str, tuple[str, ...]]:
    """Return all options of a model with their choices, for completion."""
    found: dict[str, tuple[str, ...]] = {}
    for action in parser_of(spec)._actions:  # argparse has no public list of its options
        for option in action.option_strings:
            found[option] = tuple(str(choice) for choice in action.choices or ())
    for parameter in _line_parameters(spec):
        found |= dict.fromkeys(_names(parameter), parameter.kind.choices())
    found["--model"] = found["-m"] = tuple(CATALOGUE)
    return found


def source_options(spec: ModelSpec) -> frozenset[str]:
    """Return the options that take a file, a URL or a variable."""
    return frozenset(name for parameter in spec.sources for name in _names(parameter))


def unknown_option(word: str, spec: ModelSpec) -> InvalidInput:
    """Return the error for a word that is not an option of the model."""
    if not word.startswith("-"):
        return InvalidInput.of(
            "line", f"{word!r} is not an option", "the prompt goes into the body of the cell"
        )
    name = word.partition("=")[0]
    options = {
        each: [o for o in options_of(CATALOGUE[each]) if o[:2] == "--" or o == name]
        for each in CATALOGUE
    }
    hint = ""
    if models := [each for each in CATALOGUE if name in options[each]]:
        verb = "takes" if len(models) == 1 else "take"
        hint = f"only {', '.join(models)} {verb} it: set --model; "
    # Searches the options of all models: a misspelt --image selects the wrong model.
    elif close := nearest(name, [o for each in CATALOGUE for o in _long(options[each])]):
        hint = f"did you mean {close}? "
    allowed = ", ".join(_long(options[spec.name]))
    return InvalidInput.of("line", f"{word!r} is not an option", f"{hint}allowed: {allowed}")


def _line_parameters(spec: ModelSpec) -> list[Parameter]:
    return [parameter for parameter in spec.parameters if parameter.name != PROMPT]


def _names(parameter: Parameter) -> tuple[str, ...]:
    name = option_name(parameter)
    return (name, f"-{parameter.flag}") if parameter.flag else (name,)


def _long(options: Sequence[str]) -> list[str]:
    return [option for option in options if option[:2] == "--"]


def _help(spec: ModelSpec, parameter: Parameter, *, with_choices: bool = True) -> str:
    text = "; ".join((parameter.help, *spec.remarks(parameter.name)))
    if not with_choices:
        return text
    text += parameter.kind.option_note
    has_default = parameter.default is not None and not parameter.kind.is_switch
    return f"{text} (default {parameter.default})" if has_default else text


def _format_option(parameter: Parameter) -> str:
    if parameter.name == PROMPT:
        return "the cell's body"
    if parameter.kind.is_switch:
        return f"{option_name(parameter)}, {negative_option(parameter)}"
    return ", ".join(_names(parameter))


def _format_default(parameter: Parameter) -> str:
    if parameter.kind.is_switch:
        return option_name(parameter) if parameter.default else negative_option(parameter)
    return str(parameter.default)


ESCAPE: Final = "" if sys.platform.startswith("win") else "\\"
"""Escape character outside quotes; none on Windows, where it is part of a path."""
_LOST_BACKSLASH: Final = re.compile(r"(?<!\\)(?:\\\\)*\\\w")
"""A backslash before a letter: no escape sequence, so the word is a Windows path."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The model, values and options of a `%%kling` cell."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name, unvalidated; media and records as their text, several media as a list of
    texts."""
    output: str = ""
    """Name of the variable for the job."""
    wait: bool = False
    take: int = 1
    dry_run: bool = False
    embed: Literal["auto", "always", "never"] = "auto"
    callback_url: str = ""


def read_line(line: str) -> Cell:
    """Parse the options of a `%%kling` line; `values` has no prompt yet.

    Raises:
        InvalidInput: An option is unknown (names the closest) or its value is not allowed.
    """
    words = _split(line)
    spec = model_of(words)
    options, unknown = parser_of(spec).parse_known_args(words)
    if unknown:
        raise unknown_option(unknown[0], spec)
    read = vars(options)
    given = {p.name: read[p.name] for p in spec.parameters if read.get(p.name) is not None}
    if read["take"] < 1:
        raise InvalidInput.of("take", f"{read['take']}", "give a whole number above 0")
    if read["output"] and not _is_name(read["output"]):
        raise InvalidInput.of("output", f"{read['output']!r}", "give a Python variable name")
    return Cell(
        spec=spec,
        values={name: _unwrapped(value) for name, value in given.items()},
        output=read["output"],
        wait=read["wait"],
        take=read["take"],
        dry_run=read["dry_run"],
        embed=read["embed"],
        callback_url=read["callback"],
    )


def read_cell(line: str, body: str, variables: Mapping[str, object]) -> Cell:
    r"""Parse a `%%kling` cell; the body is the prompt, with `{{name}}` replaced by a variable.

    `\{{name}}` is the text itself. An empty body is no prompt if the model does not require one.
    """
    line, body = join_lines(line, body)
    cell = read_line(line)
    prompt = fill_prompt(body, variables)
    if not prompt.strip() and not cell.spec.parameter(PROMPT).required:
        return cell
    return replace(cell, values={**cell.values, PROMPT: prompt})


def write_cell(spec: ModelSpec, values: Mapping[str, object], *, take: int = 1) -> str:
    """Return the `%%kling` cell for a request.

    Args:
        spec: The model.
        values: By parameter name; media as text (a path, a URL, a variable's name) or as a list of
            texts; records with their media as text, or as the name of a variable.
        take: Which take.
    """
    words = ["%%kling"]
    usual = IMAGE_TO_VIDEO if spec.media and "image" in values else TEXT_TO_VIDEO
    if spec is not usual:
        words += ["--model", spec.name]
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        if parameter.name != PROMPT and value is not None and not parameter.is_default(value):
            words += _options(parameter, value)
    if take != 1:
        words += ["--take", str(take)]
    return " ".join(words) + "\n" + raw_prompt(str(values.get(PROMPT, "")))


def model_of(words: Sequence[str]) -> ModelSpec:
    """Return the model of a line, also of an incomplete one.

    Raises:
        InvalidInput: No model has this name, or several do.
    """
    finder = LineParser(prog="%%kling", add_help=False, allow_abbrev=False)
    finder.add_argument("--model", "-m", nargs="?", default="")
    finder.add_argument("--image", "-i", nargs="?", default=None, const="")
    found, _ = finder.parse_known_args(list(words))
    if found.model:
        return find_model(found.model)
    return TEXT_TO_VIDEO if found.image is None else IMAGE_TO_VIDEO


def _split(line: str) -> list[str]:
    """Split a line into words.

    Raises:
        InvalidInput: A quote is not closed, or an unquoted path would lose its backslashes.
    """
    try:
        words = _words(line, ESCAPE)
    except ValueError as error:
        raise InvalidInput.of("line", f"{line!r}: {error}", "close the quotes") from None
    _check_backslashes(line, words)
    return words


def _check_backslashes(line: str, words: list[str]) -> None:
    """Raise an error for an unquoted Windows path; an escaped space or quote is allowed."""
    written: list[str] = []
    with suppress(ValueError):
        written = _words(line, "")
    if len(words) != len(written):
        return
    for word, path in zip(words, written, strict=True):
        if word != path and _LOST_BACKSLASH.search(path):
            given = f"{path} without quotes loses its backslashes and becomes {word}"
            raise InvalidInput.of("line", given, f"quote the path: {shlex.quote(path)}")


def _words(line: str, escape: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", escape
    return list(lexer)


def _unwrapped(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _options(parameter: Parameter, value: object) -> list[str]:
    """Return the words of a line that set a parameter to a value."""
    option = option_name(parameter)
    if parameter.kind.is_switch:
        return [option if value else negative_option(parameter)]
    return [_option(option, text) for text in parameter.kind.cell_texts(value)]


def _option(option: str, text: str) -> str:
    # Joined with `=` if the value begins with a dash, which would be parsed as an option.
    joint = "=" if text.startswith("-") else " "
    return f"{option}{joint}{shlex.quote(text)}"


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)
