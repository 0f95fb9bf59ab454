"""Keep the last requests and answers of a session in memory, for bug reports.

Keeps no key and no media: of the headers only those that neither authorize nor identify, of the
bodies only JSON of at most 64 kB. The texts in it are still private; `cassette` removes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

KEPT: Final = 20
"""The number of requests that are kept."""

_MOST_BYTES: Final = 64_000
_HEADERS: Final = ("content-type", "user-agent", "retry-after", "date")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)
    """None if it is not kept."""
    status: int = 0
    """The HTTP status; 0 without an answer."""
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes | None = field(default=None, repr=False)
    """The body of the answer; None if it is not kept."""
    error: str = field(default="", repr=False)
    """Why there is no complete answer."""

    def repeats(self, other: Exchange) -> bool:
        """Return whether both have the same request and the same answer."""
        return (self.url, self.method, self.status, self.body, self.answer, self.error) == (
            other.url, other.method, other.status, other.body, other.answer, other.error
        )  # fmt: skip


class HttpLog:
    """The last requests of a session, oldest first.

    A request with the same answer as before replaces the earlier one, so that the status requests
    of a long task do not displace the others.
    """

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def add(
        self,
        request: httpx.Request,
        response: httpx.Response | None,
        content: bytes | None = None,
        error: str = "",
    ) -> None:
        """Add a request.

        Args:
            request: The request.
            response: The answer; None if there is none.
            content: The body of the answer, without the key; None for media.
            error: Why there is no complete answer.
        """
        new = Exchange(
            method=request.method,
            url=str(request.url),
            headers=_kept_headers(request.headers),
            body=_read_body(request),
            status=0 if response is None else response.status_code,
            answer_headers={} if response is None else _kept_headers(response.headers),
            answer=_kept_body(content),
            error=error,
        )
        for index, each in enumerate(self._kept):
            if each.repeats(new):
                del self._kept[index]
                break
        self._kept.append(new)

    def exchanges(self) -> list[Exchange]:
        """Return the requests, oldest first. From any thread."""
        return list(self._kept.copy())


def _kept_headers(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in _HEADERS if name in headers}


def _read_body(request: httpx.Request) -> bytes | None:
    """Return a JSON body or an empty one; None for an upload, which is a stream."""
    kind = request.headers.get("content-type", "")
    if kind and not kind.startswith("application/json"):
        return None
    return _kept_body(request.content)


def _kept_body(content: bytes | None) -> bytes | None:
    return content if content is not None and len(content) <= _MOST_BYTES else None
