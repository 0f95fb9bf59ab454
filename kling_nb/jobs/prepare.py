"""Prepare a request: validate its values, read its inputs, and compute fingerprint and price.

Reads and never writes. Handles media anywhere in a request, also inside its records. Must not
depend on the ledger; `media/inputs` checks an image, a video or an audio file.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kling_nb.core.addresses import has_secret
from kling_nb.core.errors import InvalidInput, MediaError, Problem
from kling_nb.core.money import Funds
from kling_nb.core.stored_input import StoredInput
from kling_nb.kie.http import Downloader
from kling_nb.media import inputs as attachments
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput
from kling_nb.media.inputs import Attachment, noun_of
from kling_nb.media.unwrapping import is_data_url, is_job, unwrap, url_of
from kling_nb.models.advisories import MediaFacts, warnings_of
from kling_nb.models.cell import write_cell
from kling_nb.models.parameters import Media
from kling_nb.models.request_inputs import media_of, with_media
from kling_nb.models.spec import (
    ModelSpec,
    Values,
    describe_named,
    judge_lengths,
    price_credits,
    validate,
)
from kling_nb.storage import Intent, JobRecord

from .background_loop import in_thread
from .submit import Request
from .upload_inputs import InputSource

__all__ = [
    "Gathered",
    "Prepared",
    "Quote",
    "Wish",
    "gather",
    "intent_of",
    "prepare",
    "problems_of",
    "quote_of",
]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found."""

    sources: Mapping[str, Sequence[InputSource]]
    """By the path of `media_of`."""
    facts: MediaFacts
    """Measurements of the media."""
    problems: tuple[Problem, ...]


async def gather(
    spec: ModelSpec,
    values: Values,
    *,
    service: str,
    pictures: Downloader,
    written: Values | None = None,
) -> Gathered:
    """Read all media of a request.

    Args:
        spec: The model.
        values: Validated values, or those that are.
        service: `live` or `emulator`. In the emulator what cannot be fetched is replaced by
            something tiny that says so.
        pictures: Fetches what is given as a URL.
        written: How media are written in a cell, by parameter: names of variables among others.
    """
    sources: dict[str, list[InputSource]] = {}
    lengths_s: dict[str, float] = {}
    sizes_px: dict[str, list[tuple[int, int]]] = {}
    problems: list[Problem] = []
    for path, found in media_of(spec, values).items():
        reader = Reader(found.kind, service, pictures)
        try:
            names = names_of((written or {}).get(path), len(found.given))
            sources[path] = [
                await reader.read(item, name) for item, name in zip(found.given, names, strict=True)
            ]
        except MediaError as error:
            words = str(error) if found.path == found.parameter else f"{found.label}: {error}"
            given, _, advice = words.partition("; ")
            problems.append(Problem(found.parameter, given, advice or found.kind.allowed))
            continue
        read = [source.attachment for source in sources[path]]
        sizes = [(each.width_px, each.height_px) for each in read if each.width_px]
        sizes_px.setdefault(found.parameter, []).extend(sizes)
        lengths = [length_of(attachment) for attachment in read]
        if any(lengths):
            lengths_s[found.parameter] = lengths_s.get(found.parameter, 0.0) + sum(lengths)
    return Gathered(sources, MediaFacts(lengths_s, sizes_px), tuple(problems))


def names_of(written: object, count: int) -> list[str]:
    """Return the user's name for each input of one place; empty if it is unknown."""
    names = list(written) if isinstance(written, list | tuple) else [written]
    if len(names) != count:
        names = [None] * count
    return [name if isinstance(name, str) else "" for name in names]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the media of one place."""

    kind: Media
    service: str
    pictures: Downloader

    async def read(self, given: object, name: str = "") -> InputSource:
        """One of them, from whatever it was given as, and how a person calls it."""
        source = await self._read(given, name)
        if not source.url:
            attachments.check_upload(source.attachment)
        return source

    async def _read(self, given: object, name: str) -> InputSource:
        if is_job(given):
            given = unwrap(given, name)
        if url := url_of(given):
            return await self._read_url(url)
        if isinstance(given, StoredInput):
            return await self._read_negative(given)
        return InputSource(await self._attach(given))

    async def _attach(self, given: object, name: str = "") -> Attachment:
        return await in_thread(attachments.read_attachment, given, self.kind, name)

    async def _read_negative(self, negative: StoredInput) -> InputSource:
        """What was kept is uploaded, also where a URL was sent: such links die."""
        try:
            return InputSource(await self._attach(negative), origin=negative.url)
        except MediaError:
            if not negative.url:
                raise
        source = await self._read_url(negative.url)
        if source.attachment.source_sha256 != negative.source_sha256:
            noun = attachments.noun_of(self.kind)
            raise MediaError(
                f"{negative.url} shows another {noun} now, and no copy of the first was kept; "
                f"give the {noun} in a new cell"
            )
        return source

    async def _read_url(self, url: str) -> InputSource:
        try:
            fetched = await self.pictures.fetch(url, self.kind.max_bytes)
        except MediaError as error:
            if self.service != "emulator":
                raise
            # The error's words may change from run to run; the request stays the same.
            digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
            text = f"{url}\n{error}"
            replacement = await in_thread(attachments.stand_in, self.kind, text, url, digest)
            return InputSource(replacement, url, url)
        attachment = await self._attach(fetched.content, url)
        # What had to be converted is uploaded: the service would refuse the original. So is what
        # it cannot reach, and what it would get a password or a token with.
        is_public = not (fetched.is_local or has_secret(url))
        return InputSource(
            attachment, url if is_public and not attachment.is_converted else "", url
        )


def length_of(attachment: Attachment) -> float:
    """The length in seconds; 0 for a picture."""
    return attachment.length_s if isinstance(attachment, AudioVideoInput) else 0.0


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
    existing: JobRecord | None
    """The job that answers the same request already: then it costs nothing."""
    warnings: tuple[str, ...] = ()
    """What the service may not accept of it, a text each."""


async def prepare(wish: Wish, *, service: str, pictures: Downloader) -> Prepared:
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


def quote_of(prepared: Prepared, existing: JobRecord | None, funds: Funds) -> Quote:
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
    shown.sort(key=lambda attachment: not isinstance(attachment, ImageInput))
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
