"""The ASGI app: which host answers which path.

Owns the table of hosts and routes. Under the service's own host names each host has its own
paths only; under this machine's name, where the emulator is served, one host has them all.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Host, Router
from starlette.types import ASGIApp

from kling_nb.emulator.hosts import API_HOST, CLIP_HOST, LOOPBACK_HOSTS, UPLOAD_HOST, UPLOADED_HOST

from .api import Api
from .control import Control
from .files import Files
from .inject_faults import Gateway
from .routes import envelope

__all__ = ["build_app"]


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
