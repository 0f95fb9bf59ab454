"""The ASGI application of a served emulator, and its control routes for tests and lessons.

Control routes are served on this machine only, never under the service's own host names.
"""

from __future__ import annotations

import dataclasses

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Host, Router
from starlette.types import ASGIApp

from kling_nb.emulator.account.account import Books
from kling_nb.emulator.account.callback_queue import Outbox
from kling_nb.emulator.hosts import API_HOST, CLIP_HOST, LOOPBACK_HOSTS, UPLOAD_HOST, UPLOADED_HOST

from .api import Api
from .files import Files
from .inject_faults import Gateway
from .routes import Call, envelope, route

__all__ = [
    "Control",
    "build_app",
]


class Control:
    """The endpoints below `/emulator/`."""

    def __init__(self, books: Books) -> None:
        """Show and change these books."""
        self.books = books

    def routes(self) -> list[BaseRoute]:
        """The control paths."""
        return [
            route("/emulator/books", "GET", self.show_books),
            route("/emulator/faults", "POST", self.add_fault),
        ]

    def show_books(self, _call: Call) -> Response:
        """Counts, balance, leaks, waiting faults and callbacks as JSON."""
        return JSONResponse(
            {
                "tasks": self.books.count_tasks(),
                "balance": self.books.balance(),
                "requests": self.books.all_requests(),
                "leaks": self.books.leaks(),
                "faults": [dataclasses.asdict(fault) for fault in self.books.faults()],
                "callbacks": [dataclasses.asdict(post) for post in Outbox(self.books).posts()],
            }
        )

    def add_fault(self, call: Call) -> Response:
        """Inject a fault: `{"name": …, "times": 1, "argument": ""}`."""
        body = call.json()
        wish = body if isinstance(body, dict) else {}
        try:
            self.books.inject(
                str(wish.get("name", "")),
                times=int(wish.get("times", 1)),
                argument=str(wish.get("argument", "")),
            )
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return self.show_books(call)


def build_app(api: Api, files: Files) -> ASGIApp:
    """All hosts in one app, behind the gateway."""
    routes = {
        API_HOST: api.routes(),
        UPLOAD_HOST: files.upload_routes(),
        CLIP_HOST: files.clip_routes(),
        UPLOADED_HOST: files.uploaded_routes(),
    }
    everything = [entry for entries in routes.values() for entry in entries]
    everything += Control(api.books).routes()
    routes |= dict.fromkeys(LOOPBACK_HOSTS, everything)
    hosts = [Host(name, Router(routes=entries)) for name, entries in routes.items()]
    app = Starlette(routes=hosts, exception_handlers={404: no_such_path, 405: no_such_path})
    return Gateway(app, api.books)


async def no_such_path(_request: Request, _error: Exception) -> JSONResponse:
    """The envelope for a path or a method that the host does not have."""
    answer = envelope(404, "Not Found")
    answer.status_code = 404
    return answer
