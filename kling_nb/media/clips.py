"""Clips: read a file's facts, poster and frames, and make a preview small enough to embed.

Decodes and re-encodes videos. Must not depend on jobs, services or notebooks. PyAV is imported
inside the functions, so that importing this module is cheap.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from kling_nb.core.errors import MediaError, WrongLength
from kling_nb.core.job_state import ClipFacts, Encoding

from . import probe
from .probe import HEAD_BYTES, ONE_THREAD, TOLERANCE_S, read_duration, read_end, to_image

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

__all__ = [
    "POSTER_BYTES",
    "check_clip",
    "decode_frame",
    "frame",
    "poster",
    "preview",
    "probe_clip",
    "read_encoding",
]

ALLOWED: Final = "allowed: an MP4 or WebM that plays; if it came from the service, fetch it again"
POSTER_BYTES: Final = 60_000  # in base64 and with its card, less than 100 kB of a notebook
PLAYED: Final = frozenset({"mp4", "matroska"})
"""FFmpeg's names of the containers that a clip may come in."""
TOLERANCE_SHARE: Final = 0.1
AUDIO_BITS_PER_S: Final = 96_000
PREVIEW_PX: Final = 720
"""The shorter side, so that an upright clip counts as 720p too."""
BITS_PER_PIXEL: Final = 0.04
"""What H.264 needs to look clean in a notebook; below it a smaller picture looks better."""

Encoder = Callable[[Any], "Sequence[Packet[Any]]"]
"""Takes a decoded frame, or None at the end; gives the packets to write."""


def probe_clip(path: Path) -> ClipFacts:
    """What is in a clip's file, measured and not believed.

    The first and the last pictures are decoded, so that a file whose header is whole and whose end
    is missing does not pass.

    Raises:
        MediaError: It is not a playable MP4 or WebM.
    """
    with opened(path) as (container, stream):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        duration_s = read_duration(container, stream)
        first = next(container.decode(stream))
        end_s = read_end(container, stream)
        if duration_s <= 0 or end_s < duration_s - TOLERANCE_S:
            raise MediaError(
                f"{path.name}: its header says {duration_s:.1f} s, its pictures end at "
                f"{end_s:.1f} s; the file is cut short: fetch it again"
            )
        return ClipFacts(
            path=str(path.absolute()),
            width_px=first.width,
            height_px=first.height,
            duration_s=duration_s,
            fps=float(stream.average_rate or 0),
            video_codec=codec_name(stream),
            audio_codec=next(map(codec_name, container.streams.audio), ""),
            size_bytes=path.stat().st_size,
            sha256=sha256,
        )


def read_encoding(path: Path) -> Encoding:
    """Return how a clip is encoded; read its header and decode nothing.

    Raises:
        MediaError: It is not an MP4, MOV, WebM or Matroska file with pictures.
        OSError: The file is not there.
    """
    with path.open("rb") as file:
        form = probe.recognise(file.read(HEAD_BYTES))
    with opened(path) as (container, stream):
        return Encoding(
            mime_type=form.mime_type if form else "",
            video_codec=codec_name(stream),
            profile=stream.codec_context.profile or "",
            pixel_format=stream.codec_context.pix_fmt or "",
            audio_codec=next(map(codec_name, container.streams.audio), ""),
        )


def check_clip(facts: ClipFacts, expected_s: float) -> None:
    """See that a clip is as long as was paid for.

    Allowed is a difference of 0.5 s or of 10 %, whichever is more: nothing is known of how exactly
    the service keeps to the asked length.

    Raises:
        WrongLength: It is shorter or longer than that.
    """
    if abs(facts.duration_s - expected_s) > max(TOLERANCE_S, TOLERANCE_SHARE * expected_s):
        raise WrongLength(
            f"{Path(facts.path).name}: {facts.duration_s:.1f} s long, asked for were "
            f"{expected_s:g} s; look at it before you pay for another"
        )


def poster(path: Path) -> bytes:
    """A JPEG of the first picture that is not black, at most 1280 px wide and 60 kB.

    Raises:
        MediaError: It is not a playable MP4 or WebM.
    """
    with opened(path) as (container, stream):
        image = probe.first_lit(container, stream)
    sides_px = (1280, 1280, 1280, 960, 640, 480, 240)
    for side_px, quality in zip(sides_px, (80, 65, 50, 50, 50, 40, 30), strict=True):
        image.thumbnail((side_px, side_px))
        content = BytesIO()
        image.save(content, format="JPEG", quality=quality)
        if content.tell() <= POSTER_BYTES:
            break
    return content.getvalue()


def frame(path: Path, index: int) -> Image:
    """One picture of the clip, counted from 0, or from the end when negative.

    Raises:
        IndexError: The clip has fewer pictures.
        MediaError: It is not a playable MP4 or WebM.
    """
    return decode_frame(path, index)[0]


def decode_frame(path: Path, index: int) -> tuple[Image, int]:
    """Return a frame of the clip, as `frame` does, and its position: from 0, or -1 for the last.

    Raises:
        IndexError: The clip has fewer pictures.
        MediaError: It is not a playable MP4 or WebM.
    """
    with opened(path) as (container, stream):
        stamps = list_stamps(container, stream)
        count = len(stamps)
        if -count <= index < count:
            position = index % count
            image = to_image(decode_at(container, stream, stamps[index]))
            return image, -1 if position == count - 1 else position
    raise IndexError(f"frame {index}: {path.name} has {count} frames, 0 to {count - 1}, or -1 back")


