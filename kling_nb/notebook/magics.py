"""Run `%%kling` cells: submit, show, wait and complete.

Options and help derive from the specs (`models/cell`). `extension` registers the magics.
"""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from kling_nb.core.errors import InvalidInput, KlingError, WaitInterrupted
from kling_nb.core.money import Funds
from kling_nb.core.text import nearest
from kling_nb.display import html
from kling_nb.display.cards.card import Card, show_card
from kling_nb.display.cards.placeholder import Placeholder
from kling_nb.display.front_end import front_end
from kling_nb.display.notice import show_notice
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.prepare import Quote
from kling_nb.models import cell as cells
from kling_nb.models import option_parser
from kling_nb.models.catalog import IMAGE_TO_VIDEO
from kling_nb.models.cell_variables import is_variable, media_texts, missing_variables, resolve
from kling_nb.models.clip_request import ClipRequest

from .input_transformers import CellClock

_LAST_DISPLAY_S = 60.0


class KlingMagics:
    """The `%%kling` cells of one shell.

    Args:
        shell: The interactive shell.
        clock: Counts the cells of the shell.
    """

    def __init__(self, shell: Any, clock: CellClock) -> None:
        self.shell = shell
        self.clock = clock
        self._shown: dict[int, tuple[int, Card]] = {}

    def run_cell(self, line: str, body: str, placeholder: Placeholder) -> Job | None:
        """Run a `%%kling` cell: submit, show, and wait with `--wait` or in a headless run."""
        cell, job = self._submit(line, body, placeholder)
        if job is None:
            return None
        if cell.wait or front_end(self.shell) == "headless":
            self._wait(job, self.show(job))
        return None if cell.output else job

    async def run_awaited(self, line: str, body: str, placeholder: Placeholder) -> Job | None:
        """Run a `%%kling --wait` cell; the kernel answers clicks while it waits."""
        cell, job = self._submit(line, body, placeholder)
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
        before = words[-2 if event.symbol else -1]
        try:
            spec = cells.model_of(words[1:-1] if event.symbol else words[1:])
        except InvalidInput:
            spec = IMAGE_TO_VIDEO
        specs = [spec]
        if not {"--model", "-m"} & set(words):
            # A prompt alone selects another model; an image may still follow.
            specs.append(IMAGE_TO_VIDEO)
        options = {
            name: given for each in specs for name, given in option_parser.options_of(each).items()
        }
        if choices := options.get(before):
            return list(choices)
        if any(before in option_parser.source_options(each) for each in specs):
            return self._sources(event.symbol)
        return list(options)

    def _sources(self, start: str) -> list[str]:
        names = [name for name in self.shell.user_ns if not name.startswith("_")]
        files = sorted(glob.glob(f"{glob.escape(start)}*")) if start else []
        return names + files

    def _submit(
        self, line: str, body: str, placeholder: Placeholder
    ) -> tuple[cells.Cell, Job | None]:
        variables = self.shell.user_ns
        cell = _read_cell(line, body, variables)
        request = _resolve(cell, variables)
        session = default_session()
        if cell.dry_run:
            quote = session.quote(request)
            placeholder.remove()
            show_quote(quote)
            return cell, None
        # Submits at the end of the block, if the card is shown.
        with session.submitting(request) as job:
            card = show_card(job, self.shell, cell.embed, placeholder.handle)
            placeholder.is_replaced = True
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


def _read_cell(line: str, body: str, variables: dict[str, Any]) -> cells.Cell:
    try:
        return cells.read_cell(line, body, variables)
    except InvalidInput:
        from .commands.help import not_a_cell
        from .commands.parser import PARSERS

        words = line.split()
        if not body.strip() and words and words[0] in PARSERS:
            raise not_a_cell(words) from None
        raise


def _resolve(cell: cells.Cell, variables: dict[str, Any]) -> ClipRequest:
    """Return the request of a cell; replace the names of variables by their values."""
    found = resolve(cell.spec, cell.values, variables)
    if names := missing_variables(cell.spec, found.values):
        allowed = f"define it first; for a file with that name, write './{{{names[0]}}}'"
        raise InvalidInput.of("line", f"there is no variable {names[0]!r}", allowed)
    for name, texts in media_texts(cell.spec, found.values).items():
        for text in texts:
            if is_variable(text) and not os.path.exists(text):
                raise _nothing_named(name, text, variables)
    return ClipRequest(cell.spec, found.values, cell.take, cell.callback_url, found.written)


def _nothing_named(parameter: str, text: str, variables: Mapping[str, object]) -> InvalidInput:
    """Return the error for an input that is the name of neither a variable nor a file."""
    values = {
        name: value
        for name, value in variables.items()
        if not (name.startswith("_") or callable(value) or isinstance(value, ModuleType))
    }
    found = {"variable": nearest(text, list(values)), "file": nearest(text, os.listdir())}
    close = " or ".join(f"the {kind} {name!r}" for kind, name in found.items() if name)
    advice = f"did you mean {close}?" if close else "define the variable first, or give a path"
    given = f"there is no variable and no file {text!r}"
    return InvalidInput.of(parameter, given, advice)


def show_quote(quote: Quote) -> None:
    """Show the result of a dry run."""
    price = html.price_line(
        quote.inputs.values(),
        quote.price_credits,
        funds=Funds(quote.balance_credits, quote.budget_credits),
        emulated=quote.emulated,
        label=html.about_prefix(quote.model, datetime.now(UTC)),
        remark=html.NO_CREDITS if quote.emulated else "",
    )
    lines = [price, "Nothing was sent."]
    if quote.existing is not None:
        row = quote.existing
        lines = [f"Job {row.id} has the same request ({row.shown_stage}): 0 credits now.", price]
    lines += [html.warning_text(warning) for warning in quote.warnings]
    kind: html.NoticeKind = "warning" if quote.warnings else "info"
    show_notice(kind, f"Dry run of {quote.model}", lines)
