"""Price the requests of a notebook without running it.

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
from kling_nb.core.formatting import format_date, with_article
from kling_nb.core.job_state import FOLLOWED, Stage
from kling_nb.jobs.clip import Clip
from kling_nb.jobs.job import Job
from kling_nb.jobs.other_folders import unaccounted
from kling_nb.jobs.prepare import problems_of
from kling_nb.jobs.session import Session
from kling_nb.media.inputs import identify_input, noun_of
from kling_nb.media.unwrapping import url_of
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.cell import read_cell
from kling_nb.models.cell_variables import names_in, resolve, unresolved
from kling_nb.models.clip_request import ClipRequest, fingerprints, media_of
from kling_nb.models.lookup import find_model
from kling_nb.models.parameters import Media
from kling_nb.models.spec import (
    ModelSpec,
    Values,
    check_durations,
    price_credits,
    request_text,
    validate,
)
from kling_nb.storage.user_index import UserIndex

from .find_requests import UNCERTAIN, CallRequest, CellRequest, UnpricedCall

_POSITIONS: Mapping[str, tuple[str, ...]] = {
    "image_to_video": ("image", "prompt"),
    "text_to_video": ("prompt",),
    "generate": ("model",),
}
"""Parameters of the functions by position."""
_REMOTE = re.compile(r"\s*(?:[\\/]{2}|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
"""Start of a path on another machine: `\\\\server\\share`, `//server/share`, `smb://server`."""
_LOCAL = re.compile(r"\s*(?:data:|file:(?:///|//localhost/|/(?!/)))", re.IGNORECASE)
"""Start of a URI that contains a file or names one on this machine."""
_TEXTS = (str, int, float, bool)
"""Types that a prompt can contain without running the notebook's own code."""
_IMAGES = (str, Path, bytes, bytearray, memoryview, BytesIO, BufferedReader, Clip, Job)
_LIBRARIES = frozenset({"PIL", "numpy", "torch", "IPython"})
"""Objects of these are read as images without running the notebook's own code."""


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One request of a notebook with its price."""

    cell: int
    """Number of the cell, as `[3]` after Run All."""
    prompt: str
    """The prompt, or the code where no prompt is known."""
    model: str = ""
    duration: str = ""
    """In seconds."""
    credits: float | None = None
    """None where only running the request shows its price."""
    note: str = ""
    """Why it costs nothing, or why its price is not known."""


class _NotPriced(Exception):
    """Only running the notebook shows what the request contains or costs."""


class RequestPricer:
    """Prices the requests of one notebook, in order.

    Args:
        session: Its ledger has the existing clips.
        variables: Variables of the kernel.
        folder: Folder that relative paths start from.
    """

    def __init__(self, session: Session, variables: Mapping[str, Any], folder: Path) -> None:
        self._session = session
        self._variables = variables
        self._folder = folder
        self._seen: dict[str, int] = {}
        self._now = datetime.now().astimezone()

    def price(self, request: CellRequest | CallRequest | UnpricedCall) -> QuoteLine:
        """Return a request with its price."""
        match request:
            case UnpricedCall(cell, code, reason):
                return QuoteLine(cell, code, note=reason)
            case CellRequest(cell, _, text):
                pass
            case CallRequest(cell, function, args, values):
                text = str(values.get("prompt", next(reversed(args), function)))
        try:
            wanted, is_dry = self._read_request(request)
            line = self._priced(cell, wanted, pays=not is_dry)
        except _NotPriced as error:
            return QuoteLine(cell, text, note=str(error))
        except InvalidInput as error:
            return QuoteLine(cell, text, credits=0.0, note=f"refused: {error}")
        return replace(line, credits=0.0, note="dry run") if is_dry else line

    def _read_request(self, request: CellRequest | CallRequest) -> tuple[ClipRequest, bool]:
        """Return the request as the session reads it, and whether it is a dry run."""
        if isinstance(request, CallRequest):
            return _request_of_call(request), False
        literals = {name: v for name, v in request.variables.items() if v is not UNCERTAIN}
        known = {**self._variables, **literals}
        for name in names_in(request.body):
            if name not in known:
                raise _NotPriced(f"the variable `{name}` does not exist yet")
            if type(known[name]) not in _TEXTS:
                raise _NotPriced(f"the variable `{name}` is neither text nor a number")
        cell = read_cell(request.line, request.body, known)
        values = resolve(cell.spec, cell.values, known).values
        for name in unresolved(cell.spec, values):
            raise _NotPriced(f"the variable `{name}` does not exist yet")
        return ClipRequest(cell.spec, values, cell.take, cell.callback_url), cell.dry_run

    def _priced(self, number: int, request: ClipRequest, *, pays: bool) -> QuoteLine:
        """Check a request and price it; 0 credits if the ledger or an earlier cell answers it."""
        if problems := problems_of(request):
            raise InvalidInput(tuple(problems))
        spec, values = request.spec, validate(request.spec, request.values)
        hashes, durations_s = self._media(spec, values)
        if problems := check_durations(spec, values, durations_s):
            raise InvalidInput(tuple(problems))
        service = self._session.service
        names = fingerprints(
            spec, values, hashes, service=service, take=request.take, given=request.values
        )
        duration = str(values.get("duration", ""))
        line = QuoteLine(number, request_text(values), spec.name, duration, 0.0)
        if note := self._free_note(names):
            return replace(line, note=note)
        first = self._seen.setdefault(names[0], number) if pays else number
        if first != number:
            return replace(line, note=f"same clip as cell {first}")
        price = price_credits(spec, values, durations_s)
        note = "" if price is not None else _missing_price_note(spec, values)
        return replace(line, credits=price, note=note)

    def _free_note(self, names: Sequence[str]) -> str:
        """Return why the request costs nothing; empty for a new request."""
        ledger = self._session.ledger
        row = ledger.blocking(*names)
        if row is None or (row.stage is Stage.INTENDED and not ledger.owner_is_alive(row.owner)):
            return self._refusal_note(names)
        if row.stage is Stage.SAVED:
            return f"saved {format_date(row.finished_at or row.updated_at, self._now)}"
        return "running" if row.stage in FOLLOWED else row.shown_stage

    def _refusal_note(self, names: Sequence[str]) -> str:
        """Return why the request is refused: it is paid for without a record in this ledger."""
        if self._session.service != "live":
            return ""
        paid = unaccounted(UserIndex(), self._session.ledger, *names)
        if paid is None:
            return ""
        return f"refused: paid {format_date(paid.at, self._now)} in {paid.folder}"

    def _media(
        self, spec: ModelSpec, values: Values
    ) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, float]]:
        """Return the hashes of all media by path, and the durations in s by parameter."""
        hashes: dict[str, list[tuple[str, ...]]] = {}
        durations_s: dict[str, float] = {}
        for path, found in media_of(spec, values).items():
            known = [self._identify(each, found.kind) for each in found.given]
            hashes[path] = [each for each, _ in known]
            if all(duration_s for _, duration_s in known):  # 0 for an image and a URL
                duration_s = sum(duration_s for _, duration_s in known)
                durations_s[found.parameter] = durations_s.get(found.parameter, 0.0) + duration_s
        return hashes, durations_s

    def _identify(self, value: object, kind: Media) -> tuple[tuple[str, ...], float]:
        """Return the hashes that identify an input, and its duration in s (0 for an image)."""
        if url := url_of(value):
            return (self._hash_of_url(url),), 0.0
        type_ = type(value)
        library = type_.__module__.partition(".")[0]
        if not isinstance(value, _IMAGES) and library not in _LIBRARIES:
            noun = with_article(noun_of(kind))
            raise _NotPriced(f"a quote does not read {noun} of type {type_.__name__}")
        if isinstance(value, str | Path) and not _LOCAL.match(str(value)):
            if _REMOTE.match(str(value)):
                raise _NotPriced(f"its {noun_of(kind)} is on another machine and is not opened")
            if str(self._folder) != ".":
                value = self._folder / os.path.expanduser(value)
        try:
            return identify_input(value, kind)
        except MediaError as error:
            raise _NotPriced(f"{error}") from None

    def _hash_of_url(self, url: str) -> str:
        """Return the hash from the last download of a URL; the URL itself if it is new."""
        return self._session.ledger.source_sha256_of(url) or url


def _missing_price_note(spec: ModelSpec, values: Values) -> str:
    line = spec.prices.line(values)
    if line is None or line.per_s_of not in {parameter.name for parameter in spec.media}:
        return "no price is known"
    return f"billed per second of the {line.per_s_of}, which is not fetched for a quote"


def _request_of_call(call: CallRequest) -> ClipRequest:
    """Return the request of a Python call, as `Session` reads it."""
    places: tuple[str, ...] = _POSITIONS[call.function]
    values: dict[str, Any] = dict(call.values)
    if len(call.args) > len(places):
        value = f"{len(call.args)} values by position"
        raise InvalidInput.of(call.function, value, f"only {', '.join(places)}; name the others")
    by_position = dict(zip(places, call.args, strict=False))
    spec = IMAGE_TO_VIDEO if call.function == "image_to_video" else TEXT_TO_VIDEO
    if call.function == "generate":
        spec = find_model(str(by_position.pop("model", values.pop("model", ""))))
    take, callback_url = values.pop("take", 1), values.pop("callback_url", "")
    return ClipRequest(spec, values | by_position, take, callback_url)
