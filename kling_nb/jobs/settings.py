"""Read key, mode, folder and hosts from arguments, environment, keyring and defaults.

Contains the names of the settings, their limits and the search for the folder. Must not depend on
how settings are used: it opens no connection, creates no folder and reads no ledger.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack, cast
from urllib.parse import urlsplit

from kling_nb.core.addresses import is_loopback
from kling_nb.core.errors import ConfigurationError
from kling_nb.core.rate_limits import RateLimits, parse_rate_limits
from kling_nb.core.secret import Key
from kling_nb.kie.urls import API_URL, UPLOAD_URL

from .keys import read_keyring

Mode = Literal["live", "emulator"]

_FOLDER_NAME: Final = "kling_clips"
_SECONDS_ALLOWED: Final = (0.05, 3600.0)
_SHOWN: Final = 120
_NO_KEY: Final = "no key: set KIE_API_KEY or use `%kling login`"

ENVIRONMENT: Final[Mapping[str, str]] = {
    "api_key": "KIE_API_KEY",
    "mode": "KLING_NB_MODE",
    "folder": "KLING_NB_FOLDER",
    "api_url": "KLING_NB_API_URL",
    "upload_url": "KLING_NB_UPLOAD_URL",
    "emulator_seconds": "KLING_NB_EMULATOR_SECONDS",
    "rate_limits": "KLING_NB_RATE_LIMITS",
}
"""Every setting and the environment variable that stands for it."""
WEBHOOK_KEY: Final = "KIE_WEBHOOK_KEY"
"""The environment variable of the key that signs callbacks. Source: D."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a session."""

    key: Key | None
    """None in emulator mode, which needs no key."""
    mode: Mode
    folder: Path
    """Absolute path; it may not exist yet."""
    api_url: str
    """Without a slash at the end."""
    upload_url: str
    """Without a slash at the end."""
    emulator_seconds: float
    """How long an emulated clip takes, in seconds."""
    rate_limits: RateLimits
    """The rate limits of the account."""
    mode_reason: str
    """Why this mode was chosen, as text for people."""

    @property
    def is_unkeyed(self) -> bool:
        """Whether clips are emulated only because there is no key."""
        return self.mode_reason == _NO_KEY

    def describe_mode(self) -> str:
        """Return `live` or `emulator`, and the reason."""
        return f"{self.mode} ({self.mode_reason})"

    def describe(self) -> tuple[str, ...]:
        """Return mode and folder as text."""
        return self.describe_mode(), *_describe(self.folder)


class SessionArguments(TypedDict, total=False):
    """The settings as arguments; None means not given."""

    api_key: str | Key | None
    mode: str | None
    folder: str | Path | None
    api_url: str | None
    upload_url: str | None
    emulator_seconds: float | None
    rate_limits: str | None


@dataclass(frozen=True, slots=True)
class Sources:
    """The settings from arguments and environment, read once; keeps no copy of the environment."""

    found: Mapping[str, tuple[str, Any]]
    """Per setting, the argument or variable that sets it, and the value; the key is sealed."""
    folder: Path
    """Absolute path; it may not exist yet."""

    def read(self, setting: str) -> tuple[str, Any] | None:
        """Return the source and the value of a setting, or None if it is not set."""
        return self.found.get(setting)

    @property
    def needs_keyring(self) -> bool:
        """Whether the key can only come from the keyring."""
        mode = self.found.get("mode", ("", None))[1]
        return "api_key" not in self.found and mode in (None, "live")

    def describe(self) -> tuple[str, ...]:
        """Return mode and folder as text; only the folder if the mode depends on the keyring.

        Raises:
            ConfigurationError: See `resolve`.
        """
        return _describe(self.folder) if self.needs_keyring else self.resolve().describe()

    def resolve(self) -> Settings:
        """Return the settings; read the keyring only if needed.

        Raises:
            ConfigurationError: A value is not allowed, or live mode has no key.
        """
        asked = self.read("mode")
        mode = None if asked is None else _parse_mode(*asked)
        key, origin = (None, "") if mode == "emulator" else _find_key(self)
        if mode == "live" and key is None:
            raise ConfigurationError(f"mode: 'live' needs a key, but there is {_NO_KEY}")
        mode = mode or ("live" if key else "emulator")
        api_url = _choose_url(self, "api_url", API_URL)
        # A served emulator also receives the uploads; they must not go to the service.
        is_served = mode == "emulator" and api_url != API_URL
        return Settings(
            key=key,
            mode=mode,
            folder=self.folder,
            api_url=api_url,
            upload_url=_choose_url(self, "upload_url", api_url if is_served else UPLOAD_URL),
            emulator_seconds=_choose_seconds(self),
            rate_limits=_choose_rate_limits(self),
            mode_reason=_how_asked(asked[0]) if asked else origin or _NO_KEY,
        )


