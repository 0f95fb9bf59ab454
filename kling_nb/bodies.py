"""Read the bodies of HTTP answers within bounds of time and size.

A body is never decoded by httpx: a few bytes of `gzip, gzip` would become gigabytes at once.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx

from .errors import AnswerLost

__all__ = ["Limits", "announced_bytes", "first_words", "read_answer", "read_number", "read_pieces"]

_PIECE_BYTES = 1_000_000
_DIGITS = 15
"""No honest header has more."""
_UNPACKED = frozenset({"", "identity", "binary", "none", "aws-chunked"})
"""Encodings that change nothing; storage services send the last one for plain files."""
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long requests may take, and how large an answer may be."""

    call_s: float = 60.0
    """An API call in all."""
    create_s: float = 150.0
    """createTask in all. Long: each answer that is waited for is one `unknown` less."""
    answer_bytes: int = 1_000_000
    """The body of an API answer."""
    stalled_s: float = 30.0
    """The longest pause in a transfer."""
    spare_s: float = 60.0
    """What a transfer may take in addition to the time for its size."""
    bytes_per_s: float = 50_000.0
    """The slowest transfer."""

    def transfer_s(self, size_bytes: int) -> float:
        """Return how long a transfer of that size may take."""
        return self.spare_s + size_bytes / self.bytes_per_s


async def read_answer(
    response: httpx.Response, max_bytes: int, received: bytearray | None = None
) -> bytes:
    """Return the whole body of an API answer.

    Args:
        response: Not read yet.
        max_bytes: How large the body may be.
        received: Filled with what has come so far, for an answer that breaks off.

    Raises:
        AnswerLost: It is larger than `max_bytes`, or encoded in a way that is not read.
    """
    content = bytearray() if received is None else received
    async for piece in read_pieces(response, None):
        content += piece
        if len(content) > max_bytes:
            host = response.request.url.host
            raise AnswerLost(f"{host}: the answer is larger than {max_bytes / 1e6:g} MB")
    return bytes(content)


async def first_words(response: httpx.Response, limits: Limits) -> bytes:
    """Return the first 4 kB of an error page; empty where they cannot be read."""
    content = b""
    try:
        async for piece in read_pieces(response, limits.stalled_s):
            content += piece
            if len(content) > 4_000:
                break
    except (httpx.HTTPError, AnswerLost, OSError):
        pass
    return content[:4_000]


async def read_pieces(response: httpx.Response, stalled_s: float | None) -> AsyncIterator[bytes]:
    """Yield a body in pieces of at most about 1 MB.

    One layer of gzip or deflate is decoded, although it is not asked for, piece by piece.

    Args:
        response: An answer of which only the head was read.
        stalled_s: The longest pause between two pieces; None leaves that to httpx.

    Raises:
        AnswerLost: It is encoded in another way, the encoding is damaged, or nothing came for
            `stalled_s`.
    """
    # A stand-in for the network may hand out an answer that is read and decoded already.
    is_read = response.is_stream_consumed
    unpack = None if is_read else find_decoder(response)
    source = aiter(response.aiter_bytes() if is_read else response.aiter_raw())
    while True:
        try:
            async with asyncio.timeout(stalled_s):
                piece = await anext(source, None)
        except TimeoutError:
            raise AnswerLost(f"no data arrived for {stalled_s:g} s") from None
        if piece is None:
            break
        for each in unpacked(unpack, piece) if unpack else (piece,):
            yield each
    if unpack and not unpack.eof:
        raise AnswerLost("the encoded body is incomplete")


def find_decoder(response: httpx.Response) -> zlib._Decompress | None:
    """Return a decoder for the body; None where it is not encoded.

    Raises:
        AnswerLost: It is encoded in a way, or so many times, that it is not read.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in _UNPACKED:
        return None
    if encoding in _PACKED:
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two
    raise AnswerLost(f"the body has the encoding {encoding[:40]!r}, which was not requested")


def unpacked(unpack: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    """Yield what a piece of an encoded body holds.

    Raises:
        AnswerLost: It is damaged.
    """
    while piece and not unpack.eof:
        try:
            part = unpack.decompress(piece, _PIECE_BYTES)
        except zlib.error as error:
            raise AnswerLost(f"the encoded body is damaged ({error})") from None
        piece = unpack.unconsumed_tail
        if part:
            yield part


def announced_bytes(response: httpx.Response) -> int | None:
    """Return how large the body will be; None where that is not known."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return read_number(response, "content-length") if encoding in _UNPACKED else None


def read_number(response: httpx.Response, header: str) -> int | None:
    """Return the whole number in a header; None where there is none."""
    text = response.headers.get(header, "").strip()
    # `isdigit` alone takes in superscripts, which `int` does not.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
