"""Find the Jupyter server that started this kernel, and check whether it receives callbacks.

Reads Jupyter's files about running servers and requests the extension's route. Must not depend on
sessions. Never sends what it reads in those files, since they contain the server's token.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_runtime_dir

ROUTE: Final = "kling/callback"
"""The route of the server extension, below the server's base URL."""

TIMEOUT_S: Final = 5.0


def find_server(
    environ: Mapping[str, str] = os.environ, runtime: Path | None = None, parent: int | None = None
) -> str:
    """Return the URL of the server that started this kernel, as this machine reaches it.

    Args:
        environ: Jupyter sets the server's process id as JPY_PARENT_PID.
        runtime: The folder of Jupyter's files about running servers; Jupyter's own by default.
        parent: The id of the parent process; by default this process's.

    Returns:
        The URL with a slash at its end; empty if no server on this machine started the kernel.
    """
    facts = _read_facts(environ, runtime, parent)
    try:
        port, base = int(facts["port"]), str(facts["base_url"])
    except (ValueError, KeyError, TypeError):
        return ""
    if facts.get("sock") or not port:
        return ""
    scheme = "https" if facts.get("secure") else "http"
    return f"{scheme}://{_to_client_host(str(facts.get('hostname', '')))}:{port}{base.rstrip('/')}/"


def find_root(
    environ: Mapping[str, str] = os.environ, runtime: Path | None = None, parent: int | None = None
) -> Path | None:
    """Return the root folder of that server, or None. The arguments are those of `find_server`."""
    root = _read_facts(environ, runtime, parent).get("root_dir")
    return Path(root) if isinstance(root, str) and root else None


def _read_facts(
    environ: Mapping[str, str], runtime: Path | None, parent: int | None
) -> dict[str, Any]:
    """Return the server's file about itself; empty if it cannot be read."""
    process = environ.get("JPY_PARENT_PID", "") or str(os.getppid() if parent is None else parent)
    file = (runtime or Path(jupyter_runtime_dir())) / f"jpserver-{process}.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _to_client_host(hostname: str) -> str:
    """Return the host to connect to for the host that a server listens on."""
    if hostname in {"", "0.0.0.0", "::", "*"}:
        return "127.0.0.1"
    return f"[{hostname}]" if ":" in hostname else hostname


def is_open(server_url: str) -> bool:
    """Return whether the server has the extension's route; False also if it does not answer.

    Only the route itself answers GET with 405. For a path that it does not have, a server answers
    404 or redirects to its login page.
    """
    parts = urlsplit(server_url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    else:  # on this machine a certificate proves nothing, and no secret is sent
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", f"{parts.path}{ROUTE}")
        return connection.getresponse().status == 405
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
