"""The parts of an emulator that answer requests: the renderer, the callback sender, the ASGI app.

Imports Starlette, so `emulator` imports this module only when it is first needed.
"""

from __future__ import annotations

import dataclasses

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Host, Router
from starlette.types import ASGIApp

from kling_nb.emulator.account.callback_queue import CallbackQueue
from kling_nb.emulator.account.uploads import Uploads
from kling_nb.emulator.http.api import Api
from kling_nb.emulator.http.callback_sender import CallbackSender
from kling_nb.emulator.http.files import Files
from kling_nb.emulator.http.inject_faults import FaultMiddleware
from kling_nb.emulator.http.routes import Call, envelope, route
from kling_nb.emulator.render.worker import RenderMode, RenderWorker

from .hosts import API_HOST, CLIP_HOST, LOOPBACK_HOSTS, UPLOAD_HOST, UPLOADED_HOST, PublicUrls


class Backend:
    """The renderer, the callback sender and the ASGI app of one account."""

    def __init__(
        self, queue: CallbackQueue, urls: PublicUrls, seconds: float, render: RenderMode
    ) -> None:
        """Answer requests to the account of this queue; see `Emulator`."""
        self.renderer = RenderWorker(Uploads(queue.account), render)
        self.callback_sender = CallbackSender(queue, self.renderer, urls)
        api = Api(queue.account, self.renderer, urls, seconds)
        api.on_callback_due = self.callback_sender.wake
        self.app = _build_app(api, Files(self.renderer, urls))

    def stop(self) -> None:
        """Stop callbacks and rendering."""
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
