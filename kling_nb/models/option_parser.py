"""The options of a `%%kling` line: parse, document and complete them, and explain a mistake.

All are derived from a model's spec, so a new parameter becomes an option without a change here.
Does not use IPython or open the files that a value names.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NoReturn

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import similar

from .catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .lookup import format_inputs
from .spec import ModelSpec, Parameter

EMBED_CHOICES = ("auto", "always", "never")
PROMPT = "prompt"
"""The parameter that is the body of a cell."""
PROMPT_PLACE: Final = "the prompt goes into the body of the cell"
_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"),
    "video": (".mp4", ".mov", ".m4v", ".webm", ".mkv"),
    "audio": (".mp3", ".wav", ".m4a", ".aac", ".ogg"),
}
"""Endings of files that people give, to guess the option that they mean."""


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


def switches(spec: ModelSpec) -> dict[str, str]:
    """Return the options without a value, each with its opposite; empty where it has none."""
    of_model = [p for p in _line_parameters(spec) if p.kind.is_switch]
    found = {name: negative_option(p) for p in of_model for name in _names(p)}
    return found | dict.fromkeys(("--wait", "-w", "--dry-run", "-n"), "")


def unknown_option(word: str, spec: ModelSpec) -> InvalidInput:
    """Return the error for an option that the model does not have: the closest one comes first."""
    given, name = f"{word!r} is not an option", word.partition("=")[0]
    if name in {"-h", "--help"}:
        return InvalidInput.of("line", given, "`%kling help` explains the options")
    if name == option_name(spec.parameter(PROMPT)):
        return InvalidInput.of("line", given, PROMPT_PLACE)
    options = {
        each: [o for o in options_of(CATALOGUE[each]) if o[:2] == "--" or o == name]
        for each in CATALOGUE
    }
    # Searches the options of all models: a misspelt --image selects the wrong model.
    every = dict.fromkeys(o for each in (spec.name, *CATALOGUE) for o in _long(options[each]))
    close = similar(name, list(every))
    hint = f"did you mean {close[0]}? " if close else ""
    if models := [each for each in CATALOGUE if name in options[each]]:
        verb = "takes" if len(models) == 1 else "take"
        hint = f"only {', '.join(models)} {verb} it: set --model; "
    own = _long(options[spec.name])
    own.sort(key=lambda option: close.index(option) if option in close else len(close))
    return InvalidInput.of("line", given, f"{hint}options of {spec.name}: {', '.join(own)}")


def source_option(word: str, spec: ModelSpec, names: Collection[str]) -> str:
    """Return the option for a word that is a file, a URL or a variable; else an empty text."""
    path = word.partition("?")[0].lower()
    found = [medium for medium, suffixes in _SUFFIXES.items() if path.endswith(suffixes)]
    if not found and (word in names or path.startswith(("http://", "https://"))):
        found = ["image"]
    if not found:
        return ""
    options = (option_name(p) for p in spec.media if p.kind.medium == found[0])
    return next(options, f"--{found[0]}")


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
