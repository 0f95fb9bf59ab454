"""The emulator as one object: the folder's books, the studio, the app and the way in.

The composition root: it puts the parts together and does nothing else.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from kling_nb.emulator.account.account import Books
from kling_nb.emulator.account.callback_queue import Outbox
from kling_nb.emulator.account.limits import Terms
from kling_nb.emulator.account.uploads import Uploads
from kling_nb.emulator.http.api import Api
from kling_nb.emulator.http.app import build_app
from kling_nb.emulator.http.callback_sender import Courier
from kling_nb.emulator.http.files import Files
from kling_nb.emulator.render.worker import RenderMode, Studio

from .hosts import LOOPBACK_HOSTS, REAL_HOSTS, Addresses
from .transport import EmulatorTransport

__all__ = ["Emulator"]


class Emulator:
    """A stand-in for kie.ai whose account lives in a folder.

    Any number of emulators, in any number of processes, may share one folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float = 8.0,
        render: RenderMode = "full",
        clock: Callable[[], float] = time.time,
        public_url: str | None = None,
        terms: Terms | None = None,
    ) -> None:
        """Put an emulator together; nothing is made on disk before the first request.

        Args:
            folder: Where tasks, uploads and clips are kept.
            seconds: How long a clip takes, at least.
            render: "full" makes a clip from the picture, "canned" one tiny clip for all.
            clock: The time in epoch seconds.
            public_url: The URL it is served at; None for the service's own host names.
            terms: Rate limits, lifetimes and how callbacks come, if other than the service's.
        """
        self.books = Books(Path(folder), clock=clock, terms=terms)
        self.studio = Studio(Uploads(self.books), render)
        addresses = Addresses(public_url)
        self.outbox = Outbox(self.books)
        self.courier = Courier(self.outbox, self.studio, addresses)
        api = Api(self.books, self.studio, addresses, seconds)
        api.when_owed = self.courier.wake
        self.app = build_app(api, Files(self.studio, addresses))
        # Books that cannot be read are complained of by the first request.
        with contextlib.suppress(sqlite3.DatabaseError):
            if self.outbox.open_letters():
                self.courier.wake()

    def transport(self) -> httpx.AsyncBaseTransport:
        """The way in for an httpx client in the same process."""
        return EmulatorTransport(self.app, REAL_HOSTS | LOOPBACK_HOSTS)

    def sign_callbacks(self, webhook_key: str) -> None:
        """Sign callbacks with that key from now on, as for an account that has set one."""
        self.courier.webhook_key = webhook_key

    def close(self) -> None:
        """Stop rendering and calling back; another emulator of the folder does what is left."""
        self.courier.stop()
        self.studio.stop()
