"""Price one request of a notebook without running it.

Uses the ledger for existing clips, the price lists for new ones, and the disk for the hashes of
inputs. Sends nothing, and reads only this machine's own disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from kling_nb.core.errors import InvalidInput, MediaError
from kling_nb.core.formatting import date_words
from kling_nb.core.job_state import FOLLOWED, Stage
from kling_nb.jobs.job import Clip, Job
from kling_nb.jobs.other_folders import unaccounted
from kling_nb.jobs.prepare import problems_of
from kling_nb.jobs.session import Session
from kling_nb.media.inputs import identify, noun_of
from kling_nb.media.unwrapping import url_of
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import read_cell
from kling_nb.models.cell_variables import names_in, resolve, unresolved
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.lookup import find_model
from kling_nb.models.parameters import Media
from kling_nb.models.request_inputs import fingerprints, media_of
from kling_nb.models.spec import ModelSpec, Values, judge_lengths, price_credits, validate, words_of
from kling_nb.storage import JobRecord
from kling_nb.storage.user_index import UserIndex

from .find_requests import CallWanted, CellWanted, Unclear, Wanted
from .read_code import UNCERTAIN

__all__ = ["Pricing", "QuoteLine"]

_POSITIONS: Mapping[str, tuple[str, ...]] = {
    "image_to_video": ("image", "prompt"),
    "text_to_video": ("prompt",),
    "generate": ("model",),
}
"""What the functions that pay take by position."""
_REMOTE = re.compile(r"\s*(?:[\\/]{2}|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
"""How a path to another machine begins: `\\\\server\\share`, `//server/share`, `smb://server`."""
_LOCAL = re.compile(r"\s*(?:data:|file:(?:///|//localhost/|/(?!/)))", re.IGNORECASE)
"""How a URI begins that holds a file or names one of this machine."""
_TEXTS = (str, int, float, bool)
"""What may stand in a prompt without running code of the notebook's own."""
_PICTURES = (str, Path, bytes, bytearray, memoryview, BytesIO, BufferedReader, Clip, Job)
_LIBRARIES = frozenset({"PIL", "numpy", "torch", "IPython"})
"""Objects of these are read as pictures without running code of the notebook's own."""


@dataclass(frozen=True, slots=True)
class QuoteLine:
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


class _Doubt(Exception):
    """What a request says or costs cannot be known without running the notebook."""


