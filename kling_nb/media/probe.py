"""Detect the type of a video or audio file by its first bytes, and measure its content.

Reads such files with PyAV, for clips and for inputs. Must not depend on limits, services or jobs.
PyAV is imported inside the functions, so that importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from kling_nb.core.errors import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

__all__ = [
    "HEAD_BYTES",
    "HEIF",
    "ONE_THREAD",
    "RAW",
    "SVG",
    "TOLERANCE_S",
    "FileType",
    "Measured",
    "first_lit",
    "measure",
    "opened",
    "read_duration",
    "read_end",
    "reading",
    "recognise",
    "show",
    "to_image",
]

HEAD_BYTES: Final = 1_024
"""How much of a file tells what it is."""
ONE_THREAD: Final = 1
"""For scaling: PyAV 19 keeps a scaler for each thread, and a forked child would wait for ever for
the threads of that scaler, which it does not have."""
TOLERANCE_S: Final = 0.5
"""How far the end of what can be read may lie before the end that a header tells of."""
FADE_FRAMES: Final = 24
DARK: Final = 12.0
"""Mean brightness, 0 to 255, below which a first frame is still fading in."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A kind of file."""

    mime_type: str
    words: str
    """For people, e.g. `an MP4 video`."""
    demuxer: str = ""
    """FFmpeg's name of it; empty where it is none of a video or a sound."""
    advice: str = ""
    """Advice on how to get the intended file, if this kind of file suggests one."""


MP4: Final = FileType("video/mp4", "an MP4 video", "mp4")
MOV: Final = FileType("video/quicktime", "a MOV video", "mp4")
M4A: Final = FileType("audio/mp4", "an M4A sound", "mp4")
MP3: Final = FileType("audio/mpeg", "an MP3 sound", "mp3")
AAC: Final = FileType("audio/aac", "an AAC sound", "aac")
WAV: Final = FileType("audio/wav", "a WAV sound", "wav")
HEIF: Final = FileType("image/heif", "a HEIC picture")
AVIF: Final = FileType("image/avif", "an AVIF picture")
RAW: Final = FileType("image/x-raw", "a raw photo")
WEB_PAGE: Final = FileType("text/html", "a web page", advice="use the link that downloads the file")
SVG: Final = FileType("image/svg+xml", "an SVG drawing")

