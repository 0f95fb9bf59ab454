"""Make forks wait for a lock, so that a forked child does not inherit it locked."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import partial


def wait_at_fork(lock: threading.RLock, *, timeout_s: float = -1) -> None:
    """Make each fork wait until no other thread holds the lock; -1 is no limit.

    After `timeout_s` seconds the fork continues, to avoid a deadlock; then the lock stays locked in
    the child.
    """

    def release() -> None:
        with suppress(RuntimeError):  # the wait ended early: another thread holds the lock
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=partial(lock.acquire, timeout=timeout_s),
            after_in_parent=release,
            after_in_child=release,
        )
