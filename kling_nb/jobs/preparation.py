"""What a person gave → a checked request with a name: nothing is sent, nothing is noted.

Reports every problem at once, and computes the price and the fingerprint.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.core.money import Funds
from kling_nb.kie.http import Fetcher
from kling_nb.media.images import Picture
from kling_nb.media.inputs import noun_of
from kling_nb.media.unwrapping import is_data_url, is_job, unwrap
from kling_nb.models.advisories import warnings_of
from kling_nb.models.cell import write_cell
from kling_nb.models.kinds import Media
from kling_nb.models.request_inputs import media_of, with_media
from kling_nb.models.spec import (
    ModelSpec,
    Values,
    describe_named,
    judge_lengths,
    price_credits,
    validate,
)
from kling_nb.storage import Intent, Row

from .gathering import gather
from .submit import Request

__all__ = ["Prepared", "Quote", "Wish", "intent_of", "prepare", "problems_of", "quote_of"]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request as a person states it."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name; media as a path, a URL, bytes, an image, an array, a figure, a clip."""
    take: int = 1
    callback_url: str = ""
    written: Mapping[str, object] = field(default_factory=dict)
    """How media and records are written in a cell, where that is known, as `write_cell` takes
    them: a path or a variable's name, a list of such, records whose media are texts."""

    def __post_init__(self) -> None:
        """Convert the take to a plain int: `True` and a numpy integer become the equal number."""
        with suppress(TypeError):
            object.__setattr__(self, "take", int(operator.index(self.take)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be sent, and what the ledger notes of it."""

    request: Request
    intent: Intent
    warnings: tuple[str, ...] = ()
    """What the service may not accept of it, a text each."""


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
    warnings: tuple[str, ...] = ()
    """What the service may not accept of it, a text each."""


async def prepare(wish: Wish, *, service: str, pictures: Fetcher) -> Prepared:
    """Check everything.

    Args:
        wish: What was asked for.
        service: `live` or `emulator`. In the emulator a picture, a video or a sound whose URL
            cannot be fetched is replaced by one that says so.
        pictures: Fetches what is given as a URL.

    Raises:
        InvalidInput: With every problem at once.
    """
    problems = problems_of(wish)
    try:
        values = validate(wish.spec, wish.values)
    except InvalidInput as invalid:
        problems += invalid.problems
        values = readable(wish, {problem.field for problem in problems})
    gathered = await gather(
        wish.spec, values, service=service, pictures=pictures, written=wish.written
    )
    problems += gathered.problems
    # What is wrong with a length says nothing new while the values may still change.
    lengths_s = gathered.facts.lengths_s
    problems = problems or judge_lengths(wish.spec, values, lengths_s)
    if problems:
        raise InvalidInput(tuple(problems))
    request = Request(
        wish.spec, values, gathered.sources, wish.callback_url, lengths_s, wish.values
    )
    warnings = warnings_of(wish.spec.advisories, gathered.facts)
    return Prepared(request, intent_of(wish, request, service), warnings)


def readable(wish: Wish, wrong: Collection[str]) -> dict[str, object]:
    """The values that are right by themselves, so that their media are looked at all the same.

    Args:
        wish: What was asked for.
        wrong: Which parameters are not right.
    """
    return {
        parameter.name: parameter.kind.parse(wish.values[parameter.name])
        for parameter in wish.spec.parameters
        if parameter.name not in wrong and wish.values.get(parameter.name) is not None
    }


def problems_of(wish: Wish) -> list[Problem]:
    """What is wrong with a request beside its values."""
    problems = []
    if not isinstance(wish.take, int) or wish.take < 1:
        problems.append(Problem("take", f"{wish.take!r}", "takes count from 1"))
    if wish.callback_url and not str(wish.callback_url).startswith(("http://", "https://")):
        problems.append(Problem("callback", f"{wish.callback_url!r}", "give an http(s) URL"))
    return problems


def quote_of(prepared: Prepared, existing: Row | None, funds: Funds) -> Quote:
    """What a checked request would cost, and what it would be paid from."""
    intent, request = prepared.intent, prepared.request
    return Quote(
        model=intent.model,
        inputs=describe_named(request.spec, intent.values),
        emulated=intent.service == "emulator",
        price_credits=intent.price_credits,
        balance_credits=funds.balance_credits,
        budget_credits=funds.budget_credits,
        existing=existing,
        warnings=prepared.warnings,
    )


def intent_of(wish: Wish, request: Request, service: str) -> Intent:
    """What the ledger notes of a checked request; its media are not kept yet."""
    spec, values, media = wish.spec, request.values, request.media
    names = {path: ", ".join(each.attachment.name for each in media[path]) for path in media}
    fingerprint, *earlier = request.fingerprints(service, wish.take)
    return Intent(
        fingerprint=fingerprint,
        earlier_fingerprints=tuple(earlier),
        service=service,
        model=spec.name,
        values=with_media(spec, values, names),
        take=wish.take,
        price_credits=price_credits(spec, values, request.lengths_s),
        thumbnail=_thumbnail(request),
        callback_url=wish.callback_url,
        cell=write_cell(spec, _written(wish, values), take=wish.take),
    )


def _thumbnail(request: Request) -> bytes:
    """Of the first picture, else of the first video; a sound has none."""
    shown = [each.attachment for given in request.media.values() for each in given]
    shown.sort(key=lambda attachment: not isinstance(attachment, Picture))
    return next((each.thumbnail for each in shown if each.thumbnail), b"")


def _written(wish: Wish, values: Values) -> dict[str, object]:
    """The values as a cell has them: media as texts, several as a list."""
    texts: dict[str, object] = {}
    for path, place in media_of(wish.spec, values).items():
        found = [_text(item, place.kind) for item in place.given]
        texts[path] = found[0] if len(found) == 1 else found
    told = {name: text for name, text in wish.written.items() if name in values and text}
    return with_media(wish.spec, values, texts) | told


def _text(given: object, kind: Media) -> str:
    """How a source reads in a cell: a path or a URL as it is, an object as a variable.

    A clip given as a video is its file; as a picture it is its last frame, which has no name.
    """
    if kind.medium != "image":
        clip = unwrap(given) if is_job(given) else given
        given = getattr(clip, "path", given)
    is_text = isinstance(given, str | Path) and not is_data_url(given)
    return str(given) if is_text else noun_of(kind)
