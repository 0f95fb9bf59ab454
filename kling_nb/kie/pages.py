"""Read the text of an error page from a proxy or a gateway."""

from __future__ import annotations

import html
import re
from typing import Final

_READ_BYTES: Final = 20_000
_UNSEEN: Final = re.compile(r"<(script|style|head)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^<>]*>?")


def page_text(body: bytes, limit: int = 160) -> str:
    """Return the first `limit` characters of HTML or plain text on one line, without markup."""
    text = body[:_READ_BYTES].decode("utf-8", "replace")
    text = html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text)))
    text = "".join(each if each.isprintable() else " " for each in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
