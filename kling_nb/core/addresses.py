"""Distinguish local hosts from public ones, and find secrets in URLs.

Resolves no name and opens no connection.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .errors import ConfigurationError

_WANTED: Final = (
    "give the http:// or https:// URL of your tunnel or reverse proxy, without a user name, "
    "password or fragment"
)
_LOCAL_NAME: Final = re.compile(
    r"\.(localhost|localdomain|local|lan|internal|intranet|corp|home|home\.arpa)\Z"
)
_SECRET_NAME: Final = re.compile(
    r"token|secret|signature|passw|credential|session|expires|jwt|auth"
    r"|(^|[-_.])(key|sig|pwd|pass|sid|se|code)$|apikey|accesskey|^(x-amz|x-goog|x-oss|q-sign)-",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.+/=~-]{20,}")
"""Letters and digits mixed, 20 or more, without spaces: a token under any name."""


def check_public_url(url: str, *, live: bool) -> str:
    """Return the URL if callbacks can be sent to it.

    Args:
        url: The public URL.
        live: Whether the service sends the callbacks, and not the emulator.

    Raises:
        ConfigurationError: The URL cannot be used; the message does not repeat a password.
    """
    text = url.strip()
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        shown = "it" if "@" in text else repr(text[:100])
        raise ConfigurationError(f"public_url: {shown} is not a URL; {_WANTED}")
    if "@" in parts.netloc or parts.fragment:
        raise ConfigurationError(
            f"public_url: the URL contains a user name, a password or a fragment; {_WANTED}"
        )
    if not text.isascii() or any(sign <= " " or sign in '"<>\\^`{|}\x7f' for sign in text):
        raise ConfigurationError(
            "public_url: the URL contains a character that URLs do not allow; percent-encode it, "
            f"and {_WANTED}"
        )
    if live and is_local(text):
        raise ConfigurationError(
            f"public_url: the service cannot reach {parts.hostname!r}, which is an address of "
            f"this machine or its own network; {_WANTED}"
        )
    return text


def is_local(url: str) -> bool:
    """Return whether the host of a URL is this machine or in its network."""
    parts = _split(url)
    return is_local_host((parts.hostname or "") if parts else "")


def is_local_host(host: str) -> bool:
    """Return whether a host name or address is this machine or in its network.

    Args:
        host: A name or an IP address, also in the short forms that name resolution accepts
            (`127.1`, `2130706433`); without brackets.
    """
    name = host.rstrip(".").lower()
    address = _parse_ip(name)
    if address is not None:
        return not address.is_global or address.is_multicast
    return "." not in name or _LOCAL_NAME.search(name) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    name = host.rstrip(".").lower()
    address = _parse_ip(name)
    return name == "localhost" if address is None else address.is_loopback


def has_secret(url: str) -> bool:
    """Return whether a URL contains a user name, a password, or something like a token.

    Signed links with an expiry count. A false positive costs an upload, which is free.
    """
    parts = _split(url)
    if parts is None or "@" in parts.netloc:
        return True
    pairs = [
        pair
        for text in (parts.query, parts.fragment)
        for pair in parse_qsl(text.replace(";", "&"), keep_blank_values=True)
    ]
    return any(
        _SECRET_NAME.search(name) or any(map(_SECRET_VALUE.fullmatch, (name, value)))
        for name, value in pairs
    )


def without_password(url: str) -> str:
    """Return a URL without its user name and password, for a message."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url, count=1)


def matches_public_path(path: str, public_url: str) -> bool:
    """Return whether a request's path is that of the public URL, or what a proxy leaves of it.

    A proxy may strip its own part of the path: of `/a/b` remains `/a/b`, `/b` or `/`.

    Args:
        path: The decoded path of the request.
        public_url: The URL that the service uses.
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


def _parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return getattr(address, "ipv4_mapped", None) or address
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
