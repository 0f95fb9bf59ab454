"""Video and audio inputs: read and check them before anything is sent.

Nothing is converted: a file that the service does not accept raises an error that says how to
convert it. Its metadata stays, including the location of a recording, since a remux changes more
than metadata. Must not depend on models, networks or jobs; the caller fetches URLs, and `probe`
reads the content of a file.
"""

from __future__ import annotations

import os
import shlex
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import format_bytes, shorten, with_article
from kling_nb.core.stored_input import StoredInput
from kling_nb.models.parameters import ROUNDING_S, Media, check_frame

from . import images
from .image_sources import find_file
from .input_store import check_unchanged, content_hash, is_stored, suffix_of
from .probe import HEAD_BYTES, FileType, detect_type, measure, reading
from .unwrapping import describe, file_name, unwrap

_SAME: Final = (
    frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    frozenset({"audio/mp4", "audio/x-m4a", "audio/m4a"}),
    frozenset({"audio/mpeg", "audio/mp3"}),
    frozenset({"audio/aac", "audio/x-aac"}),
    frozenset({"audio/ogg", "application/ogg"}),
    frozenset({"video/mp4", "video/x-m4v"}),
)
"""MIME types with the same meaning."""
NOUNS: Final = {"image": "image", "video": "video", "audio": "audio file"}
"""Words for messages, by medium."""


@dataclass(frozen=True, slots=True)
class AudioVideoInput:
    """A video or audio file as it is uploaded: unchanged."""

    mime_type: str
    """By content, in the spelling of the model's page."""
    duration_s: float
    width_px: int
    """0 for audio, as the height."""
    height_px: int
    size_bytes: int
    sha256: str
    """The hash of the upload."""
    source_sha256: str
    """The hash of the given file; differs for a placeholder only."""
    name: str
    """The name for messages: the file's name, or a description."""
    thumbnail: bytes = field(repr=False)
    """A JPEG of the first frame, at most 240×160 px and about 12 kB; empty for audio."""
    content: bytes = field(default=b"", repr=False)
    """Empty for a file, which may be large and is read in pieces."""
    path: str = ""
    """Absolute; empty if there is `content`."""
    is_converted: ClassVar[bool] = False
    """As of an image; the given file is never converted."""

    @property
    def source_hashes(self) -> tuple[str, ...]:
        """The hashes that identify the input in a request."""
        return (self.source_sha256,)

    @property
    def facts(self) -> str:
        """Return `1,280 × 720 px · 5.0 s · MP4 · 2.1 MB`."""
        size = f"{self.width_px:,} × {self.height_px:,} px · " if self.width_px else ""
        kind = suffix_of(self.mime_type).upper()
        return f"{size}{self.duration_s:.1f} s · {kind} · {format_bytes(self.size_bytes)}"


@dataclass(frozen=True, slots=True)
class _InputFile:
    """A file, or its bytes, before it is opened."""

    name: str
    content: bytes = b""
    path: Path | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.content) if self.path is None else self.path.stat().st_size

    @property
    def quoted(self) -> str:
        """The file as an argument of a command line."""
        return shlex.quote(str(self.path)) if self.path else "FILE"

    def open(self) -> BinaryIO:
        return BytesIO(self.content) if self.path is None else self.path.open("rb")


def read_audio_video(source: object, kind: Media, *, name: str = "") -> AudioVideoInput:
    """Read, check and measure a video or audio file; convert nothing.

    Args:
        source: A path, bytes, an earlier clip (any object with a `path`), a stored input, or what
            `unwrapping.unwrap` resolves to one of these.
        kind: The limits of the model. Source: `ModelSpec`.
        name: The name for messages, in place of the source's own.

    Raises:
        MediaError: It is not such a file, or not allowed: says what it is, what is allowed, and
            what to do.
    """
    noun = NOUNS[kind.medium]
    given = _find_input(source, noun)
    given = replace(given, name=name or given.name)
    with (
        reading(given.name, with_article(noun), f"give another {noun}"),
        closing(given.open()) as file,
    ):
        _check_size(given, kind)
        file_type = _check_readable(given, kind, file.read(HEAD_BYTES))
        file.seek(0)
        measured = measure(file, file_type, given.name)
        mime_type = _check_type(given, kind, measured.file_type)
        _check_length(given, kind, measured.duration_s)
        if measured.still is not None:
            check_frame(given.name, (measured.width_px, measured.height_px), kind, measured.fps)
        sha256 = content_hash(given.path or given.content)
    if isinstance(source, StoredInput):
        check_unchanged(source, sha256)
    return AudioVideoInput(
        mime_type=mime_type,
        duration_s=measured.duration_s,
        width_px=measured.width_px,
        height_px=measured.height_px,
        size_bytes=given.size_bytes,
        sha256=sha256,
        source_sha256=source.source_sha256 if isinstance(source, StoredInput) else sha256,
        name=given.name,
        thumbnail=b"" if measured.still is None else images.make_thumbnail(measured.still),
        content=given.content,
        path=str(given.path.absolute()) if given.path else "",
    )


