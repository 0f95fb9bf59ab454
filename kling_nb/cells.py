"""The text of a `%%kling` cell: read it, write it, complete it.

The options are derived from a model's spec, so a new parameter is an option without a line here.
Text to values and back; no IPython, and no opening of what a value names.
"""

from __future__ import annotations

import argparse
import difflib
import keyword
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from .errors import InvalidInput
from .kinds import Choice, Flag, Media
from .models import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .specs import ModelSpec, Parameter

__all__ = [
    "EMBED_CHOICES",
    "Cell",
    "fill_prompt",
    "find_model",
    "help_text",
    "names_in",
    "nearest",
    "options_of",
    "read_cell",
    "read_line",
    "write_cell",
]

EMBED_CHOICES = ("auto", "always", "never")
_PROMPT = "prompt"
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a `%%kling` cell asks for."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name, unvalidated; media as the text that was written."""
    output: str = ""
    """The variable that gets the job."""
    wait: bool = False
    take: int = 1
    dry_run: bool = False
    embed: str = "auto"
    callback_url: str = ""


class _Parser(argparse.ArgumentParser):
    """argparse without its exits and without guesses: an error is one `InvalidInput`."""

    def error(self, message: str) -> NoReturn:
        raise InvalidInput.of("line", message, f"see {self.prog}?")


