"""The files of a task, looked at when the work on it begins.

Owns what makes a file unusable: it has expired, is not what its field takes, or breaks a limit of
the model's page. Files that are not the emulator's own are never fetched, and pass. Must not know
HTTP or how clips are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kling_nb.emulator.fields import (
    Address,
    Addresses,
    Footage,
    Kind,
    Media,
    Picture,
    Records,
    Speech,
)
from kling_nb.emulator.hosts import own_upload_path
from kling_nb.emulator.models import HostedModel
from kling_nb.emulator.uploads import Upload, Uploads

if TYPE_CHECKING:
    from kling_nb.emulator.footage import Facts

__all__ = ["MediaUnavailable", "file_at", "inspect", "measure"]


class MediaUnavailable(Exception):
    """A file of the task has expired or cannot be used."""


def inspect(model: HostedModel, values: Mapping[str, object], uploads: Uploads) -> None:
    """Look at every file that a request names.

    Raises:
        MediaUnavailable: one of the emulator's own cannot be used.
    """
    for media, url in files_of(model.fields, values):
        upload = find(url, uploads)
        if upload is not None:
            check(media, upload, uploads.file_of(upload), values)


def files_of(
    fields: Mapping[str, Kind], values: Mapping[str, object]
) -> Iterator[tuple[Media, str]]:
    """Each URL of a request that passed the rules, with what lies there."""
    for name, kind in fields.items():
        value = values.get(name)
        match kind:
            case Address() if value:
                yield kind.media, str(value)
            case Addresses() if isinstance(value, list):
                for url in value:
                    yield kind.media, str(url)
            case Records() if isinstance(value, list):
                for record in value:
                    yield from files_of(dict(kind.fields), record)


def find(url: str, uploads: Uploads) -> Upload | None:
    """The upload at that URL; None for any other, which is never fetched.

    Raises:
        MediaUnavailable: it has expired.
    """
    path = own_upload_path(url)
    upload = uploads.find(path) if path else None
    if upload is not None and upload.expired:
        raise MediaUnavailable
    return upload


def file_at(url: str, uploads: Uploads) -> Path | None:
    """The file of the upload at that URL, or None for any other."""
    upload = find(url, uploads)
    return uploads.file_of(upload) if upload else None


def measure(url: str, uploads: Uploads) -> float | None:
    """The seconds of the upload at that URL, or None where they cannot be known."""
    try:
        file = file_at(url, uploads)
        return facts_of(file).length_s if file else None
    except MediaUnavailable:
        return None


def check(media: Media, upload: Upload, file: Path, values: Mapping[str, object]) -> None:
    """Refuse a file that is not what the field takes."""
    if media.max_bytes is not None and upload.size_bytes > media.max_bytes:
        raise MediaUnavailable
    match media:
        case Picture():
            check_picture(media, file)
        case Footage():
            check_footage(media, file, values)
        case Speech():
            check_speech(media, file)


def check_picture(media: Picture, file: Path) -> None:
    """Refuse a picture that cannot be read, or has the wrong format, size or shape."""
    from kling_nb.emulator.pictures import UnreadablePicture, open_picture

    try:
        picture = open_picture(file.read_bytes(), media.formats)
    except UnreadablePicture as error:
        raise MediaUnavailable from error
    if min(picture.size) <= media.over_px:
        raise MediaUnavailable
    if media.ratio and not media.ratio[0] <= picture.width / picture.height <= media.ratio[1]:
        raise MediaUnavailable


def check_footage(media: Footage, file: Path, values: Mapping[str, object]) -> None:
    """Refuse what is no MP4 or QuickTime video, too short or too long."""
    facts = facts_of(file)
    limits_s = [media.most_s]
    if media.most_s_when and values.get(media.most_s_when[0]) == media.most_s_when[1]:
        limits_s.append(media.most_s_when[2])
    too_long = any(limit is not None and facts.length_s > limit for limit in limits_s)
    if not facts.is_film or facts.length_s < media.least_s or too_long:
        raise MediaUnavailable


def check_speech(media: Speech, file: Path) -> None:
    """Refuse what has no sound, or too much of it."""
    facts = facts_of(file)
    if not facts.has_sound or (media.most_s is not None and facts.length_s > media.most_s):
        raise MediaUnavailable


def facts_of(file: Path) -> Facts:
    """What a video or a sound is.

    Raises:
        MediaUnavailable: it cannot be read.
    """
    from kling_nb.emulator.footage import UnreadableFootage, probe

    try:
        return probe(file)
    except UnreadableFootage as error:
        raise MediaUnavailable from error
