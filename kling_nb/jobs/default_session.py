"""The default session, shared by the magic, the panel and the package's functions."""

from __future__ import annotations

import builtins
import threading
import warnings
from collections.abc import Callable
from typing import Unpack

from kling_nb.core.forks import renew_in_child

from . import settings
from .session import Session

__all__ = ["configure", "default_session", "find_notebook", "warn_unkeyed"]

UNKEYED = (
    "kling_nb runs without a key: clips are emulated and watermarked. Set KIE_API_KEY, or pin the "
    "emulator: kling_nb.configure(mode='emulator')."
)
"""The warning of a run that nobody watches."""

_lock = threading.RLock()
_current: Session | None = None
_given: settings.SessionArguments = {}
_tell_notebook: Callable[[], str] = str
_inherited: list[Session] = []
"""The parent's sessions, in a forked child. Kept: a child finalizes nothing of its parent."""


def start_child() -> None:
    """Remove the parent's session in a forked child; the first use makes a new one."""
    global _lock, _current  # noqa: PLW0603 - another thread may have held the lock at the fork
    _lock = threading.RLock()
    if _current is not None:
        _inherited.append(_current)
        _current = None


renew_in_child(start_child)


def default_session() -> Session:
    """The default session, made from the environment at first use.

    A forked child makes its own: another client, ledger owner and emulator.

    Raises:
        ConfigurationError: The settings do not go together, e.g. live mode without a key.
    """
    global _current  # noqa: PLW0603 - the one place where the shared session lives
    with _lock:
        if _current is None:
            _current = Session(notebook=told_notebook, **_given)
            if not hasattr(builtins, "__IPYTHON__"):  # IPython's mark of a shell that runs
                warn_unkeyed(_current)
        return _current


def warn_unkeyed(session: Session) -> None:
    """Say in a run that nobody watches that its clips are not real ones; elsewhere cards say it."""
    if session.settings.is_unkeyed:
        warnings.warn(UNKEYED, UserWarning, stacklevel=3)


def find_notebook(tell: Callable[[], str]) -> None:
    """Have the default session ask this for the path of the notebook that it works for.

    Args:
        tell: Gives the path, empty where the front end does not tell it.
    """
    global _tell_notebook  # noqa: PLW0603 - a front end is loaded before or after the session
    _tell_notebook = tell


def told_notebook() -> str:
    """What the front end of this process tells now."""
    return _tell_notebook()


def configure(**given: Unpack[settings.SessionArguments]) -> Session:
    """Change settings of the default session; those not named stay as they are.

    Args:
        given: As for `Session`. None goes back to the environment.

    Returns:
        The new default session. Jobs that ran in the old one are taken up by `resume()`; who
        listens for notifications goes on, if the service can reach it.

    Raises:
        ConfigurationError: The settings do not go together; the old session stays.
    """
    global _current, _given
    settings.seal(given)
    with _lock:
        merged: settings.SessionArguments = {**_given, **given}
        old = _current
        hearing = None if old is None else old.hearing
        session = Session(notebook=told_notebook, hearing=hearing, **merged)
        _given, _current = merged, session
    # Outside the lock: closing waits for the portal, and what runs there may ask for the session.
    listening = session.hearing.listening
    if listening is not None and listening.is_local and session.service == "live":
        listening.close()  # the service cannot reach this machine
    if old is not None:
        old.close()
    return session