def read_sources(**given: Unpack[SessionArguments]) -> Sources:
    """Read every setting from the arguments or the environment; open nothing.

    Raises:
        ConfigurationError: The folder cannot be used.
        TypeError: There is no setting with that name.
    """
    return _check_sources(_read_given(given, None), given, None)


def resolve(
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **given: Unpack[SessionArguments],
) -> Settings:
    """Return the settings: argument, then environment, then keyring (the key only), then default.

    Args:
        environ: The environment to read; None is that of this process.
        cwd: The base of relative paths; None is the working directory.
        given: Any of `SessionArguments`.

    Raises:
        ConfigurationError: A value is not allowed, or live mode has no key.
        TypeError: There is no setting with that name.
    """
    found = _read_given(given, environ)
    del environ  # holds the key, and a traceback may show local variables
    return _check_sources(found, given, cwd).resolve()


def _read_given(
    given: SessionArguments, environ: Mapping[str, str] | None
) -> dict[str, tuple[str, Any]]:
    """Read every setting from the arguments or the environment; raise nothing.

    Args:
        given: The arguments; their key is sealed in place.
        environ: The environment; None is that of this process.
    """
    seal(given)
    found: dict[str, tuple[str, Any]] = {
        setting: (variable, text if setting != "api_key" else Key.seal(text))
        for setting, variable in ENVIRONMENT.items()
        if (text := (os.environ if environ is None else environ).get(variable, "").strip())
    }
    arguments = cast("Mapping[str, Any]", given)
    found |= {name: (name, value) for name, value in arguments.items() if value is not None}
    return found


def _check_sources(
    found: Mapping[str, tuple[str, Any]], given: SessionArguments, cwd: Path | None
) -> Sources:
    _check_names(given)
    return Sources(found, _choose_folder(found.get("folder"), cwd))


def _describe(folder: Path) -> tuple[str, ...]:
    return (f"clips in {folder.name}",)


def seal(given: SessionArguments) -> None:
    """Wrap the key inside the given settings, in place: a traceback may show local variables.

    A value with an unknown name may be the key under a misspelt name.
    """
    values = cast("dict[str, object]", given)
    for name, value in values.items():
        if (name == "api_key" or name not in ENVIRONMENT) and value is not None:
            values[name] = value if isinstance(value, Key) else Key.seal(value)


def seal_webhook_key(given: str | Key | None) -> Key | None:
    """Return the account's webhook key as it was given, not checked yet; None for no text."""
    key = given if isinstance(given, Key) else Key.seal(given)
    return None if key.is_empty else key


def find_webhook_key(
    given: str | Key | None = None, environ: Mapping[str, str] | None = None
) -> Key | None:
    """Return the account's webhook key: as given, else the environment's; None without one.

    Raises:
        ConfigurationError: It cannot be a key.
    """
    own = seal_webhook_key(given)
    named = seal_webhook_key((os.environ if environ is None else environ).get(WEBHOOK_KEY))
    del given, environ  # a traceback may show local variables
    if own is not None:
        return own.check("webhook_key")
    return None if named is None else named.check(WEBHOOK_KEY)


def _how_asked(name: str) -> str:
    """Return where a mode comes from: an argument, or an environment variable."""
    return "as configured" if name == "mode" else f"set by {name}"


def find_folder(cwd: Path) -> Path:
    """Return the clip folder for a working directory.

    Front ends start kernels in different places, and a second ledger would not know what the
    first has paid for: an existing one in `cwd` or above it, up to the home directory or the
    root, goes before a new one.
    """
    home = Path(os.path.expanduser("~"))
    for place in (cwd, *cwd.parents):
        if os.path.isfile(place / _FOLDER_NAME / "ledger.sqlite3"):
            return place / _FOLDER_NAME
        if place == home:
            break
    return cwd / _FOLDER_NAME


def _check_names(given: SessionArguments) -> None:
    for name in given:
        if name not in ENVIRONMENT:
            near = get_close_matches(name, ENVIRONMENT, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(ENVIRONMENT)}"
            raise TypeError(f"no setting is named {name!r}; {hint}")


def _parse_mode(name: str, value: object) -> Mode:
    if isinstance(value, str) and value in ("live", "emulator"):
        return cast("Mode", value)
    raise ConfigurationError(f"{name}: {show(value)} is not allowed; give live or emulator")


