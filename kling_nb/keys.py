"""The API key: what may be one, how it stays unseen, and the keyring that can hold it.

Owns the keyring, an optional extra. Must not know the other settings or who uses the key.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, NoReturn

from .errors import ConfigurationError

__all__ = ["Key", "forget_key", "read_keyring", "save_key"]

KEYRING_ENTRY: Final = ("kling_nb", "kie.ai")


class Key:
    """An API key that shows itself only to who asks for it by name.

    Args:
        text: The key; white space around it is dropped.
        name: Where it came from, for the error message.

    Raises:
        ConfigurationError: The text cannot be a key. The message never quotes it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, *, name: str = "api_key") -> None:
        stripped = text.strip()
        if not stripped:
            raise ConfigurationError(f"{name}: empty; give the key that kie.ai shows you")
        if not all("!" <= sign <= "~" for sign in stripped):
            raise ConfigurationError(
                f"{name}: {len(stripped)} characters, among them a space, a control character or "
                "one outside ASCII; copy the key from kie.ai once more, without anything around it"
            )
        self._text = stripped

    def reveal(self) -> str:
        """The key itself, for the request header and nothing else."""
        return self._text

    def digest(self, salt: bytes) -> bytes:
        """A mark that is the same for the same key and salt, and tells nothing of the key."""
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


def read_keyring() -> Key | None:
    """The keyring's key; None without the extra, without a backend, without an entry.

    Raises:
        ConfigurationError: The entry cannot be a key.
    """
    try:
        text = open_keyring().get_password(*KEYRING_ENTRY)
    except Exception:
        # Backends raise whatever their system does (D-Bus, a locked keychain). Without a keyring
        # there is simply no key in it; who asks for live mode is then told how to set one.
        return None
    return Key(text, name="the key in the keyring") if text else None


def save_key(text: str) -> None:
    """Put the key into the system's keyring.

    Raises:
        ConfigurationError: It cannot be a key, or there is no usable keyring.
    """
    key = Key(text, name="the key")
    try:
        open_keyring().set_password(*KEYRING_ENTRY, key.reveal())
    except Exception as problem:
        raise keyring_error(problem) from None


def forget_key() -> bool:
    """Take the key out of the system's keyring; False when there was none.

    Raises:
        ConfigurationError: There is no usable keyring.
    """
    try:
        keyring = open_keyring()
        if keyring.get_password(*KEYRING_ENTRY) is None:
            return False
        keyring.delete_password(*KEYRING_ENTRY)
    except Exception as problem:
        raise keyring_error(problem) from None
    return True


def open_keyring() -> Any:
    """The keyring package: an extra, and slow to import, so only when it is used."""
    import keyring

    return keyring


def keyring_error(problem: Exception) -> ConfigurationError:
    if isinstance(problem, ImportError):
        return ConfigurationError(
            "the keyring extra is not installed: `pip install 'kling_nb[keyring]'`, "
            "or set the environment variable KIE_API_KEY"
        )
    return ConfigurationError(
        f"the keyring of this system cannot be used ({type(problem).__name__}); "
        "set the environment variable KIE_API_KEY instead"
    )
