"""Clips: read a file's facts, poster and frames, and make a preview small enough to embed.

Large clips need a preview, and clips that some browsers cannot play. It is made once, in a hidden
folder beside the clip, so that a search for clips does not find it, and again when the clip
changes. Must not depend on jobs, services or notebooks. PyAV is imported inside the functions, so
that importing this module is cheap.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from kling_nb.core.errors import MediaError, WrongLength
from kling_nb.core.files import make_folder
from kling_nb.core.forks import ForkSafeLock
from kling_nb.core.job_state import ClipFacts, Encoding

from . import probe
from .input_store import content_hash, write_whole
from .probe import HEAD_BYTES, ONE_THREAD, TOLERANCE_S, read_duration, read_end, to_image

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from PIL.Image import Image

_ALLOWED: Final = "allowed: a playable MP4 or WebM; if it came from the service, download it again"
POSTER_BYTES: Final = 60_000  # in base64 and with its card, less than 100 kB of a notebook
_PLAYABLE: Final = frozenset({"mp4", "matroska"})
"""FFmpeg's names of the containers of clips."""
WHOLE_BYTES: Final = 2_000_000
"""The largest clip that is embedded whole."""
_PREVIEW_BYTES: Final = 1_500_000
"""The largest preview."""
PREVIEW_FOLDER: Final = ".previews"
_TOLERANCE_SHARE: Final = 0.1
_AUDIO_BITS_PER_S: Final = 96_000
_PREVIEW_PX: Final = 720
"""The shorter side, so that a portrait clip counts as 720p too."""
_BITS_PER_PIXEL: Final = 0.04
"""H.264 needs this to look clean in a notebook; below it a smaller frame looks better."""

_ALL_PROCESSORS: Final = 0
"""FFmpeg uses one thread per processor."""

_Encoder = Callable[[Any], "Sequence[Packet[Any]]"]
"""Takes a decoded frame, or None at the end; returns the packets to write."""


def probe_clip(path: Path, sha256: str = "") -> ClipFacts:
    """Measure a clip's file.

    Decodes the first and the last frames, to detect a file with a complete header and a missing
    end.

    Args:
        path: The file.
        sha256: Its hash; empty to compute it.

    Raises:
        MediaError: It is not a playable MP4 or WebM.
    """
    with _open_clip(path) as (container, stream):
        # The loop filter takes a third of the time and only affects pixels. `showall` shows H.264
        # frames also if the frames that they refer to are missing.
        stream.codec_context.options = {"skip_loop_filter": "all", "flags2": "+showall"}
        duration_s = read_duration(container, stream)
        first = next(container.decode(stream))
        end_s = read_end(container, stream, any_frame=True)
        if end_s < duration_s - TOLERANCE_S:
            end_s = read_end(container, stream)
        if duration_s <= 0 or end_s < duration_s - TOLERANCE_S:
            raise MediaError(
                f"{path.name}: its header says {duration_s:.1f} s, but its video ends at "
                f"{end_s:.1f} s; the file is truncated; download it again"
            )
        return ClipFacts(
            path=str(path.absolute()),
            width_px=first.width,
            height_px=first.height,
            duration_s=duration_s,
            fps=float(stream.average_rate or 0),
            video_codec=_codec_name(stream),
            audio_codec=next(map(_codec_name, container.streams.audio), ""),
            size_bytes=path.stat().st_size,
            sha256=sha256 or content_hash(path),
        )


def read_encoding(path: Path) -> Encoding:
    """Return how a clip is encoded; read its header and decode nothing.

    Raises:
        MediaError: It is not an MP4, MOV, WebM or Matroska file with video.
        OSError: The file cannot be read.
    """
    mime_type = _clip_type(path).mime_type
    with _open_clip(path) as (container, stream):
        return Encoding(
            mime_type=mime_type,
            video_codec=_codec_name(stream),
            profile=stream.codec_context.profile or "",
            pixel_format=stream.codec_context.pix_fmt or "",
            audio_codec=next(map(_codec_name, container.streams.audio), ""),
        )


def check_clip(facts: ClipFacts, expected_s: float) -> None:
    """Check that a clip has the requested length.

    Allows a difference of 0.5 s or 10 %, whichever is more: the service's precision is unknown.

    Raises:
        WrongLength: The difference is larger.
    """
    if abs(facts.duration_s - expected_s) > max(TOLERANCE_S, _TOLERANCE_SHARE * expected_s):
        raise WrongLength(
            f"{Path(facts.path).name}: {facts.duration_s:.1f} s long instead of "
            f"{expected_s:g} s; watch it before you pay for another"
        )


