"""A stored input: media of an earlier request, saved in the folder of clips."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredInput:
    """An image, video or audio file as it was sent, in place of its source.

    Accepted wherever media are accepted. The request is the same, because its fingerprint has
    `source_sha256` and not the hash of the stored file.
    """

    source_sha256: str
    """Of the source, before any conversion."""
    name: str
    """The file's name or a description, for people."""
    mime_type: str
    """Of the stored file."""
    path: str = ""
    """Absolute path of the stored file; empty if it could not be stored."""
    url: str = ""
    """URL of the source; empty if it was not a URL."""
