"""Start listening for callbacks, with a server in this process or with Jupyter Server.

With Jupyter Server, its extension saves callbacks in the folder's callback store, and the kernel
reads them there.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kling_nb.core.addresses import check_public_url, is_local, matches_public_path
from kling_nb.core.errors import ConfigurationError
from kling_nb.core.secret import Key
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.jobs.settings import find_webhook_key, seal_webhook_key
from kling_nb.storage.callback_routes import CallbackRoutes
from kling_nb.storage.callback_store import CallbackStore

from .jupyter_server import ROUTE, find_server, is_open
from .receive import CallbackReceiver
from .worker import CallbackWorker

if TYPE_CHECKING:
    from .handler import CallbackEndpoint
    from .server import Server

_HUB_URL: Final = "JUPYTERHUB_PUBLIC_URL"
"""JupyterHub sets the public URL of a user's server here. Source: its source code, version 5;
empty unless its administrator has set `JupyterHub.public_url`."""
_SETUP: Final = (
    "run `pip install kling_nb` in the server's environment, add two lines to its "
    'jupyter_server_config.py, `c.ServerApp.jpserver_extensions = {"kling_nb": True}` and '
    "`c.KlingCallbacks.enabled = True`, then restart it"
)
_NEW_JOBS: Final = "New requests include a callback URL; polling continues, less often."


class _Handle(Listening):
    """The handle with the server of this process; None with Jupyter Server."""

    __slots__ = ("server",)

    server: Server | None


def listen(
    public_url: str = "",
    *,
    port: int = 0,
    webhook_key: str | Key | None = None,
    jupyter: bool = False,
    session: Session | None = None,
) -> Listening:
    """Receive callbacks in the background; new requests include a callback URL.

    The callback URL of each request has its own callback token, and the service posts there when
    the task ends. Polling continues, less often. An earlier `listen` is closed once this one
    works.

    Args:
        public_url: The URL at which the service reaches this machine: that of a tunnel or a
            reverse proxy that leads to `port`. The emulator needs none.
        port: The port on 127.0.0.1; 0 takes a free one.
        webhook_key: The account's webhook key, if it has one: then each callback must be signed
            with it. Default: the environment variable KIE_WEBHOOK_KEY.
        jupyter: Let the Jupyter server receive the callbacks. Its extension must be enabled.
        session: The session of the jobs; None is the default session, also after `configure`.

    Returns:
        The handle; `close()` stops listening.

    Raises:
        ConfigurationError: These arguments cannot be used; the message says what to do. An
            earlier `listen` continues.
    """
    # Under the same name, so that a traceback with its variables does not show the bare one.
    webhook_key = seal_webhook_key(webhook_key)
    if jupyter and (webhook_key or port):
        raise ConfigurationError(
            "jupyter: that server has its own port, and checks signatures if KIE_WEBHOOK_KEY is "
            "set in its own environment; give neither `port` nor `webhook_key`"
        )
    webhook_key = find_webhook_key(webhook_key)
    chosen = session or default_session()
    live = chosen.service == "live"
    if public_url:
        public_url = check_public_url(public_url, live=live)
    elif live and not jupyter:
        raise ConfigurationError(
            "public_url: the service cannot reach 127.0.0.1; set up a tunnel or a reverse proxy "
            "that leads to a port of this machine, and give its URL and that port: "
            "listen('https://…', port=…)"
        )
    if jupyter:
        listening = listen_by_jupyter(public_url, session)
    else:
        listening = _serve(public_url, port, webhook_key, session)
    if webhook_key is not None and chosen.emulator is not None:
        chosen.emulator.sign_callbacks(webhook_key.reveal())
    return listening


def _serve(public_url: str, port: int, key: Key | None, session: Session | None) -> Listening:
    from .server import Server

    chosen = session or default_session()
    former = chosen.callback_urls.listening
    worker = CallbackWorker(session)
    endpoint = create_endpoint(public_url, key, session, worker.wake)
    # The former server may have this very port.
    server = Server(endpoint, port, former.server if isinstance(former, _Handle) else None)
    url = public_url or f"http://127.0.0.1:{server.port}/"
    notes = _describe_server(public_url, server.port, key is not None, chosen.service)
    return _start(chosen, worker, url, notes, server, endpoint.counts)


def _start(
    session: Session,
    worker: CallbackWorker,
    url: str,
    notes: tuple[str, ...],
    server: Server | None = None,
    counts: Counter[str] | None = None,
) -> Listening:
    working = session.loop.submit(worker.run())

    def stop() -> None:
        if server is not None:
            server.stop()
        working.cancel()

    def add_route(callback_token: str, folder: Path) -> None:
        CallbackRoutes().note(callback_token, folder, datetime.now(UTC))

    note = None if server else add_route
    handle = _Handle(
        session.callback_urls, url, notes, stop=stop, note=note, is_local=is_local(url)
    )
    handle.server = server
    handle.received = worker.counts if counts is None else counts
    return session.callback_urls.switch_to(handle)


def create_endpoint(
    public_url: str, key: Key | None, session: Session | None, on_stored: Callable[[], None]
) -> CallbackEndpoint:
    """Return the endpoint for a session, or for the default session of the moment."""
    from .handler import CallbackEndpoint

    def find_folder(callback_token: str) -> Path | None:
        chosen = session or default_session()
        folder = chosen.callback_urls.folder_of(callback_token)
        if folder is None and CallbackStore(chosen.ledger.folder).exists:
            folder = chosen.ledger.folder  # an earlier kernel may have issued the token
        return folder

    return CallbackEndpoint(
        CallbackReceiver(find_folder, key),
        logging.getLogger("kling_nb"),
        lambda path: matches_public_path(path, public_url),
        on_stored,
    )


def _describe_server(public_url: str, port: int, is_signed: bool, service: str) -> tuple[str, ...]:
    reach = "Only this machine reaches this URL, which is enough for the emulator."
    if public_url:
        reach = f"Requests to this URL must be forwarded to 127.0.0.1:{port}."
        if service == "emulator" and not is_local(public_url):
            reach += " The emulator posts to addresses of this machine only."
    signed = "Only callbacks that are signed with the webhook key are accepted."
    unsigned = "No webhook key is set: signatures are not checked."
    return (reach, signed if is_signed else unsigned, _NEW_JOBS)


def listen_by_jupyter(public_url: str, session: Session | None) -> Listening:
    """Let the Jupyter server receive callbacks, and process those that it stores.

    Args:
        public_url: The server's URL as the service reaches it, with its base URL. Empty if
            JupyterHub sets it, or for the emulator, which reaches this machine.
        session: The session of the jobs; None is the default session of the moment.

    Raises:
        ConfigurationError: There is no such URL, or the server does not receive callbacks.
    """
    chosen = session or default_session()
    server = find_server()
    base = find_public_url(public_url, server, chosen.service, os.environ)
    if server and not is_open(server):
        raise ConfigurationError(
            f"jupyter: the Jupyter server of this notebook receives no callbacks; {_SETUP}. Or "
            "listen without it: `kling.listen(URL, port=PORT)`"
        )
    notes = _describe_jupyter(server, chosen.service)
    return _start(chosen, CallbackWorker(session), callback_url(base), notes)


def find_public_url(public_url: str, server: str, service: str, environ: Mapping[str, str]) -> str:
    """Return the URL of the Jupyter server as the service reaches it.

    Raises:
        ConfigurationError: The URL is not known, or the service cannot reach it.
    """
    is_live = service == "live"
    url = public_url or (environ.get(_HUB_URL, "").strip() if is_live else server)
    if url:
        return check_public_url(url, live=is_live)
    if is_live:
        raise ConfigurationError(
            "public_url: the service must reach this Jupyter server, and its public URL is not "
            "known; give it with everything before /lab or /tree, e.g. "
            "listen('https://hub.example/user/me/', jupyter=True). JupyterHub can set it as "
            f"{_HUB_URL}, which is not set"
        )
    raise ConfigurationError(
        "jupyter: no Jupyter server on this machine started this kernel; listen without it: "
        "`kling.listen()`"
    )


def callback_url(base: str) -> str:
    """Return the URL of the extension's route below a server's URL.

    Raises:
        ConfigurationError: The URL has a query, after which no route can stand.
    """
    parts = urlsplit(base)
    if parts.query:
        raise ConfigurationError("public_url: the URL contains a `?`; give it without a query")
    path = parts.path.rstrip("/").removesuffix(f"/{ROUTE}")
    return parts._replace(path=f"{path}/{ROUTE}").geturl()


def _describe_jupyter(server: str, service: str) -> tuple[str, ...]:
    reach = (
        "The Jupyter server of this notebook receives callbacks."
        if server
        else f"Could not check whether the Jupyter server receives callbacks: {_SETUP}."
    )
    signed = (
        "Signatures are checked if KIE_WEBHOOK_KEY is set in the environment of the server, not "
        "of this kernel."
    )
    return (reach, *((signed,) if service == "live" else ()), _NEW_JOBS)
