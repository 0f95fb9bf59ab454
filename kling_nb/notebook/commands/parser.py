"""Declare the arguments of `%kling` commands: parse, describe and complete them with argparse.

From words to arguments; must not depend on sessions or the display.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeVar

from kling_nb.core.errors import InvalidInput
from kling_nb.core.formatting import format_count

_F = TypeVar("_F", bound=Callable[..., Any])


class Argument:
    """An argument of a command.

    Args:
        names: As `ArgumentParser.add_argument` takes them.
        values: Returns the values to complete; by default the `choices`.
        options: As `ArgumentParser.add_argument` takes them.
    """

    def __init__(
        self, *names: str, values: Callable[[], Sequence[str]] | None = None, **options: Any
    ) -> None:
        choices = options.get("choices", ())
        self.names = names
        self.values = values or (lambda: choices)
        self.options = {"metavar": "|".join(choices), **options} if choices else options


class CommandParser(argparse.ArgumentParser):
    """The arguments of one command; an error is one `InvalidInput` with the usage.

    Args:
        name: The word after `%kling`.
        help: What the command does, in one sentence.
        arguments: In the order of completion.
    """

    def __init__(self, name: str, help: str, arguments: Sequence[Argument]) -> None:
        has_options = any(each.names[0].startswith("-") for each in arguments)
        super().__init__(
            prog=name,
            add_help=False,
            allow_abbrev=False,
            prefix_chars="-" if has_options else "\0",  # a value may begin with a dash
            formatter_class=lambda prog: argparse.HelpFormatter(prog, width=200),
        )
        self._values = [
            (self.add_argument(*each.names, **each.options), each.values) for each in arguments
        ]
        self.usage_line = self.format_usage().removeprefix("usage: ").strip()
        """The command with its arguments: `show ID`."""
        self.help = help
        """What the command does."""
        self.help_line = f"`{self.usage_line}`: {help}"

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Return the arguments by name.

        Raises:
            InvalidInput: A word is unknown or missing, or a value is not allowed.
        """
        if words and not self._values:
            # Not shown: the word after `login` may be a key.
            self.error(f"{format_count(len(words), 'value')} given")
        options = {option for action, _ in self._values for option in action.option_strings}
        for word in words if options else ():
            # argparse would report the value behind it, as a wrong argument.
            if word.startswith("--") and word.partition("=")[0] not in options:
                self.error(f"{word!r} is not allowed")
        arguments, unknown = self.parse_known_intermixed_args(list(words))
        if unknown:
            self.error(f"{' '.join(unknown)!r} is not allowed")
        return vars(arguments)

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse would print."""
        usage = f"usage: `%kling {self.usage_line}`"
        raise InvalidInput.of(self.prog, message.removeprefix("argument "), usage)

    def complete(self, words: Sequence[str]) -> list[str]:
        """Return the words that may come after these."""
        found: list[str] = []
        for action, values in self._values:
            if words and words[-1] in action.option_strings and action.nargs != 0:
                return list(values())
            found += action.option_strings or values()
        return [each for each in found if each not in words]


PARSERS: Final[dict[str, CommandParser]] = {}
"""Every command by name, in the order of the help."""


def command(*arguments: Argument) -> Callable[[_F], _F]:
    """Declare a method as the command of its name; its docstring is the help."""

    def declare(function: _F) -> _F:
        name = function.__name__
        PARSERS[name] = CommandParser(name, str(function.__doc__), arguments)
        return function

    return declare
