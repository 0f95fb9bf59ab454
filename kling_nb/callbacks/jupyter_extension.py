"""Jupyter Server extension: one route that receives callbacks for all kernels of a user.

Loaded by the server, never by a kernel. The extension finds the folder of a callback token and
saves the callback in that folder's callback store. It sends no request to the service, needs no
API key and changes no job. Installing the package enables nothing: the server's configuration
loads the extension (`jpserver_extensions`) and opens the route (`KlingCallbacks`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import url_path_join
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler, stream_request_body
from traitlets import Bool
from traitlets.config import Configurable

from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.jobs.settings import find_webhook_key
from kling_nb.storage.callback_routes import CallbackRoutes

from .jupyter_server import ROUTE
from .receive import AcceptedCallback, CallbackReceiver, CallbackRequest, RejectedCallback

__all__ = ["KlingCallbacks", "extension_points", "is_asked_for", "load"]

SWITCH: Final = "KLING_NB_SERVER_CALLBACKS"
BODY_TIMEOUT_S: Final = 10.0
"""How long a body may take; the service's own have less than 2 kB."""
AT_A_TIME: Final = 4
"""How many notifications are looked at at once; others wait, so that a flood starves nobody."""


class KlingCallbacks(Configurable):
    """What the server's configuration says of this extension."""

    enabled = Bool(
        help=f"Opens the route {ROUTE}, which anybody may post to; so does {SWITCH}=1 in the "
        "environment."
    ).tag(config=True)


@stream_request_body
class CallbackHandler(RequestHandler):
    """The route. Of tornado's own kind: nobody logs in here, and Jupyter's has nothing to add.

    A one-time value is asked for in place of a login, and no cookie is looked at; so a page of
    another site can do no more here than any other program.
    """

    # Here because tornado makes a handler for each request, and calls this in place of __init__.
    def initialize(self, porter: CallbackReceiver, turns: asyncio.Semaphore, log: Any) -> None:
        """Take what all requests share."""
        self.porter, self.turns, self.log = porter, turns, log
        self.body = bytearray()

    async def prepare(self) -> None:
        """Turn away, before the body is read, whom no body could help."""
        # What still comes in after an answer is read and dropped, this long.
        cast(HTTP1Connection, self.request.connection).set_body_timeout(BODY_TIMEOUT_S)
        judged = await self._in_turn(self.porter.judge)
        # An empty body is never readable: then the rest is judged once the real one is here.
        if isinstance(judged, RejectedCallback) and judged.status != 400:
            self._answer(judged)

    def data_received(self, chunk: bytes) -> None:
        """Take in one piece of the body; what is beyond the limit is dropped at once."""
        self.body += chunk[: CALLBACK_LIMIT_BYTES + 1 - len(self.body)]

    @allow_unauthenticated
    async def post(self) -> None:
        """Take the notification in."""
        self._answer(await self._in_turn(self.porter.take_in))

    def check_xsrf_cookie(self) -> None:
        """Nothing: whoever posts has no cookie of this server, and none is believed."""

    def set_default_headers(self) -> None:
        """Nothing of this is for a browser."""
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer for a fault, with no page and no words of the request."""
        self.finish(json.dumps({"heard": False, "why": f"Not answered ({status_code})."}))

    async def _in_turn(
        self, judge: Callable[[CallbackRequest], AcceptedCallback | RejectedCallback]
    ) -> AcceptedCallback | RejectedCallback:
        headers: Mapping[str, str] = {
            name.lower(): value for name, value in self.request.headers.items()
        }
        method, query = self.request.method or "", self.request.query
        async with self.turns:
            return await asyncio.to_thread(
                judge, CallbackRequest(method, query, headers, bytes(self.body))
            )

    def _answer(self, judged: AcceptedCallback | RejectedCallback) -> None:
        if isinstance(judged, AcceptedCallback):
            self.log.info("kling_nb: a notification came for task %s", judged.task_id)
            self.finish(json.dumps({"heard": True}))
            return
        self.log.info("kling_nb: a notification was turned away: %s", judged.words)
        self.set_status(judged.status)
        if judged.status == 405:
            self.set_header("Allow", "POST")
        self.finish(json.dumps({"heard": False, "why": judged.words}))

    def _log(self) -> None:
        """Nothing: Jupyter's own line has the whole address, with the one-time value in it."""

    def log_exception(self, *fault: Any) -> None:
        """The fault alone: tornado's own words have the whole request in them."""
        if not isinstance(fault[1], HTTPError):  # those are somebody else's, e.g. an odd method
            self.log.error("kling_nb: a notification was not answered", exc_info=fault)


def extension_points() -> list[dict[str, str]]:
    """Where a server finds what loads the extension."""
    return [{"module": "kling_nb"}]


def load(server: Any) -> None:
    """Open the route in a server that was told to twice; else say how.

    Args:
        server: Jupyter's `ServerApp`.
    """
    if not (KlingCallbacks(parent=server).enabled or is_asked_for(os.environ)):
        server.log.info(
            "kling_nb: no notifications are heard. `KlingCallbacks.enabled = True` in the "
            f"server's configuration, or {SWITCH}=1 in its environment, opens the route."
        )
        return
    porter = CallbackReceiver(CallbackRoutes().find, find_webhook_key())
    shared = {"porter": porter, "turns": asyncio.Semaphore(AT_A_TIME), "log": server.log}
    route = url_path_join(server.web_app.settings["base_url"], ROUTE)
    server.web_app.add_handlers(".*$", [(route, CallbackHandler, shared)])
    server.log.info(f"kling_nb: notifications are heard at {route}")


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the environment of the server switches the route on."""
    return environ.get(SWITCH, "").strip().lower() in {"1", "true", "yes", "on"}
