"""IPython magics: `%%kling` makes a clip, `%kling` runs all other commands.

Options and help derive from the specs (`models/cell`); commands are in `commands`. This
module connects them to a shell: variables, the display of jobs, waiting.
"""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.magic import no_var_expand

from kling_nb.core.errors import InvalidInput, KlingError, WaitInterrupted
from kling_nb.display.cards.card import Card, register_jobs, show_card
from kling_nb.display.front_end import front_end, reported_notebooks
from kling_nb.jobs.default_session import default_session, find_notebook
from kling_nb.jobs.job import Job
from kling_nb.models import cell as cells
from kling_nb.models.catalog import IMAGE_TO_VIDEO
from kling_nb.models.cell_variables import missing_variables, resolve
from kling_nb.models.clip_request import ClipRequest

from .commands import Commands
from .input_transformers import AWAITED, CellClock, awaiting, with_body, without_comments

_LAST_DISPLAY_S = 60.0
_BEFORE_PYTHON = 1000.0
"""The priority of our completions, above those of Python names."""


class KlingMagics:
    """The magics of one shell.

    Args:
        shell: The interactive shell.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.clock = CellClock(shell)
        self.commands = Commands(shell)
        self._await = awaiting(self.clock)
        self._complete = self._matcher()
        self._is_registered = False
        self._shown: dict[int, tuple[int, Card]] = {}

    def register(self) -> None:
        """Add magics, transformers, completion and displays to the shell."""
        if self._is_registered:
            return
        self._is_registered = True

        def kling(line: str, cell: str | None = None) -> Job | None:
            return self.commands.run(line) if cell is None else self.run_cell(line, cell)

        def kling_awaited(line: str, cell: str) -> Coroutine[Any, Any, Job | None]:
            return self.run_awaited(line, cell)

        kling.__doc__ = f"{cells.help_text()}\n{self.commands.help_text()}"
        # IPython must not expand braces and dollars, which may be part of a prompt.
        register = self.shell.register_magic_function
        register(no_var_expand(kling), "line_cell", "kling")
        register(no_var_expand(kling_awaited), "cell", AWAITED)
        self.shell.input_transformers_cleanup[:0] = [without_comments, with_body]
        self.shell.input_transformers_post.append(self._await)
        self.shell.Completer.custom_matchers.append(self._complete)
        self.teach_displays()

    def teach_displays(self) -> None:
        """Display jobs and clips as cards."""
        register_jobs(self.shell, self.show)

    def unregister(self) -> None:
        """Remove the transformers and the completion; IPython cannot remove a magic."""
        if not self._is_registered:
            return
        self._is_registered = False
        for transformer in (without_comments, with_body):
            self.shell.input_transformers_cleanup.remove(transformer)
        self.shell.input_transformers_post.remove(self._await)
        self.shell.Completer.custom_matchers.remove(self._complete)

    def run_cell(self, line: str, body: str) -> Job | None:
        """Run a `%%kling` cell: submit, show, and wait with `--wait` or in a headless run."""
        cell, job = self._submit(line, body)
        if job is None:
            return None
        if cell.wait or front_end(self.shell) == "headless":
            self._wait(job, self.show(job))
        return None if cell.output else job

    async def run_awaited(self, line: str, body: str) -> Job | None:
        """Run a `%%kling --wait` cell; the kernel answers clicks while it waits."""
        cell, job = self._submit(line, body)
        if job is None:
            return None
        try:
            await job
            await asyncio.wrap_future(self.show(job).settled)
        except asyncio.CancelledError:
            # An interrupt reaches an awaiting cell as a cancellation.
            raise WaitInterrupted(job.interrupted_text) from None
        return None if cell.output else job

    def show(self, job: Job) -> Card:
        """Display the card of a job, once per cell."""
        now = self.clock.now
        self._shown = {key: shown for key, shown in self._shown.items() if shown[0] == now}
        _, card = self._shown.get(id(job), (0, None))
        if card is None:
            card = show_card(job, self.shell)
            self._shown[id(job)] = (now, card)
            if front_end(self.shell) == "headless":
                # Output after the end of the cell would not be saved.
                with suppress(KlingError):
                    self._wait(job, card)
        return card

    def complete(self, event: Any) -> list[str]:
        """Return the options, choices, paths or variables that may follow."""
        words = event.line.split()
        if words and words[0] == "%kling":
            return self.commands.complete(event)
        before = words[-2 if event.symbol else -1]
        try:
            spec = cells.model_of(words[1:-1] if event.symbol else words[1:])
        except InvalidInput:
            spec = IMAGE_TO_VIDEO
        specs = [spec]
        if not {"--model", "-m"} & set(words):
            # A prompt alone selects another model; an image may still follow.
            specs.append(IMAGE_TO_VIDEO)
        options = {name: given for each in specs for name, given in cells.options_of(each).items()}
        if choices := options.get(before):
            return list(choices)
        if any(before in cells.source_options(each) for each in specs):
            return self._sources(event.symbol)
        return list(options)

    def _matcher(self) -> Any:
        """Return a completer for our magics; a hook would list all Python names first."""

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

    def _sources(self, start: str) -> list[str]:
        names = [name for name in self.shell.user_ns if not name.startswith("_")]
        files = sorted(glob.glob(f"{glob.escape(start)}*")) if start else []
        return names + files

    def _submit(self, line: str, body: str) -> tuple[cells.Cell, Job | None]:
        variables = self.shell.user_ns
        cell = cells.read_cell(line, body, variables)
        wish = _resolve(cell, variables)
        session = default_session()
        if cell.dry_run:
            self.commands.show_quote(session.quote(wish))
            return cell, None
        with session.submitting(
            wish
        ) as job:  # submits at the end of the block, if the card is shown
            card = show_card(job, self.shell, cell.embed)
            self._shown[id(job)] = (self.clock.now, card)
            if cell.output:
                variables[cell.output] = job
        return cell, job

    def _wait(self, job: Job, card: Card) -> None:
        try:
            job.result()
        finally:
            if job.done():
                with suppress(TimeoutError):  # would hide the job's own error
                    card.settled.result(_LAST_DISPLAY_S)


def load(shell: Any) -> None:
    """Register the magics with a shell, once, and show the status."""
    magics = _magics_of(shell)
    magics.register()
    magics.commands.greet()


def unload(shell: Any) -> None:
    """Undo `load`, except for the names of the magics."""
    _magics_of(shell).unregister()


def teach_displays(shell: Any) -> None:
    """Display jobs and clips as cards, without the magics."""
    _magics_of(shell).teach_displays()


def _magics_of(shell: Any) -> KlingMagics:
    magics: KlingMagics | None = getattr(shell, "_kling_magics", None)
    if magics is None:
        magics = shell._kling_magics = KlingMagics(shell)
        find_notebook(lambda: next(iter(reported_notebooks(shell.user_ns, os.environ)), ""))
    return magics


def _resolve(cell: cells.Cell, variables: dict[str, Any]) -> ClipRequest:
    """Return the request of a cell; replace the names of variables by their values."""
    found = resolve(cell.spec, cell.values, variables)
    if names := missing_variables(cell.spec, found.values):
        allowed = f"define it first; for a file with that name, write './{{{names[0]}}}'"
        raise InvalidInput.of("line", f"there is no variable {names[0]!r}", allowed)
    return ClipRequest(cell.spec, found.values, cell.take, cell.callback_url, found.written)
