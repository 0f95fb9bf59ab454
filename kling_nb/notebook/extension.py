"""Register magics, completion, input transformers and displays with an IPython shell.

`%load_ext` waits for this module. It imports `magics` and `commands`, which load the models, HTTP,
SQLite and ipywidgets, only when a cell uses them.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.magic import no_var_expand
from IPython.utils.generics import complete_object

from kling_nb.core.console import accept_all_characters
from kling_nb.display.front_end import reported_notebooks
from kling_nb.jobs.default_session import find_notebook

from .greeting import greet
from .input_transformers import AWAITED, CLEANUP, CellClock, awaiting

if TYPE_CHECKING:
    from kling_nb.jobs.job import Job

    from .commands import Commands
    from .magics import KlingMagics

_BEFORE_PYTHON = 1000.0
"""Priority of the completions, above that of Python names."""


class _OffersNames(type):
    """Has as subclasses the classes of this package that say by `__dir__` what they offer.

    None of them is imported before it is used.
    """

    def __subclasscheck__(cls, other: type) -> bool:
        """Return whether a class is one, or made from one: a widget has a class of its own."""
        ours = (base for base in other.__mro__ if base.__module__.startswith("kling_nb."))
        return any("__dir__" in vars(base) for base in ours)


class _Named(metaclass=_OffersNames):
    """An object of such a class."""


@complete_object.register  # type: ignore[untyped-decorator]
def _complete_names(thing: _Named, _words: list[str]) -> list[str]:
    """Return the names to offer; IPython adds those of the class, unless Jedi is used."""
    return dir(thing)


class Extension:
    """The extension of one shell.

    Args:
        shell: The interactive shell.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.clock = CellClock(shell)
        self._await = awaiting(self.clock)
        self._complete = self._matcher()
        self._is_registered = False

    @cached_property
    def magics(self) -> KlingMagics:
        """The `%%kling` cells of the shell."""
        from .magics import KlingMagics

        return KlingMagics(self.shell, self.clock)

    @cached_property
    def commands(self) -> Commands:
        """The `%kling` commands of the shell."""
        from .commands import Commands

        return Commands(self.shell)

    def register(self) -> None:
        """Add magics, transformers, completion and displays to the shell."""
        if self._is_registered:
            return
        self._is_registered = True

        def kling(line: str, cell: str | None = None) -> Job | None:
            """Run a command (`%kling`), or make a clip (`%%kling`)."""
            return self.commands.run(line) if cell is None else self.magics.run_cell(line, cell)

        def kling_awaited(line: str, cell: str) -> Coroutine[Any, Any, Job | None]:
            return self.magics.run_awaited(line, cell)

        # IPython calls `getdoc` for `%%kling?`; a docstring would load the models now.
        vars(kling)["getdoc"] = self.help_text
        # IPython must not expand `{}` and `$`: prompts may contain them.
        register = self.shell.register_magic_function
        register(no_var_expand(kling), "line_cell", "kling")
        register(no_var_expand(kling_awaited), "cell", AWAITED)
        self.shell.input_transformers_cleanup[:0] = CLEANUP
        self.shell.input_transformers_post.append(self._await)
        self.shell.Completer.custom_matchers.append(self._complete)
        self.teach_displays()

    def teach_displays(self) -> None:
        """Display jobs as live cards; repeated calls have no effect."""
        accept_all_characters()
        formatter = self.shell.display_formatter.ipython_display_formatter
        formatter.for_type_by_name("kling_nb.jobs.job", "Job", self._show)

    def _show(self, job: Job) -> None:
        self.magics.show(job)

    def unregister(self) -> None:
        """Remove the transformers and the completion; IPython cannot remove a magic."""
        if not self._is_registered:
            return
        self._is_registered = False
        for transformer in CLEANUP:
            self.shell.input_transformers_cleanup.remove(transformer)
        self.shell.input_transformers_post.remove(self._await)
        self.shell.Completer.custom_matchers.remove(self._complete)

    def help_text(self) -> str:
        """Return the help of `%%kling` and `%kling`."""
        from kling_nb.models.option_parser import help_text

        return f"{help_text()}\n{self.commands.help_text()}"

    def complete(self, event: Any) -> list[str]:
        """Return the words that can complete a `%kling` or `%%kling` line."""
        is_command = event.line.split()[:1] == ["%kling"]
        return (self.commands if is_command else self.magics).complete(event)

    def _matcher(self) -> Any:
        """Return a completer for the magics; a hook would list all Python names first."""

        @context_matcher(identifier="kling_nb", priority=_BEFORE_PYTHON)  # type: ignore[untyped-decorator]
        def match(context: CompletionContext) -> SimpleMatcherResult:
            line, symbol = context.text_until_cursor, context.token
            found: list[str] = []
            if line.startswith(("%kling ", "%%kling ")):
                found = self.complete(SimpleNamespace(line=line, symbol=symbol))
            completions = [
                SimpleCompletion(each, type="option") for each in found if each.startswith(symbol)
            ]
            return SimpleMatcherResult(completions=completions, suppress=True, ordered=True)

        return match


def load(shell: Any) -> None:
    """Register the magics with a shell once, and show the status."""
    extension_of(shell).register()
    greet(shell)


def unload(shell: Any) -> None:
    """Undo `load`; the names of the magics remain."""
    extension_of(shell).unregister()


def teach_displays(shell: Any) -> None:
    """Display jobs and clips as cards, without the magics."""
    extension_of(shell).teach_displays()


def extension_of(shell: Any) -> Extension:
    """Return the extension of a shell; the first call creates it."""
    extension: Extension | None = getattr(shell, "_kling_extension", None)
    if extension is None:
        extension = shell._kling_extension = Extension(shell)
        find_notebook(lambda: next(iter(reported_notebooks(shell.user_ns, os.environ)), ""))
    return extension
