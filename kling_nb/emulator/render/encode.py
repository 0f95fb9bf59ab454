"""Encode images as an H.264 MP4: a slow camera move, the EMULATED mark, a quiet chord.

To save CPU time, clips are smaller than those of the service: the long side has 640 px, or the clip
has at most about 720p if the request sets any resolution.
"""

from __future__ import annotations

import array
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
from av.video.reformatter import Colorspace
from PIL import Image

from .images import draw_mark
from .media_probe import ONE_THREAD

_FPS = 24
_LONG_SIDE_PX = 640
_LARGE_LONG_SIDE_PX = 1280
_LARGE_PIXELS = 1280 * 720
_WIDEST = 4.0
_ZOOM = 1.12
_SOUND_HZ = 44_100
_AUDIO_CHUNK = 1024
_CHORD_HZ = (220, 277, 330, 440)
_LOUDNESS = 0.045
_FADE_S = 0.8
_SMALLER_FILES = "subme=1:cabac=1:no-deblock=0:bframes=3:b-adapt=0"
"""The preset without these options takes the same time and makes files six times as large."""
_X264 = {"crf": "28", "preset": "ultrafast", "threads": "1", "x264-params": _SMALLER_FILES}
_BT709 = 1
_DISSOLVE = (0.55, 0.9)
"""The shares of a scene at which the dissolve to its last image begins and ends."""
_ROUNDING = 1e-6


class Interrupted(Exception):
    """The rendering was stopped before its end."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of a clip."""

    image: Image.Image
    duration_s: float
    last: Image.Image | None = None
    """The image at the end of the scene."""


def render_clip(
    image: Image.Image,
    target: Path,
    *,
    size: tuple[int, int],
    length_s: float,
    sound: bool,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Render a clip of one image; see `render_scenes`."""
    render_scenes([Scene(image, length_s)], target, size=size, sound=sound, stop=stop)


def render_scenes(
    scenes: Sequence[Scene],
    target: Path,
    *,
    size: tuple[int, int],
    sound: bool,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Render a clip exactly as long as its scenes, at 24 frames per second.

    Raises:
        Interrupted: `stop()` returned true; the file is incomplete.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=_FPS, options=_X264)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        audio = container.add_stream("aac", rate=_SOUND_HZ, layout="mono") if sound else None
        for number, planes in enumerate(_frames_of(scenes, size)):
            if stop():
                raise Interrupted
            container.mux(video.encode(_build_frame(planes, number)))
        container.mux(video.encode(None))
        if audio is not None:
            for chunk in _synthesize_chord(sum(scene.duration_s for scene in scenes)):
                container.mux(audio.encode(chunk))
            container.mux(audio.encode(None))


def _frames_of(scenes: Sequence[Scene], size: tuple[int, int]) -> Iterator[list[Image.Image]]:
    """Yield the frames of all scenes; rounding errors do not add up."""
    count, ends_s = 0, 0.0
    for scene in scenes:
        ends_s += scene.duration_s
        frames = int(ends_s * _FPS + _ROUNDING) - count
        count += frames
        moving = _move_camera(scene.image, size, frames)
        yield from _dissolve(moving, scene.last, size, frames) if scene.last else moving


def _dissolve(
    moving: Iterator[list[Image.Image]], last: Image.Image, size: tuple[int, int], frames: int
) -> Iterator[list[Image.Image]]:
    """Yield the frames of a dissolve to a still image."""
    still = _split_planes(last.resize(size, Image.Resampling.LANCZOS))
    _add_mark(still, *draw_mark(*size))
    begin, end = frames * _DISSOLVE[0], max(1.0, frames * _DISSOLVE[1])
    for number, planes in enumerate(moving):
        share = min(1.0, max(0.0, (number - begin) / (end - begin)))
        yield [Image.blend(plane, other, share) for plane, other in zip(planes, still, strict=True)]


def frame_size(width: int, height: int, *, large: bool = False) -> tuple[int, int]:
    """Return an even width and height with the aspect ratio of an image; the long side is 640 px.

    If `large` is set, keep the size of the image, up to about 1280x720 pixels.
    """
    wide, high = _limit_ratio(width, height)
    longest = max(wide, high)
    scale = _LONG_SIDE_PX / longest
    if large:
        most = min(_LARGE_LONG_SIDE_PX / longest, math.sqrt(_LARGE_PIXELS / (wide * high)))
        scale = min(most, max(1.0, scale))
    return max(2, round(wide * scale / 2) * 2), max(2, round(high * scale / 2) * 2)


def _limit_ratio(width: float, height: float) -> tuple[float, float]:
    """Return the visible size of a very wide or very high image."""
    return min(width, height * _WIDEST), min(height, width * _WIDEST)


def _move_camera(
    image: Image.Image, size: tuple[int, int], frames: int
) -> Iterator[list[Image.Image]]:
    """Yield the frames of a slow push-in with the mark, each as three planes."""
    # Scaling luma and half-size colour planes takes half the time of RGB.
    wide = _split_planes(_fit_source(image, *size))
    half = (size[0] // 2, size[1] // 2)
    mark, corner = draw_mark(*size)
    for number in range(frames):
        # Fractions of pixels: with whole ones the slow move would jitter.
        moment = number / max(1, frames - 1)
        planes = [
            plane.resize(target, Image.Resampling.BILINEAR, box=view_at(moment, *plane.size))
            for plane, target in zip(wide, (size, half, half), strict=True)
        ]
        _add_mark(planes, mark, corner)
        yield planes


def _split_planes(image: Image.Image) -> list[Image.Image]:
    """Return the luma plane and both half-size colour planes of an image (BT.709)."""
    rgb: av.VideoFrame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
    frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=ONE_THREAD)
    return [
        Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size)
        for plane in frame.planes
    ]


def _add_mark(planes: list[Image.Image], mark: Image.Image, corner: tuple[int, int]) -> None:
    """Paste the grey mark on a frame."""
    grey, opacity = mark.convert("LA").split()
    half = (max(1, mark.width // 2), max(1, mark.height // 2))
    planes[0].paste(grey, corner, opacity)
    for plane in planes[1:]:
        plane.paste(128, (corner[0] // 2, corner[1] // 2), opacity.resize(half))


def _build_frame(planes: list[Image.Image], number: int) -> av.VideoFrame:
    """Return the frame with this number from its planes."""
    frame = av.VideoFrame(*planes[0].size, "yuv420p")
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = plane.tobytes("raw", "L", target.line_size, 1)
        target.update(rows.ljust(target.buffer_size, b"\0")[: target.buffer_size])
    frame.pts, frame.time_base = number, Fraction(1, _FPS)
    return frame


def _fit_source(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the visible part of an image, just large enough for the closest view."""
    shown_width, shown_height = _limit_ratio(*image.size)
    left, top = (image.width - shown_width) / 2, (image.height - shown_height) / 2
    size = (math.ceil(width * _ZOOM / 2) * 2, math.ceil(height * _ZOOM / 2) * 2)
    box = (left, top, left + shown_width, top + shown_height)
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)