def read_line(line: str) -> Cell:
    """The options of a `%%kling` line; `values` has no prompt yet.

    Raises:
        InvalidInput: An option is unknown (the nearest is named) or its value not allowed.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InvalidInput.of("line", f"{line!r}: {error}", "close the quotes") from None
    spec = _spec_of(words)
    parser = _parser(spec)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        raise _unknown(unknown[0], spec)
    read = vars(options)
    values = {p.name: read[p.name] for p in spec.parameters if read.get(p.name) is not None}
    if read["take"] < 1:
        raise InvalidInput.of("take", f"{read['take']}", "takes count from 1")
    if read["output"] and not _is_name(read["output"]):
        raise InvalidInput.of("output", f"{read['output']!r}", "give a Python variable name")
    return Cell(
        spec=spec,
        values=values,
        output=read["output"],
        wait=read["wait"],
        take=read["take"],
        dry_run=read["dry_run"],
        embed=read["embed"],
        callback_url=read["callback"],
    )


def read_cell(line: str, body: str, variables: Mapping[str, object]) -> Cell:
    """A whole `%%kling` cell: the body is the prompt, `{{name}}` in it replaced by a variable."""
    cell = read_line(line)
    prompt = fill_prompt(body, variables)
    return replace(cell, values={**cell.values, _PROMPT: prompt})


def write_cell(spec: ModelSpec, values: Mapping[str, object], *, take: int = 1) -> str:
    """The `%%kling` cell that asks for the same.

    Args:
        spec: The model.
        values: By parameter name; media as text (a path, a URL, a variable's name).
        take: Which take.
    """
    words = ["%%kling"]
    usual = IMAGE_TO_VIDEO if spec.media and "image" in values else TEXT_TO_VIDEO
    if spec is not usual:
        words += ["--model", spec.name]
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        if parameter.name == _PROMPT or value is None or value == parameter.default:
            continue
        option = f"--{parameter.name.replace('_', '-')}"
        if isinstance(parameter.kind, Flag):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            text = shlex.quote(str(value))
            # Joined where the value begins with a dash, which would read as an option.
            words.append(f"{option}={text}" if str(value).startswith("-") else f"{option} {text}")
    if take != 1:
        words += ["--take", str(take)]
    return " ".join(words) + "\n" + str(values.get(_PROMPT, ""))


def fill_prompt(body: str, variables: Mapping[str, object]) -> str:
    """The prompt, with each `{{name}}` replaced by the text of that variable; all else is raw.

    Raises:
        InvalidInput: There is no such variable.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables:
            close = nearest(name, [known for known in variables if not known.startswith("_")])
            hint = f"; did you mean {close!r}?" if close else ""
            raise InvalidInput.of(
                _PROMPT, f"there is no variable {name!r}", f"define it first{hint}"
            )
        return str(variables[name])

    return _VARIABLE.sub(value_of, body)


def names_in(body: str) -> list[str]:
    """The variables that a prompt names."""
    return _VARIABLE.findall(body)


def find_model(name: str) -> ModelSpec:
    """The model of that name.

    Raises:
        InvalidInput: There is none; the nearest is named.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = nearest(name, list(CATALOGUE))
    hint = f"; did you mean {close}?" if close else ""
    raise InvalidInput.of(
        "model", f"{name!r} is not known", "allowed: " + ", ".join(CATALOGUE) + hint
    )


def help_text() -> str:
    """What `%%kling?` shows: usage, then every option of every model."""
    parts = [
        "Make a Kling clip. The body of the cell is the prompt; {{name}} in it is replaced by a",
        "variable. The same cell again costs nothing: it shows the clip that is there.",
        "",
        "    %%kling --image fox.png --duration 5 --sound -o fox",
        "    A red fox shakes the snow off its coat, slow push-in",
        "",
    ]
    for spec in CATALOGUE.values():
        parts += [f"{spec.title} ({spec.name})", _parser(spec).format_help()]
    return "\n".join(parts)


def options_of(spec: ModelSpec) -> Mapping[str, tuple[str, ...]]:
    """Every option of a model, and the choices of those that have some; for completion."""
    found: dict[str, tuple[str, ...]] = {}
    for action in _parser(spec)._actions:  # argparse has no public list of its options
        for option in action.option_strings:
            found[option] = tuple(str(choice) for choice in action.choices or ())
    found["--model"] = found["-m"] = tuple(CATALOGUE)
    return found


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that is most like it; empty when none is."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return found[0] if found else ""


def _spec_of(words: Sequence[str]) -> ModelSpec:
    finder = _Parser(prog="%%kling", add_help=False, allow_abbrev=False)
    finder.add_argument("--model", "-m", default="")
    finder.add_argument("--image", "-i", default=None)
    found, _ = finder.parse_known_args(list(words))
    if found.model:
        return find_model(found.model)
    return TEXT_TO_VIDEO if found.image is None else IMAGE_TO_VIDEO


def _parser(spec: ModelSpec) -> _Parser:
    parser = _Parser(
        prog="%%kling",
        add_help=False,
        allow_abbrev=False,
        usage="%%%%kling [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=88),
    )
    for parameter in spec.parameters:
        if parameter.name != _PROMPT:
            _add(parser, parameter, spec.remarks(parameter.name))
    add = parser.add_argument
    add("--model", "-m", default=spec.name, help="the model; by default one that fits the input")
    add("--output", "-o", default="", metavar="NAME", help="the variable that gets the job")
    add("--wait", "-w", action="store_true", help="keep the cell until the clip is there")
    add("--take", type=int, default=1, metavar="N", help="another result for the same request")
    add("--dry-run", "-n", action="store_true", help="say what it would cost; send nothing")
    add("--embed", choices=EMBED_CHOICES, default="auto", help="how much goes into the notebook")
    add("--callback", default="", metavar="URL", help="told when the task ends")
    return parser


def _add(parser: _Parser, parameter: Parameter, remarks: Sequence[str]) -> None:
    option = f"--{parameter.name.replace('_', '-')}"
    names = [option, f"-{parameter.flag}"] if parameter.flag else [option]
    text = "; ".join((parameter.help, *remarks)).replace("%", "%%")
    match parameter.kind:
        case Flag():
            parser.add_argument(
                *names, action=argparse.BooleanOptionalAction, default=None, help=text
            )
        case Choice(options=options):
            text = f"{text}: {', '.join(options)}"
            default = f" (default {parameter.default})" if parameter.default else ""
            parser.add_argument(*names, default=None, metavar="X", help=text + default)
        case Media():
            parser.add_argument(*names, default=None, metavar="SOURCE", help=text)
        case _:
            parser.add_argument(*names, default=None, metavar="X", help=text)


def _unknown(word: str, spec: ModelSpec) -> InvalidInput:
    if not word.startswith("-"):
        return InvalidInput.of(
            "line", f"{word!r} is no option", "the prompt goes into the body of the cell"
        )
    name = word.partition("=")[0]
    options = {
        each: [o for o in options_of(CATALOGUE[each]) if o[:2] == "--"] for each in CATALOGUE
    }
    hint = ""
    if takers := [each for each in CATALOGUE if name in options[each]]:
        hint = f"only {', '.join(takers)} takes it; "
    # Among all models' options: without a well-written --image the model is a guess.
    elif close := nearest(name, [option for each in CATALOGUE for option in options[each]]):
        hint = f"did you mean {close}? "
    allowed = ", ".join(options[spec.name])
    return InvalidInput.of("line", f"{word!r} is no option", f"{hint}allowed: {allowed}")


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)
