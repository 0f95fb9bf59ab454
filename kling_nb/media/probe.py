"""Detect the type of a file by its first bytes, and measure video and audio with PyAV.

Must not depend on limits, services or jobs. PyAV is imported inside the functions, so that
importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from kling_nb.core.errors import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

HEAD_BYTES: Final = 1_024
"""The bytes that `detect_type` needs."""
ONE_THREAD: Final = 1
"""For scaling: PyAV 19 keeps a scaler per thread, and a forked child would wait forever for the
scaler's threads, which it does not have. For decoding: each additional thread holds one or more
frames."""
TOLERANCE_S: Final = 0.5
"""Allowed difference between the end of the readable data and the length in the header."""
_END_US: Final = 1_000_000
"""Length of the end that can be decoded alone, in microseconds; more than `TOLERANCE_S`."""
_FADE_FRAMES: Final = 24
_DARK: Final = 12.0
"""Mean brightness, 0 to 255; a darker first frame is still fading in."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file."""

    mime_type: str
    description: str
    """For messages, e.g. `an MP4 video`."""
    demuxer: str = ""
    """FFmpeg's name; empty if the type is neither video nor audio."""
    advice: str = ""
    """How to get the intended file, if this type suggests a mistake."""


MP4: Final = FileType("video/mp4", "an MP4 video", "mp4")
_MOV: Final = FileType("video/quicktime", "a MOV video", "mp4")
_M4A: Final = FileType("audio/mp4", "an M4A file", "mp4")
_MP3: Final = FileType("audio/mpeg", "an MP3 file", "mp3")
_AAC: Final = FileType("audio/aac", "an AAC file", "aac")
_WAV: Final = FileType("audio/wav", "a WAV file", "wav")
HEIF: Final = FileType("image/heif", "a HEIC image")
AVIF: Final = FileType("image/avif", "an AVIF image")
RAW: Final = FileType("image/x-raw", "a raw photo")
_WEBM: Final = FileType("video/webm", "a WebM video", "matroska")
_MATROSKA: Final = FileType("video/x-matroska", "a Matroska video (MKV)", "matroska")
_WEB_PAGE: Final = FileType(
    "text/html", "a web page", advice="use the link that downloads the file"
)
SVG: Final = FileType("image/svg+xml", "an SVG drawing")

