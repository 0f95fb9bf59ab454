"""Read the media inputs of a request: images, video and audio.

The only conversion from a given value to the content that is uploaded. `images` reads images,
`audio_video` reads video and audio. Must not depend on models, networks or jobs.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import format_bytes
from kling_nb.core.limits import UPLOAD_LIMIT_BYTES
from kling_nb.models.parameters import Media, check_frame

from . import images, probe
from .audio_video import NOUNS, AudioVideoInput, read_audio_video
from .image_sources import find_source
from .images import ImageInput

_PLACEHOLDER_S: Final = 5.0
_PLACEHOLDER_TYPES: Final = ("video/mp4", "audio/wav")
"""Types of placeholders, also for a model that does not take them."""

MediaInput = ImageInput | AudioVideoInput
"""Both have `content`, `mime_type`, `size_bytes`, `sha256`, `source_sha256`, `name`, `thumbnail`
and `facts`; a video or audio file has a `path` in place of the content."""


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


def read_input(given: object, kind: Media, name: str = "") -> MediaInput:
    """Read a media input and check it against the limits of the model.

    Args:
        given: A path, bytes, or an earlier clip; for an image also an image, an array, a figure.
            The caller fetches URLs.
        kind: The limits of the model. Source: `ModelSpec`.
        name: The name for messages, in place of the source's own.

    Raises:
        MediaError: It cannot be read, or is not allowed: says what it is and what to do.
    """
    if kind.medium != "image":
        return read_audio_video(given, kind, name=name)
    image = images.read_image(
        given, name=name, mime_types=kind.mime_types, max_bytes=kind.max_bytes
    )
    check_frame(image.name, (image.width_px, image.height_px), kind)
    return image


def check_upload(attachment: MediaInput) -> None:
    """Check that a file is small enough to upload; some models take a larger one at a URL.

    Raises:
        MediaError: It is too large.
    """
    if attachment.size_bytes > UPLOAD_LIMIT_BYTES:
        raise MediaError(
            f"{attachment.name}: {format_bytes(attachment.size_bytes)}; allowed: at most "
            f"{UPLOAD_LIMIT_BYTES / 1e6:g} MB for an upload; make it smaller, or give a public URL "
            "without a password or token in it"
        )


def placeholder_input(kind: Media, text: str, name: str, source_sha256: str) -> MediaInput:
    """Return a small placeholder for an input that cannot be read: for the emulator only.

    An image of the text, a video of that image, or silence with that image as the thumbnail.

    Args:
        kind: The limits of the model; a video or audio placeholder has an allowed length.
        text: The text to show.
        name: The name for messages.
        source_sha256: The hash of the input that it replaces.
    """
    content = images.placeholder_image(text)
    image = images.read_image(content, name=name)
    if kind.medium == "image":
        return replace(image, source_sha256=source_sha256)
    shortest, longest = kind.duration_s or (0.0, _PLACEHOLDER_S)
    duration_s = min(max(_PLACEHOLDER_S, shortest), longest)
    content = (
        probe.make_video(content, duration_s) if kind.medium == "video" else _silence(duration_s)
    )
    kind = replace(kind, mime_types=(*kind.mime_types, *_PLACEHOLDER_TYPES))
    made = read_audio_video(content, kind, name=name)
    return replace(made, source_sha256=source_sha256, thumbnail=image.thumbnail)


def _silence(duration_s: float) -> bytes:
    """Return a silent WAV."""
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * round(8_000 * duration_s)))
    return content.getvalue()


def noun_of(kind: Media) -> str:
    """Return the noun for messages: `image`, `video` or `audio file`."""
    return NOUNS[kind.medium]


def identify_input(given: object, kind: Media) -> tuple[tuple[str, ...], float]:
    """Return the hashes that identify the input in a request, and its length in seconds.

    An image is only hashed, not checked, and has no length.

    Raises:
        MediaError: It cannot be read; also if a video or audio file is not allowed.
    """
    if kind.medium == "image":
        return find_source(given).hashes, 0.0
    found = read_audio_video(given, kind)
    return found.source_hashes, found.duration_s
