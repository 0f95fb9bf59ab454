"""Host names and addresses: where each path belongs, and which URLs are the emulator's own.

Pure. Hosts: documentation and recorded traffic (D, L).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, unquote, urlsplit

from kling_nb.emulator.faults.effects import Endpoint

__all__ = [
    "API_HOST",
    "CLIP_HOST",
    "FILE_HOSTS",
    "LOOPBACK_HOSTS",
    "REAL_HOSTS",
    "UPLOADED_HOST",
    "UPLOAD_HOST",
    "Addresses",
    "endpoint_of",
    "is_this_machine",
    "own_clip_name",
    "own_upload_path",
]

API_HOST = "api.kie.ai"
UPLOAD_HOST = "kieai.redpandaai.co"
CLIP_HOST = "tempfile.aiquickdraw.com"
UPLOADED_HOST = "tempfile.redpandaai.co"
FILE_HOSTS = frozenset({CLIP_HOST, UPLOADED_HOST})
REAL_HOSTS = FILE_HOSTS | {API_HOST, UPLOAD_HOST}
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost"})

ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    (API_HOST, "/api/v1/jobs/createTask", "createTask"),
    (API_HOST, "/api/v1/jobs/recordInfo", "recordInfo"),
    (UPLOAD_HOST, "/api/file-", "upload"),
    (CLIP_HOST, "/k/", "download"),
)


def endpoint_of(host: str, path: str) -> Endpoint:
    """The endpoint that a request is for, as faults name it."""
    for own_host, start, endpoint in ENDPOINTS:
        if host in (own_host, *LOOPBACK_HOSTS) and path.startswith(start):
            return endpoint
    return "other"


class Addresses:
    """The URLs that the emulator hands out: on the real hosts, or all below one public URL."""

    def __init__(self, public_url: str | None) -> None:
        """Take the URL the emulator is served at, or None when it runs in process."""
        self.clips = public_url or f"https://{CLIP_HOST}"
        self.uploads = public_url or f"https://{UPLOADED_HOST}"

    def clip_url(self, name: str) -> str:
        """Where the result of that name is downloaded."""
        return f"{self.clips.rstrip('/')}/k/{name}"

    def upload_url(self, path: str) -> str:
        """Where the upload of that path, `kieai/…`, is found."""
        return f"{self.uploads.rstrip('/')}/{quote(path)}"


def own_clip_name(url: str) -> str | None:
    """The file name in a result URL of ours, or None for anybody else's."""
    path = own_path(url, CLIP_HOST)
    return path.removeprefix("k/") if path and path.startswith("k/") else None


def own_upload_path(url: str) -> str | None:
    """The path of an upload URL of ours, or None for anybody else's."""
    path = own_path(url, UPLOADED_HOST)
    return path if path and path.startswith("kieai/") else None


def own_path(url: str, host: str) -> str | None:
    """The decoded path of a URL on that host or on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return unquote(parts.path).lstrip("/") if parts.hostname in (host, *LOOPBACK_HOSTS) else None


def is_this_machine(url: str) -> bool:
    """Whether an http or https URL leads to a loopback address: the only ones ever called."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
