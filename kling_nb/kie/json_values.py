"""Read untrusted JSON values of the service: text, numbers, URLs.

Pure. `wire` defines the meaning of the fields.
"""

from __future__ import annotations

import json
import re

_URL = re.compile(
    r"https?://[^\s/\x00-\x1f\ud800-\udfff]+/[^\s\x00-\x1f\ud800-\udfff]*", re.IGNORECASE
)


def read_json(text: str) -> object:
    """Return the JSON document, or None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_text(value: object) -> str:
    """Return a string or a number as valid UTF-8 text; empty for anything else."""
    if isinstance(value, str):
        return clean(value).strip()
    number = None if isinstance(value, bool) else read_float(value)
    return "" if number is None else f"{number:.15g}"


def clean(text: str) -> str:
    """Return text that can be encoded as UTF-8: JSON may contain lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def read_float(value: object) -> float | None:
    """Return a JSON number as a float; None for anything else, or for 1e15 and more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < 1e15 else None


def read_integer(value: object) -> int | None:
    """Return a whole number, also from text of up to 6 digits; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    number = read_float(value)
    return int(number) if number is not None and number.is_integer() else None


def is_url(value: object) -> bool:
    """Return whether a value is an http(s) URL without spaces and control characters."""
    return isinstance(value, str) and _URL.fullmatch(value) is not None
