"""Check and read the input files of a task when its rendering begins.

Owns what makes a file unusable: it has expired, is not what its field takes, or breaks a limit of
the model's page. Files that are not the emulator's own are never fetched, and pass. Must not know
HTTP or how clips are rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kling_nb.emulator.account.uploads import Upload, Uploads
from kling_nb.emulator.hosts import own_upload_path
from kling_nb.emulator.models import HostedModel
from kling_nb.emulator.models.fields import (
    Address,
    Addresses,
    Footage,
    Kind,
    Media,
    Picture,
    Records,
    Speech,
)

from .durations import SLACK_S

if TYPE_CHECKING:
    from .media_probe import Facts

__all__ = [
    "MediaUnavailable",
    "file_at",
    "inspect",
    "is_allowed",
    "measure",
]


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
                alone = kind.alone if len(value) == 1 else None
                for url in value:
                    yield alone or kind.media, str(url)
            case Records() if isinstance(value, list):
                for record in value:
                    yield from files_of({**kind.fields, **kind.optional}, record)


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
    from .images import UnreadablePicture, open_picture

    try:
        picture = open_picture(file.read_bytes(), media.formats)
    except UnreadablePicture as error:
        raise MediaUnavailable from error
    if min(picture.size) <= media.over_px or min(picture.size) < media.least_px:
        raise MediaUnavailable
    if media.ratio and not media.ratio[0] <= picture.width / picture.height <= media.ratio[1]:
        raise MediaUnavailable


def check_footage(media: Footage, file: Path, values: Mapping[str, object]) -> None:
    """Refuse what is no MP4 or QuickTime video, too short or too long."""
    if not is_allowed(media, facts_of(file), values):
        raise MediaUnavailable


def is_allowed(media: Footage, facts: Facts, values: Mapping[str, object]) -> bool:
    """Whether a video is within the limits of the page."""
    limits_s = [media.most_s]
    if media.most_s_when and values.get(media.most_s_when[0]) == media.most_s_when[1]:
        limits_s.append(media.most_s_when[2])
    too_long = any(limit is not None and facts.length_s > limit + SLACK_S for limit in limits_s)
    too_short = facts.length_s < media.least_s - SLACK_S
    return facts.is_film and not (too_long or too_short) and has_allowed_frames(media, facts)


def has_allowed_frames(media: Footage, facts: Facts) -> bool:
    """Whether sides, area, shape and rate of a video are within the limits of the page."""
    width, height = facts.size
    short, long = media.sides_px or (0, max(facts.size))
    least, greatest = media.ratio or (0, width)
    slow, fast = media.rate or (0, round(facts.rate))
    return (
        short <= min(facts.size)
        and max(facts.size) <= long
        and width * height <= (media.area_px or width * height)
        and least <= width / height <= greatest
        and slow <= round(facts.rate) <= fast
    )


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
    from .media_probe import UnreadableFootage, probe

    try:
        return probe(file)
    except UnreadableFootage as error:
        raise MediaUnavailable from error
