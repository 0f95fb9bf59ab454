"""Quotation: what Run All of a notebook would cost now, each request by itself and in all.

Joins what `inventory` reads with what the ledger has, the price lists and the balance. Nothing of
the notebook is run, no picture is uploaded or fetched, and nothing is sent but the question for
the balance.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython

from . import html
from .aliases import UNCERTAIN
from .cells import find_model, names_in, read_cell
from .default import default_session
from .errors import InvalidInput, MediaError
from .html.units import date_words, number_words
from .index import PaidIndex
from .inventory import CallWanted, CellWanted, Unclear, Wanted, take_inventory
from .jobs import Clip
from .ledger import Row
from .models import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from .notebook_file import NotebookFile, current_notebook, told_notebooks
from .notices import show_notice, show_table
from .preparation import Wish
from .session import Session
from .sources import find_source
from .specs import fingerprint, price_credits, validate
from .states import FOLLOWED, Stage

__all__ = ["Line", "Quotation", "describe", "quote", "show_quotation", "table"]

_TEXTS = (str, int, float, bool)
"""What may stand in a prompt without running code of the notebook's own."""
_PICTURES = (str, Path, bytes, bytearray, Clip)


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a notebook, and what it would cost."""

    cell: int
    """As `[3]` beside it once all cells were run in order."""
    prompt: str
    """Or the code, where no prompt is known."""
    model: str = ""
    seconds: str = ""
    credits: float | None = None
    """None where only running it tells."""
    note: str = ""
    """Why it costs nothing, or why that is not known."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """What Run All would cost."""

    notebook: Path
    saved_at: datetime
    """When it was saved: later changes are not counted."""
    lines: tuple[Line, ...]
    funds: html.Funds
    """The balance, and what the tightest budget leaves, as far as they are known."""
    emulated: bool

    @property
    def total_credits(self) -> float:
        """Of all that is known."""
        return sum(line.credits or 0.0 for line in self.lines)

    @property
    def unknown(self) -> int:
        """How many lines may cost something that is not in the total."""
        return sum(line.credits is None for line in self.lines)

    @property
    def is_covered(self) -> bool:
        """Whether balance and budget are enough for the total."""
        limits = (self.funds.balance_credits, self.funds.budget_credits)
        return all(limit is None or self.total_credits <= limit for limit in limits)

    def __str__(self) -> str:
        return "\n".join([html.table_text(*table(self)), *describe(self)])


def quote(notebook: str | Path = "") -> Quotation:
    """Tell what Run All of a notebook would cost; nothing of it is run.

    Args:
        notebook: The notebook, as it is saved on disk; the current one where it is not given.

    Raises:
        InvalidInput: There is no such notebook.
    """
    variables = getattr(get_ipython(), "user_ns", {})
    path = Path(notebook).expanduser() if notebook else current_notebook(variables, os.environ)
    book = NotebookFile.read(path)
    session = default_session()
    told = (name for name in told_notebooks(variables, os.environ) if os.path.isfile(name))
    is_ours = not notebook or any(os.path.samefile(name, path) for name in told)
    pricing = _Pricing(session, variables if is_ours else {}, Path() if is_ours else path.parent)
    lines = tuple(pricing.line(wanted) for wanted in take_inventory(book.sources()))
    return Quotation(
        book.path, book.saved_at, lines, session.funds(), session.service == "emulator"
    )


def describe(quotation: Quotation) -> list[str]:
    """The sum, in sentences for a person; the first is a title."""
    total, unknown = quotation.total_credits, quotation.unknown
    more = f", and what is unknown: {unknown} of {len(quotation.lines)}" if unknown else ""
    saved, name = quotation.saved_at.astimezone(), quotation.notebook.name
    now = datetime.now(UTC)
    ages = {html.age_word(line.model, now) for line in quotation.lines if line.credits}
    price = html.price_line(
        (),
        total,
        funds=quotation.funds,
        emulated=quotation.emulated,
        label=max(ages, default=""),
    )
    lines = [f"Run All would cost {html.price_words(total)}{more}", price]
    if not quotation.is_covered:
        lines.append("That is more than there is: some cells would be refused.")
    if any(line.note.startswith("refused") for line in quotation.lines):
        lines.append("Run All stops at the first cell that is refused.")
    lines.append(
        f"{name} as it was saved on {saved.day} {saved:%B at %H:%M:%S}, with variables as they "
        "are now. Nothing was sent but the question for the balance."
    )
    return lines


def show_quotation(quotation: Quotation) -> None:
    """Show the requests as a table, and the sum below it."""
    title, *lines = describe(quotation)
    if quotation.lines:
        show_table(*table(quotation), f"Requests of {quotation.notebook.name}")
    show_notice("info" if quotation.is_covered else "warning", title, lines)


def table(quotation: Quotation) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headers and rows, as plain text."""
    rows: list[tuple[str, ...]] = [
        (
            str(line.cell),
            html.one_line(line.prompt, 50),
            line.model.rpartition("/")[2],
            line.seconds,
            _cost(line),
        )
        for line in quotation.lines
    ]
    return ("cell", "prompt", "model", "seconds", "credits"), rows


def _cost(line: Line) -> str:
    if line.credits is None:
        return f"unknown: {line.note}"
    return (
        f"{number_words(line.credits)} ({line.note})" if line.note else number_words(line.credits)
    )


