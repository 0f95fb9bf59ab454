"""Prepare a request: validate its values, read its inputs, and compute fingerprint and price.

Reads and never writes. Handles media anywhere in a request, also inside its records. Must not
depend on the ledger; `media/inputs` checks an image, a video or an audio file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from kling_nb.core.addresses import has_secret
from kling_nb.core.errors import InvalidInput, MediaError, Problem
from kling_nb.core.stored_input import StoredInput
from kling_nb.kie.http import Downloader
from kling_nb.media import inputs
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput
from kling_nb.media.inputs import InputSource, MediaInput
from kling_nb.media.unwrapping import is_data_url, is_job, unwrap, url_of
from kling_nb.models.cell import VARIABLES, write_cell
from kling_nb.models.clip_request import ClipRequest, fingerprints, media_of, with_media
from kling_nb.models.parameters import Media
from kling_nb.models.spec import (
    MediaFacts,
    ModelSpec,
    Values,
    check_durations,
    price_credits,
    validate,
    warnings_of,
)
from kling_nb.storage.job_record import JobRecord

from .background_loop import in_thread


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A checked request that may be sent."""

    request: ClipRequest
    service: str
    """`live` or `emulator`."""
    values: Values
    """Validated."""
    media: Mapping[str, Sequence[InputSource]]
    """By the path of `media_of`."""
    durations_s: Mapping[str, float] = field(default_factory=dict)
    """Duration of the videos and audio files, by parameter."""
    warnings: tuple[str, ...] = ()
    """Warnings about inputs that the service may refuse."""

    record: JobRecord = field(init=False)
    """What the ledger records, without the notebook and the balance; no input is stored yet."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "record", self._new_record())

    def with_take(self, take: int) -> PreparedRequest:
        """Return the same request as another take."""
        return replace(self, request=replace(self.request, take=take))

    def fingerprints_of(self, take: int) -> tuple[str, ...]:
        """Return every fingerprint of this request as a take, the current one first."""
        hashes = {
            path: [each.attachment.source_hashes for each in sources]
            for path, sources in self.media.items()
        }
        return fingerprints(
            self.request.spec,
            self.values,
            hashes,
            service=self.service,
            take=take,
            given=self.request.values,
        )

    def _new_record(self) -> JobRecord:
        request, spec, media = self.request, self.request.spec, self.media
        names = {path: ", ".join(each.attachment.name for each in media[path]) for path in media}
        fingerprint, *earlier = self.fingerprints_of(request.take)
        return JobRecord(
            fingerprint=fingerprint,
            earlier_fingerprints=tuple(earlier),
            service=self.service,
            model=spec.name,
            values=with_media(spec, self.values, names),
            take=request.take,
            price_credits=price_credits(spec, self.values, self.durations_s),
            thumbnail=self._thumbnail(),
            callback_url=request.callback_url,
            cell=write_cell(spec, self._written(), take=request.take),
            panel=request.panel,
            warnings=self.warnings,
        )

    def _thumbnail(self) -> bytes:
        """Return a JPEG of the first image, else of the first video; empty if there is neither."""
        shown = [each.attachment for sources in self.media.values() for each in sources]
        shown.sort(key=lambda attachment: not isinstance(attachment, ImageInput))
        return next((each.thumbnail for each in shown if each.thumbnail), b"")

    def _written(self) -> dict[str, object]:
        """Return the values as a cell has them: media as texts, several as a list."""
        texts: dict[str, object] = {}
        for path, place in media_of(self.request.spec, self.values).items():
            found = [_cell_text(item, place.kind) for item in place.given]
            texts[path] = found[0] if len(found) == 1 else found
        written = {
            name: text
            for name, text in self.request.written.items()
            if name in self.values and text
        }
        return with_media(self.request.spec, self.values, texts) | written


def _cell_text(value: object, kind: Media) -> str:
    """Return how a cell writes an input: a path or a URL as it is, an object as a variable.

    A clip given as a video is its file. Given as an image it is its last frame, which has no name.
    """
    if kind.medium != "image":
        clip = unwrap(value) if is_job(value) else value
        value = getattr(clip, "path", value)
    is_text = isinstance(value, str | Path) and not is_data_url(value)
    return str(value) if is_text else VARIABLES[kind.medium]


class RequestMedia(NamedTuple):
    """The media of a request."""

    sources: Mapping[str, Sequence[InputSource]]
    """By the path of `media_of`."""
    facts: MediaFacts
    """Measurements of the media."""
    problems: tuple[Problem, ...]


async def read_media(
    spec: ModelSpec,
    values: Values,
    *,
    service: str,
    downloads: Downloader,
    written: Values | None = None,
) -> RequestMedia:
    """Read all media of a request.

    Args:
        spec: The model.
        values: The valid values.
        service: `live` or `emulator`. In the emulator, media that cannot be fetched are replaced
            by a small stand-in that says so.
        downloads: Fetches media that are given as a URL.
        written: How the cell writes the media, by parameter; may contain names of variables.
    """
    sources: dict[str, list[InputSource]] = {}
    durations_s: dict[str, float] = {}
    sizes_px: dict[str, list[tuple[int, int]]] = {}
    problems: list[Problem] = []
    for path, found in media_of(spec, values).items():
        reader = MediaReader(found.kind, service, downloads)
        try:
            names = _names((written or {}).get(path), len(found.given))
            sources[path] = [
                await reader.read(item, name) for item, name in zip(found.given, names, strict=True)
            ]
        except MediaError as error:
            is_whole = found.path == found.parameter
            message = str(error) if is_whole else f"{found.label}: {error}"
            value, _, advice = message.partition("; ")
            problems.append(Problem(found.parameter, value, advice or found.kind.allowed))
            continue
        read = [source.attachment for source in sources[path]]
        sizes = [(each.width_px, each.height_px) for each in read if each.width_px]
        sizes_px.setdefault(found.parameter, []).extend(sizes)
        lengths = [each.duration_s for each in read if isinstance(each, AudioVideoInput)]
        if any(lengths):
            durations_s[found.parameter] = durations_s.get(found.parameter, 0.0) + sum(lengths)
    return RequestMedia(sources, MediaFacts(durations_s, sizes_px), tuple(problems))


def _names(written: object, count: int) -> list[str]:
    """Return the user's name for each input of one place; empty if it is unknown."""
    names = list(written) if isinstance(written, list | tuple) else [written]
    if len(names) != count:
        names = [None] * count
    return [name if isinstance(name, str) else "" for name in names]


