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

__all__ = ["ROUTE", "find_root", "find_server", "is_open"]

ROUTE: Final = "kling/callback"
"""The route of the server extension, below the server's base URL."""

PATIENCE_S: Final = 5.0


def find_server(
    environ: Mapping[str, str] = os.environ, runtime: Path | None = None, parent: int | None = None
) -> str:
    """The address of the server that this kernel is a child of, as this machine reaches it.

    Args:
        environ: Jupyter leaves its process id as JPY_PARENT_PID.
        runtime: Where servers keep their facts; Jupyter's own place when not given.
        parent: The process that started this one.

    Returns:
        Ends in a slash; empty where no server on this machine started the kernel.
    """
    facts = read_facts(environ, runtime, parent)
    try:
        port, base = int(facts["port"]), str(facts["base_url"])
    except (ValueError, KeyError, TypeError):
        return ""
    if facts.get("sock") or not port:
        return ""
    scheme = "https" if facts.get("secure") else "http"
    return f"{scheme}://{reachable(str(facts.get('hostname', '')))}:{port}{base.rstrip('/')}/"


def find_root(
    environ: Mapping[str, str] = os.environ, runtime: Path | None = None, parent: int | None = None
) -> Path | None:
    """The folder that this server shows; None where no server on this machine tells it.

    Args:
        environ: As for `find_server`.
        runtime: The same.
        parent: The same.
    """
    root = read_facts(environ, runtime, parent).get("root_dir")
    return Path(root) if isinstance(root, str) and root else None


def read_facts(
    environ: Mapping[str, str], runtime: Path | None, parent: int | None
) -> dict[str, Any]:
    """What the server wrote down of itself; nothing where it cannot be read."""
    started = environ.get("JPY_PARENT_PID", "") or str(os.getppid() if parent is None else parent)
    file = (runtime or Path(jupyter_runtime_dir())) / f"jpserver-{started}.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def reachable(hostname: str) -> str:
    """A host to connect to for one that a server listens at."""
    if hostname in {"", "0.0.0.0", "::", "*"}:
        return "127.0.0.1"
    return f"[{hostname}]" if ":" in hostname else hostname


def is_open(server_url: str) -> bool:
    """Whether the server has the route of the extension; False also where nothing answers.

    Only the route itself answers GET with 405: what a server does not have, it answers with 404
    or with its login page.
    """
    parts = urlsplit(server_url)
    try:
        connection = connect(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request("GET", f"{parts.path}{ROUTE}")
            return connection.getresponse().status == 405
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """A connection to one's own machine, where a certificate proves nothing and nothing is sent."""
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    context = ssl._create_unverified_context()
    return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=context)
