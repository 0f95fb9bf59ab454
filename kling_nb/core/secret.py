"""The API key: check its form, and keep it out of messages and logs.

Must not depend on where a key comes from or how it is used.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, Self

from .errors import ConfigurationError

_EMPTY: Final = "empty; give the key that kie.ai shows you"
_SHORTEST: Final = 16
"""Shorter than any real key."""


class Key:
    """An API key that is shown only by `reveal`.

    Args:
        text: The key; white space around it is dropped.
        name: The source of the key, for the error message.

    Raises:
        ConfigurationError: The text cannot be a key. Neither the message nor a local variable of
            this package quotes it.
    """

    __slots__ = ("_problem", "_text")

    def __init__(self, text: object, *, name: str = "api_key") -> None:
        self._problem = _find_problem(text)
        self._text = "" if self._problem else str(text).strip()
        del text  # a traceback may show local variables
        self.check(name)

    @classmethod
    def seal(cls, text: object) -> Self:
        """Return a key that is not checked yet; raise nothing, so that no traceback shows it."""
        key = cls.__new__(cls)
        key._problem = _find_problem(text)
        key._text = "" if key._problem else str(text).strip()
        return key

    @property
    def is_empty(self) -> bool:
        """Return whether there was no text."""
        return self._problem == _EMPTY

    def check(self, name: str) -> Self:
        """Return the key itself.

        Raises:
            ConfigurationError: It cannot be a key; the message begins with `name`.
        """
        if self._problem:
            raise ConfigurationError(f"{name}: {self._problem}")
        return self

    def reveal(self) -> str:
        """Return the key, for the request header only."""
        return self._text

    def remove_from(self, content: bytes) -> bytes:
        """Return content without this key; a key too short to be a real one may occur by chance."""
        if len(self._text) < _SHORTEST:
            return content
        return content.replace(self._text.encode(), b"(key)")

    def digest(self, salt: bytes) -> bytes:
        """Return a digest of the key, which does not reveal it."""
        return hmac.digest(salt, self._text.encode(), "sha256")

    def __repr__(self) -> str:
        return "Key(…)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return hmac.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash((Key, self._text))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Key cannot be pickled or copied: pass the setting's name instead")


def _find_problem(text: object) -> str:
    """Return why a value cannot be a key, without quoting it; empty if it can."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return _EMPTY
    if not isinstance(text, str):
        return f"of type {type(text).__name__}, not text; give the key that kie.ai shows you"
    stripped = text.strip()
    if all("!" <= sign <= "~" for sign in stripped):
        return ""
    return (
        f"{len(stripped)} characters, one of them a space, a control character or not ASCII; "
        "copy the key from kie.ai again, without anything before or after it"
    )
