"""Probe video and audio files with PyAV: duration, size, sound, and the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from PIL import Image

if TYPE_CHECKING:
    from av.container import InputContainer

ONE_THREAD = 1
"""For scaling: a forked child would wait for ever for the threads of a scaler (PyAV 19)."""
_VIDEO_CONTAINERS = frozenset({"mp4", "mov"})


class UnreadableMedia(Exception):
    """The file is no readable video or audio."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """The content of a video or audio file."""

    duration_s: float
    is_video: bool
    """Whether it is an MP4 or QuickTime file with a video stream."""
    has_sound: bool
    size: tuple[int, int] = (1, 1)
    """Width and height of the stored frames."""
    rate: float = 0.0
    """Frames per second."""


def probe(path: Path) -> MediaFacts:
    """Read the facts of a file.

    Raises:
        UnreadableMedia: The file has neither video nor audio, or no duration.
    """
    try:
        with av.open(str(path)) as container:
            names = set(container.format.name.split(","))
            duration_s = container.duration / av.time_base if container.duration else 0.0
            has_sound = bool(container.streams.audio)
            is_video = bool(container.streams.video) and bool(names & _VIDEO_CONTAINERS)
            size, rate = _frames_in(container)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableMedia from error
    if duration_s <= 0 or not (is_video or has_sound):
        raise UnreadableMedia
    return MediaFacts(duration_s, is_video, has_sound, size, rate)


def _frames_in(container: InputContainer) -> tuple[tuple[int, int], float]:
    """Return the frame size and rate; (1, 1) and 0 without a video stream."""
    if not container.streams.video:
        return (1, 1), 0.0
    stream = container.streams.video[0]
    return (stream.width or 1, stream.height or 1), float(stream.average_rate or 0)


def first_frame(path: Path) -> Image.Image:
    """Return the first frame of a video.

    Raises:
        UnreadableMedia: The file has no readable frame.
    """
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                return frame.to_image(threads=ONE_THREAD).convert("RGB")  # type: ignore[no-untyped-call, no-any-return]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableMedia from error
    raise UnreadableMedia