def poster(path: Path) -> bytes:
    """Return a JPEG of the first frame that is not black, at most 1280 px wide and 60 kB.

    Raises:
        MediaError: It is not a playable MP4 or WebM.
    """
    with _open_clip(path) as (container, stream):
        image = to_image(probe.first_visible_frame(container, stream))
    sides_px = (1280, 1280, 1280, 960, 640, 480, 240)
    for side_px, quality in zip(sides_px, (80, 65, 50, 50, 50, 40, 30), strict=True):
        image.thumbnail((side_px, side_px))
        content = BytesIO()
        image.save(content, format="JPEG", quality=quality)
        if content.tell() <= POSTER_BYTES:
            break
    return content.getvalue()


def frame(path: Path, index: int) -> Image:
    """Return a frame of the clip, counted from 0, or from the end if negative.

    Raises:
        IndexError: The clip has fewer frames.
        MediaError: It is not a playable MP4 or WebM.
    """
    return decode_frame(path, index)[0]


def decode_frame(path: Path, index: int) -> tuple[Image, int]:
    """Return a frame of the clip, as `frame` does, and its position: from 0, or -1 for the last.

    Raises:
        IndexError: The clip has fewer frames.
        MediaError: It is not a playable MP4 or WebM.
    """
    with _open_clip(path, threads=_ALL_PROCESSORS) as (container, stream):
        packets = container.demux(stream)  # decodes nothing
        times = sorted(each.pts for each in packets if each.pts is not None and not each.is_discard)
        count = len(times)
        if -count <= index < count:
            container.seek(times[index], stream=stream)
            frames = (each for each in container.decode(stream) if (each.pts or 0) >= times[index])
            position = index % count
            return to_image(next(frames)), -1 if position == count - 1 else position
    raise IndexError(
        f"frame {index}: {path.name} has {count} frames; give 0 to {count - 1}, or -1 to {-count}"
    )


