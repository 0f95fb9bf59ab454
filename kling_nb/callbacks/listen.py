"""Start listening for callbacks, with a server in this process or with Jupyter Server.

With Jupyter Server, its extension saves callbacks in the folder's callback store, and the kernel
reads them there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kling_nb.core.addresses import check_public_url, is_local, leads_here
from kling_nb.core.errors import ConfigurationError
from kling_nb.core.secret import Key
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.jobs.settings import find_webhook_key, seal_webhook_key
from kling_nb.storage import CallbackStore
from kling_nb.storage.callback_routes import CallbackRoutes

from .asgi_app import Intake
from .jupyter_server import ROUTE, find_server, is_open
from .receive import CallbackReceiver
from .worker import CallbackWorker

if TYPE_CHECKING:
    from .server import Server

__all__ = [
    "listen",
    "listen_by_jupyter",
]

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
    collector = CallbackWorker(session)
    looking = chosen.loop.submit(collector.keep_looking())

    def stop() -> None:
        looking.cancel()

    words = words_for(server, chosen.service)
    listening = Listening(
        chosen.callback_urls, url, words, stop=stop, note=note_door, is_local=is_local(url)
    )
    listening.received = collector.counts
    return chosen.callback_urls.turn_to(listening)


def note_door(nonce: str, folder: Path) -> None:
    """Register a callback token and its folder with the server."""
    CallbackRoutes().note(nonce, folder, datetime.now(UTC))


def find_address(public_url: str, server: str, service: str, environ: Mapping[str, str]) -> str:
    """The address of the Jupyter server, as the service reaches it.

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


class Served(Listening):
    """Who listens at a server of our own."""

    __slots__ = ("server",)

    server: Server


def listen(
    public_url: str = "",
    *,
    port: int = 0,
    webhook_key: str | Key | None = None,
    jupyter: bool = False,
    session: Session | None = None,
) -> Listening:
    """Listen for notifications in the background; jobs from now on are called back.

    Each request carries an address with a one-time value, and the service posts there when the
    task ends. Polling goes on underneath, more rarely. Who listened before is closed, once the new
    one listens.

    Args:
        public_url: The address by which the service reaches this machine: that of a tunnel or a
            reverse proxy which leads to `port`. The emulator needs none.
        port: Where to listen on 127.0.0.1; 0 takes a free one.
        webhook_key: The account's webhook key, if it has one: then every notification has to be
            signed with it. Not given: the environment variable KIE_WEBHOOK_KEY.
        jupyter: Have the Jupyter server listen instead, where its extension is switched on.
        session: Whose jobs; None is the default session, also after `configure`.

    Returns:
        What listens; `close()` ends it.

    Raises:
        ConfigurationError: It cannot be listened like that; the message says what to do. Who
            listened before goes on.
    """
    # Under the same name, so that a traceback with its variables does not show the bare one.
    webhook_key = seal_webhook_key(webhook_key)
    if jupyter and (webhook_key or port):
        raise ConfigurationError(
            "jupyter: that server has a port already, and checks signatures where KIE_WEBHOOK_KEY "
            "is set in its own environment; give neither `port` nor `webhook_key`"
        )
    webhook_key = find_webhook_key(webhook_key)
    chosen = session or default_session()
    live = chosen.service == "live"
    if public_url:
        public_url = check_public_url(public_url, live=live)
    elif live and not jupyter:
        raise ConfigurationError(
            "public_url: the service cannot reach 127.0.0.1, where this listens; set up a tunnel "
            "or a reverse proxy that leads to a port of this machine, and give its address and "
            "that port: listen('https://…', port=…)"
        )
    if jupyter:
        listening = listen_by_jupyter(public_url, session)
    else:
        listening = _serve(public_url, port, webhook_key, session)
    if webhook_key is not None and chosen.emulator is not None:
        chosen.emulator.sign_callbacks(webhook_key.reveal())
    return listening


def _serve(public_url: str, port: int, key: Key | None, session: Session | None) -> Listening:
    try:
        from .server import Server
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise ConfigurationError(
            'listening needs uvicorn: `pip install "kling_nb[serve]"`'
        ) from None
    chosen = session or default_session()
    former = chosen.callback_urls.listening
    collector = CallbackWorker(session)
    intake = open_intake(public_url, key, session, collector.wake)
    # The former one may have the very port.
    server = Server(intake, port, former.server if isinstance(former, Served) else None)
    looking = chosen.loop.submit(collector.keep_looking())

    def stop() -> None:
        server.stop()
        looking.cancel()

    url = public_url or f"http://127.0.0.1:{server.port}/"
    words = _words(public_url, server.port, key is not None, chosen.service)
    listening = Served(chosen.callback_urls, url, words, stop=stop, is_local=is_local(url))
    listening.server = server
    listening.received = intake.counts
    return chosen.callback_urls.turn_to(listening)


def open_intake(
    public_url: str, key: Key | None, session: Session | None, tell: Callable[[], None]
) -> Intake:
    """What answers requests for a session, or for the default session of the moment."""

    def find_folder(nonce: str) -> Path | None:
        chosen = session or default_session()
        folder = chosen.callback_urls.folder_of(nonce)
        if folder is None and CallbackStore(chosen.ledger.folder).exists:
            folder = chosen.ledger.folder  # handed out by an earlier kernel, perhaps
        return folder

    porter = CallbackReceiver(find_folder, key)
    return Intake(lambda path: leads_here(path, public_url), porter.take_in, tell)


def _words(public_url: str, port: int, is_signed: bool, service: str) -> tuple[str, ...]:
    way = f"What reaches that address has to be led to 127.0.0.1:{port}."
    if service == "emulator" and not is_local(public_url):
        way += " The emulator posts to addresses of this machine only."
    here = "Only this machine reaches that address, which is enough for the emulator."
    signed = "Only notifications that are signed with the webhook key are heard."
    unsigned = "No webhook key is set: signatures are not asked for."
    return (
        way if public_url else here,
        signed if is_signed else unsigned,
        "Jobs that are sent from now on are called back; asking goes on, more rarely.",
    )
