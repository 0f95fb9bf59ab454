"""Show the status line of `%load_ext` immediately; a thread opens the session and updates the line.

The first line needs only the settings. The thread imports the modules of a session and of the first
cell, opens the session (keyring, ledger, first connection) and resumes interrupted jobs. The line
is completed last, so that no import competes with the next cell for the interpreter.
"""

from __future__ import annotations

import contextvars
import importlib
import logging
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final

from IPython.display import display

from kling_nb.core.errors import ConfigurationError
from kling_nb.core.forks import wait_at_fork
from kling_nb.display.front_end import front_end
from kling_nb.display.notice import line_bundle, notice_bundle
from kling_nb.display.threads import is_closing
from kling_nb.jobs.default_session import default_session, describe_settings, warn_unkeyed

_HEADLESS_WAIT_S = 5.0
_NOT_READY: Final = "kling_nb is loaded, but not ready"

_opening: Final = threading.RLock()
"""Held while the thread imports modules and opens the session. Forks wait for it: a child would
wait forever for a module that the thread was importing."""
wait_at_fork(_opening)

_log = logging.getLogger("kling_nb")


def greet(shell: Any) -> None:
    """Show the status line, and update it in the background."""
    try:
        parts = describe_settings()
    except ConfigurationError as error:
        display(notice_bundle("warning", _NOT_READY, [str(error)]), raw=True)
        return
    handle = display(line_bundle("kling_nb", *parts), raw=True, display_id=True)
    is_headless = front_end(shell) == "headless"
    if is_headless:
        with suppress(ConfigurationError):  # the thread shows it
            warn_unkeyed(default_session())
    # A worker of the background loop would wait for its own loop. The cell's context selects the
    # output that the thread updates.
    has_page = front_end(shell) == "notebook"
    run, given = contextvars.copy_context().run, (_complete, handle, has_page)
    thread = threading.Thread(target=run, args=given, name="kling_nb status update", daemon=True)
    thread.start()
    if is_headless:
        thread.join(_HEADLESS_WAIT_S)


def _complete(handle: Any, has_page: bool) -> None:
    """Open the default session, and update the line with its status.

    Args:
        handle: The display of the line.
        has_page: Whether a page shows the notebook, with the cards of earlier kernels.
    """
    try:
        with _opening:
            with suppress(ImportError):  # the first cell reports it
                importlib.import_module(".magics", __package__)
            from .status import describe_session

            default_session()
            if has_page:
                from kling_nb.display.cards.earlier import revive_cards

                revive_cards()
        bundle = line_bundle("kling_nb", *describe_session())
    except ConfigurationError as error:
        bundle = notice_bundle("warning", _NOT_READY, [str(error)])
    except CancelledError:
        return  # the program is exiting
    except Exception as error:
        if is_closing():
            return
        _log.exception("the session could not be opened")
        bundle = line_bundle("kling_nb", f"the session could not be opened: {error}")
    if not is_closing():  # a daemon thread runs on then, but IPython can no longer display
        handle.update(bundle, raw=True)
