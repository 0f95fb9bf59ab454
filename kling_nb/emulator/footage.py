"""Videos and sounds that are given to the service: what they are, and how they begin.

Owns reading them with PyAV, as `render` owns writing. Must not know limits, tasks or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image

__all__ = ["Facts", "UnreadableFootage", "first_frame", "probe"]

FILM_CONTAINERS = frozenset({"mp4", "mov"})


class UnreadableFootage(Exception):
    """The file is no video or sound that can be read."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file holds."""

    length_s: float
    is_film: bool
    """Whether it is an MP4 or QuickTime file with a picture that moves."""
    has_sound: bool


def probe(path: Path) -> Facts:
    """What the file holds.

    Raises:
        UnreadableFootage: nothing that has a length.
    """
    try:
        with av.open(str(path)) as film:
            names = set(film.format.name.split(","))
            length_s = film.duration / av.time_base if film.duration else 0.0
            has_sound = bool(film.streams.audio)
            is_film = bool(film.streams.video) and bool(names & FILM_CONTAINERS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableFootage from error
    if length_s <= 0 or not (is_film or has_sound):
        raise UnreadableFootage
    return Facts(length_s, is_film, has_sound)


def first_frame(path: Path) -> Image.Image:
    """The picture that a video begins with.

    Raises:
        UnreadableFootage: it has none that can be read.
    """
    try:
        with av.open(str(path)) as film:
            for frame in film.decode(video=0):
                return frame.to_image().convert("RGB")  # type: ignore[no-untyped-call, no-any-return]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableFootage from error
    raise UnreadableFootage