class _Doubt(Exception):
    """What a request says or costs cannot be known without running the notebook."""


class _Pricing:
    """Prices the requests of one notebook, in their order."""

    def __init__(self, session: Session, variables: Mapping[str, Any], folder: Path) -> None:
        self._session = session
        self._variables = variables
        self._folder = folder
        """What relative paths of pictures begin at."""
        self._seen: dict[str, int] = {}
        self._now = datetime.now().astimezone()

    def line(self, wanted: Wanted) -> Line:
        """One request with its price."""
        match wanted:
            case Unclear(number, code, why):
                return Line(number, code, note=why)
            case CellWanted(number, _, text):
                pass
            case CallWanted(number, function, args, values):
                text = str(values.get("prompt", next(reversed(args), function)))
        try:
            wish, is_dry = self._wish(wanted)
            line = self._priced(number, wish, pays=not is_dry)
        except _Doubt as doubt:
            return Line(number, text, note=str(doubt))
        except InvalidInput as invalid:
            return Line(number, text, credits=0.0, note=f"refused: {invalid}")
        return replace(line, credits=0.0, note="dry run") if is_dry else line

    def _wish(self, wanted: CellWanted | CallWanted) -> tuple[Wish, bool]:
        if isinstance(wanted, CallWanted):
            return _wish_of_call(wanted), False
        certain = {name: value for name, value in wanted.names.items() if value is not UNCERTAIN}
        known = {**self._variables, **certain}
        for name in names_in(wanted.body):
            if name not in known:
                raise _Doubt(f"the variable `{name}` does not exist yet")
            if type(known[name]) not in _TEXTS:
                raise _Doubt(f"what `{name}` says is only known when it runs")
        cell = read_cell(wanted.line, wanted.body, known)
        values = dict(cell.values)
        for parameter in cell.spec.media:
            given = values.get(parameter.name)
            if isinstance(given, str) and given.isidentifier():
                values[parameter.name] = known.get(given, given)
        return Wish(cell.spec, values, cell.take), cell.dry_run

    def _priced(self, number: int, wish: Wish, *, pays: bool) -> Line:
        """A checked request: what answers it already, or its price; a dry run answers nothing."""
        spec, values = wish.spec, validate(wish.spec, wish.values)
        hashes = {
            p.name: [self._hash(each) for each in _items(values[p.name])]
            for p in spec.media
            if p.name in values
        }
        name = fingerprint(spec, values, hashes, service=self._session.service, take=wish.take)
        seconds = str(values.get("duration", ""))
        line = Line(number, str(values.get("prompt", "")), spec.name, seconds, 0.0)
        if note := self._answer(name):
            return replace(line, note=note)
        first = self._seen.setdefault(name, number) if pays else number
        if first != number:
            return replace(line, note=f"joins cell {first}")
        price = price_credits(spec, values)
        return replace(line, credits=price, note="" if price is not None else "no price is known")

    def _answer(self, name: str) -> str:
        """Why the request costs nothing; empty where it is new."""
        ledger = self._session.ledger
        row = ledger.blocking(name)
        if row is None or (row.stage is Stage.INTENDED and not ledger.owner_lives(row.owner)):
            return self._paid_elsewhere(name)
        if row.stage is Stage.SAVED:
            return f"saved {date_words(row.finished_at or row.updated_at, self._now)}"
        return "running" if row.stage in FOLLOWED else str(row.stage)

    def _paid_elsewhere(self, name: str) -> str:
        if self._session.service != "live":
            return ""
        paid = PaidIndex().find(name)
        if paid is None or paid.folder == self._session.ledger.folder:
            return ""
        return f"refused: paid {date_words(paid.at, self._now)} in {paid.folder}"

    def _hash(self, given: object) -> str:
        """The hash of a picture, by which its request is recognised."""
        if isinstance(given, str) and re.match(r"\s*https?://", given, re.IGNORECASE):
            return self._hash_of_url(given.strip())
        kind = type(given)
        if not isinstance(given, _PICTURES) and kind.__module__.partition(".")[0] not in {
            "PIL",
            "numpy",
        }:
            raise _Doubt(f"what a {kind.__name__} shows is only known when it runs")
        if isinstance(given, str | Path) and str(self._folder) != ".":
            given = self._folder / os.path.expanduser(given)
        try:
            return find_source(given).sha256
        except MediaError as error:
            raise _Doubt(f"{error}") from None

    def _hash_of_url(self, url: str) -> str:
        """As it was when it was fetched last; a URL that is new has its own text's."""
        rows: Sequence[Row] = self._session.ledger.rows(limit=-1)
        negatives = (each for row in rows for given in row.sources.values() for each in given)
        return next((each.source_sha256 for each in negatives if each.url == url), url)


def _wish_of_call(call: CallWanted) -> Wish:
    """The request of a call from Python, as `Session` reads it."""
    values = dict(call.values)
    names = {"image_to_video": ("image", "prompt"), "text_to_video": ("prompt",)}
    given = dict(zip(names.get(call.function, ("model",)), call.args, strict=False))
    spec = IMAGE_TO_VIDEO if call.function == "image_to_video" else TEXT_TO_VIDEO
    if call.function == "generate":
        spec = find_model(str(given.pop("model", "")))
    take = values.pop("take", 1)
    values.pop("callback_url", None)
    return Wish(spec, values | given, take if isinstance(take, int) else 1)


def _items(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]
