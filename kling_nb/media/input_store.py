"""Stored inputs: keep one copy of each image, video and audio file sent, for another take.

Manages the folder `pictures/` beside the clips: names its files, writes them, and checks that a
file has not changed. Must not depend on models, jobs or formats: content is bytes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
from pathlib import Path
from typing import Final

from kling_nb.core.errors import MediaError
from kling_nb.core.files import make_folder, new_file, write_new
from kling_nb.core.stored_input import StoredInput

__all__ = [
    "check_kept",
    "content_hash",
    "develop",
    "is_kept",
    "keep",
    "suffix_of",
]

FOLDER: Final = "pictures"
SUFFIXES: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
}
LOG: Final = logging.getLogger("kling_nb")


def keep(folder: Path, content: bytes | Path, mime_type: str, sha256: str = "") -> str:
    """Write what is sent into `folder/pictures`, unless it is there.

    A file that lies in the folder already, as an earlier clip does, is not copied: its own path is
    given back. Any other is copied, since its owner may change or delete it.

    Args:
        folder: The folder of clips.
        content: What is sent, or the file that is.
        mime_type: What it is; decides on the name's ending.
        sha256: Of what is sent, where that is known: a file may be another one by now.

    Returns:
        Its path; empty when it cannot be written: no request may fail for want of a copy.
    """
    if isinstance(content, Path) and content.resolve().is_relative_to(folder.resolve()):
        return str(content)
    part: Path | None = None
    try:
        digest = sha256 or content_hash(content)
        path = folder / FOLDER / f"{digest}.{suffix_of(mime_type)}"
        # Beside its place and under a name of its own: two kernels may keep the same one at once.
        part = path.with_suffix(f".{secrets.token_hex(4)}.part")
        # Compared whole: a file that a crash or a person has spoilt is written anew.
        if not (path.is_file() and content_hash(path) == digest):
            make_folder(folder)
            make_folder(path.parent, within=folder)
            _write(part, content, digest)
            part.replace(path)
    except OSError as error:
        what = path if part else content
        LOG.warning("%s could not be kept (%s): another take will need the original", what, error)
        if part:
            _remove(part)
        return ""
    return str(path)


def is_kept(negative: StoredInput) -> bool:
    """Whether its file is there."""
    return bool(negative.path) and Path(negative.path).is_file()


def develop(negative: StoredInput) -> bytes:
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
    check_kept(negative, content_hash(content))
    return content


def check_kept(negative: StoredInput, sha256: str) -> None:
    """See that a kept file is still what was sent.

    Sent under the old name, it would be paid for as the request that it is not.

    Args:
        negative: What was kept.
        sha256: Of the file as it is now.

    Raises:
        MediaError: It was changed; says what to do.
    """
    path = Path(negative.path)
    # A copy is named after its content; all else lay in the folder already and is as it was given.
    if sha256 in (path.stem, negative.source_sha256):
        return
    if path.parent.name == FOLDER and len(path.stem) == len(sha256):
        raise MediaError(
            f"{negative.name}: its copy {path} was changed since; delete it and run the cell again"
        )
    raise MediaError(f"{negative.name}: {path} was changed since; give the original in a new cell")


def suffix_of(mime_type: str) -> str:
    """How the name of a file of that type ends, without the dot."""
    return SUFFIXES.get(mime_type, "bin")


def content_hash(content: bytes | Path) -> str:
    """SHA-256 of bytes, or of a file, which is read in pieces."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes | Path, digest: str) -> None:
    if isinstance(content, bytes):
        write_new(path, content)
        return
    with content.open("rb") as source, new_file(path) as target:
        shutil.copyfileobj(source, target)
    if content_hash(path) != digest:
        raise OSError(f"{content} was changed meanwhile")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        LOG.info("%s is left over (%s)", path, error)
