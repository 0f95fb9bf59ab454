"""Gathering: everything that a request is made from, read and checked before anything is sent.

Wherever a request holds media, also inside its records. Knows no model and no ledger; what a
picture, a video or a sound must be like is for `attachments`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kling_nb.core.addresses import has_secret
from kling_nb.core.errors import MediaError, Problem
from kling_nb.core.stored_input import Negative
from kling_nb.kie.http import Fetcher
from kling_nb.media import inputs as attachments
from kling_nb.media.audio_video import Footage
from kling_nb.media.inputs import Attachment
from kling_nb.media.unwrapping import is_job, unwrap, url_of
from kling_nb.models.advisories import MediaFacts
from kling_nb.models.kinds import Media
from kling_nb.models.records import Records
from kling_nb.models.request_inputs import Input, media_of
from kling_nb.models.spec import ModelSpec, Values

from .background_loop import in_thread
from .upload_inputs import Source

__all__ = ["Gathered", "gather", "place_words"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found."""

    sources: Mapping[str, Sequence[Source]]
    """By the path of `media_of`."""
    facts: MediaFacts
    """Measurements of the media."""
    problems: tuple[Problem, ...]


async def gather(
    spec: ModelSpec,
    values: Values,
    *,
    service: str,
    pictures: Fetcher,
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
    sources: dict[str, list[Source]] = {}
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
            where = place_words(spec, found)
            words = f"{where}: {error}" if where != found.parameter else str(error)
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


def place_words(spec: ModelSpec, found: Input) -> str:
    """Where media are given, for a person: `image`, or `element 2: images`."""
    kind = spec.parameter(found.parameter).kind
    inside = re.fullmatch(r"\[(\d+)\]\.(.+)", found.path.removeprefix(found.parameter))
    if inside is None or not isinstance(kind, Records):
        return found.parameter
    return f"{kind.noun} {int(inside[1]) + 1}: {inside[2]}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the media of one place."""

    kind: Media
    service: str
    pictures: Fetcher

    async def read(self, given: object, name: str = "") -> Source:
        """One of them, from whatever it was given as, and how a person calls it."""
        if is_job(given):
            given = unwrap(given, name)
        if url := url_of(given):
            return await self._read_url(url)
        if isinstance(given, Negative):
            return await self._read_negative(given)
        return Source(await self._attach(given))

    async def _attach(self, given: object, name: str = "") -> Attachment:
        return await in_thread(attachments.read_attachment, given, self.kind, name)

    async def _read_negative(self, negative: Negative) -> Source:
        """What was kept is uploaded, also where a URL was sent: such links die."""
        try:
            return Source(await self._attach(negative), origin=negative.url)
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

    async def _read_url(self, url: str) -> Source:
        try:
            fetched = await self.pictures.fetch(url, self.kind.max_bytes)
        except MediaError as error:
            if self.service != "emulator":
                raise
            # The error's words may change from run to run; the request stays the same.
            digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
            text = f"{url}\n{error}"
            replacement = await in_thread(attachments.stand_in, self.kind, text, url, digest)
            return Source(replacement, url, url)
        attachment = await self._attach(fetched.content, url)
        # What had to be converted is uploaded: the service would refuse the original. So is what
        # it cannot reach, and what it would get a password or a token with.
        is_public = not (fetched.is_local or has_secret(url))
        return Source(attachment, url if is_public and not attachment.is_converted else "", url)


def length_of(attachment: Attachment) -> float:
    """The length in seconds; 0 for a picture."""
    return attachment.length_s if isinstance(attachment, Footage) else 0.0
