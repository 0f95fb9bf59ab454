"""The emulator as one object: the account, the parts that answer requests, the HTTP transport."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from kling_nb.emulator.account.account import EmulatedAccount, Limits
from kling_nb.emulator.account.callback_queue import CallbackQueue

from .forks import wait_at_fork
from .hosts import LOOPBACK_HOSTS, REAL_HOSTS, PublicUrls
from .transport import EmulatorTransport

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from kling_nb.emulator.render.worker import RenderMode

    from .backend import Backend

_LOADING = threading.RLock()
"""Held while a thread imports the backend. A fork waits for that thread, because a child would wait
forever for an import that a thread of its parent has begun."""
wait_at_fork(_LOADING, timeout_s=10.0)


class Emulator:
    """A stand-in for kie.ai with one account, stored in a folder.

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
        limits: Limits | None = None,
    ) -> None:
        """Create an emulator; the first request creates the files.

        Args:
            folder: The folder of tasks, uploads and clips.
            seconds: The least time that a clip takes.
            render: "full" renders a clip from the image, "canned" one tiny clip for all.
            clock: Returns the time in epoch seconds.
            public_url: The URL of a served emulator; None for the service's own host names.
            limits: Rate limits, lifetimes and callback settings; None for the service's.
        """
        self.account = EmulatedAccount(Path(folder), clock=clock, limits=limits)
        self.callback_queue = CallbackQueue(self.account)
        self._urls = PublicUrls(public_url)
        self._seconds = seconds
        self._render: RenderMode = render
        self._backend: Backend | None = None
        # The first request reports a file that cannot be read.
        with contextlib.suppress(sqlite3.DatabaseError):
            if self.callback_queue.pending():
                self.backend.callback_sender.wake()

    @property
    def backend(self) -> Backend:
        """The parts that answer requests; the first use imports them, which takes about 60 ms."""
        return self._backend or self._load_backend()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for an httpx client in the same process."""
        return EmulatorTransport(self._answer, REAL_HOSTS | LOOPBACK_HOSTS)

    def sign_callbacks(self, webhook_key: str) -> None:
        """Sign callbacks with this key from now on, as for an account that has set one."""
        self.backend.callback_sender.webhook_key = webhook_key

    def close(self) -> None:
        """Stop rendering and callbacks; another emulator of the folder resumes them."""
        if self._backend is not None:
            self._backend.stop()

    def _load_backend(self) -> Backend:
        with _LOADING:
            if self._backend is None:
                from .backend import Backend

                self._backend = Backend(
                    self.callback_queue, self._urls, self._seconds, self._render
                )
            return self._backend

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the first one imports the app, in a worker thread."""
        backend = self._backend
        if backend is None:
            backend = await asyncio.to_thread(self._load_backend)
        await backend.app(scope, receive, send)
