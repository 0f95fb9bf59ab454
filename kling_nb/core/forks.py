"""Keep state that a forked child must not inherit out of the fork, and renew it in the child.

Threads do not survive a fork. A lock that another thread holds at that moment stays locked in the
child, and SQLite in the child treats a connection that another thread uses as its own. So a fork
waits until no connection is in use (an idle one holds no lock), and each module with process-wide
state renews it in the child.
Systems without `fork` need none of this.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .errors import ForkedSession

_NEW_SESSION: Final = "Use kling_nb.default_session(), or make a new Session in this process."
"""Advice for a forked child that uses its parent's session."""

PATIENCE_S: Final = 10.0
"""How long a fork waits for open files; then it continues, to avoid a deadlock."""


class OwnProcess:
    """The process that owns an object."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """Return whether the current process is the owner, and not a fork of it."""
        return self._pid == os.getpid()

    def check(self, what: str = "This session", advice: str = _NEW_SESSION) -> None:
        """Raise an error in any other process.

        Args:
            what: The object that the owner has, for the message.
            advice: What to do in this process.

        Raises:
            ForkedSession: This is a fork of that process.
        """
        if not self.is_here:
            raise ForkedSession(
                f"{what} belongs to process {self._pid}; this process, {os.getpid()}, is a "
                f"fork of it. {advice}"
            )


def renew_in_child(renew: Callable[[], object]) -> None:
    """Call `renew` in each forked child, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def wait_at_fork(lock: threading.Lock | threading.RLock) -> None:
    """Make forks wait until no other thread holds the lock, at most 10 s; it is free in a child."""
    held: list[bool] = []

    def release() -> None:
        if held.pop():
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lambda: held.append(lock.acquire(timeout=PATIENCE_S)),
            after_in_parent=release,
            after_in_child=release,
        )


class ForkSafeLock:
    """A lock for the whole process that a forked child finds free."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self.renew)

    def renew(self) -> None:
        """Free the lock: a thread that held it at the fork does not exist in the child."""
        self._lock = threading.Lock()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@contextmanager
def no_fork() -> Iterator[None]:
    """Prevent forks by other threads inside the block. Blocks may be nested.

    Keep blocks short: a fork waits for them, at most 10 seconds.
    """
    _register_gate()
    _GATE.enter()
    try:
        yield
    finally:
        _GATE.leave()


class _Gate:
    """Counts the blocks of each thread, and holds back new ones during a fork."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Drop the blocks of other threads, which do not exist in a child."""
        me = threading.get_ident()
        inside: dict[int, int] = getattr(self, "inside", {})
        self.inside = {me: inside[me]} if me in inside else {}
        self.changed = threading.Condition()
        self.forking = False

    def enter(self) -> None:
        """Begin a block; wait while another thread forks."""
        me = threading.get_ident()
        with self.changed:
            self.changed.wait_for(lambda: not self.forking or me in self.inside)
            self.inside[me] = self.inside.get(me, 0) + 1

    def leave(self) -> None:
        """End a block."""
        me = threading.get_ident()
        with self.changed:
            self.inside[me] -= 1
            if not self.inside[me]:
                del self.inside[me]
            self.changed.notify_all()

    def close(self) -> None:
        """Wait until no other thread is in a block, and prevent new blocks."""
        others = {threading.get_ident()}
        with self.changed:
            self.changed.wait_for(lambda: not self.forking)
            self.forking = True
            self.changed.wait_for(lambda: self.inside.keys() <= others, PATIENCE_S)

    def open(self) -> None:
        """Let blocks begin again."""
        with self.changed:
            self.forking = False
            self.changed.notify_all()


_GATE: Final = _Gate()


@functools.cache
def _register_gate() -> None:
    """Register the gate, so that forks wait for blocks.

    Registered at the first block: hooks run in reverse order before a fork, and the gate has to
    close before filelock's hook, which holds back threads that are inside a block.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_GATE.close, after_in_parent=_GATE.open, after_in_child=_GATE.renew
        )
