"""The text of a `%%kling` cell: parse it and write it.

`option_parser` has the options of the line. Does not use IPython or open the files that a value
names.
"""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import join_lines

from .catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .cell_variables import fill_prompt, raw_prompt
from .lookup import find_model
from .option_parser import (
    PROMPT,
    PROMPT_PLACE,
    LineParser,
    negative_option,
    option_name,
    options_of,
    parser_of,
    source_option,
    switches,
    unknown_option,
)
from .spec import ModelSpec, Parameter

VARIABLES: Final = {"image": "picture", "video": "video", "audio": "sound"}
"""The variable that a written cell names for an input that is neither a file nor a URL."""
_SWITCH_VALUES: Final = {"yes": True, "on": True, "true": True} | {
    "no": False, "off": False, "false": False
}  # fmt: skip
"""Texts that people write after a switch."""


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


def read_line(line: str, names: Collection[str] = ()) -> Cell:
    """Parse the options of a `%%kling` line; `values` has no prompt yet.

    Args:
        line: The text behind `%%kling`.
        names: Names of variables, for the advice of an error.

    Raises:
        InvalidInput: An option is unknown (names the closest) or its value is not allowed.
    """
    try:
        words = _split(line)
    except InvalidInput as error:  # an apostrophe of a prompt, or a quote that is not closed
        prompt = split_prompt(line)[1]
        raise (_misplaced_prompt(line, prompt.split()[0]) if prompt else error) from None
    spec = model_of(words)
    read, unknown = _parse(words, spec)
    if unknown and unknown[0].startswith("-"):
        raise unknown_option(unknown[0], spec)
    if unknown:
        raise _misplaced_word(line, unknown[0], spec, names)
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
    cell = read_line(line, variables)
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


def _parse(words: Sequence[str], spec: ModelSpec) -> tuple[dict[str, Any], list[str]]:
    """Return the options of a line by name, and the words that are none."""
    options, unknown = parser_of(spec).parse_known_args(_plain_switches(words, spec))
    return vars(options), unknown


def _plain_switches(words: Sequence[str], spec: ModelSpec) -> list[str]:
    """Return the words with `--sound yes` and `--sound=no` as `--sound` and `--no-sound`."""
    on_off = switches(spec)
    plain: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        before = plain[-1] if plain and not equals else name
        is_on = _SWITCH_VALUES.get((value if equals else word).lower())
        if before not in on_off:
            plain.append(word)
        elif is_on is None:
            plain += [name, value] if equals else [word]
        else:
            plain = plain if equals else plain[:-1]
            plain += filter(None, [before if is_on else on_off[before]])
    return plain


def split_prompt(line: str) -> tuple[str, str]:
    """Return the options of a line and the prompt behind them; no prompt if there are mistakes."""
    parts = line.split()
    for count in range(len(parts), 0, -1):
        with suppress(InvalidInput):
            words = _split(" ".join(parts[:count]))
            if not _parse(words, model_of(words))[1]:
                break
    else:
        count = 0
    if any(part.startswith("-") for part in parts[count:]):
        return line.strip(), ""
    return " ".join(parts[:count]), " ".join(parts[count:])


def _misplaced_word(line: str, word: str, spec: ModelSpec, names: Collection[str]) -> InvalidInput:
    """Return the error for a word that belongs to no option; see `read_line`."""
    words, on_off = _plain_switches(_split(line), spec), switches(spec)
    before = next((one for one, other in pairwise(words) if other == word), "")
    name, _, value = word.partition("=")
    named = f"--{name.replace('_', '-')}"
    if option := source_option(word, spec, names):
        advice = f"did you mean `{option} {shlex.quote(word)}`? {PROMPT_PLACE}"
    elif before and before in {*on_off, *on_off.values()}:
        advice = f"write `{before}` without a value"
    elif named in options_of(spec):
        advice = f"did you mean `{f'{named} {value}'.rstrip()}`?"
    else:
        return _misplaced_prompt(line, word)
    return InvalidInput.of("line", f"{word!r} is not an option", advice)


def _misplaced_prompt(line: str, word: str) -> InvalidInput:
    """Return the error for a prompt on the first line; `word` is its first one."""
    options, prompt = split_prompt(line)
    cell = f": `{f'%%kling {options}'.rstrip()}`, then `{prompt}`" if prompt else ""
    return InvalidInput.of("line", f"{word!r} is not an option", f"{PROMPT_PLACE}{cell}")


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
