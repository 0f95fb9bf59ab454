"""Video and audio inputs: read and check them before anything is sent.

Defines the accepted types and the errors. Nothing is converted: a file that the service does not
accept as it is raises an error that says how to convert it. Its metadata stays, including the
location of a recording, since a remux changes more than metadata. Must not depend on models,
networks or jobs; the caller handles URLs, and `probe` reads the content of a file.
"""

from __future__ import annotations

import os
import shlex
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import byte_words, shorten
from kling_nb.core.stored_input import StoredInput
from kling_nb.models.parameters import ROUNDING_S, Media

from . import images
from .frame_limits import check_frame
from .image_sources import find_file
from .input_store import check_kept, content_hash, is_kept, suffix_of
from .probe import HEAD_BYTES, FileType, Measured, measure, reading, recognise
from .unwrapping import describe, file_name, unwrap

__all__ = ["NOUNS", "AudioVideoInput", "read_footage"]

SAME: Final = (
    frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    frozenset({"audio/mp4", "audio/x-m4a", "audio/m4a"}),
    frozenset({"audio/mpeg", "audio/mp3"}),
    frozenset({"audio/aac", "audio/x-aac"}),
    frozenset({"audio/ogg", "application/ogg"}),
    frozenset({"video/mp4", "video/x-m4v"}),
)
"""MIME types that name the same."""
NOUNS: Final = {"image": "picture", "video": "video", "audio": "sound"}


