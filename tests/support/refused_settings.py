"""Settings that are refused while a key is in the environment or given: none may show it.

The key is in no variable of this module, so that a traceback with all variables has it only where
the package put it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace

import kling_nb
from kling_nb.core.secret import Key
from kling_nb.jobs.keys import forget_key, save_key
from kling_nb.jobs.settings import ENVIRONMENT, WEBHOOK_KEY, find_webhook_key, resolve

__all__ = ["CASES", "SECRET_VARIABLE", "VARIABLES", "clean", "refuse"]

SECRET_VARIABLE = "TEST_SECRET"
"""The name of the variable of the environment that holds the key."""


def secret() -> str:
    """The key."""
    return os.environ[SECRET_VARIABLE]


def bad() -> str:
    """The key, as it cannot be one."""
    return f"{secret()} and more"


def fail(*given: object) -> None:
    """Raise an error with the arguments, as a careless backend does."""
    raise RuntimeError(f"cannot do it with {given}")


def resolve_in(**environ: str) -> object:
    """The settings of an environment that has the key."""
    os.environ.update(environ)
    return resolve()


def resolve_bad() -> object:
    """The settings of an environment with an invalid key."""
    os.environ["KIE_API_KEY"] = bad()
    return resolve()


def resolve_live_without_key() -> object:
    """Live, and the key is under another name."""
    del os.environ["KIE_API_KEY"]
    return resolve(mode="live")


def with_keyring(get: Callable[[], str], act: Callable[[], object]) -> object:
    """Do something with a keyring that fails to change anything."""
    os.environ.pop("KIE_API_KEY")
    fake = SimpleNamespace(get_password=lambda *_: get(), set_password=fail, delete_password=fail)
    sys.modules["keyring"] = fake  # type: ignore[assignment]
    return act()


def connect_with(**environ: str) -> object:
    """A live session in a network that cannot be used."""
    os.environ.update(environ)
    return kling_nb.Session(mode="live", api_key=secret())


LONG = "x" * 300
VARIABLES = (*ENVIRONMENT.values(), WEBHOOK_KEY, "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY")
"""What cases set in the environment."""
CASES: dict[str, Callable[[], object]] = {
    "mode": lambda: resolve(mode="Live!"),
    "mode, absurd": lambda: resolve(mode=10**5000),  # type: ignore[arg-type]
    "seconds, no number": lambda: resolve(emulator_seconds="soon"),  # type: ignore[arg-type]
    "seconds, too large to be a float": lambda: resolve(emulator_seconds=10**400),
    "seconds, too large to be written": lambda: resolve(emulator_seconds=10**5000),
    "seconds, a flag": lambda: resolve(emulator_seconds=True),
    "seconds of the environment": lambda: resolve_in(KLING_NB_EMULATOR_SECONDS="nan"),
    "folder, no path": lambda: resolve(folder=7),  # type: ignore[arg-type]
    "folder, nobody's home": lambda: resolve(folder="~nobody-of-that-name/clips"),
    "folder with a NUL": lambda: resolve(folder="a\0b"),
    "folder with half a character": lambda: resolve(folder="a\ud800b"),
    "folder, a file": lambda: resolve(folder="/dev/null"),
    "folder in a file": lambda: resolve(folder="/dev/null/clips"),
    "folder with a name too long": lambda: resolve(folder=f"/tmp/{LONG}"),
    "folder of the environment": lambda: resolve_in(KLING_NB_FOLDER="/dev/null"),
    "api_url": lambda: resolve(api_url="ftp://host"),
    "api_url, absurd": lambda: resolve(api_url=10**5000),  # type: ignore[arg-type]
    "api_url, no bracket": lambda: resolve(api_url="http://[::1"),
    "api_url with a password": lambda: resolve(api_url="https://me:pass@host"),
    "api_url with a control character": lambda: resolve(api_url="https://host/\0"),
    "api_url, unencrypted": lambda: resolve(api_url="http://example.org"),
    "api_url of the environment": lambda: resolve_in(KLING_NB_API_URL="api.kie.ai"),
    "upload_url": lambda: resolve_in(KLING_NB_UPLOAD_URL="http://example.org"),
    "rate limits": lambda: resolve(rate_limits="20/10"),
    "rate limits, absurd": lambda: resolve(rate_limits=10**5000),  # type: ignore[arg-type]
    "rate limits of the environment": lambda: resolve_in(KLING_NB_RATE_LIMITS="create=0/10"),
    "key": lambda: resolve(api_key=bad()),
    "key of bytes": lambda: resolve(api_key=secret().encode()),  # type: ignore[arg-type]
    "key, empty": lambda: resolve(api_key=" "),
    "key of the environment": resolve_bad,
    "no key": resolve_live_without_key,
    "key by itself": lambda: Key(bad()),
    "key in the keyring": lambda: with_keyring(bad, lambda: resolve(mode="live")),
    "key for the keyring": lambda: save_key(bad()),
    "keyring that fails": lambda: with_keyring(secret, lambda: save_key(secret())),
    "keyring that fails to forget": lambda: with_keyring(secret, forget_key),
    "misspelt name": lambda: resolve(**{"api_kye": secret()}),  # type: ignore[arg-type]
    "webhook key": lambda: find_webhook_key(bad()),
    "webhook key of the environment": lambda: find_webhook_key(
        environ={"KIE_WEBHOOK_KEY": bad(), "KIE_API_KEY": secret()}
    ),
    "environment as an argument": lambda: resolve(
        environ={"KIE_API_KEY": secret(), "KLING_NB_MODE": "Live!"}
    ),
    "session": lambda: kling_nb.Session(api_key=secret(), mode="Live!"),
    "session, key": lambda: kling_nb.Session(api_key=bad()),
    "session, misspelt name": lambda: kling_nb.Session(api_kye=secret()),
    "configure": lambda: kling_nb.configure(api_key=secret(), folder="/dev/null"),
    "configure, key": lambda: kling_nb.configure(api_key=bad()),
    "default session": lambda: resolve_in(KLING_NB_MODE="Live!") or kling_nb.balance(),
    "certificates": lambda: connect_with(SSL_CERT_FILE="/no/such/file.pem"),
    "proxy": lambda: connect_with(HTTPS_PROXY="ftp://proxy.example"),
    "listening without an address": lambda: resolve_in(KLING_NB_MODE="live") and kling_nb.listen(),
    "listen": lambda: kling_nb.listen(webhook_key=bad()),
    "listen by jupyter": lambda: kling_nb.listen(webhook_key=secret(), jupyter=True),
}
"""By what is refused."""


def refuse(name: str) -> object:
    """Have a case refused, in an environment that has the key."""
    clean()
    os.environ["KIE_API_KEY"] = secret()
    return CASES[name]()


def clean() -> None:
    """Take away what cases set."""
    for variable in VARIABLES:
        os.environ.pop(variable, None)
    sys.modules.pop("keyring", None)
