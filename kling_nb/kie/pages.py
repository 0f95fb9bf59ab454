"""Read the text of an error page from a proxy or a gateway."""

from __future__ import annotations

import html
import re
from typing import Final

__all__ = ["page_message", "page_text"]

_READ_BYTES: Final = 20_000
_UNSEEN: Final = re.compile(r"<(script|style|head)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^<>]*>?")


def page_message(status: int, body: bytes, through: str = "") -> str:
    """Return a message for an answer without an envelope, from a gateway or a proxy.

    Args:
        status: The HTTP status.
        body: The raw body.
        through: The proxy of the request; empty without one.
    """
    way = f" through the proxy {through}" if through else ""
    words = page_text(body)
    page = f": {words}" if words else ""
    return f"HTTP {status}{way} without a readable body{page}"


def page_text(body: bytes, limit: int = 160) -> str:
    """Return the beginning of a page's text on one line, without markup.

    Args:
        body: HTML or plain text, unchanged.
        limit: Maximum number of characters.
    """
    text = body[:_READ_BYTES].decode("utf-8", "replace")
    text = html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text)))
    words = "".join(sign if sign.isprintable() else " " for sign in text)
    words = " ".join(words.split())
    return words if len(words) <= limit else f"{words[: limit - 1].rstrip()}…"