BEGINNINGS: Final = (
    (b"OggS", FileType("audio/ogg", "an Ogg sound", "ogg")),
    (b"fLaC", FileType("audio/flac", "a FLAC sound", "flac")),
    (b"ID3", MP3),
    (b"\x89PNG", FileType("image/png", "a PNG picture")),
    (b"\xff\xd8\xff", FileType("image/jpeg", "a JPEG picture")),
    (b"GIF8", FileType("image/gif", "a GIF picture")),
    (b"%PDF", FileType("application/pdf", "a PDF")),
    (b"PK\x03\x04", FileType("application/zip", "a ZIP archive")),
    *((each, RAW) for each in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0", b"FOVb", b"\0MRM")),
    (
        b"version https://git-lfs",
        FileType("text/plain", "a Git LFS pointer", advice="run `git lfs pull` to get the file"),
    ),
)
RIFF: Final = {
    b"WAVE": WAV,
    b"AVI ": FileType("video/x-msvideo", "an AVI video", "avi"),
    b"WEBP": FileType("image/webp", "a WebP picture"),
}
BRANDS: Final = {
    b"qt  ": MOV,
    b"M4A ": M4A,
    b"M4B ": M4A,
    b"crx ": RAW,
}
"""Of files that begin with `ftyp`; all others are MP4."""
AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
)
STILL_BRANDS: Final = AVIF_BRANDS | HEIF_BRANDS | {b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB"}
"""Major brands of HEIF files; for a general brand, the compatible brands give the codec."""
MARKUP: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<title")
ARCHIVED_PAGE: Final = (b"from: <saved by", b"mime-version:", b"content-type: multipart/related")
"""How a browser's single file of a web page (MHTML) begins."""
ATOMS: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What old QuickTime files, from before `ftyp`, begin with."""
TELLS_LENGTH: Final = frozenset({"mp4", "wav"})
"""Containers of sound whose header tells a length and does not estimate it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in a file."""

    form: FileType
    length_s: float
    width_px: int = 0
    """0 for a sound, as the height."""
    height_px: int = 0
    fps: float = 0.0
    """Average frames per second; 0 for a sound, or if the file does not give it."""
    still: Image | None = None
    """The first picture of a video that is not black."""


def recognise(head: bytes) -> FileType | None:
    """What a file is by its first `HEAD_BYTES`, whatever its name; None where nothing tells."""
    if head[4:8] == b"ftyp":
        return recognise_brands(head)
    if head[4:8] in ATOMS:
        return MOV
    if head.startswith(b"RIFF"):
        return RIFF.get(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        is_webm = b"webm" in head[:64]
        words = "a WebM video" if is_webm else "a Matroska video (MKV)"
        return FileType("video/webm" if is_webm else "video/x-matroska", words, "matroska")
    for beginning, form in BEGINNINGS:
        if head.startswith(beginning):
            return form
    return recognise_markup(head) or recognise_stream(head)


def recognise_brands(head: bytes) -> FileType:
    """Return the type of an `ftyp` file, by its major brand, then its compatible brands."""
    major, size = head[8:12], int.from_bytes(head[:4], "big")
    if major not in STILL_BRANDS:
        return BRANDS.get(major, MP4)
    brands = {major, *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))}
    return AVIF if brands & AVIF_BRANDS and major not in HEIF_BRANDS else HEIF


def recognise_markup(head: bytes) -> FileType | None:
    """Return the type of a web page or a drawing, in UTF-8 or UTF-16."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if text.startswith(ARCHIVED_PAGE):
        return WEB_PAGE
    if not text.startswith(b"<"):
        return None
    places = [text.find(mark) for mark in MARKUP if mark in text]
    if b"<svg" in text and text.find(b"<svg") < min(places, default=len(text)):
        return SVG
    return WEB_PAGE if places else None


def recognise_stream(head: bytes) -> FileType | None:
    """MP3 or AAC without a header: by the sync word of the first frame and its layer."""
    if len(head) < 2 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return AAC
    return MP3 if head[1] & 0xE6 == 0xE2 else None


@contextmanager
def opened(file: BinaryIO, demuxer: str) -> Iterator[InputContainer]:
    """The container, read as what it was recognised as.

    FFmpeg left to itself would take a text for a playlist and open what it names.
    """
    import av

    with av.open(file, "r", format=demuxer) as container:
        yield container


@contextmanager
def reading(name: str, noun: str, advice: str) -> Iterator[None]:
    """Tell every failure as a MediaError: `NAME: cannot be read as NOUN (why); ADVICE`."""
    try:
        yield
    except MediaError:
        raise
    except Exception as problem:
        # Readers of broken files raise whatever their parsers run into: no list is complete.
        reason = getattr(problem, "strerror", None) or problem or type(problem).__name__
        raise MediaError(f"{name}: cannot be read as {noun} ({reason}); {advice}") from None


def measure(file: BinaryIO, form: FileType, name: str) -> Measured:
    """What is in a video or a sound; the end is read too, so that a file cut short is found.

    Args:
        file: The whole of it.
        form: What it was recognised as.
        name: For people.

    Raises:
        MediaError: It is cut short. Whatever the readers raise comes as it is: see `reading`.
    """
    with opened(file, form.demuxer) as container:
        pictures = [stream for stream in container.streams.video if not is_cover(stream)]
        if pictures and form.mime_type.startswith("video/"):
            return measure_pictures(container, pictures[0], form, name)
        if container.streams.audio:
            return measure_sound(container, container.streams.audio[0], form, name)
    raise MediaError(
        f"{name}: {form.words} without pictures or sound that can be read; if it was cut short, "
        "give the whole file"
    )


def measure_pictures(
    container: InputContainer, stream: VideoStream, form: FileType, name: str
) -> Measured:
    stream.thread_type = "AUTO"
    length_s = read_duration(container, stream)
    still = first_lit(container, stream)
    end_s = read_end(container, stream)
    check_whole(name, length_s, end_s)
    shown_s = end_s - float((stream.start_time or 0) * (stream.time_base or 0))
    if shown_s > length_s + TOLERANCE_S:
        # Seconds may be what is paid for: a header that tells of too few must not pass a budget.
        length_s = shown_s
    fps = float(stream.average_rate or 0)
    return Measured(form, length_s, still.width, still.height, fps, still)


def measure_sound(
    container: InputContainer, stream: AudioStream, form: FileType, name: str
) -> Measured:
    """The length by the packets that are there: without an index a header only estimates it."""
    told_s = read_duration(container, stream)
    next(iter(container.decode(stream)))
    container.seek(0)
    end_s = 0.0
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    if form.demuxer in TELLS_LENGTH:
        check_whole(name, told_s, end_s)
    return Measured(M4A if form.demuxer == "mp4" else form, end_s)


def show(picture: bytes, length_s: float) -> bytes:
    """An MP4 of 1280×720 px at 24 frames a second that shows one picture, given as its bytes.

    That is what the strictest page of a model takes.
    """
    import av
    from PIL import Image

    content = BytesIO()
    image: Any = Image.open(BytesIO(picture)).convert("RGB").resize((1280, 720))
    shown: Any = av.VideoFrame
    with av.open(content, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = shown.from_image(image).reformat(format="yuv420p", threads=ONE_THREAD)
        for _ in range(round(24 * length_s)):
            frame.pts = None
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return content.getvalue()


def check_whole(name: str, told_s: float, end_s: float) -> None:
    if end_s <= 0 or end_s < told_s - TOLERANCE_S:
        raise MediaError(
            f"{name}: its header says {told_s:.1f} s, and it ends at {end_s:.1f} s; the file is "
            "cut short: give a whole one"
        )


def read_duration(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """The length in seconds: the stream's own, or the file's where a format keeps only that."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def read_end(container: InputContainer, stream: VideoStream) -> float:
    """When the last picture that can be decoded is over, in seconds."""
    container.seek((container.start_time or 0) + (container.duration or 0))
    *_, last = container.decode(stream)
    return float(last.time or 0) + float(1 / (stream.average_rate or 24))


def first_lit(container: InputContainer, stream: VideoStream) -> Image:
    """The first picture that is not black, or the first where the first second is."""
    images = (to_image(shown) for shown in islice(container.decode(stream), FADE_FRAMES))
    first = next(images)
    return next((each for each in chain([first], images) if is_lit(each)), first)


def to_image(shown: Any) -> Image:
    """A decoded picture as an RGB image, upright: a phone held upright films lying pictures."""
    image: Image = shown.to_image(threads=ONE_THREAD)
    return image.rotate(shown.rotation, expand=True) if shown.rotation else image


def is_lit(image: Image) -> bool:
    from PIL import ImageStat

    small = image.convert("L").resize((32, 32))
    return bool(ImageStat.Stat(small).mean[0] > DARK)


def is_cover(stream: VideoStream) -> bool:
    """Whether a stream of pictures is the cover of a sound."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)