def preview(path: Path, *, max_bytes: int = 1_500_000) -> bytes:
    """The clip as an MP4 of at most `max_bytes`: H.264, AAC if it has sound, 720p where it fits.

    Raises:
        MediaError: It is not a playable MP4 or WebM, or too long for so few bytes.
    """
    with opened(path) as (container, stream):
        plan = plan_preview(container, stream, max_bytes)
    for attempt in (plan, plan.shrunk()):
        content = transcode(path, attempt)
        if len(content) <= max_bytes:
            return content
    least = f"{len(content):,}"
    raise MediaError(f"{path.name}: a preview has {least} bytes; allowed are {max_bytes:,}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a preview is encoded."""

    width_px: int
    height_px: int
    bits_per_s: int
    """Of the pictures; the sound comes on top."""

    def shrunk(self) -> Plan:
        """For a clip that moved more than was planned for."""
        width, height = to_even(self.width_px * 0.7), to_even(self.height_px * 0.7)
        return Plan(width, height, self.bits_per_s // 2)


def plan_preview(container: InputContainer, stream: VideoStream, max_bytes: int) -> Plan:
    duration_s = max(read_duration(container, stream), 0.1)
    # A tenth is left for the container and for what the rate control misses.
    total = 0.9 * 8 * max_bytes / duration_s
    bits_per_s = max(total - (AUDIO_BITS_PER_S if container.streams.audio else 0), 20_000)
    width, height = stream.codec_context.width, stream.codec_context.height
    pixels_per_s = width * height * float(stream.average_rate or 24)
    affordable = math.sqrt(bits_per_s / (BITS_PER_PIXEL * pixels_per_s))
    scale = min(1, PREVIEW_PX / min(width, height), affordable)
    return Plan(to_even(width * scale), to_even(height * scale), int(bits_per_s))


def transcode(path: Path, plan: Plan) -> bytes:
    import av

    # A file and not memory: to put the index first, the muxer opens what it wrote a second time.
    with TemporaryDirectory() as folder, opened(path) as (container, stream):
        target = Path(folder, "preview.mp4")
        with av.open(str(target), "w", options={"movflags": "+faststart"}) as output:
            encoders = {stream.index: add_pictures(output, stream, plan)}
            for sound in container.streams.audio[:1]:
                encoders[sound.index] = add_sound(output, sound)
            for packet in container.demux([container.streams[index] for index in encoders]):
                encoder = encoders[packet.stream.index]
                for decoded in packet.decode():
                    output.mux(encoder(decoded))
            for encoder in encoders.values():
                output.mux(encoder(None))
        return target.read_bytes()


def add_pictures(output: OutputContainer, source: VideoStream, plan: Plan) -> Encoder:
    from av.video.frame import PictureType

    stream = output.add_stream("libx264", rate=source.average_rate or Fraction(24))
    stream.width, stream.height, stream.pix_fmt = plan.width_px, plan.height_px, "yuv420p"
    # A quality, and a rate as its limit: a clip that moves little takes less than it may.
    stream.options = {
        "preset": "veryfast",
        "crf": "23",
        "maxrate": str(plan.bits_per_s),
        "bufsize": str(plan.bits_per_s // 2),
    }
    stream.codec_context.time_base = source.time_base or Fraction(1, 90_000)

    def encode(shown: Any) -> list[Packet[Any]]:
        if shown is None:
            return stream.encode(None)
        smaller = shown.reformat(plan.width_px, plan.height_px, "yuv420p", threads=ONE_THREAD)
        smaller.pict_type = PictureType.NONE  # else the old key frames are forced upon the new clip
        return stream.encode(smaller)

    return encode


def add_sound(output: OutputContainer, source: AudioStream) -> Encoder:
    stream = output.add_stream("aac", rate=source.rate)
    stream.bit_rate = AUDIO_BITS_PER_S
    return stream.encode


def codec_name(stream: VideoStream | AudioStream) -> str:
    """Return FFmpeg's name of the codec, not of the decoder: `av1` and not `libdav1d`."""
    return stream.codec_context.codec.canonical_name


def list_stamps(container: InputContainer, stream: VideoStream) -> list[int]:
    """When each picture is shown, in order, in the stream's time base; nothing is decoded."""
    packets = container.demux(stream)
    return sorted(each.pts for each in packets if each.pts is not None and not each.is_discard)


def decode_at(container: InputContainer, stream: VideoStream, stamp: int) -> VideoFrame:
    container.seek(stamp, stream=stream)
    return next(shown for shown in container.decode(stream) if (shown.pts or 0) >= stamp)


def to_even(pixels: float) -> int:
    """Half the chroma of yuv420p needs even sides."""
    return max(2, round(pixels / 2) * 2)


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A clip's container and pictures; every failure in reading it is told as a MediaError."""
    with (
        probe.reading(path.name, "a clip", ALLOWED),
        path.open("rb") as file,
        probe.opened(file, judge_format(file)) as container,
    ):
        if not container.streams.video:
            raise MediaError(f"{path.name}: has no pictures; {ALLOWED}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def judge_format(file: BinaryIO) -> str:
    """The container's name, by the first bytes."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    form = probe.recognise(head)
    if form is None or form.demuxer not in PLAYED:
        name = Path(file.name).name
        raise MediaError(f"{name}: begins with {head[:12]!r}, which no clip does; {ALLOWED}")
    return form.demuxer
