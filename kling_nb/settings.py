"""Where a session gets its key, mode, folder and hosts: argument, environment, keyring, default.

Owns the names of the settings, their limits and the search for the folder. Must not know what is
done with them: it opens no connection, makes no folder and reads no ledger.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack, cast
from urllib.parse import urlsplit

from .addresses import is_loopback
from .errors import ConfigurationError
from .keys import Key, forget_key, read_keyring, save_key

__all__ = [
    "API_URL",
    "UPLOAD_URL",
    "Given",
    "Key",
    "Mode",
    "Settings",
    "find_folder",
    "find_webhook_key",
    "forget_key",
    "resolve",
    "save_key",
    "sealed",
]

Mode = Literal["live", "emulator"]

API_URL: Final = "https://api.kie.ai"
"""Source: the provider's documentation and recorded live traffic (D, L), 2026-04."""
UPLOAD_URL: Final = "https://kieai.redpandaai.co"
"""Source: the provider's documentation and recorded live traffic (D, L), 2026-04."""

FOLDER_NAME: Final = "kling_clips"
SECONDS_ALLOWED: Final = (0.05, 3600.0)
NO_KEY: Final = "no key: set KIE_API_KEY or use `%kling login`"

ENVIRONMENT: Final[Mapping[str, str]] = {
    "api_key": "KIE_API_KEY",
    "mode": "KLING_NB_MODE",
    "folder": "KLING_NB_FOLDER",
    "api_url": "KLING_NB_API_URL",
    "upload_url": "KLING_NB_UPLOAD_URL",
    "emulator_seconds": "KLING_NB_EMULATOR_SECONDS",
}
"""Every setting and the environment variable that stands for it."""
WEBHOOK_KEY: Final = "KIE_WEBHOOK_KEY"
"""The environment variable of the key that notifications are signed with. Source: D."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session works with."""

    key: Key | None
    """None in emulator mode, whatever the environment holds: it is not needed there."""
    mode: Mode
    folder: Path
    """Absolute; it need not exist yet."""
    api_url: str
    """Without a slash at the end."""
    upload_url: str
    """Without a slash at the end."""
    emulator_seconds: float
    """How long an emulated clip takes, in seconds."""
    mode_reason: str
    """Why this mode, in words for a person."""

    @property
    def is_unkeyed(self) -> bool:
        """Whether clips are emulated for want of a key, and nobody asked for it."""
        return self.mode_reason == NO_KEY


class Given(TypedDict, total=False):
    """The settings that may be given as arguments; None counts as not given."""

    api_key: str | Key | None
    mode: str | None
    folder: str | Path | None
    api_url: str | None
    upload_url: str | None
    emulator_seconds: float | None


def resolve(
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    **given: Unpack[Given],
) -> Settings:
    """The settings: argument, then environment, then keyring (the key only), then default.

    Args:
        environ: The environment to read.
        cwd: Where relative folders start; the working directory unless told.
        given: Any of `Given`.

    Raises:
        ConfigurationError: A value is not allowed, or live mode is asked for without a key.
        TypeError: There is no setting of that name.
    """
    check_names(given)
    sources = Sources(given, environ)
    asked = sources.read("mode")
    mode = None if asked is None else parse_mode(*asked)
    key, origin = (None, "") if mode == "emulator" else find_key(sources)
    if mode == "live" and key is None:
        raise ConfigurationError(f"mode: 'live' needs a key, and there is {NO_KEY}")
    mode = mode or ("live" if key else "emulator")
    api_url = choose_url(sources, "api_url", API_URL)
    # A served emulator is one server: its uploads must not go to the service.
    is_served = mode == "emulator" and api_url != API_URL
    return Settings(
        key=key,
        mode=mode,
        folder=choose_folder(sources, Path.cwd() if cwd is None else cwd),
        api_url=api_url,
        upload_url=choose_url(sources, "upload_url", api_url if is_served else UPLOAD_URL),
        emulator_seconds=choose_seconds(sources),
        mode_reason=how_asked(asked[0]) if asked else origin or NO_KEY,
    )


def sealed(given: Given) -> Given:
    """The same settings with the key in its wrapper, which no traceback or repr looks into."""
    key = given.get("api_key")
    return {**given, "api_key": Key(key)} if isinstance(key, str) and key.strip() else given


