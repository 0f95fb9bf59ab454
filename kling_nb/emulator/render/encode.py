"""A picture becomes an H.264 MP4: a slow camera move, the EMULATED mark, a quiet chord.

Owns frames and sound. Must not know tasks, uploads or HTTP. Rendering costs processor time, so no
clip is larger than 720p, whatever resolution is asked for.
"""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import Colorspace
from PIL import Image

from .images import draw_mark
from .media_probe import ONE_THREAD

__all__ = ["Interrupted", "Scene", "frame_size", "render_clip", "render_scenes"]

FPS = 24
LONGEST_PX = 1280
MOST_PIXELS = 1280 * 720
SMALLEST_LONG_PX = 640
WIDEST = 4.0
ZOOM = 1.12
SOUND_HZ = 44_100
CHORD_HZ = (220, 277, 330, 440)
LOUDNESS = 0.045
FADE_S = 0.8
X264 = {"crf": "25", "preset": "veryfast"}
BT709 = 1
DISSOLVE = (0.55, 0.9)
"""When the last picture begins to show, and when it is all that shows; in lengths."""
ROUNDING = 1e-6


class Interrupted(Exception):
    """The rendering was asked to stop before its end."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of a clip."""

    picture: Image.Image
    length_s: float
    last: Image.Image | None = None
    """The picture that the camera ends on."""