def make_preview(path: Path, *, max_bytes: int = _PREVIEW_BYTES) -> bytes:
    """Return the clip as an MP4 of at most `max_bytes`: H.264, AAC, at most 720p.

    Raises:
        MediaError: It is not a playable MP4 or WebM, or too long for so few bytes.
    """
    with _open_clip(path) as (container, stream):
        plan = _plan_preview(container, stream, max_bytes)
    # The second attempt is for a clip with more motion than planned for.
    for attempt in (plan, plan.reduced()):
        content = _transcode(path, attempt)
        if len(content) <= max_bytes:
            return content
    size = f"{len(content):,}"
    raise MediaError(f"{path.name}: a preview has {size} bytes; allowed: {max_bytes:,}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """The settings of the encoder."""

    width_px: int
    height_px: int
    bits_per_s: int
    """Without the sound."""

    def reduced(self) -> _Plan:
        """Return half the pixels and half the bits."""
        width, height = _to_even(self.width_px * 0.7), _to_even(self.height_px * 0.7)
        return _Plan(width, height, self.bits_per_s // 2)


def _plan_preview(container: InputContainer, stream: VideoStream, max_bytes: int) -> _Plan:
    duration_s = max(read_duration(container, stream), 0.1)
    # A tenth is for the container and for errors of the rate control.
    total = 0.9 * 8 * max_bytes / duration_s
    bits_per_s = max(total - (_AUDIO_BITS_PER_S if container.streams.audio else 0), 20_000)
    width, height = stream.codec_context.width, stream.codec_context.height
    pixels_per_s = width * height * float(stream.average_rate or 24)
    affordable = math.sqrt(bits_per_s / (_BITS_PER_PIXEL * pixels_per_s))
    scale = min(1, _PREVIEW_PX / min(width, height), affordable)
    return _Plan(_to_even(width * scale), _to_even(height * scale), int(bits_per_s))


def _transcode(path: Path, plan: _Plan) -> bytes:
    import av

    # A file, not memory: to move the index to the front, the muxer opens its output again.
    source = _open_clip(path, threads=_ALL_PROCESSORS)
    with TemporaryDirectory() as folder, source as (container, stream):
        target = Path(folder, "preview.mp4")
        with av.open(str(target), "w", options={"movflags": "+faststart"}) as output:
            encoders = {stream.index: _add_video(output, stream, plan)}
            for audio in container.streams.audio[:1]:
                encoded = output.add_stream("aac", rate=audio.rate)
                encoded.bit_rate = _AUDIO_BITS_PER_S
                encoders[audio.index] = encoded.encode
            for packet in container.demux([container.streams[index] for index in encoders]):
                encoder = encoders[packet.stream.index]
                for decoded in packet.decode():
                    output.mux(encoder(decoded))
            for encoder in encoders.values():
                output.mux(encoder(None))
        return target.read_bytes()


def _add_video(output: OutputContainer, source: VideoStream, plan: _Plan) -> _Encoder:
    from av.video.frame import PictureType

    stream = output.add_stream("libx264", rate=source.average_rate or Fraction(24))
    stream.width, stream.height, stream.pix_fmt = plan.width_px, plan.height_px, "yuv420p"
    # A constant quality with a maximum rate: a clip with little motion needs less.
    stream.options = {
        "preset": "veryfast",
        "crf": "23",
        "maxrate": str(plan.bits_per_s),
        "bufsize": str(plan.bits_per_s // 2),
    }
    stream.codec_context.time_base = source.time_base or Fraction(1, 90_000)

    def encode(frame: Any) -> list[Packet[Any]]:
        if frame is None:
            return stream.encode(None)
        smaller = frame.reformat(plan.width_px, plan.height_px, "yuv420p", threads=ONE_THREAD)
        smaller.pict_type = PictureType.NONE  # else the encoder repeats the key frames of the clip
        return stream.encode(smaller)

    return encode


def _codec_name(stream: VideoStream | AudioStream) -> str:
    """Return FFmpeg's name of the codec, not of the decoder: `av1` and not `libdav1d`."""
    return stream.codec_context.codec.canonical_name


def _to_even(pixels: float) -> int:
    """Return an even number of pixels: yuv420p needs even sides."""
    return max(2, round(pixels / 2) * 2)


@contextmanager
def _open_clip(
    path: Path, *, threads: int = ONE_THREAD
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a clip's container and video stream; raise every error as a MediaError."""
    with (
        probe.reading(path.name, "a clip", _ALLOWED),
        path.open("rb") as file,
        probe.open_container(file, _clip_type(path).demuxer) as container,
    ):
        if not container.streams.video:
            raise MediaError(f"{path.name}: contains no video; {_ALLOWED}")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.thread_type = "AUTO"
        yield container, stream


def _clip_type(path: Path) -> probe.FileType:
    """Return the type of a clip by its first bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    file_type = probe.detect_type(head)
    if file_type is None or file_type.demuxer not in _PLAYABLE:
        raise MediaError(f"{path.name}: is not a clip (begins with {head[:12]!r}); {_ALLOWED}")
    return file_type


# One at a time: an encoder uses all processors, and a second request for the same preview waits.
_making = ForkSafeLock()
_log = logging.getLogger("kling_nb")


def needs_preview(path: Path, *, at_any_size: bool = False) -> bool:
    """Return whether a clip needs a preview: it is large, or some browsers cannot play it.

    Args:
        path: The clip.
        at_any_size: A large clip needs none.

    Raises:
        MediaError: The file is not a video.
        OSError: The file cannot be read.
    """
    is_large = path.stat().st_size > WHOLE_BYTES and not at_any_size
    return is_large or not encoding_of(path).plays_everywhere


def encoding_of(path: Path) -> Encoding:
    """Return how a clip is encoded; read once until the file changes.

    Raises:
        MediaError: The file is not a video.
        OSError: The file cannot be read.
    """
    found = path.stat()
    return _read_encoding(path, found.st_size, found.st_mtime_ns)


def preview_path(path: Path) -> Path:
    """Return the path of the preview of a clip; its name changes with the clip's size and time.

    Raises:
        OSError: The clip does not exist.
    """
    found = path.stat()
    digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:12]
    return path.parent / PREVIEW_FOLDER / f"{path.stem}-{digest}.mp4"


def delete_previews(path: Path) -> None:
    """Delete all previews of a clip, which need not exist any more."""
    pattern = f"{glob.escape(path.stem)}-{'?' * 12}.mp4"
    for old in (path.parent / PREVIEW_FOLDER).glob(pattern):
        old.unlink(missing_ok=True)


def stored_preview(path: Path) -> bytes:
    """Return the existing preview of the clip as it is now; empty if there is none."""
    try:
        return preview_path(path).read_bytes()
    except OSError:
        return b""


def preview(path: Path) -> bytes:
    """Return the preview; making it takes seconds.

    Raises:
        MediaError: The clip cannot be played.
        OSError: The clip cannot be read.
    """
    with _making:
        content = stored_preview(path)
        if not content:
            content = make_preview(path, max_bytes=_PREVIEW_BYTES)
            _store(path, content)
        return content


@lru_cache(maxsize=1000)
def _read_encoding(path: Path, _size_bytes: int, _changed_ns: int) -> Encoding:
    return read_encoding(path)


def _store(path: Path, content: bytes) -> None:
    """Write the preview of a clip and delete the earlier ones; only log a failure."""
    try:
        target = preview_path(path)
        make_folder(target.parent, within=path.parent)
        delete_previews(path)
        write_whole(target, content)
    except OSError as error:
        _log.info("the preview of %s cannot be stored: %s", path, error)
