"""Write text to output streams that are not UTF-8: a Windows console, a CI log, a file.

A character that the stream cannot encode is replaced (`->` for an arrow) or written as `?`. Without
this, Python raises UnicodeEncodeError and ends a cell before its request is sent.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from typing import Any, Final

_ASCII: Final = {
    "→": "->",
    "×": "x",
    "·": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "–": "-",
    "—": "-",
    "−": "-",
    "★": "*",
}
_HANDLER: Final = "kling_nb.readable"
"""The name of the error handler among Python's codecs."""


def readable(text: str, stream: Any = None) -> str:
    """Replace the characters of a text that a stream cannot encode.

    Args:
        text: The text.
        stream: The output stream; None is `sys.stdout`.
    """
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    if _is_unicode(encoding):
        return text
    return text.encode(encoding, _HANDLER).decode(encoding)


def print_text(text: str) -> None:
    """Print a text on `sys.stdout` in any encoding."""
    print(readable(text))


def accept_all_characters() -> None:
    """Let `sys.stdout` replace characters that it cannot encode, for all code that prints.

    Does not change a stream that is UTF-8 or has its own error handler.
    """
    stream: Any = sys.stdout
    is_strict = getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure")
    if is_strict and not _is_unicode(stream.encoding):
        stream.reconfigure(errors=_HANDLER)


def _is_unicode(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return True


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement and the next position, as Python's error handlers do."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_replacement, text)), error.end


def _replacement(character: str) -> str:
    """Return ASCII for one character: by the table, without its accent, or `?`."""
    base = unicodedata.normalize("NFKD", character)[0]
    return _ASCII.get(character) or (base if base.isascii() else "?")


codecs.register_error(_HANDLER, _replace_unencodable)
