"""Text for output streams that are not UTF-8: a Windows console, a CI log, a file.

A character that the stream cannot encode is written in another way (`->` for an arrow) or as `?`,
where Python would raise UnicodeEncodeError and end a cell before its request is sent.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from typing import Any, Final

__all__ = ["accept_all_characters", "print_text", "readable"]

ASCII: Final = {
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
HANDLER: Final = "kling_nb.readable"
"""The name of the error handler among Python's codecs."""


def readable(text: str, stream: Any = None) -> str:
    """Return the text with only characters that a stream can encode.

    Args:
        text: The text.
        stream: Where it is written; `sys.stdout` without it.
    """
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    if is_unicode(encoding):
        return text
    return text.encode(encoding, HANDLER).decode(encoding)


def print_text(text: str) -> None:
    """Print a text on `sys.stdout`, whatever its encoding."""
    print(readable(text))


def accept_all_characters() -> None:
    """Let `sys.stdout` replace what it cannot encode, also when IPython or a person prints.

    A stream that is UTF-8, or has an error handler of its own, is left as it is.
    """
    stream: Any = sys.stdout
    is_strict = getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure")
    if is_strict and not is_unicode(stream.encoding):
        stream.reconfigure(errors=HANDLER)


def is_unicode(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return True


def replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Python's interface of an error handler: the replacement, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(replacement, text)), error.end


def replacement(character: str) -> str:
    """Return ASCII for one character: by the table, without its accent, or `?`."""
    base = unicodedata.normalize("NFKD", character)[0]
    return ASCII.get(character) or (base if base.isascii() else "?")


codecs.register_error(HANDLER, replace_unencodable)
