"""What a person gave → a checked request with a name: nothing is sent, nothing is noted.

Reads pictures, reports every problem at once, and computes the fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import media
from .cells import write_cell
from .errors import InvalidInput, MediaError, Problem
from .fetcher import Fetcher
from .html import Funds
from .kinds import Media
from .ledger import Intent, Row
from .media import Picture
from .negatives import Negative
from .portal import in_thread
from .specs import ModelSpec, Parameter, describe, fingerprint, price_credits, validate
from .submission import Request, Source

__all__ = ["Prepared", "Quote", "Wish", "intent_of", "prepare", "quote_of"]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request as a person states it."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name; media as a path, a URL, bytes, an image, an array, a figure, a clip."""
    take: int = 1
    callback_url: str = ""
    written: Mapping[str, str] = field(default_factory=dict)
    """How the media are written in a cell, where that is known: a path or a variable's name."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be sent, and what the ledger notes of it."""

    request: Request
    intent: Intent


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request would cost now."""

    model: str
    inputs: Mapping[str, str]
    """The chosen values in words."""
    emulated: bool
    price_credits: float | None
    """By our table; None where it has no line for these values."""
    balance_credits: float | None
    """None when the service did not tell."""
    budget_credits: float | None
    """What the tightest budget has left; None where none is set."""
    existing: Row | None
    """The job that answers the same request already: then it costs nothing."""


async def prepare(wish: Wish, *, service: str, pictures: Fetcher) -> Prepared:
    """Check everything.

    Args:
        wish: What was asked for.
        service: `live` or `emulator`. In the emulator a picture whose URL cannot be fetched is
            replaced by one that says so.
        pictures: Fetches pictures that are given as a URL.

    Raises:
        InvalidInput: With every problem at once.
    """
    problems: list[Problem] = []
    if not isinstance(wish.take, int) or wish.take < 1:
        problems.append(Problem("take", f"{wish.take!r}", "takes count from 1"))
    if wish.callback_url and not wish.callback_url.startswith(("http://", "https://")):
        problems.append(Problem("callback", f"{wish.callback_url!r}", "give an http(s) URL"))
    values: dict[str, object] = {}
    try:
        values = validate(wish.spec, wish.values)
    except InvalidInput as invalid:
        problems += invalid.problems
    sources: dict[str, list[Source]] = {}
    for parameter in wish.spec.media:
        given = wish.values.get(parameter.name)
        if given is None or any(p.field == parameter.name for p in problems):
            continue
        try:
            reader = _Reader(parameter, service, pictures)
            sources[parameter.name] = [await reader.read(item) for item in _items(given)]
        except MediaError as error:
            problems.append(Problem(parameter.name, str(error), _kind(parameter).allowed))
    if problems:
        raise InvalidInput(tuple(problems))
    request = Request(wish.spec, values, sources, wish.callback_url)
    return Prepared(request, intent_of(wish, request, service))


def quote_of(prepared: Prepared, existing: Row | None, funds: Funds) -> Quote:
    """What a checked request would cost, and what it would be paid from."""
    intent, request = prepared.intent, prepared.request
    return Quote(
        model=intent.model,
        inputs=describe(request.spec, request.values),
        emulated=intent.service == "emulator",
        price_credits=intent.price_credits,
        balance_credits=funds.balance_credits,
        budget_credits=funds.budget_credits,
        existing=existing,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the pictures of one parameter."""

    parameter: Parameter
    service: str
    pictures: Fetcher

    async def read(self, given: object) -> Source:
        if isinstance(given, str) and given.strip().lower().startswith(("http://", "https://")):
            return await self._read_url(given.strip())
        if isinstance(given, Negative):
            return await self._read_negative(given)
        return Source(await self._read_picture(given))

    async def _read_picture(self, given: object, name: str = "") -> Picture:
        kind = _kind(self.parameter)
        return await in_thread(
            media.read_picture,
            given,
            name=name,
            mime_types=kind.mime_types,
            max_bytes=kind.max_bytes,
        )

    async def _read_negative(self, negative: Negative) -> Source:
        """What was kept is uploaded, also where a URL was sent: such links die."""
        try:
            return Source(await self._read_picture(negative), origin=negative.url)
        except MediaError:
            if not negative.url:
                raise
        source = await self._read_url(negative.url)
        if source.picture.source_sha256 != negative.source_sha256:
            raise MediaError(
                f"{negative.url} shows another picture now, and no copy of the first was kept; "
                "give the picture in a new cell"
            )
        return source

    async def _read_url(self, url: str) -> Source:
        kind = _kind(self.parameter)
        try:
            content = await self.pictures.fetch(url, kind.max_bytes)
        except MediaError as error:
            if self.service != "emulator":
                raise
            content = await in_thread(media.placeholder, f"{url}\n{error}")
            # The error's words may change from run to run; the request stays the same.
            digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
            picture = await in_thread(media.read_picture, content, name=url)
            return Source(media.with_source(picture, digest), url, url)
        picture = await self._read_picture(content, url)
        # What had to be converted is uploaded: the service would refuse the original.
        return Source(picture, url if picture.content == content else "", url)


def intent_of(wish: Wish, request: Request, service: str) -> Intent:
    """What the ledger notes of a checked request; its pictures are not kept yet."""
    hashes = {
        name: [source.picture.source_sha256 for source in sources]
        for name, sources in request.media.items()
    }
    names = {name: sources[0].picture.name for name, sources in request.media.items()}
    spec = wish.spec
    written = {name: wish.written.get(name) or _written(wish.values[name]) for name in names}
    first = next(iter(request.media.values()), None)
    return Intent(
        fingerprint=fingerprint(spec, request.values, hashes, service=service, take=wish.take),
        service=service,
        model=spec.name,
        values={**request.values, **names},
        take=wish.take,
        price_credits=price_credits(spec, request.values),
        thumbnail=first[0].picture.thumbnail if first else b"",
        callback_url=wish.callback_url,
        cell=write_cell(spec, {**request.values, **written}, take=wish.take),
    )


def _items(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _written(given: object) -> str:
    """How a source reads in a cell: paths and URLs as they are, objects as a variable."""
    given = _items(given)[0]
    return str(given) if isinstance(given, str | Path) else "picture"


def _kind(parameter: Parameter) -> Media:
    if not isinstance(parameter.kind, Media):
        raise TypeError(f"{parameter.name} is no media parameter")
    return parameter.kind
