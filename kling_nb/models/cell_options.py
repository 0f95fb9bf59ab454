"""Options of a `%%kling` line: derive them from a model's spec, parse, document, complete.

A new parameter becomes an option without a change here. Must not depend on the values of a cell.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import NoReturn

from kling_nb.core.errors import InvalidInput

from .catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .lookup import format_inputs, nearest
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
    add("--callback", default="", metavar="URL", help="called when the task ends")
    return parser


def help_text() -> str:
    """Return the text of `%%kling?`: usage, models, and the options of the default models."""
    width = max(map(len, CATALOGUE)) + 2
    models = [f"    {spec.name:<{width}}{format_inputs(spec)}" for spec in CATALOGUE.values()]
    parts = [
        "Make a Kling clip. The body of the cell is the prompt; {{name}} in it is replaced by a",
        "variable, \\{{name}} is the text itself. Running the cell again costs nothing and shows",
        "the saved clip.",
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
            "line", f"{word!r} is no option", "the prompt goes into the body of the cell"
        )
    name = word.partition("=")[0]
    options = {
        each: [o for o in options_of(CATALOGUE[each]) if o[:2] == "--" or o == name]
        for each in CATALOGUE
    }
    hint = ""
    if models := [each for each in CATALOGUE if name in options[each]]:
        verb = "takes" if len(models) == 1 else "take"
        hint = f"only {', '.join(models)} {verb} it: name one by --model; "
    # Searches the options of all models: a misspelt --image selects the wrong model.
    elif close := nearest(name, [o for each in CATALOGUE for o in _long(options[each])]):
        hint = f"did you mean {close}? "
    allowed = ", ".join(_long(options[spec.name]))
    return InvalidInput.of("line", f"{word!r} is no option", f"{hint}allowed: {allowed}")


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
