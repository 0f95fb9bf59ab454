"""Addresses that notifications are sent to: what may be one, and who reaches it.

Must not know who listens there. Nothing is resolved or connected to.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import ConfigurationError

__all__ = ["check_public_url", "is_local", "leads_here"]

_WANTED: Final = (
    "give the http:// or https:// address of your tunnel or reverse proxy, without a name, "
    "a password or a fragment in it"
)
_LOCAL_ENDINGS: Final = (".localhost", ".local", ".internal", ".home.arpa")


def check_public_url(url: str, *, live: bool) -> str:
    """The address, if notifications can be sent to it.

    Args:
        url: As the service is to reach it.
        live: Whether it is the service that posts there, and not the emulator.

    Raises:
        ConfigurationError: It is no such address; a password in it is not repeated.
    """
    text = url.strip()
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        shown = "it" if "@" in text else repr(text[:100])
        raise ConfigurationError(f"public_url: {shown} is not an address; {_WANTED}")
    if "@" in parts.netloc or parts.fragment:
        raise ConfigurationError(f"public_url: there is more in it than may be sent; {_WANTED}")
    if not text.isascii() or any(sign <= " " or sign in '"<>\\^`{|}\x7f' for sign in text):
        raise ConfigurationError(
            f"public_url: a character in it cannot stand in an address; percent-encode it, and "
            f"{_WANTED}"
        )
    if live and is_local(text):
        raise ConfigurationError(
            f"public_url: the service cannot reach {parts.hostname!r}, which is an address of "
            f"this machine or its own network; {_WANTED}"
        )
    return text


def is_local(url: str) -> bool:
    """Whether an address belongs to this machine or its own network, as far as its name tells."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".") if parts else ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_ENDINGS)


def leads_here(path: str, public_url: str) -> bool:
    """Whether a request's path is the public address's own, or what a proxy leaves of it.

    Proxies strip the part of a path that led to them, or do not: for `/a/b` it may be `/a/b`,
    `/b` or `/`.

    Args:
        path: Of the request, decoded.
        public_url: The address as the service reaches it.
    """
    parts = _split(public_url)
    whole = "/" + unquote(parts.path if parts else "").strip("/")
    return path.startswith("/") and whole.endswith(path.rstrip("/"))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts
