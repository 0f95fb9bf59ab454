"""Negatives: every picture that was sent, kept once, so that another print can be made of it.

Owns the folder `pictures/` beside the clips: what its files are called, how they are written, and
when one is still what it was. Must not know models, jobs or formats of pictures: content is bytes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import MediaError

__all__ = ["Negative", "develop", "is_kept", "keep"]

FOLDER: Final = "pictures"
SUFFIXES: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
LOG: Final = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class Negative:
    """A picture as it was sent once, standing for what it was made from.

    May be given wherever a picture may be given; the request is the same one then, since its
    fingerprint has `source_sha256` and not the hash of what is kept.
    """

    source_sha256: str
    """Of what a person gave, before any conversion."""
    name: str
    """For people: the file's name, or what it was."""
    mime_type: str
    """Of what is kept."""
    path: str = ""
    """Absolute path of the kept file; empty when it could not be kept."""
    url: str = ""
    """Where it was fetched; empty when it was not given as a URL."""


def keep(folder: Path, content: bytes, mime_type: str) -> str:
    """Write a picture into `folder/pictures`, unless it is there.

    Returns:
        Its path; empty when it cannot be written: no request may fail for want of a copy.
    """
    name = f"{hashlib.sha256(content).hexdigest()}.{SUFFIXES.get(mime_type, 'bin')}"
    path = folder / FOLDER / name
    # Beside its place and under a name of its own: two kernels may keep the same picture at once.
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        # Compared whole: a file that a crash or a person has spoilt is written anew.
        if not (path.is_file() and path.read_bytes() == content):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
    except OSError as error:
        LOG.warning("%s could not be kept (%s): another take will need the original", path, error)
        _remove(part)
        return ""
    return str(path)


def is_kept(negative: Negative) -> bool:
    """Whether its file is there."""
    return bool(negative.path) and Path(negative.path).is_file()


def develop(negative: Negative) -> bytes:
    """The content of a kept picture.

    Raises:
        MediaError: It was not kept, is gone, or is not what it was.
    """
    if not negative.path:
        raise MediaError(f"{negative.name}: no copy of it was kept; give the original again")
    path = Path(negative.path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise MediaError(
            f"{negative.name}: its copy {path} cannot be read ({reason}); give the original again"
        ) from None
    if hashlib.sha256(content).hexdigest() != path.stem:
        # Sent under the old name, it would be paid for as the request that it is not.
        raise MediaError(
            f"{negative.name}: its copy {path} was changed since; delete it and run the cell again"
        )
    return content


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        LOG.info("%s is left over (%s)", path, error)
