"""Check and measure the uploaded files of a task when its rendering begins.

A file cannot be used if it has expired, has another kind than its field takes, or exceeds a limit
of the model's page. The emulator never fetches files that are not its own, and accepts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from kling_nb.emulator.account.uploads import Upload, Uploads
from kling_nb.emulator.hosts import own_upload_path
from kling_nb.emulator.models import HostedModel
from kling_nb.emulator.models.fields import (
    AudioFile,
    Choice,
    FieldKind,
    Flag,
    ImageFile,
    Integer,
    Media,
    Number,
    ObjectList,
    Text,
    Url,
    UrlList,
    VideoFile,
)

from .shot_list import SLACK_S

if TYPE_CHECKING:
    from .media_probe import MediaFacts


class MediaUnavailable(Exception):
    """A file of the task has expired or cannot be used."""


def check_files(model: HostedModel, values: Mapping[str, object], uploads: Uploads) -> None:
    """Check every uploaded file of a request.

    Raises:
        MediaUnavailable: One of them cannot be used.
    """
    for media, url in _files_of(model.fields, values):
        upload = find(url, uploads)
        if upload is not None:
            _check(media, upload, uploads.file_of(upload), values)


def _files_of(
    fields: Mapping[str, FieldKind], values: Mapping[str, object]
) -> Iterator[tuple[Media, str]]:
    """Yield each URL of a valid request with the kind of its file."""
    for name, kind in fields.items():
        value = values.get(name)
        several = value if isinstance(value, list) else []
        match kind:
            case Url():
                if value:
                    yield kind.media, str(value)
            case UrlList():
                alone = kind.alone if len(several) == 1 else None
                for url in several:
                    yield alone or kind.media, str(url)
            case ObjectList():
                for each in several:
                    yield from _files_of({**kind.fields, **kind.optional}, each)
            case Text() | Choice() | Flag() | Integer() | Number():
                pass
            case _:
                assert_never(kind)


def find(url: str, uploads: Uploads) -> Upload | None:
    """Return the upload at a URL; None for any other URL, which is never fetched.

    Raises:
        MediaUnavailable: The upload has expired.
    """
    path = own_upload_path(url)
    upload = uploads.find(path) if path else None
    if upload is not None and upload.expired:
        raise MediaUnavailable
    return upload


def file_at(url: str, uploads: Uploads) -> Path | None:
    """Return the file of the upload at a URL, or None for any other URL."""
    upload = find(url, uploads)
    return uploads.file_of(upload) if upload else None


def measure(url: str, uploads: Uploads) -> float | None:
    """Return the seconds of the upload at a URL, or None if they are unknown."""
    try:
        file = file_at(url, uploads)
        return _facts_of(file).duration_s if file else None
    except MediaUnavailable:
        return None


def _check(media: Media, upload: Upload, file: Path, values: Mapping[str, object]) -> None:
    """Raise MediaUnavailable if the field does not take the file."""
    if media.max_bytes is not None and upload.size_bytes > media.max_bytes:
        raise MediaUnavailable
    match media:
        case ImageFile():
            _check_image(media, file)
        case VideoFile():
            if not is_allowed(media, _facts_of(file), values):
                raise MediaUnavailable
        case AudioFile():
            facts = _facts_of(file)
            too_long = media.most_s is not None and facts.duration_s > media.most_s
            if too_long or not facts.has_sound:
                raise MediaUnavailable
        case _:
            assert_never(media)


def _check_image(media: ImageFile, file: Path) -> None:
    """Raise MediaUnavailable if an image is unreadable or has another format, size or ratio."""
    from .images import UnreadableImage, open_image

    try:
        image = open_image(file.read_bytes(), media.formats)
    except UnreadableImage as error:
        raise MediaUnavailable from error
    if min(image.size) <= media.over_px or min(image.size) < media.least_px:
        raise MediaUnavailable
    if media.ratio and not media.ratio[0] <= image.width / image.height <= media.ratio[1]:
        raise MediaUnavailable


def is_allowed(media: VideoFile, facts: MediaFacts, values: Mapping[str, object]) -> bool:
    """Return whether a video is within the limits of the page."""
    limits_s = [media.most_s]
    if media.most_s_when and values.get(media.most_s_when[0]) == media.most_s_when[1]:
        limits_s.append(media.most_s_when[2])
    too_long = any(limit is not None and facts.duration_s > limit + SLACK_S for limit in limits_s)
    too_short = facts.duration_s < media.least_s - SLACK_S
    return facts.is_video and not (too_long or too_short) and _has_allowed_frames(media, facts)


def _has_allowed_frames(media: VideoFile, facts: MediaFacts) -> bool:
    """Return whether sides, area, ratio and rate of a video are within the limits of the page."""
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


def _facts_of(file: Path) -> MediaFacts:
    """Probe a video or audio file.

    Raises:
        MediaUnavailable: The file cannot be read.
    """
    from .media_probe import UnreadableMedia, probe

    try:
        return probe(file)
    except UnreadableMedia as error:
        raise MediaUnavailable from error
