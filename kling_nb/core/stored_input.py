"""A stored input: media of an earlier request, saved in the folder of clips."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoredInput"]


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A picture, a video or a sound as it was sent once, standing for what it was made from.

    May be given wherever such a thing may be given; the request is the same one then, since its
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
