"""Jupyter Server extension: one route that receives callbacks for all kernels of a user.

Loaded by the server, never by a kernel. The extension finds the folder of a callback token and
saves the callback in that folder's callback store. It sends no request to the service, needs no
API key and changes no job. Installing the package enables nothing: the server's configuration
loads the extension (`jpserver_extensions`) and opens the route (`KlingCallbacks`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import url_path_join
from traitlets import Bool
from traitlets.config import Configurable

from kling_nb.jobs.settings import find_webhook_key
from kling_nb.storage.callback_routes import CallbackRoutes

from .handler import CallbackEndpoint, CallbackHandler
from .jupyter_server import ROUTE
from .receive import CallbackReceiver

_SWITCH: Final = "KLING_NB_SERVER_CALLBACKS"


class KlingCallbacks(Configurable):
    """The extension's part of the server's configuration."""

    enabled = Bool(
        help=f"Enables the route {ROUTE}, to which any program may post. The environment variable "
        f"{_SWITCH}=1 does the same."
    ).tag(config=True)


class UnauthenticatedHandler(CallbackHandler):
    """The handler, marked as one that needs no login: Jupyter Server refuses others."""

    post = allow_unauthenticated(CallbackHandler.post)


def extension_points() -> list[dict[str, str]]:
    """Return the module that a server loads the extension from."""
    return [{"module": "kling_nb"}]


def load(server: Any) -> None:
    """Open the route if the server's configuration enables it; else log how to do that.

    Args:
        server: Jupyter's `ServerApp`.

    Raises:
        ConfigurationError: KIE_WEBHOOK_KEY has a value that cannot be a key.
    """
    if not (KlingCallbacks(parent=server).enabled or is_enabled_by_environment(os.environ)):
        server.log.info(
            "kling_nb: callbacks are not received. `KlingCallbacks.enabled = True` in the "
            f"server's configuration, or {_SWITCH}=1 in its environment, opens the route."
        )
        return
    receiver = CallbackReceiver(CallbackRoutes().find, find_webhook_key())
    route = url_path_join(server.web_app.settings["base_url"], ROUTE)
    shared = {"endpoint": CallbackEndpoint(receiver, server.log)}
    server.web_app.add_handlers(".*$", [(route, UnauthenticatedHandler, shared)])
    server.log.info(f"kling_nb: callbacks are received at {route}")


def is_enabled_by_environment(environ: Mapping[str, str]) -> bool:
    """Return whether the server's environment opens the route."""
    return environ.get(_SWITCH, "").strip().lower() in {"1", "true", "yes", "on"}
