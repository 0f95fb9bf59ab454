"""A prepared request: checked values, read inputs, and what follows from them.

Fingerprints, price, thumbnail and cell are functions of these. Reads no file and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.media.images import ImageInput
from kling_nb.media.inputs import MediaInput, noun_of
from kling_nb.media.unwrapping import is_data_url, is_job, unwrap
from kling_nb.models.cell import write_cell
from kling_nb.models.clip_request import ClipRequest
from kling_nb.models.parameters import Media
from kling_nb.models.request_inputs import fingerprints, media_of, with_media
from kling_nb.models.spec import ModelSpec, Values, price_credits
from kling_nb.storage import JobRecord


@dataclass(frozen=True, slots=True)
class InputSource:
    """One image, video or audio file of a request: checked content, or a URL to send as it is."""

    attachment: MediaInput
    url: str = ""
    origin: str = ""
    """The URL that the user gave, also if its content is uploaded instead."""

    @property
    def content(self) -> bytes | Path:
        """The content to upload, or the path of the file to upload."""
        media = self.attachment
        return (
            Path(media.path) if isinstance(media, AudioVideoInput) and media.path else media.content
        )


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
    """What the service may not accept, one text each."""

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.request.spec

    @property
    def take(self) -> int:
        """The number of the take."""
        return self.request.take

    @property
    def price_credits(self) -> float | None:
        """The price by our table; None if the table has no line for these values."""
        return price_credits(self.spec, self.values, self.durations_s)

    @property
    def thumbnail(self) -> bytes:
        """A JPEG of the first image, else of the first video; empty if there is neither."""
        shown = [each.attachment for sources in self.media.values() for each in sources]
        shown.sort(key=lambda attachment: not isinstance(attachment, ImageInput))
        return next((each.thumbnail for each in shown if each.thumbnail), b"")

    @property
    def cell(self) -> str:
        """The text of a `%%kling` cell that makes the same request."""
        return write_cell(self.spec, self._written(), take=self.take)

    @property
    def fingerprint(self) -> str:
        """The current fingerprint."""
        return self.fingerprints()[0]

    def with_take(self, take: int) -> PreparedRequest:
        """Return the same request as another take."""
        return replace(self, request=replace(self.request, take=take))

    def fingerprints(self, take: int | None = None) -> tuple[str, ...]:
        """Return every fingerprint of this request: the current one, then those of older versions.

        Args:
            take: Number of another take; None is this one.
        """
        hashes = {
            path: [each.attachment.source_hashes for each in sources]
            for path, sources in self.media.items()
        }
        return fingerprints(
            self.spec,
            self.values,
            hashes,
            service=self.service,
            take=self.take if take is None else take,
            given=self.request.values,
        )

    def record(self, notebook: str = "") -> JobRecord:
        """Return what the ledger records of this request; its inputs are not stored yet.

        Args:
            notebook: Path of the notebook, from the parent of the clip folder.
        """
        media = self.media
        names = {path: ", ".join(each.attachment.name for each in media[path]) for path in media}
        fingerprint, *earlier = self.fingerprints()
        return JobRecord(
            fingerprint=fingerprint,
            earlier_fingerprints=tuple(earlier),
            service=self.service,
            model=self.spec.name,
            values=with_media(self.spec, self.values, names),
            take=self.take,
            price_credits=self.price_credits,
            thumbnail=self.thumbnail,
            callback_url=self.request.callback_url,
            cell=self.cell,
            notebook=notebook,
        )

    def _written(self) -> dict[str, object]:
        """Return the values as a cell has them: media as texts, several as a list."""
        texts: dict[str, object] = {}
        for path, place in media_of(self.spec, self.values).items():
            found = [_cell_text(item, place.kind) for item in place.given]
            texts[path] = found[0] if len(found) == 1 else found
        written = {
            name: text
            for name, text in self.request.written.items()
            if name in self.values and text
        }
        return with_media(self.spec, self.values, texts) | written


def _cell_text(value: object, kind: Media) -> str:
    """Return how a cell writes an input: a path or a URL as it is, an object as a variable.

    A clip given as a video is its file. Given as an image it is its last frame, which has no name.
    """
    if kind.medium != "image":
        clip = unwrap(value) if is_job(value) else value
        value = getattr(clip, "path", value)
    is_text = isinstance(value, str | Path) and not is_data_url(value)
    return str(value) if is_text else noun_of(kind)