def view_at(moment: float, width: int, height: int) -> tuple[float, float, float, float]:
    """Return the visible box at `moment`, 0 to 1: at first everything, then closer and higher."""
    eased = moment - math.sin(2 * math.pi * moment) / (4 * math.pi)
    zoom = _ZOOM**eased
    view_width, view_height = width / zoom, height / zoom
    left = (width - view_width) * (0.5 + 0.12 * eased)
    top = (height - view_height) * (0.5 - 0.18 * eased)
    return left, top, left + view_width, top + view_height


@lru_cache
def _second_of_chord() -> array.array[float]:
    """Return one second of samples; it can be repeated, because each frequency is whole hertz."""
    return array.array(
        "f",
        (
            _LOUDNESS * sum(math.sin(2 * math.pi * hertz * n / _SOUND_HZ) for hertz in _CHORD_HZ)
            for n in range(_SOUND_HZ)
        ),
    )


def _synthesize_chord(duration_s: float) -> Iterator[av.AudioFrame]:
    """Yield the audio frames of a soft chord with a fade in and a fade out."""
    chord = _second_of_chord() + _second_of_chord()[:_AUDIO_CHUNK]
    total, fade = int(duration_s * _SOUND_HZ), _FADE_S * _SOUND_HZ
    for start in range(0, total, _AUDIO_CHUNK):
        end = min(start + _AUDIO_CHUNK, total)
        first = start % _SOUND_HZ
        samples = chord[first : first + end - start]
        if start < fade or end > total - fade:
            shares = (min(1.0, n / fade, (total - n) / fade) for n in range(start, end))
            samples = array.array("f", map(operator.mul, samples, shares))
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(samples))
        # A plane is padded to an aligned length; the padding is not encoded.
        frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_HZ, start, Fraction(1, _SOUND_HZ)
        yield frame