def render_clip(
    picture: Image.Image,
    target: Path,
    *,
    size: tuple[int, int],
    length_s: float,
    sound: bool,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write a clip of one picture; see `render_scenes`."""
    render_scenes([Scene(picture, length_s)], target, size=size, sound=sound, stop=stop)


def render_scenes(
    scenes: Sequence[Scene],
    target: Path,
    *,
    size: tuple[int, int],
    sound: bool,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write a clip, exactly as long as its scenes, at 24 frames a second.

    Raises:
        Interrupted: `stop()` said so; the file is not complete then.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        audio = film.add_stream("aac", rate=SOUND_HZ, layout="mono") if sound else None
        for number, planes in enumerate(play_scenes(scenes, size)):
            if stop():
                raise Interrupted
            film.mux(video.encode(build_frame(planes, number)))
        film.mux(video.encode(None))
        if audio is not None:
            for chunk in play_chord(sum(scene.length_s for scene in scenes)):
                film.mux(audio.encode(chunk))
            film.mux(audio.encode(None))


def play_scenes(scenes: Sequence[Scene], size: tuple[int, int]) -> Iterator[list[Image.Image]]:
    """The frames of all scenes, so many that the whole is as long as it has to be."""
    played, ends_s = 0, 0.0
    for scene in scenes:
        ends_s += scene.length_s
        frames = int(ends_s * FPS + ROUNDING) - played
        played += frames
        moving = move_camera(scene.picture, size, frames)
        yield from dissolve(moving, scene.last, size, frames) if scene.last else moving


def dissolve(
    moving: Iterator[list[Image.Image]], last: Image.Image, size: tuple[int, int], frames: int
) -> Iterator[list[Image.Image]]:
    """Frames that turn into those of a still picture, and end on it."""
    still = split_planes(last.resize(size, Image.Resampling.LANCZOS))
    mark, spot = draw_mark(*size)
    stamp(still, mark, spot)
    begin, end = frames * DISSOLVE[0], max(1.0, frames * DISSOLVE[1])
    for number, planes in enumerate(moving):
        share = min(1.0, max(0.0, (number - begin) / (end - begin)))
        yield [Image.blend(plane, other, share) for plane, other in zip(planes, still, strict=True)]


def frame_size(width: int, height: int) -> tuple[int, int]:
    """Even width and height for a picture: its proportions, at most 1280x720 pixels or so.

    A tiny picture is enlarged to a long side of 640, no further.
    """
    wide, high = slim(width, height)
    longest = max(wide, high)
    scale = min(LONGEST_PX / longest, math.sqrt(MOST_PIXELS / (wide * high)))
    scale = min(scale, max(1.0, SMALLEST_LONG_PX / longest))
    return max(2, round(wide * scale / 2) * 2), max(2, round(high * scale / 2) * 2)


def slim(width: float, height: float) -> tuple[float, float]:
    """The part of a very long or very high picture that is shown."""
    return min(width, height * WIDEST), min(height, width * WIDEST)


def move_camera(
    picture: Image.Image, size: tuple[int, int], frames: int
) -> Iterator[list[Image.Image]]:
    """The frames of a slow push-in, each as its three planes, with the mark."""
    # Scaled as planes of luma and half-size colour, a frame costs half of what RGB would.
    wide = split_planes(fit_source(picture, *size))
    half = (size[0] // 2, size[1] // 2)
    mark, spot = draw_mark(*size)
    for number in range(frames):
        # Fractions of pixels: whole ones would make so slow a move tremble.
        moment = number / max(1, frames - 1)
        planes = [
            plane.resize(seen, Image.Resampling.BICUBIC, box=view_at(moment, *plane.size))
            for plane, seen in zip(wide, (size, half, half), strict=True)
        ]
        stamp(planes, mark, spot)
        yield planes


def split_planes(picture: Image.Image) -> list[Image.Image]:
    """Luma of a picture, and both colour differences in half its size (BT.709)."""
    rgb: av.VideoFrame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
    frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=ONE_THREAD)
    return [
        Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size)
        for plane in frame.planes
    ]


def stamp(planes: list[Image.Image], mark: Image.Image, spot: tuple[int, int]) -> None:
    """Put the mark, which is grey, on a frame."""
    grey, opacity = mark.convert("LA").split()
    half = (max(1, mark.width // 2), max(1, mark.height // 2))
    planes[0].paste(grey, spot, opacity)
    for plane in planes[1:]:
        plane.paste(128, (spot[0] // 2, spot[1] // 2), opacity.resize(half))


def build_frame(planes: list[Image.Image], number: int) -> av.VideoFrame:
    """The frame of that number from its planes."""
    frame = av.VideoFrame(*planes[0].size, "yuv420p")
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = plane.tobytes("raw", "L", target.line_size, 1)
        target.update(rows.ljust(target.buffer_size, b"\0")[: target.buffer_size])
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def fit_source(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture, its middle part if very long, just large enough for the closest view."""
    shown_width, shown_height = slim(*picture.size)
    left, top = (picture.width - shown_width) / 2, (picture.height - shown_height) / 2
    size = (math.ceil(width * ZOOM / 2) * 2, math.ceil(height * ZOOM / 2) * 2)
    box = (left, top, left + shown_width, top + shown_height)
    return picture.resize(size, Image.Resampling.LANCZOS, box=box)


def view_at(moment: float, width: int, height: int) -> tuple[float, float, float, float]:
    """What the camera sees at `moment`, 0 to 1: all of it first, then slowly closer and up."""
    eased = moment - math.sin(2 * math.pi * moment) / (4 * math.pi)
    zoom = ZOOM**eased
    seen_width, seen_height = width / zoom, height / zoom
    left = (width - seen_width) * (0.5 + 0.12 * eased)
    top = (height - seen_height) * (0.5 - 0.18 * eased)
    return left, top, left + seen_width, top + seen_height


def play_chord(length_s: float) -> Iterator[av.AudioFrame]:
    """A soft chord that comes and goes, as frames for the encoder."""
    second = [
        LOUDNESS * sum(math.sin(2 * math.pi * hertz * n / SOUND_HZ) for hertz in CHORD_HZ)
        for n in range(SOUND_HZ)
    ]
    total, chunk = int(length_s * SOUND_HZ), 1024
    fade = FADE_S * SOUND_HZ
    for start in range(0, total, chunk):
        spots = range(start, min(start + chunk, total))
        samples = array.array(
            "f", [second[n % SOUND_HZ] * min(1.0, n / fade, (total - n) / fade) for n in spots]
        )
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(samples))
        # A plane is padded to an aligned length; the rest of it is never played.
        frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, start, Fraction(1, SOUND_HZ)
        yield frame
