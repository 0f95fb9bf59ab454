"""Parse and write the text of a `%%kling` cell.

The options are those of `cell_options`. Converts text to values and back; does not use IPython or
open the files that a value names.
"""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from kling_nb.core.errors import InvalidInput

from .catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .cell_options import (
    PROMPT,
    LineParser,
    negative_option,
    option_name,
    parser_of,
    unknown_option,
)
from .cell_variables import fill_prompt, raw_prompt
from .lookup import find_model
from .spec import ModelSpec, Parameter

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
        raise InvalidInput.of("take", f"{read['take']}", "takes count from 1")
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


def join_lines(line: str, body: str) -> tuple[str, str]:
    """Return line and body of a cell; a line that ends in a backslash includes the next one."""
    while body and line.rstrip().endswith("\\"):
        more, _, body = body.partition("\n")
        line = f"{line.rstrip()[:-1].rstrip()} {more.strip()}"
    return line, body


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
