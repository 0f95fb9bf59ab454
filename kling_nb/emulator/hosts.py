"""Host names and URLs: the endpoint of a request, and the emulator's own URLs.

Pure. Source of the host names: documentation and recorded traffic (D, L).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, unquote, urlsplit

from kling_nb.emulator.faults import Endpoint

API_HOST = "api.kie.ai"
UPLOAD_HOST = "kieai.redpandaai.co"
CLIP_HOST = "tempfile.aiquickdraw.com"
UPLOADED_HOST = "tempfile.redpandaai.co"
FILE_HOSTS = frozenset({CLIP_HOST, UPLOADED_HOST})
REAL_HOSTS = FILE_HOSTS | {API_HOST, UPLOAD_HOST}
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost"})

_ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    (API_HOST, "/api/v1/jobs/createTask", "createTask"),
    (API_HOST, "/api/v1/jobs/recordInfo", "recordInfo"),
    (UPLOAD_HOST, "/api/file-", "upload"),
    (CLIP_HOST, "/k/", "download"),
)


def endpoint_of(host: str, path: str) -> Endpoint:
    """Return the endpoint of a request, as faults name it."""
    for own_host, start, endpoint in _ENDPOINTS:
        if host in (own_host, *LOOPBACK_HOSTS) and path.startswith(start):
            return endpoint
    return "other"


class PublicUrls:
    """The URLs of clips and uploads: on the real hosts, or all below one public URL."""

    def __init__(self, public_url: str | None) -> None:
        """Use the URL of a served emulator; None if it runs in process."""
        self.clips = public_url or f"https://{CLIP_HOST}"
        self.uploads = public_url or f"https://{UPLOADED_HOST}"

    def clip_url(self, name: str) -> str:
        """Return the URL of the result with this name."""
        return f"{self.clips.rstrip('/')}/k/{name}"

    def upload_url(self, path: str) -> str:
        """Return the URL of the upload with this path, `kieai/…`."""
        return f"{self.uploads.rstrip('/')}/{quote(path)}"


def own_clip_name(url: str) -> str | None:
    """Return the file name in a result URL of the emulator; None for another URL."""
    path = _own_path(url, CLIP_HOST)
    return path.removeprefix("k/") if path and path.startswith("k/") else None


def own_upload_path(url: str) -> str | None:
    """Return the path of an upload URL of the emulator; None for another URL."""
    path = _own_path(url, UPLOADED_HOST)
    return path if path and path.startswith("kieai/") else None


def _own_path(url: str, host: str) -> str | None:
    """Return the decoded path of a URL on this host or on this machine, or None."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return unquote(parts.path).lstrip("/") if parts.hostname in (host, *LOOPBACK_HOSTS) else None


def is_this_machine(url: str) -> bool:
    """Return whether an http or https URL has a loopback address; no other is called."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
