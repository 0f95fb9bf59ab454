"""Run work for messages from pages in threads: clicks in one pool, rendering in another.

A click waits for a session, which works in the threads of the background loop. Several clicks at
once in those threads would use all of them and deadlock, so clicks have threads of their own.
Rendering has a pool of its own, so that it does not wait for a click.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kling_nb.core.forks import renew_in_child


def start() -> None:
    """Create the threads; a forked child does not have those of its parent."""
    global _clicks, _drawing  # noqa: PLW0603 - one pair per process
    _clicks = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kling_nb click")
    _drawing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kling_nb drawing")


_clicks: ThreadPoolExecutor
_drawing: ThreadPoolExecutor
start()
renew_in_child(start)


def work_later(work: Callable[..., object], *args: Any) -> None:
    """Run work that may wait for a session. It must not raise: errors are lost."""
    _begin(_clicks, work, *args)


def draw_later(work: Callable[..., object], *args: Any) -> None:
    """Run work that waits for no session. It must not raise: errors are lost."""
    _begin(_drawing, work, *args)


def is_closing() -> bool:
    """Return whether the program is exiting: its worker pools then accept no more work."""
    try:
        _drawing.submit(int)
    except RuntimeError as error:
        return "shutdown" in str(error)
    return False


def _begin(threads: ThreadPoolExecutor, work: Callable[..., object], *args: Any) -> None:
    # IPython finds the cell of an output through the context.
    context = contextvars.copy_context()
    with suppress(RuntimeError):  # the interpreter is shutting down
        threads.submit(context.run, work, *args)
