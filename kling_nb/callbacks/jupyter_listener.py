"""Listening by way of the Jupyter server that this notebook has anyway: a kernel's side of it.

The server's extension hears notifications and leaves them in the mailbox of the folder. Here its
address is found, and the mailbox is looked into.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kling_nb.core.addresses import check_public_url, is_local
from kling_nb.core.errors import ConfigurationError
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.storage.callback_routes import Doors

from .jupyter_server import ROUTE, find_server, is_open
from .worker import Collector

__all__ = ["listen_by_jupyter"]

HUB_URL: Final = "JUPYTERHUB_PUBLIC_URL"
"""Where JupyterHub tells the public address of a person's server. Source: its own source code,
version 5; empty where its administrator has not set `JupyterHub.public_url`."""
SWITCHES: Final = (
    "where it runs `pip install kling_nb`, and in its jupyter_server_config.py two lines: "
    '`c.ServerApp.jpserver_extensions = {"kling_nb": True}` and '
    "`c.KlingCallbacks.enabled = True`; then start it again"
)


def listen_by_jupyter(public_url: str, session: Session | None) -> Listening:
    """Have the Jupyter server hear notifications, and act on what it heard.

    Args:
        public_url: The server's address as the service reaches it, with its base URL; empty where
            JupyterHub tells it, or for the emulator, which reaches this machine.
        session: Whose jobs; None is the default session of the moment.

    Raises:
        ConfigurationError: There is no such address, or the server does not hear notifications.
    """
    chosen = session or default_session()
    server = find_server()
    base = find_address(public_url, server, chosen.service, os.environ)
    if server and not is_open(server):
        raise ConfigurationError(
            f"jupyter: the Jupyter server of this notebook hears no notifications; {SWITCHES}. Or "
            "listen without it: `kling.listen(URL, port=PORT)`"
        )
    url = callback_url(base)
    collector = Collector(session)
    looking = chosen.portal.submit(collector.keep_looking())

    def stop() -> None:
        looking.cancel()

    words = words_for(server, chosen.service)
    listening = Listening(
        chosen.hearing, url, words, stop=stop, note=note_door, is_local=is_local(url)
    )
    listening.heard = collector.counts
    return chosen.hearing.turn_to(listening)


def note_door(nonce: str, folder: Path) -> None:
    """Tell the server whose one-time value this is."""
    Doors().note(nonce, folder, datetime.now(UTC))


def find_address(public_url: str, server: str, service: str, environ: Mapping[str, str]) -> str:
    """The address of the Jupyter server, as whoever notifies reaches it.

    Raises:
        ConfigurationError: Nobody tells it, or it cannot be reached.
    """
    is_live = service == "live"
    told = public_url or (environ.get(HUB_URL, "").strip() if is_live else server)
    if told:
        return check_public_url(told, live=is_live)
    if is_live:
        raise ConfigurationError(
            "public_url: the service has to reach this Jupyter server, and its public address is "
            "not told; give it with everything before /lab or /tree, e.g. "
            "listen('https://hub.example/user/me/', jupyter=True). JupyterHub may tell it as "
            f"{HUB_URL}, which is not set"
        )
    raise ConfigurationError(
        "jupyter: no Jupyter server on this machine started this kernel; listen without it: "
        "`kling.listen()`"
    )


def callback_url(base: str) -> str:
    """The route of the extension below a server's address.

    Raises:
        ConfigurationError: There is a query in the address, which the route cannot follow.
    """
    parts = urlsplit(base)
    if parts.query:
        raise ConfigurationError("public_url: there is a `?` in it; give the address without it")
    path = parts.path.rstrip("/").removesuffix(f"/{ROUTE}")
    return parts._replace(path=f"{path}/{ROUTE}").geturl()


def words_for(server: str, service: str) -> tuple[str, ...]:
    """What a person should know of this way."""
    checked = (
        "This notebook's Jupyter server is ready to hear them."
        if server
        else f"Whether its Jupyter server hears them could not be seen from here: {SWITCHES}."
    )
    key = (
        "Signatures are asked for where KIE_WEBHOOK_KEY is set in the environment of the server, "
        "not of this kernel."
    )
    sent = "Jobs that are sent from now on are called back; asking goes on, more rarely."
    return (checked, *((key,) if service == "live" else ()), sent)
