"""Tell observers in this process which saved clips have changed, once the change is on disk.

Changes by other processes are not reported; `Ledger.file_stamp` shows that there are some. Must not
depend on what an observer shows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from kling_nb.core.forks import ForkSafeLock, renew_in_child

from .job_record import JobRecord


@dataclass(frozen=True, slots=True)
class ClipChange:
    """A saved clip that is new, gone or different: its record before and after one change."""

    folder: Path
    """The folder of the ledger."""
    before: JobRecord | None
    """None for a new row."""
    after: JobRecord


class ClipObserver(Protocol):
    """An object that follows the clips of all folders."""

    def on_clip_change(self, change: ClipChange) -> None:
        """Handle a change. Runs in any thread, so it must not block."""
        ...


_log = logging.getLogger("kling_nb")
_observers: WeakSet[ClipObserver] = WeakSet()
_lock = ForkSafeLock()


def observe_clips(observer: ClipObserver) -> None:
    """Report each change to an observer, until it is deleted or `ignore_clips` is called."""
    with _lock:
        _observers.add(observer)


def ignore_clips(observer: ClipObserver) -> None:
    """Report no more changes to an observer."""
    with _lock:
        _observers.discard(observer)


def report_changes(changes: Iterable[ClipChange]) -> None:
    """Report changes to all observers, in this order."""
    with _lock:
        observers = tuple(_observers)
    for change in changes:
        for observer in observers:
            try:
                observer.on_clip_change(change)
            except Exception:  # an observer's fault must not look like one of the ledger
                _log.exception("an observer of clips failed")


# The pages of an observer are connected to the parent.
renew_in_child(_observers.clear)
