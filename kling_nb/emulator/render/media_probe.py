"""Probe the videos and sounds that a request names: length, size, sound, and the first frame.

Owns reading them with PyAV, as `encode` owns writing. Must not know limits, tasks or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from PIL import Image

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["ONE_THREAD", "Facts", "UnreadableFootage", "first_frame", "probe"]

ONE_THREAD = 1
"""For scaling: a forked child would wait for ever for threads that it does not have (PyAV 19)."""
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
    size: tuple[int, int] = (1, 1)
    """Width and height of the picture, as it lies in the file."""
    rate: float = 0.0
    """Frames a second."""


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
            size, rate = shown_in(film)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableFootage from error
    if length_s <= 0 or not (is_film or has_sound):
        raise UnreadableFootage
    return Facts(length_s, is_film, has_sound, size, rate)


def shown_in(film: InputContainer) -> tuple[tuple[int, int], float]:
    """Width and height, and frames a second; nothing of them where there is no picture."""
    if not film.streams.video:
        return (1, 1), 0.0
    stream = film.streams.video[0]
    return (stream.width or 1, stream.height or 1), float(stream.average_rate or 0)


def first_frame(path: Path) -> Image.Image:
    """The picture that a video begins with.

    Raises:
        UnreadableFootage: it has none that can be read.
    """
    try:
        with av.open(str(path)) as film:
            for frame in film.decode(video=0):
                return frame.to_image(threads=ONE_THREAD).convert("RGB")  # type: ignore[no-untyped-call, no-any-return]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableFootage from error
    raise UnreadableFootage