@dataclass(frozen=True, slots=True)
class AudioVideoInput:
    """A video or a sound as the service gets it: as it was given."""

    mime_type: str
    """As the model's page names it, by content and not by name."""
    length_s: float
    width_px: int
    """0 for a sound, as the height."""
    height_px: int
    size_bytes: int
    sha256: str
    """Of what is uploaded."""
    source_sha256: str
    """Of what was given; another one for a placeholder only."""
    name: str
    """For people: the file's name, or what it was."""
    thumbnail: bytes = field(repr=False)
    """A JPEG of the first picture, at most 240×160 px and about 12 kB; empty for a sound."""
    content: bytes = field(default=b"", repr=False)
    """Empty for what is a file, which may be large and is read in pieces."""
    path: str = ""
    """Absolute; empty where there is `content`."""

    @property
    def is_converted(self) -> bool:
        """Whether the file differs from the given one: never."""
        return False

    @property
    def source_hashes(self) -> tuple[str, ...]:
        """The hashes that identify the input in a request."""
        return (self.source_sha256,)

    @property
    def facts(self) -> str:
        """For people: `1,280 × 720 px · 5.0 s · MP4 · 2.1 MB`."""
        size = f"{self.width_px:,} × {self.height_px:,} px · " if self.width_px else ""
        kind = suffix_of(self.mime_type).upper()
        return f"{size}{self.length_s:.1f} s · {kind} · {byte_words(self.size_bytes)}"


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file, or its bytes, before it is looked into."""

    name: str
    content: bytes = b""
    path: Path | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.content) if self.path is None else self.path.stat().st_size

    @property
    def quoted(self) -> str:
        """How a command line names it."""
        return shlex.quote(str(self.path)) if self.path else "FILE"

    def open(self) -> BinaryIO:
        return BytesIO(self.content) if self.path is None else self.path.open("rb")


def read_footage(source: object, kind: Media, *, name: str = "") -> AudioVideoInput:
    """A video or a sound that the service takes, measured; nothing is converted.

    Args:
        source: A path, bytes, an earlier clip (anything with a `path`), what was kept of one, or
            what stands for one of these: see `unwrapping.unwrap`.
        kind: What the service takes. Source: `ModelSpec`.
        name: For people, in place of the one that the source suggests.

    Raises:
        MediaError: It is no such file, or not allowed: says what it is, what is allowed, and what
            to do.
    """
    given = find_given(source, kind)
    given = replace(given, name=name or given.name)
    noun = NOUNS[kind.medium]
    with reading(given.name, f"a {noun}", f"give another {noun}"), closing(given.open()) as file:
        check_size(given, kind)
        form = judge_form(given, kind, file.read(HEAD_BYTES))
        file.seek(0)
        measured = measure(file, form, given.name)
        mime_type = judge_type(given, kind, measured.form)
        check_length(given, kind, measured.length_s)
        if measured.still is not None:
            size_px = measured.width_px, measured.height_px
            images.check_shape(given.name, size_px, kind.over_px, kind.ratio)
            check_frame(given.name, size_px, kind, measured.fps)
        sha256 = content_hash(given.path or given.content)
    if isinstance(source, StoredInput):
        check_kept(source, sha256)
    return footage_of(given, measured, mime_type, sha256, source)


def footage_of(
    given: FileContent, measured: Measured, mime_type: str, sha256: str, source: object
) -> AudioVideoInput:
    still = measured.still
    return AudioVideoInput(
        mime_type=mime_type,
        length_s=measured.length_s,
        width_px=measured.width_px,
        height_px=measured.height_px,
        size_bytes=given.size_bytes,
        sha256=sha256,
        source_sha256=source.source_sha256 if isinstance(source, StoredInput) else sha256,
        name=given.name,
        thumbnail=b"" if still is None else images.make_thumbnail(still),
        content=given.content,
        path=str(given.path.absolute()) if given.path else "",
    )


def find_given(source: object, kind: Media) -> FileContent:
    """What was given, by name, place or content."""
    if isinstance(source, StoredInput):
        if not is_kept(source):
            raise MediaError(f"{source.name}: no copy of it is kept; give the original again")
        return FileContent(source.name, path=find_file(source.path, NOUNS[kind.medium]))
    given, source = source, unwrap(source)
    if isinstance(source, bytes):
        return FileContent(
            describe(given) if file_name(given) else f"{len(source):,} bytes", source
        )
    if not isinstance(source, str | os.PathLike):
        source = getattr(source, "path", source)
    if isinstance(source, str | os.PathLike):
        return FileContent(
            describe(source), path=find_file(os.fsdecode(source), NOUNS[kind.medium])
        )
    raise MediaError(
        f"{shorten(source)} is no {NOUNS[kind.medium]}; give a path, a URL, bytes, or an "
        "earlier clip or its job"
    )


def check_size(given: FileContent, kind: Media) -> None:
    if not given.size_bytes:
        raise MediaError(f"{given.name}: empty; give another {NOUNS[kind.medium]}")
    if given.size_bytes > kind.max_bytes:
        smaller = f"smaller.{suffix_of(kind.mime_types[0])}"
        advice = f"make it smaller, e.g. `ffmpeg -i {given.quoted} -b:v 4M -b:a 128k {smaller}`"
        raise MediaError(
            f"{given.name}: {byte_words(given.size_bytes)}; allowed are at most "
            f"{kind.max_bytes / 1e6:g} MB: {advice}"
        )


def judge_form(given: FileContent, kind: Media, head: bytes) -> FileType:
    """What the file is; refuses what cannot be read before anything tries to."""
    form = recognise(head)
    if form is None:
        raise MediaError(
            f"{given.name}: begins with {head[:12]!r}, which no {NOUNS[kind.medium]} does that is "
            f"known here; {convert(given, kind)}"
        )
    if not form.demuxer:
        noun = NOUNS[kind.medium]
        if form.advice:
            raise MediaError(f"{given.name}: this is {form.words}, not a {noun}: {form.advice}")
        raise MediaError(f"{given.name}: this is {form.words}, not a {noun}; give a {noun}")
    return form


def judge_type(given: FileContent, kind: Media, form: FileType) -> str:
    """The type as the model's page names it."""
    names = next((same for same in SAME if form.mime_type in same), {form.mime_type})
    for mime_type in kind.mime_types:
        if mime_type in names:
            return mime_type
    raise MediaError(f"{given.name}: is {form.words}; {convert(given, kind)}")


def convert(given: FileContent, kind: Media) -> str:
    """What is allowed, and a way there: nothing is converted here, as that shows or sounds."""
    suffixes = list(dict.fromkeys(map(suffix_of, kind.mime_types)))
    allowed = ", ".join(each.upper() for each in suffixes)
    target = f"converted.{suffixes[0]}"
    return f"allowed are {allowed}: convert it, e.g. `ffmpeg -i {given.quoted} {target}`"


def check_length(given: FileContent, kind: Media, length_s: float) -> None:
    if kind.length_s is None:
        return
    shortest, longest = kind.length_s
    allowed = f"{shortest:g} to {longest:g} s" if shortest else f"at most {longest:g} s"
    is_so = f"{given.name}: {length_s:.1f} s long; allowed are {allowed}"
    if length_s < shortest - ROUNDING_S:
        raise MediaError(f"{is_so}: give a longer one")
    if length_s > longest + ROUNDING_S:
        cut = f"cut.{suffix_of(kind.mime_types[0])}"
        raise MediaError(f"{is_so}: cut it, e.g. `ffmpeg -i {given.quoted} -t {longest:g} {cut}`")
