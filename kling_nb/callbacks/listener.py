"""`listen`: hear the service's notifications, so that a clip is there the moment it is done.

Puts a server, a mailbox and a session together. A notification is never believed; it makes us
ask.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kling_nb.core.addresses import check_public_url, is_local, leads_here
from kling_nb.core.errors import ConfigurationError
from kling_nb.core.secret import Key
from kling_nb.jobs.callback_urls import Listening
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.jobs.settings import find_webhook_key, seal_webhook_key
from kling_nb.storage import Mailbox

from .intake import Intake
from .porter import Porter
from .worker import Collector

if TYPE_CHECKING:
    from .servers import Server

__all__ = ["listen"]


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
        from .jupyter_listener import listen_by_jupyter

        listening = listen_by_jupyter(public_url, session)
    else:
        listening = _serve(public_url, port, webhook_key, session)
    if webhook_key is not None and chosen.emulator is not None:
        chosen.emulator.sign_callbacks(webhook_key.reveal())
    return listening


def _serve(public_url: str, port: int, key: Key | None, session: Session | None) -> Listening:
    try:
        from .servers import Server
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise ConfigurationError(
            'listening needs uvicorn: `pip install "kling_nb[serve]"`'
        ) from None
    chosen = session or default_session()
    former = chosen.hearing.listening
    collector = Collector(session)
    intake = open_intake(public_url, key, session, collector.wake)
    # The former one may have the very port.
    server = Server(intake, port, former.server if isinstance(former, Served) else None)
    looking = chosen.portal.submit(collector.keep_looking())

    def stop() -> None:
        server.stop()
        looking.cancel()

    url = public_url or f"http://127.0.0.1:{server.port}/"
    words = _words(public_url, server.port, key is not None, chosen.service)
    listening = Served(chosen.hearing, url, words, stop=stop, is_local=is_local(url))
    listening.server = server
    listening.heard = intake.counts
    return chosen.hearing.turn_to(listening)


def open_intake(
    public_url: str, key: Key | None, session: Session | None, tell: Callable[[], None]
) -> Intake:
    """What answers requests for a session, or for the default session of the moment."""

    def find_folder(nonce: str) -> Path | None:
        chosen = session or default_session()
        folder = chosen.hearing.folder_of(nonce)
        if folder is None and Mailbox(chosen.ledger.folder).exists:
            folder = chosen.ledger.folder  # handed out by an earlier kernel, perhaps
        return folder

    porter = Porter(find_folder, key)
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