class Pricing:
    """Prices the requests of one notebook, in their order."""

    def __init__(self, session: Session, variables: Mapping[str, Any], folder: Path) -> None:
        self._session = session
        self._variables = variables
        self._folder = folder
        """What relative paths begin at."""
        self._seen: dict[str, int] = {}
        self._now = datetime.now().astimezone()

    def line(self, wanted: Wanted) -> QuoteLine:
        """One request with its price."""
        match wanted:
            case Unclear(number, code, why):
                return QuoteLine(number, code, note=why)
            case CellWanted(number, _, text):
                pass
            case CallWanted(number, function, args, values):
                text = str(values.get("prompt", next(reversed(args), function)))
        try:
            wish, is_dry = self._wish(wanted)
            line = self._priced(number, wish, pays=not is_dry)
        except _Doubt as doubt:
            return QuoteLine(number, text, note=str(doubt))
        except InvalidInput as invalid:
            return QuoteLine(number, text, credits=0.0, note=f"refused: {invalid}")
        return replace(line, credits=0.0, note="dry run") if is_dry else line

    def _wish(self, wanted: CellWanted | CallWanted) -> tuple[ClipRequest, bool]:
        if isinstance(wanted, CallWanted):
            return _request_of_call(wanted), False
        certain = {name: value for name, value in wanted.names.items() if value is not UNCERTAIN}
        known = {**self._variables, **certain}
        for name in names_in(wanted.body):
            if name not in known:
                raise _Doubt(f"the variable `{name}` does not exist yet")
            if type(known[name]) not in _TEXTS:
                raise _Doubt(f"what `{name}` says is only known when it runs")
        cell = read_cell(wanted.line, wanted.body, known)
        values = resolve(cell.spec, cell.values, known).values
        for name in unresolved(cell.spec, values):
            raise _Doubt(f"the variable `{name}` does not exist yet")
        return ClipRequest(cell.spec, values, cell.take, cell.callback_url), cell.dry_run

    def _priced(self, number: int, wish: ClipRequest, *, pays: bool) -> QuoteLine:
        """A checked request: what answers it already, or its price; a dry run answers nothing."""
        if problems := problems_of(wish):
            raise InvalidInput(tuple(problems))
        spec, values = wish.spec, validate(wish.spec, wish.values)
        hashes, lengths_s = self._media(spec, values)
        if problems := judge_lengths(spec, values, lengths_s):
            raise InvalidInput(tuple(problems))
        service = self._session.service
        names = fingerprints(
            spec, values, hashes, service=service, take=wish.take, given=wish.values
        )
        seconds = str(values.get("duration", ""))
        line = QuoteLine(number, words_of(values), spec.name, seconds, 0.0)
        if note := self._answer(names):
            return replace(line, note=note)
        first = self._seen.setdefault(names[0], number) if pays else number
        if first != number:
            return replace(line, note=f"joins cell {first}")
        price = price_credits(spec, values, lengths_s)
        note = "" if price is not None else _unpriced(spec, values)
        return replace(line, credits=price, note=note)

    def _answer(self, names: Sequence[str]) -> str:
        """Why the request costs nothing; empty where it is new."""
        ledger = self._session.ledger
        row = ledger.blocking(*names)
        if row is None or (row.stage is Stage.INTENDED and not ledger.owner_lives(row.owner)):
            return self._refusal(names)
        if row.stage is Stage.SAVED:
            return f"saved {date_words(row.finished_at or row.updated_at, self._now)}"
        return "running" if row.stage in FOLLOWED else str(row.stage)

    def _refusal(self, names: Sequence[str]) -> str:
        """Return why the request is refused: it is paid for without a record in this ledger."""
        if self._session.service != "live":
            return ""
        for name in names:
            paid = unaccounted(UserIndex(), self._session.ledger, name)
            if paid is not None:
                return f"refused: paid {date_words(paid.at, self._now)} in {paid.folder}"
        return ""

    def _media(
        self, spec: ModelSpec, values: Values
    ) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, float]]:
        """The hashes of all media by place, and by parameter how long videos and sounds are."""
        hashes: dict[str, list[tuple[str, ...]]] = {}
        lengths_s: dict[str, float] = {}
        for path, found in media_of(spec, values).items():
            known = [self._identify(each, found.kind) for each in found.given]
            hashes[path] = [each for each, _ in known]
            if all(length_s for _, length_s in known):  # of a picture and a URL none is known
                length_s = sum(length_s for _, length_s in known)
                lengths_s[found.parameter] = lengths_s.get(found.parameter, 0.0) + length_s
        return hashes, lengths_s

    def _identify(self, given: object, kind: Media) -> tuple[tuple[str, ...], float]:
        """Return the hashes that identify a picture, or the length of a video."""
        if url := url_of(given):
            return (self._hash_of_url(url),), 0.0
        type_ = type(given)
        library = type_.__module__.partition(".")[0]
        if not isinstance(given, _PICTURES) and library not in _LIBRARIES:
            raise _Doubt(f"what a {type_.__name__} shows is only known when it runs")
        if isinstance(given, str | Path) and not _LOCAL.match(str(given)):
            if _REMOTE.match(str(given)):
                noun = noun_of(kind)
                raise _Doubt(f"its {noun} is on another machine, which is not asked for a quote")
            if str(self._folder) != ".":
                given = self._folder / os.path.expanduser(given)
        try:
            return identify(given, kind)
        except MediaError as error:
            raise _Doubt(f"{error}") from None

    def _hash_of_url(self, url: str) -> str:
        """As it was when it was fetched last; a URL that is new has its own text's."""
        rows: Sequence[JobRecord] = self._session.ledger.rows(limit=-1)
        negatives = (each for row in rows for given in row.sources.values() for each in given)
        return next((each.source_sha256 for each in negatives if each.url == url), url)


def _unpriced(spec: ModelSpec, values: Values) -> str:
    """Why a checked request has no price yet."""
    line = spec.prices.line(values)
    if line is None or line.per_s_of not in {parameter.name for parameter in spec.media}:
        return "no price is known"
    return f"each second of the {line.per_s_of} is paid, and only fetching it tells how many"


def _request_of_call(call: CallWanted) -> ClipRequest:
    """The request of a call from Python, as `Session` reads it."""
    places: tuple[str, ...] = _POSITIONS[call.function]
    values: dict[str, Any] = dict(call.values)
    if len(call.args) > len(places):
        given = f"{len(call.args)} values by position"
        raise InvalidInput.of(call.function, given, f"only {', '.join(places)}; name the others")
    given_by_place = dict(zip(places, call.args, strict=False))
    spec = IMAGE_TO_VIDEO if call.function == "image_to_video" else TEXT_TO_VIDEO
    if call.function == "generate":
        spec = find_model(str(given_by_place.pop("model", "")))
    take, callback_url = values.pop("take", 1), values.pop("callback_url", "")
    return ClipRequest(spec, values | given_by_place, take, callback_url)
