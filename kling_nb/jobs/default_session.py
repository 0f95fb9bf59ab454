"""The default session, shared by the magic, the panel and the package's functions.

`%load_ext` reads the settings immediately and opens the session later, in a thread. Therefore this
module imports `session` and its dependencies only when it creates a session.
"""

from __future__ import annotations

import builtins
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from kling_nb.core.forks import renew_in_child

from . import settings

if TYPE_CHECKING:
    from .session import Session

_UNKEYED = (
    "kling_nb runs without a key: clips are emulated and watermarked. Set KIE_API_KEY, or select "
    "the emulator: kling_nb.configure(mode='emulator')."
)
"""The warning of a program that shows no cards."""

_lock = threading.RLock()
_current: Session | None = None
_given: settings.SessionArguments = {}
_sources: settings.Sources | None = None
"""The settings that `describe_settings` has read for the next new session."""
_notebook_path: Callable[[], str] = str
_inherited: list[Session] = []
"""The parent's sessions, in a forked child. Kept: a child finalizes nothing of its parent."""


def _start_child() -> None:
    """Remove the parent's session in a forked child; the first use makes a new one."""
    global _lock, _current  # noqa: PLW0603 - another thread may have held the lock at the fork
    _lock = threading.RLock()
    if _current is not None:
        _inherited.append(_current)
        _current = None


renew_in_child(_start_child)


def default_session() -> Session:
    """Return the default session, created from the environment at first use.

    A forked child creates its own: another client, ledger owner and emulator.

    Raises:
        ConfigurationError: The settings contradict each other, e.g. live mode without a key.
    """
    global _current, _sources  # noqa: PLW0603 - the one place where the shared session lives
    from .session import Session

    with _lock:
        if _current is None:
            sources, _sources = _sources, None
            _current = Session(notebook=_notebook_path, sources=sources, **_given)
            if not hasattr(builtins, "__IPYTHON__"):  # IPython's mark of a shell that runs
                warn_unkeyed(_current)
        return _current


def describe_settings() -> tuple[str, ...]:
    """Return mode and folder of the default session as text; opens nothing.

    The text omits the mode if it depends on the keyring. The next new session uses these settings,
    even if the environment or the working directory has changed since.

    Raises:
        ConfigurationError: The settings contradict each other.
    """
    global _sources  # noqa: PLW0603 - one for the whole process
    with _lock:
        if _current is not None:
            return _current.settings.describe()
        sources = settings.read_sources(**_given)
        described = sources.describe()
        _sources = sources
        return described


def warn_unkeyed(session: Session) -> None:
    """Warn in a program without a display that its clips are emulated; cards say it elsewhere."""
    if session.settings.is_unkeyed:
        warnings.warn(_UNKEYED, UserWarning, stacklevel=3)


def find_notebook(notebook_path: Callable[[], str]) -> None:
    """Set how the default session finds the path of its notebook.

    Args:
        notebook_path: Returns the path; empty if the front end does not report it.
    """
    global _notebook_path  # noqa: PLW0603 - a front end is loaded before or after the session
    _notebook_path = notebook_path
    if _current is not None:
        _current.notebook_path = notebook_path


def configure(**given: Unpack[settings.SessionArguments]) -> Session:
    """Change settings of the default session; all others keep their values.

    Args:
        given: As for `Session`. None restores the value from the environment.

    Returns:
        The new default session. `resume()` resumes the jobs of the old one. A receiver of
        callbacks stays open if the service can reach it.

    Raises:
        ConfigurationError: The settings contradict each other; the old session stays.
    """
    global _current, _given, _sources
    from .session import Session

    settings.seal(given)
    with _lock:
        merged: settings.SessionArguments = {**_given, **given}
        old = _current
        callback_urls = None if old is None else old.callback_urls
        session = Session(notebook=_notebook_path, callback_urls=callback_urls, **merged)
        _given, _current, _sources = merged, session, None
    # Outside the lock: closing waits for the background loop, which may need the session.
    listening = session.callback_urls.listening
    if listening is not None and listening.is_local and session.service == "live":
        listening.close()  # the service cannot reach this machine
    if old is not None:
        old.close()
    return session
