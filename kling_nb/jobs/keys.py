"""Read, save and delete the API key in the keyring, an optional dependency.

Must not depend on the other settings or on how the key is used.
"""

from __future__ import annotations

from typing import Any, Final

from kling_nb.core.errors import ConfigurationError
from kling_nb.core.secret import Key

_KEYRING_ENTRY: Final = ("kling_nb", "kie.ai")


def read_keyring() -> Key | None:
    """Return the keyring's key, or None without the extra, a backend or an entry.

    Raises:
        ConfigurationError: The entry cannot be a key.
    """
    try:
        key = Key.seal(_open_keyring().get_password(*_KEYRING_ENTRY))
    except Exception:
        # Backends raise whatever their system does (D-Bus, a locked keychain). Without a keyring
        # there is no key; an error in live mode says how to set one.
        return None
    return None if key.is_empty else key.check("the key in the keyring")


def save_key(text: str | Key) -> None:
    """Save the key in the system's keyring.

    Raises:
        ConfigurationError: It cannot be a key, or there is no usable keyring.
    """
    key = text if isinstance(text, Key) else Key.seal(text)
    del text  # a traceback may show local variables
    key.check("the key")
    try:
        _open_keyring().set_password(*_KEYRING_ENTRY, key.reveal())
    except Exception as problem:
        failure = _keyring_error(problem)
    else:
        return
    # Raised outside the handler: the backend's own error, with the key in it, is not its context.
    raise failure


def forget_key() -> bool:
    """Delete the key from the system's keyring; return False if there was none.

    Raises:
        ConfigurationError: There is no usable keyring.
    """
    try:
        keyring = _open_keyring()
        if keyring.get_password(*_KEYRING_ENTRY) is None:
            return False
        keyring.delete_password(*_KEYRING_ENTRY)
    except Exception as problem:
        failure = _keyring_error(problem)
    else:
        return True
    raise failure


def _open_keyring() -> Any:
    """Return the keyring package: an extra that is slow to import, so only on use."""
    import keyring

    return keyring


def _keyring_error(problem: Exception) -> ConfigurationError:
    if isinstance(problem, ImportError):
        return ConfigurationError(
            "the keyring extra is not installed: `pip install 'kling_nb[keyring]'`, "
            "or set the environment variable KIE_API_KEY"
        )
    return ConfigurationError(
        f"the keyring of this system cannot be used ({type(problem).__name__}); "
        "set the environment variable KIE_API_KEY instead"
    )