def _find_key(sources: Sources) -> tuple[Key | None, str]:
    """Return the key, and where it was found as text for people."""
    found = sources.read("api_key")
    if found is None:
        key = read_keyring()
        return key, "the keyring has a key" if key else ""
    name, key = found
    origin = "api_key was given" if name == "api_key" else f"{name} is set"
    return cast("Key", key).check(name), origin


def _choose_folder(found: tuple[str, Any] | None, cwd: Path | None) -> Path:
    """Return the absolute path of the clip folder, which exists or can be created.

    Args:
        found: The argument or variable that sets the folder, and the value, or None.
        cwd: The base of relative paths; None is the working directory.

    Raises:
        ConfigurationError: The value is not a path, is a file, or cannot be created.
    """
    name, value = found or ("folder", None)
    try:
        given = None if value is None else Path(value).expanduser()
    except (RuntimeError, TypeError, ValueError):
        raise ConfigurationError(f"{name}: {show(value)} is not a path; give a folder") from None
    if given is not None and "\0" in str(given):
        raise ConfigurationError(f"{name}: {show(value)} contains a NUL character; give a folder")
    if given is None:
        folder = find_folder(_find_start(name, cwd))
    elif given.is_absolute():
        folder = Path(os.path.abspath(given))
    else:
        folder = Path(os.path.abspath(_find_start(name, cwd) / given))
    problem = _find_obstacle(folder)
    if problem:
        raise ConfigurationError(f"{name}: {problem}")
    return folder


def _find_start(name: str, cwd: Path | None) -> Path:
    """Return the folder that relative folders start from.

    Raises:
        ConfigurationError: The working directory no longer exists.
    """
    try:
        return Path(os.path.abspath(Path.cwd() if cwd is None else cwd))
    except OSError as error:
        reason = error.strerror
    raise ConfigurationError(
        f"{name}: the working directory no longer exists ({reason}); change to another one "
        "(`%cd ~`), or give an absolute folder"
    )


def _find_obstacle(folder: Path) -> str:
    """Return why a folder cannot be used or created; empty if it can.

    Creates nothing and does not list an existing folder.
    """
    wanted = "give a folder that you may write to"
    for place in (folder, *folder.parents):
        try:
            mode = os.stat(place).st_mode
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(place):
                return f"{show(str(place))} is a broken link; {wanted}"
            continue
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            return f"{show(str(folder))} cannot be used ({reason}); {wanted}"
        if not stat.S_ISDIR(mode):
            return f"{show(str(place))} is a file; give a folder"
        if place != folder and not os.access(place, os.W_OK | os.X_OK):
            return (
                f"{show(str(folder))} cannot be created because {place} is not writable; {wanted}"
            )
        break
    return ""


def _choose_url(sources: Sources, setting: str, default: str) -> str:
    found = sources.read(setting)
    if found is None:
        return default
    name, value = found
    problem = _judge_url(value)
    if problem:
        raise ConfigurationError(f"{name}: {problem}")
    return str(value).strip().rstrip("/")


def _judge_url(value: object) -> str:
    """Return the problem of a service URL; empty if it is valid."""
    wanted = "give https://HOST, or http:// on this machine only"
    try:
        text = str(value).strip()
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return f"{show(value)} is not a URL; {wanted}"
    if "@" in parts.netloc:
        return f"the URL contains a user name or a password; {wanted}"
    is_plain = text.isascii() and text.isprintable() and " " not in text and len(text) < 2_000
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        return f"{show(value)} is not the URL of a service; {wanted}"
    if not is_plain:
        return (
            f"{show(value)} contains a character that URLs do not allow, or is too long; {wanted}"
        )
    if parts.scheme == "http" and not is_loopback(host):
        return f"{show(value)} would send the key unencrypted; {wanted}"
    return ""


def show(value: object) -> str:
    """Return a value for a message, shortened; its type if it has no text."""
    try:
        text = repr(value)
    except Exception:  # also that of a number with more digits than Python writes
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _choose_seconds(sources: Sources) -> float:
    found = sources.read("emulator_seconds")
    if found is None:
        return 8.0
    name, value = found
    least, most = _SECONDS_ALLOWED
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not least <= seconds <= most:
        raise ConfigurationError(
            f"{name}: {show(value)} is not allowed; give {least} to {most:g} seconds"
        )
    return seconds


def _choose_rate_limits(sources: Sources) -> RateLimits:
    found = sources.read("rate_limits")
    if found is None:
        return RateLimits()
    name, value = found
    try:
        return parse_rate_limits(value if isinstance(value, str) else show(value))
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None
