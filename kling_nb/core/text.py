"""Text: normalize it for sending, compare texts by their visible content, find a similar word.

Prompts copied from web pages, chats and word processors contain invisible characters. Must not
depend on parameters or requests.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_LINE_ENDS: Final = re.compile("[\v\f\x85\u2028\u2029]")
_SPACES: Final = re.compile("[\t\u00a0\u2007\u202f]")
"""Tab and the no-break spaces."""
_DROPPED: Final = re.compile("[\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff]")
"""Zero-width characters that change no letter: soft hyphen, zero-width space, word joiner, BOM."""
_JOINERS: Final = re.compile(
    "[\u034f\u061c\u180b-\u180d\u180f\u200c-\u200f\u202a-\u202e\u2066-\u2069\ufe00-\ufe0f"
    "\U000e0100-\U000e01ef]"
)
"""Zero-width characters that emoji and scripts need: joiners, writing directions, variation
selectors. The tags of U+E0020 to U+E007F are not among them: they tell one flag from another."""


def join_lines(line: str, body: str) -> tuple[str, str]:
    """Return line and body of a cell; a line that ends in a backslash includes the next one."""
    while body and line.rstrip().endswith("\\"):
        more, _, body = body.partition("\n")
        line = f"{line.rstrip()[:-1].rstrip()} {more.strip()}"
    return line, body


def plain_lines(text: str) -> str:
    """Return the text with plain line ends and without blanks at both ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def normalize_text(text: str) -> str:
    """Normalize the text for sending: NFC, plain spaces and line ends, no control characters.

    Joiners stay: without them an emoji falls apart, and Persian or Hindi is misspelt.
    """
    text = _LINE_ENDS.sub("\n", plain_lines(text))
    text = _DROPPED.sub("", _SPACES.sub(" ", text))
    text = "".join(char for char in text if char == "\n" or unicodedata.category(char) != "Cc")
    return unicodedata.normalize("NFC", text).strip()


def comparable_text(text: str) -> str:
    """Return the normalized text without joiners: the same for all texts that look the same."""
    return normalize_text(_JOINERS.sub("", text))


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the known word most similar to a word, or an empty text."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return found[0] if found else ""


def similar(option: str, known: Sequence[str]) -> list[str]:
    """Return the known options similar to an option, the most similar first; dashes do not count.

    A part counts as the whole: `--ratio` is `--aspect-ratio`; a beginning comes first.
    """
    word = option.strip("-").replace("_", "-")
    names = {each.strip("-"): each for each in reversed(known)}
    names = {part: each for name, each in names.items() for part in name.split("-")} | names
    begun = [name for name in names if name.startswith(word)] if len(word) > 1 else []
    close = difflib.get_close_matches(word, names, n=5, cutoff=0.6)
    return list(dict.fromkeys(names[each] for each in (*sorted(begun, key=len), *close)))