@dataclass(frozen=True, slots=True)
class MediaReader:
    """Reads the media of one place in a request."""

    kind: Media
    service: str
    downloads: Downloader

    async def read(self, value: object, name: str = "") -> InputSource:
        """Read one input.

        Args:
            value: What the user gave.
            name: How the user's cell calls it.
        """
        source = await self._read(value, name)
        if not source.url:
            inputs.check_upload(source.attachment)
        return source

    async def _read(self, value: object, name: str) -> InputSource:
        if is_job(value):
            value = unwrap(value, name)
        if url := url_of(value):
            return await self._read_url(url)
        if isinstance(value, StoredInput):
            return await self._read_stored(value)
        return InputSource(await self._attach(value))

    async def _attach(self, value: object, name: str = "") -> MediaInput:
        return await in_thread(inputs.read_input, value, self.kind, name)

    async def _read_stored(self, stored: StoredInput) -> InputSource:
        """Upload the stored copy, even if a URL was sent before: such links expire."""
        try:
            return InputSource(await self._attach(stored), origin=stored.url)
        except MediaError:
            if not stored.url:
                raise
        source = await self._read_url(stored.url)
        if source.attachment.source_sha256 != stored.source_sha256:
            noun = inputs.noun_of(self.kind)
            raise MediaError(
                f"{stored.url} now has another {noun}, and no copy of the first was kept; "
                f"give the {noun} in a new cell"
            )
        return source

    async def _read_url(self, url: str) -> InputSource:
        try:
            fetched = await self.downloads.fetch(url, self.kind.max_bytes)
        except MediaError as error:
            if self.service != "emulator":
                raise
            # The error's text may change from run to run; the request stays the same.
            digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
            text = f"{url}\n{error}"
            replacement = await in_thread(inputs.placeholder_input, self.kind, text, url, digest)
            return InputSource(replacement, url, url)
        attachment = await self._attach(fetched.content, url)
        # Upload what was converted (the service would refuse the original), what the service
        # cannot reach, and what has a password or a token in its URL.
        is_public = not (fetched.is_local or has_secret(url))
        return InputSource(
            attachment, url if is_public and not attachment.is_converted else "", url
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request would cost now."""

    model: str
    inputs: Mapping[str, str]
    """The values as text."""
    emulated: bool
    price_credits: float | None
    """From the price list of the package; None if it has no price for these values."""
    balance_credits: float | None
    """None if it could not be queried."""
    budget_credits: float | None
    """The remainder of the tightest budget; None without a budget."""
    existing: JobRecord | None
    """The existing job of the same request, which costs nothing."""
    warnings: tuple[str, ...] = ()
    """Warnings about inputs that the service may refuse."""


async def prepare(request: ClipRequest, *, service: str, downloads: Downloader) -> PreparedRequest:
    """Check a request completely. Writes nothing.

    Args:
        request: What the user asked for.
        service: `live` or `emulator`. In the emulator, media whose URL cannot be fetched are
            replaced by a stand-in that says so.
        downloads: Fetches media that are given as a URL.

    Raises:
        InvalidInput: With every problem at once.
    """
    problems = problems_of(request)
    try:
        values = validate(request.spec, request.values)
    except InvalidInput as invalid:
        problems += invalid.problems
        values = _valid_values(request, {problem.field for problem in problems})
    media = await read_media(
        request.spec, values, service=service, downloads=downloads, written=request.written
    )
    problems += media.problems
    # A wrong duration is not worth reporting while the values may still change.
    durations_s = media.facts.durations_s
    problems = problems or check_durations(request.spec, values, durations_s)
    if problems:
        raise InvalidInput(tuple(problems))
    warnings = warnings_of(request.spec.advisories, media.facts)
    return PreparedRequest(request, service, values, media.sources, durations_s, warnings)


def _valid_values(request: ClipRequest, wrong: Collection[str]) -> dict[str, object]:
    """Return the values that are valid by themselves, so that their media are checked too.

    Args:
        request: What the user asked for.
        wrong: The parameters that are not valid.
    """
    return {
        parameter.name: parameter.kind.parse(request.values[parameter.name])
        for parameter in request.spec.parameters
        if parameter.name not in wrong and request.values.get(parameter.name) is not None
    }


def problems_of(request: ClipRequest) -> list[Problem]:
    """Return what is wrong with a request apart from its values."""
    problems = []
    if not isinstance(request.take, int) or request.take < 1:
        problems.append(Problem("take", f"{request.take!r}", "give a whole number above 0"))
    url = request.callback_url
    if url and not str(url).startswith(("http://", "https://")):
        problems.append(Problem("callback", f"{url!r}", "give an http(s) URL"))
    return problems
