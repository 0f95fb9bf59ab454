"""Remove EXIF, XMP, IPTC and comments from an image file without decoding it.

A photo has the place, the time and the camera in its metadata; an image generator adds its prompt.
The pixels, the colour profile and the data that decoders need stay unchanged, byte for byte.
Pure: bytes in, bytes out. Must not depend on limits or requests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT pHYs bKGD mDCV cLLI".split()
)
_WEBP_KEPT: Final = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_WEBP_METADATA_FLAGS: Final = 0x08 | 0x04
"""In VP8X: EXIF is present, XMP is present."""
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment: TEM and RST0 to RST7."""


class _UnknownStructure(Exception):
    """The file does not have the structure of its format."""


def strip_metadata(content: bytes) -> bytes | None:
    """Return a JPEG, PNG or WebP without metadata, or None if its structure is unknown.

    A file without metadata does not change. Data after the picture is removed too: phones append a
    video, with its location, to a photo.
    """
    try:
        if content.startswith(b"\xff\xd8"):
            return b"".join(_jpeg_parts(content))
        if content.startswith(_PNG_SIGNATURE):
            return b"".join(_png_parts(content))
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    except (_UnknownStructure, struct.error, IndexError):
        pass
    return None


def _jpeg_parts(content: bytes) -> Iterator[bytes]:
    yield content[:2]
    at = 2
    while True:
        marker, at = _next_marker(content, at)
        if marker == 0xD9:
            yield b"\xff\xd9"
            return
        if marker in _JPEG_ALONE:
            yield bytes([0xFF, marker])
            continue
        end = at + struct.unpack_from(">H", content, at)[0]
        if end > len(content) or end < at + 2:
            raise _UnknownStructure
        yield from _jpeg_segment(marker, content[at + 2 : end])
        at = end
        if marker == 0xDA:
            at = _end_of_scan(content, at)
            yield content[end:at]


def _next_marker(content: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a position, after any fill bytes, and its end."""
    if content[at] != 0xFF:
        raise _UnknownStructure
    while content[at] == 0xFF:
        at += 1
    return content[at], at + 1


def _jpeg_segment(marker: int, payload: bytes) -> Iterator[bytes]:
    """Yield a segment unless it is metadata; decoders need some application segments."""
    if marker == 0xE0 and payload.startswith(b"JFIF\0"):
        payload = payload[:12] + b"\0\0"  # without the thumbnail
    is_application = 0xE0 <= marker <= 0xEF
    is_needed = payload.startswith((b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"))
    if marker != 0xFE and (is_needed or not is_application):
        yield struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _end_of_scan(content: bytes, at: int) -> int:
    """Return the position of the next marker outside the entropy-coded data."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise _UnknownStructure
        if content[at + 1] not in {0x00, 0xFF, *range(0xD0, 0xD8)}:
            return at
        at += 1 if content[at + 1] == 0xFF else 2


def _png_parts(content: bytes) -> Iterator[bytes]:
    yield _PNG_SIGNATURE
    at, name = len(_PNG_SIGNATURE), b""
    while name != b"IEND":
        size, name = struct.unpack_from(">I4s", content, at)
        end = at + 12 + size
        if end > len(content):
            raise _UnknownStructure
        if name in _PNG_KEPT:
            yield content[at:end]
        elif name[:1].isupper():  # a critical chunk: decoders need it
            raise _UnknownStructure
        at = end


def _webp(content: bytes) -> bytes:
    chunks, at = [], 12
    end = min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", content, at)
        payload = content[at + 8 : at + 8 + size]
        if len(payload) < size:
            raise _UnknownStructure
        if name == b"VP8X":
            payload = bytes([payload[0] & ~_WEBP_METADATA_FLAGS]) + payload[1:]
        if name in _WEBP_KEPT:
            chunks.append(struct.pack("<4sI", name, size) + payload + b"\0" * (size % 2))
        at += 8 + size + size % 2
    body = b"".join(chunks)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body