_SIGNATURES: Final = (
    (b"OggS", FileType("audio/ogg", "an Ogg file", "ogg")),
    (b"fLaC", FileType("audio/flac", "a FLAC file", "flac")),
    (b"ID3", _MP3),
    (b"\x89PNG", FileType("image/png", "a PNG image")),
    (b"\xff\xd8\xff", FileType("image/jpeg", "a JPEG image")),
    (b"GIF8", FileType("image/gif", "a GIF image")),
    (b"%PDF", FileType("application/pdf", "a PDF")),
    (b"PK\x03\x04", FileType("application/zip", "a ZIP archive")),
    *((each, RAW) for each in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0", b"FOVb", b"\0MRM")),
    (
        b"version https://git-lfs",
        FileType("text/plain", "a Git LFS pointer", advice="run `git lfs pull` to get the file"),
    ),
)
_RIFF: Final = {
    b"WAVE": _WAV,
    b"AVI ": FileType("video/x-msvideo", "an AVI video", "avi"),
    b"WEBP": FileType("image/webp", "a WebP image"),
}
_BRANDS: Final = {
    b"qt  ": _MOV,
    b"M4A ": _M4A,
    b"M4B ": _M4A,
    b"crx ": RAW,
}
"""By the major brand of an `ftyp` file; all others are MP4."""
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
)
_STILL_BRANDS: Final = _AVIF_BRANDS | _HEIF_BRANDS | {b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB"}
"""Major brands of HEIF files; for a general brand, the compatible brands give the codec."""
_MARKUP: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<title")
_ARCHIVED_PAGE: Final = (b"from: <saved by", b"mime-version:", b"content-type: multipart/related")
"""The beginning of a web page saved as one file (MHTML)."""
_ATOMS: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""The first atom of old QuickTime files, from before `ftyp`."""
_EXACT_HEADERS: Final = frozenset({"mp4", "wav"})
"""Demuxers of audio with an exact length in the header, not an estimate."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """The measured properties of a file."""

    file_type: FileType
    duration_s: float
    width_px: int = 0
    """0 for audio, as the height."""
    height_px: int = 0
    fps: float = 0.0
    """Average frames per second; 0 for audio, or if unknown."""
    still: Image | None = None
    """The first frame of a video that is not black."""


def detect_type(head: bytes) -> FileType | None:
    """Return the type of a file by its first `HEAD_BYTES`; None if it is unknown."""
    if head[4:8] == b"ftyp":
        return _detect_brand(head)
    if head[4:8] in _ATOMS:
        return _MOV
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _WEBM if b"webm" in head[:64] else _MATROSKA
    for signature, file_type in _SIGNATURES:
        if head.startswith(signature):
            return file_type
    return _detect_markup(head) or _detect_stream(head)


def _detect_brand(head: bytes) -> FileType:
    """Return the type of an `ftyp` file, by its major brand, then its compatible brands."""
    major, size = head[8:12], int.from_bytes(head[:4], "big")
    if major not in _STILL_BRANDS:
        return _BRANDS.get(major, MP4)
    brands = {major, *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))}
    return AVIF if brands & _AVIF_BRANDS and major not in _HEIF_BRANDS else HEIF


def _detect_markup(head: bytes) -> FileType | None:
    """Return the type of a web page or a drawing, in UTF-8 or UTF-16."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if text.startswith(_ARCHIVED_PAGE):
        return _WEB_PAGE
    if not text.startswith(b"<"):
        return None
    places = [text.find(mark) for mark in _MARKUP if mark in text]
    if b"<svg" in text and text.find(b"<svg") < min(places, default=len(text)):
        return SVG
    return _WEB_PAGE if places else None


def _detect_stream(head: bytes) -> FileType | None:
    """Return MP3 or AAC for a stream without a header, by the sync word and layer of its frame."""
    if len(head) < 2 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _AAC
    return _MP3 if head[1] & 0xE6 == 0xE2 else None


def open_container(file: BinaryIO, demuxer: str) -> InputContainer:
    """Open a file with the detected demuxer: FFmpeg's own choice may open a text as a playlist."""
    import av

    return av.open(file, "r", format=demuxer)


@contextmanager
def reading(name: str, noun: str, advice: str) -> Iterator[None]:
    """Raise every error as a MediaError: `NAME: cannot be read as NOUN (reason); ADVICE`."""
    try:
        yield
    except MediaError:
        raise
    except Exception as error:  # any type: for broken files no list is complete
        reason = f" ({getattr(error, 'strerror', None) or error or type(error).__name__})"
        if type(error).__name__ == "UnidentifiedImageError":
            reason = ""  # Pillow's message has the address of an object
        raise MediaError(f"{name}: cannot be read as {noun}{reason}; {advice}") from None


def measure(file: BinaryIO, file_type: FileType, name: str) -> _Measured:
    """Measure a video or audio file; read its end too, to detect a truncated file.

    Raises:
        MediaError: It is truncated. Errors of PyAV are not converted: see `reading`.
    """
    with open_container(file, file_type.demuxer) as container:
        videos = [stream for stream in container.streams.video if not _is_cover(stream)]
        if videos and file_type.mime_type.startswith("video/"):
            return _measure_video(container, videos[0], file_type, name)
        if container.streams.audio:
            return _measure_audio(container, container.streams.audio[0], file_type, name)
    raise MediaError(
        f"{name}: {file_type.description} without readable video or audio; if it is truncated, "
        "give the complete file"
    )


def _measure_video(
    container: InputContainer, stream: VideoStream, file_type: FileType, name: str
) -> _Measured:
    stream.codec_context.thread_count = ONE_THREAD
    duration_s = read_duration(container, stream)
    still = to_image(first_visible_frame(container, stream))
    end_s = read_end(container, stream)
    _check_whole(name, duration_s, end_s)
    shown_s = end_s - float((stream.start_time or 0) * (stream.time_base or 0))
    if shown_s > duration_s + TOLERANCE_S:
        # The price may depend on it: a header with too few seconds must not pass a budget.
        duration_s = shown_s
    fps = float(stream.average_rate or 0)
    return _Measured(file_type, duration_s, still.width, still.height, fps, still)


def _measure_audio(
    container: InputContainer, stream: AudioStream, file_type: FileType, name: str
) -> _Measured:
    """Measure the length by the packets: without an index a header only estimates it."""
    header_s = read_duration(container, stream)
    next(iter(container.decode(stream)))
    container.seek(0)
    end_s = 0.0
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    if file_type.demuxer in _EXACT_HEADERS:
        _check_whole(name, header_s, end_s)
    return _Measured(_M4A if file_type.demuxer == "mp4" else file_type, end_s)


def make_video(picture: bytes, duration_s: float) -> bytes:
    """Return an MP4 that shows one image, 1280×720 px at 24 frames/s: accepted by every model."""
    import av
    from PIL import Image

    content = BytesIO()
    image: Any = Image.open(BytesIO(picture)).convert("RGB").resize((1280, 720))
    frames: Any = av.VideoFrame
    with av.open(content, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = frames.from_image(image).reformat(format="yuv420p", threads=ONE_THREAD)
        for _ in range(round(24 * duration_s)):
            frame.pts = None
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return content.getvalue()


def _check_whole(name: str, header_s: float, end_s: float) -> None:
    if end_s <= 0 or end_s < header_s - TOLERANCE_S:
        raise MediaError(
            f"{name}: its header says {header_s:.1f} s, but it ends at {end_s:.1f} s; the file is "
            "truncated; give the complete file"
        )


def read_duration(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """Return the length in seconds of the stream, or of the file if the stream has none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def read_end(container: InputContainer, stream: VideoStream, *, any_frame: bool = False) -> float:
    """Return the end of the decodable frames in seconds; 0 if there are none.

    Args:
        container: The container.
        stream: The stream.
        any_frame: Decode the last second alone, not from the last key frame, which often is the
            first frame. The pixels are wrong then, but an incomplete packet still is an error. Many
            codecs cannot do this; the result is too small then.
    """
    from av import InvalidDataError

    end_us = container.duration or 0
    begin_us = max(end_us - _END_US, 0) if any_frame else end_us
    container.seek((container.start_time or 0) + begin_us, any_frame=any_frame)
    end_s, frame_s = 0.0, float(1 / (stream.average_rate or 24))
    with suppress(InvalidDataError):  # a packet is incomplete
        for frame in container.decode(stream):  # a list of the frames may need 400 MB
            end_s = float(frame.time or 0) + frame_s
    return end_s


def first_visible_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Return the first frame of the first second that is not black; if all are, the first."""
    frames = islice(container.decode(stream), _FADE_FRAMES)
    first = next(frames)
    return next((each for each in chain([first], frames) if _is_visible(each)), first)


def to_image(frame: Any) -> Image:
    """Return a frame as an RGB image, upright: a phone's portrait videos are stored rotated."""
    image: Image = frame.to_image(threads=ONE_THREAD)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _is_visible(frame: Any) -> bool:
    from PIL import ImageStat

    small = frame.to_image(width=32, height=32, threads=ONE_THREAD).convert("L")
    return bool(ImageStat.Stat(small).mean[0] > _DARK)


def _is_cover(stream: VideoStream) -> bool:
    """Return whether a video stream is the cover image of an audio file."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)
