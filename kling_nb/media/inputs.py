"""Read the media inputs of a request: images, video and audio.

The only conversion from a given value to the content that is uploaded. `images` reads images,
`audio_video` reads video and audio. Must not depend on models, networks or jobs.
"""

from __future__ import annotations

import wave
from dataclasses import replace
from io import BytesIO
from typing import Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import byte_words
from kling_nb.core.limits import UPLOAD_LIMIT_BYTES
from kling_nb.models.parameters import Media

from . import images, probe
from .audio_video import NOUNS, AudioVideoInput, read_footage
from .frame_limits import check_frame
from .image_sources import find_source
from .images import ImageInput

__all__ = ["Attachment", "check_upload", "identify", "noun_of", "read_attachment", "stand_in"]

STAND_IN_S: Final = 5.0
PLAIN: Final = ("video/mp4", "audio/wav")
"""What is made here, whatever else the service may take."""

Attachment = ImageInput | AudioVideoInput
"""Both have `content`, `mime_type`, `size_bytes`, `sha256`, `source_sha256`, `name`, `thumbnail`
and `facts`; footage that is a file has a `path` in place of the content."""


def read_attachment(given: object, kind: Media, name: str = "") -> Attachment:
    """What the service gets of what a person gave.

    Args:
        given: A path, bytes, or an earlier clip; for a picture also an image, an array, a figure.
            URLs are the caller's matter.
        kind: What the service takes. Source: `ModelSpec`.
        name: For people, in place of the one that the source suggests.

    Raises:
        MediaError: It cannot be read, or is not allowed: says what it is and what to do.
    """
    if kind.medium != "image":
        return read_footage(given, kind, name=name)
    picture = images.read_picture(
        given,
        name=name,
        mime_types=kind.mime_types,
        max_bytes=kind.max_bytes,
        over_px=kind.over_px,
        ratio=kind.ratio,
    )
    check_frame(picture.name, (picture.width_px, picture.height_px), kind)
    return picture


def check_upload(attachment: Attachment) -> None:
    """Raise an error if a file is too large to upload; some models take a larger one at a URL.

    Raises:
        MediaError: It is too large.
    """
    if attachment.size_bytes > UPLOAD_LIMIT_BYTES:
        raise MediaError(
            f"{attachment.name}: {byte_words(attachment.size_bytes)}; an upload takes at most "
            f"{UPLOAD_LIMIT_BYTES / 1e6:g} MB: make it smaller, or give a public URL without a "
            "password or token in it"
        )


def stand_in(kind: Media, text: str, name: str, source_sha256: str) -> Attachment:
    """Something tiny in the place of what cannot be had, which says so: for the emulator only.

    A picture of the text; a video that shows it; a sound of silence, with the picture beside it.

    Args:
        kind: What is wanted; a video or a sound is as long as it must be.
        text: What it says.
        name: For people.
        source_sha256: What it stands for.
    """
    said = images.placeholder(text)
    picture = images.read_picture(said, name=name)
    if kind.medium == "image":
        return images.with_source(picture, source_sha256)
    shortest, longest = kind.length_s or (0.0, STAND_IN_S)
    length_s = min(max(STAND_IN_S, shortest), longest)
    is_video = kind.medium == "video"
    content = probe.show(said, length_s) if is_video else silence(length_s)
    shown = read_footage(content, replace(kind, mime_types=(*kind.mime_types, *PLAIN)), name=name)
    return replace(shown, source_sha256=source_sha256, thumbnail=picture.thumbnail)


def silence(length_s: float) -> bytes:
    """A WAV of nothing to hear."""
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * round(8_000 * length_s)))
    return content.getvalue()


def noun_of(kind: Media) -> str:
    """What it is, for people: `picture`, `video` or `sound`."""
    return NOUNS[kind.medium]


def identify(given: object, kind: Media) -> tuple[tuple[str, ...], float]:
    """Return the hashes that identify the input in a request, and its length in seconds.

    A picture is hashed only, and has no length; whether it is allowed is not judged.

    Raises:
        MediaError: It cannot be read; for a video or a sound also when it is not allowed.
    """
    if kind.medium == "image":
        return find_source(given).hashes, 0.0
    footage = read_footage(given, kind)
    return footage.source_hashes, footage.length_s
