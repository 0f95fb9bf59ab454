"""Read the bodies of HTTP answers within limits of time and size.

httpx does not decode them: a few bytes of `gzip, gzip` would become gigabytes at once.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx

from kling_nb.core.errors import AnswerLost

_PIECE_BYTES = 1_000_000
_DIGITS = 15
"""Maximum digits of a plausible length header."""
_PLAIN_ENCODINGS = frozenset({"", "identity", "binary", "none", "aws-chunked"})
"""Encodings that change nothing; storage services send the last one for plain files."""
_DECODED_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for the duration of requests and the size of answers."""

    call_s: float = 60.0
    """Total time of an API call."""
    create_s: float = 150.0
    """Total time of createTask: long, since a timeout makes a job `unknown`."""
    answer_bytes: int = 1_000_000
    """Largest body of an API answer."""
    stalled_s: float = 30.0
    """The longest pause in a transfer."""
    spare_s: float = 60.0
    """Time that a transfer may take beside the time for its size."""
    bytes_per_s: float = 50_000.0
    """Slowest allowed transfer."""

    def transfer_s(self, size_bytes: int) -> float:
        """Return the time limit of a transfer of this size."""
        return self.spare_s + size_bytes / self.bytes_per_s


async def read_answer(response: httpx.Response, max_bytes: int, content: bytearray) -> None:
    """Read the body of an API answer into `content`; if the connection breaks, as far as it came.

    Raises:
        AnswerLost: It is larger than `max_bytes`, or its encoding is not supported.
    """
    async for piece in read_pieces(response):
        content += piece
        if len(content) > max_bytes:
            host = response.request.url.host
            raise AnswerLost(f"{host}: the answer is larger than {max_bytes / 1e6:g} MB")


async def read_excerpt(response: httpx.Response) -> bytes:
    """Return the first 4 kB of an error page; empty if they cannot be read."""
    content = b""
    try:
        async for piece in read_pieces(response):
            content += piece
            if len(content) > 4_000:
                break
    except (httpx.HTTPError, AnswerLost, OSError):
        pass
    return content[:4_000]


async def read_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield a body in pieces of at most about 1 MB.

    Decodes one layer of gzip or deflate, which a server may use although none was requested. The
    longest pause between two pieces is the read timeout of the httpx client.

    Args:
        response: A response with an unread body.

    Raises:
        AnswerLost: The body has another encoding, or is damaged.
    """
    # A test double of the network may return an answer that is already read and decoded.
    is_read = response.is_stream_consumed
    decoder = None if is_read else _find_decoder(response)
    async for piece in response.aiter_bytes() if is_read else response.aiter_raw():
        for each in _decode_piece(decoder, piece) if decoder else (piece,):
            yield each
    if decoder and not decoder.eof:
        raise AnswerLost("the encoded body is incomplete")


def _find_decoder(response: httpx.Response) -> zlib._Decompress | None:
    """Return a decoder for the body, or None if it is not encoded; reject other encodings."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in _PLAIN_ENCODINGS:
        return None
    if encoding in _DECODED_ENCODINGS:
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # detects which of the two
    raise AnswerLost(f"the body has the encoding {encoding[:40]!r}, which was not requested")


def _decode_piece(decoder: zlib._Decompress, piece: bytes) -> Iterator[bytes]:
    """Yield the decoded content of a piece of a body."""
    while piece and not decoder.eof:
        try:
            part = decoder.decompress(piece, _PIECE_BYTES)
        except zlib.error as error:
            raise AnswerLost(f"the encoded body is damaged ({error})") from None
        piece = decoder.unconsumed_tail
        if part:
            yield part


def announced_bytes(response: httpx.Response) -> int | None:
    """Return the size of the body, or None if it is unknown."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return read_number(response, "content-length") if encoding in _PLAIN_ENCODINGS else None


def read_number(response: httpx.Response, header: str) -> int | None:
    """Return the whole number in a header, or None if there is none."""
    text = response.headers.get(header, "").strip()
    # `isdigit` alone accepts superscripts, `int` does not.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