def find_webhook_key(
    given: str | Key | None = None, environ: Mapping[str, str] = os.environ
) -> Key | None:
    """The account's webhook key, sealed: as given, else the environment's; None without one.

    Raises:
        ConfigurationError: It cannot be a key.
    """
    if isinstance(given, Key):
        return given
    if given and given.strip():
        return Key(given, name="webhook_key")
    text = environ.get(WEBHOOK_KEY, "").strip()
    return Key(text, name=WEBHOOK_KEY) if text else None


def how_asked(name: str) -> str:
    """Who asked for a mode, in words: the program itself, or a variable of the environment."""
    return "as configured" if name == "mode" else f"asked for by {name}"


def find_folder(cwd: Path) -> Path:
    """The folder of clips for somebody who works in `cwd`.

    Front ends start kernels in different places, and a second ledger would not know what the
    first has paid for: an existing one in `cwd` or above it, up to the home directory or the
    root, goes before a new one.
    """
    home = Path(os.path.expanduser("~"))
    for place in (cwd, *cwd.parents):
        if os.path.isfile(place / FOLDER_NAME / "ledger.sqlite3"):
            return place / FOLDER_NAME
        if place == home:
            break
    return cwd / FOLDER_NAME


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a setting may come from, most binding first."""

    given: Given
    environ: Mapping[str, str]

    def read(self, setting: str) -> tuple[str, Any] | None:
        """Who gives the setting, as a person would name it, and the value; None if nobody."""
        value = cast(Mapping[str, object], self.given).get(setting)
        if value is not None:
            return setting, value
        variable = ENVIRONMENT[setting]
        text = self.environ.get(variable, "").strip()
        return (variable, text) if text else None


def check_names(given: Given) -> None:
    for name in given:
        if name not in ENVIRONMENT:
            near = get_close_matches(name, ENVIRONMENT, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ENVIRONMENT)}"
            raise TypeError(f"no setting is named {name!r}; {hint}")


def parse_mode(name: str, value: object) -> Mode:
    if value == "live":
        return "live"
    if value == "emulator":
        return "emulator"
    raise ConfigurationError(f"{name}: {value!r} is not one of live, emulator")


def find_key(sources: Sources) -> tuple[Key | None, str]:
    """The key, and where it was found in words for a person."""
    found = sources.read("api_key")
    if found is None:
        key = read_keyring()
        return key, "the keyring has a key" if key else ""
    name, value = found
    origin = "api_key was given" if name == "api_key" else f"{name} is set"
    return (value if isinstance(value, Key) else Key(value, name=name)), origin


def choose_folder(sources: Sources, cwd: Path) -> Path:
    start = Path(os.path.abspath(cwd))
    found = sources.read("folder")
    if found is None:
        return find_folder(start)
    name, value = found
    try:
        folder = Path(os.path.abspath(start / Path(value).expanduser()))
    except (RuntimeError, TypeError, ValueError):
        raise ConfigurationError(f"{name}: {value!r} is not a path; give a folder") from None
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ConfigurationError(f"{name}: {str(value)!r} is a file; give a folder")
    return folder


def choose_url(sources: Sources, setting: str, default: str) -> str:
    found = sources.read(setting)
    if found is None:
        return default
    name, value = found
    problem = judge_url(value)
    if problem:
        raise ConfigurationError(f"{name}: {problem}")
    return str(value).rstrip("/")


def judge_url(value: object) -> str:
    """What is wrong with a service URL; empty when nothing is."""
    wanted = "give https://HOST, or http:// on this machine only"
    try:
        parts = urlsplit(str(value))
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return f"{value!r} is not a URL; {wanted}"
    if "@" in parts.netloc:
        return f"a URL with a name or a password in it; {wanted}"
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        return f"{value!r} is not the URL of a service; {wanted}"
    if parts.scheme == "http" and not is_loopback(host):
        return f"{value!r} would send the key unencrypted; {wanted}"
    return ""


def choose_seconds(sources: Sources) -> float:
    found = sources.read("emulator_seconds")
    if found is None:
        return 8.0
    name, value = found
    least, most = SECONDS_ALLOWED
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not least <= seconds <= most:
        raise ConfigurationError(
            f"{name}: {value!r} is not a number of seconds, {least} to {most:g}"
        )
    return seconds
