"""Stored inputs: keep one copy of each image, video and audio file sent, for another take.

Manages the folder `pictures/` beside the clips: names its files, writes them, and checks that a
file has not changed. Must not depend on models, jobs or formats: content is bytes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from kling_nb.core.errors import MediaError
from kling_nb.core.files import make_folder, new_file, write_new
from kling_nb.core.stored_input import StoredInput

INPUT_FOLDER: Final = "pictures"
_SUFFIXES: Final = {
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
_BLOCK_BYTES: Final = 1_048_576
_LOG: Final = logging.getLogger("kling_nb")


def store_input(folder: Path, content: bytes | Path, mime_type: str, sha256: str = "") -> str:
    """Store an input in `folder/pictures`, unless it is there, and return its path.

    A file in the folder, such as an earlier clip, is not copied: its own path is returned. Any
    other file is copied, since its owner may change or delete it.

    Args:
        folder: The folder of clips.
        content: The content, or the path of a file.
        mime_type: The type; gives the suffix.
        sha256: The hash of the content, if known: a file may have changed.

    Returns:
        The path; empty if the copy cannot be written: a request must not fail because of it.
    """
    if isinstance(content, Path) and content.resolve().is_relative_to(folder.resolve()):
        return str(content)
    path = folder / INPUT_FOLDER
    try:
        digest = sha256 or content_hash(content)
        path /= f"{digest}.{suffix_of(mime_type)}"
        # Compares the content: a file that a crash or a person has damaged is written again.
        if not (path.is_file() and content_hash(path) == digest):
            make_folder(folder)
            make_folder(path.parent, within=folder)
            write_whole(path, content, digest)
    except OSError as error:
        _LOG.warning(
            "%s could not be stored (%s): another take will need the original", path, error
        )
        return ""
    return str(path)


def is_stored(stored: StoredInput) -> bool:
    """Return whether the stored file exists."""
    return bool(stored.path) and Path(stored.path).is_file()


def read_stored(stored: StoredInput) -> bytes:
    """Return the content of a stored image.

    Raises:
        MediaError: It was not stored, is missing, or has changed.
    """
    if not stored.path:
        raise MediaError(f"{stored.name}: no copy of it was kept; give the original again")
    try:
        content = Path(stored.path).read_bytes()
    except OSError as error:
        raise MediaError(
            f"{stored.name}: its copy {stored.path} cannot be read ({error.strerror or error}); "
            "give the original again"
        ) from None
    check_unchanged(stored, content_hash(content))
    return content


def check_unchanged(stored: StoredInput, sha256: str) -> None:
    """Check that a stored file, by its hash now, is still what was sent.

    Sent under the old fingerprint, a changed file would be paid for as another request.

    Raises:
        MediaError: It has changed; the message says what to do.
    """
    path = Path(stored.path)
    # The name of a copy is its hash; any other file was in the folder and is stored as it was.
    if sha256 in (path.stem, stored.source_sha256):
        return
    if path.parent.name == INPUT_FOLDER and len(path.stem) == len(sha256):
        raise MediaError(
            f"{stored.name}: its copy {path} has changed; delete it and run the cell again"
        )
    raise MediaError(f"{stored.name}: {path} has changed; give the original in a new cell")


def suffix_of(mime_type: str) -> str:
    """Return the file suffix of a type, without the dot."""
    return _SUFFIXES.get(mime_type, "bin")


def content_hash(content: bytes | Path) -> str:
    """Return the SHA-256 of bytes, or of a file, which is read in pieces."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes | Path, sha256: str = "") -> None:
    """Write a file under another name and rename it, so that other kernels never read a part.

    Raises:
        OSError: It cannot be written, or a copied file has another hash than `sha256`.
    """
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        if isinstance(content, bytes):
            write_new(part, content)
        else:
            digest = hashlib.sha256()
            with content.open("rb") as source, new_file(part) as target:
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
                    digest.update(block)
            if digest.hexdigest() != sha256:
                raise OSError(f"{content} has changed")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