def _find_input(source: object, noun: str) -> _InputFile:
    """Return the file or the bytes of a source, and its name."""
    if isinstance(source, StoredInput):
        if not is_stored(source):
            raise MediaError(f"{source.name}: no copy of it was kept; give the original again")
        return _InputFile(source.name, path=find_file(source.path, noun))
    given, source = source, unwrap(source)
    if isinstance(source, bytes):
        return _InputFile(describe(given if file_name(given) else source), source)
    if not isinstance(source, str | os.PathLike):
        source = getattr(source, "path", source)
    if isinstance(source, str | os.PathLike):
        return _InputFile(describe(source), path=find_file(os.fsdecode(source), noun))
    raise MediaError(
        f"{shorten(source)} is not {with_article(noun)}; allowed: a path, a URL, bytes, an open "
        "file, an earlier clip or its job"
    )


def _check_size(given: _InputFile, kind: Media) -> None:
    if not given.size_bytes:
        raise MediaError(f"{given.name}: is empty; give another {NOUNS[kind.medium]}")
    if given.size_bytes > kind.max_bytes:
        smaller = f"smaller.{suffix_of(kind.mime_types[0])}"
        raise MediaError(
            f"{given.name}: {format_bytes(given.size_bytes)}; allowed: at most "
            f"{kind.max_bytes / 1e6:g} MB; make it smaller, e.g. `ffmpeg -i {given.quoted} "
            f"-b:v 4M -b:a 128k {smaller}`"
        )


def _check_readable(given: _InputFile, kind: Media, head: bytes) -> FileType:
    """Return the type of a file; reject what is neither video nor audio before it is opened."""
    file_type, noun = detect_type(head), NOUNS[kind.medium]
    if file_type is None:
        raise MediaError(
            f"{given.name}: is not a known type of {noun} (begins with {head[:12]!r}); "
            f"{_advise_conversion(given, kind)}"
        )
    if not file_type.demuxer:
        raise MediaError(
            f"{given.name}: this is {file_type.description}, not {with_article(noun)}; "
            f"{_allowed_types(kind)}; {file_type.advice or f'give another {noun}'}"
        )
    return file_type


def _check_type(given: _InputFile, kind: Media, file_type: FileType) -> str:
    """Return the MIME type in the spelling of the model's page; reject other types."""
    names = next((same for same in _SAME if file_type.mime_type in same), {file_type.mime_type})
    for mime_type in kind.mime_types:
        if mime_type in names:
            return mime_type
    advice = _advise_conversion(given, kind)
    raise MediaError(f"{given.name}: is {file_type.description}; {advice}")


def _advise_conversion(given: _InputFile, kind: Media) -> str:
    """Return the allowed types and a command; a conversion here would lose quality."""
    target = f"converted.{suffix_of(kind.mime_types[0])}"
    return f"{_allowed_types(kind)}; convert it, e.g. `ffmpeg -i {given.quoted} {target}`"


def _allowed_types(kind: Media) -> str:
    """Return `allowed: MP4, MOV`."""
    suffixes = dict.fromkeys(map(suffix_of, kind.mime_types))
    return f"allowed: {', '.join(each.upper() for each in suffixes)}"


def _check_length(given: _InputFile, kind: Media, duration_s: float) -> None:
    if kind.duration_s is None:
        return
    shortest, longest = kind.duration_s
    allowed = f"{shortest:g} to {longest:g} s" if shortest else f"at most {longest:g} s"
    problem = f"{given.name}: {duration_s:.1f} s long; allowed: {allowed}"
    if duration_s < shortest - ROUNDING_S:
        raise MediaError(f"{problem}; give a longer one")
    if duration_s > longest + ROUNDING_S:
        cut = f"cut.{suffix_of(kind.mime_types[0])}"
        raise MediaError(f"{problem}; cut it, e.g. `ffmpeg -i {given.quoted} -t {longest:g} {cut}`")
