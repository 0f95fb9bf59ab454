"""The emulator as one object: the account, the renderer, the ASGI app and the HTTP transport."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Host, Router
from starlette.types import ASGIApp

from kling_nb.emulator.account.account import EmulatedAccount, Limits
from kling_nb.emulator.account.callback_queue import CallbackQueue
from kling_nb.emulator.account.uploads import Uploads
from kling_nb.emulator.http.api import Api
from kling_nb.emulator.http.callback_sender import CallbackSender
from kling_nb.emulator.http.files import Files
from kling_nb.emulator.http.inject_faults import FaultMiddleware
from kling_nb.emulator.http.routes import Call, envelope, route
from kling_nb.emulator.render.worker import RenderMode, RenderWorker

from .hosts import (
    API_HOST,
    CLIP_HOST,
    LOOPBACK_HOSTS,
    REAL_HOSTS,
    UPLOAD_HOST,
    UPLOADED_HOST,
    PublicUrls,
)
from .transport import EmulatorTransport


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
        self.renderer = RenderWorker(Uploads(self.account), render)
        urls = PublicUrls(public_url)
        self.callback_queue = CallbackQueue(self.account)
        self.callback_sender = CallbackSender(self.callback_queue, self.renderer, urls)
        api = Api(self.account, self.renderer, urls, seconds)
        api.on_callback_due = self.callback_sender.wake
        self.app = _build_app(api, Files(self.renderer, urls))
        # The first request reports a file that cannot be read.
        with contextlib.suppress(sqlite3.DatabaseError):
            if self.callback_queue.pending():
                self.callback_sender.wake()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for an httpx client in the same process."""
        return EmulatorTransport(self.app, REAL_HOSTS | LOOPBACK_HOSTS)

    def sign_callbacks(self, webhook_key: str) -> None:
        """Sign callbacks with this key from now on, as for an account that has set one."""
        self.callback_sender.webhook_key = webhook_key

    def close(self) -> None:
        """Stop rendering and callbacks; another emulator of the folder resumes them."""
        self.callback_sender.stop()
        self.renderer.stop()


def _build_app(api: Api, files: Files) -> ASGIApp:
    """Return one app for all hosts; this machine's names also have `GET /emulator/books`."""

    def show_account(_call: Call) -> Response:
        account = api.account
        return JSONResponse(
            {
                "tasks": account.count_tasks(),
                "balance": account.balance(),
                "requests": account.all_requests(),
                "leaks": account.leaks(),
                "faults": [dataclasses.asdict(fault) for fault in account.faults()],
                "callbacks": [dataclasses.asdict(post) for post in CallbackQueue(account).posts()],
            }
        )

    routes = {
        API_HOST: api.routes(),
        UPLOAD_HOST: files.upload_routes(),
        CLIP_HOST: files.clip_routes(),
        UPLOADED_HOST: files.uploaded_routes(),
    }
    everything = [entry for entries in routes.values() for entry in entries]
    everything.append(route("/emulator/books", "GET", show_account))
    routes |= dict.fromkeys(LOOPBACK_HOSTS, everything)
    hosts = [Host(name, Router(routes=entries)) for name, entries in routes.items()]
    app = Starlette(routes=hosts, exception_handlers={404: _no_such_path, 405: _no_such_path})
    return FaultMiddleware(app, api.account)


async def _no_such_path(_request: Request, _error: Exception) -> JSONResponse:
    """Return the envelope for a path or a method that the host does not have."""
    answer = envelope(404, "Not Found")
    answer.status_code = 404
    return answer
