"""Report the progress of a transfer, no more often than a display can show it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int | None], None]
"""Called with the transferred and the total bytes; the total is None if it is unknown."""

_INTERVAL_S = 0.1


@dataclass(slots=True)
class ProgressReport:
    """Reports the progress of one transfer at most ten times a second, and at its end.

    Args:
        progress: Receives the reports, or None.
        clock: Returns the time in seconds.
    """

    progress: Progress | None
    clock: Callable[[], float] = time.monotonic
    _next_at: float = 0.0

    def reach(self, done_bytes: int, total_bytes: int | None) -> None:
        """Report this progress, unless the last report is too recent."""
        now = self.clock()
        if self.progress is not None and (now >= self._next_at or done_bytes == total_bytes):
            self._next_at = now + _INTERVAL_S
            self.progress(done_bytes, total_bytes)
