"""Notifications on their way in: judged, and left in the mailbox of the folder that they are for.

The same for a server of our own and for Jupyter's. What is heard is on disk before it is answered,
since it may be all that is known of a paid task. Must not know HTTP servers or jobs; no service is
asked here, and no job changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kling_nb.core.errors import KlingError
from kling_nb.core.secret import Key
from kling_nb.storage import Mailbox

from .reception import Heard, Posted, Turned, receive

__all__ = ["Porter"]

_UNKEPT = Turned(503, "It cannot be kept now; come again later.")

_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class Porter:
    """Judges what comes in, and leaves it where it belongs. May wait for disks.

    Args:
        find_folder: Whose one-time value is whose; None where that is not known.
        webhook_key: The account's; None asks for no signature.
        clock: Gives the time in unix seconds.
    """

    find_folder: Callable[[str], Path | None]
    webhook_key: Key | None
    clock: Callable[[], float] = time.time

    def judge(self, posted: Posted) -> Heard | Turned:
        """What to answer to a request; nothing is changed."""
        key = self.webhook_key.reveal() if self.webhook_key else ""
        try:
            return receive(posted, knows_nonce=self._knows, webhook_key=key, now_s=self.clock())
        except KlingError as error:
            return _unkept(error)

    def take_in(self, posted: Posted) -> Heard | Turned:
        """The same, and what is heard is in the mailbox of its folder on return."""
        judged = self.judge(posted)
        if isinstance(judged, Turned):
            return judged
        at = datetime.fromtimestamp(self.clock(), UTC)
        try:
            folder = self.find_folder(judged.nonce)
            # For a job that is over nothing is kept, and the answer is the same: heard.
            if folder is not None:
                Mailbox(folder).post(judged.nonce, posted.body, at)
        except KlingError as error:
            return _unkept(error)
        return judged

    def _knows(self, nonce: str) -> bool:
        folder = self.find_folder(nonce)
        return folder is not None and Mailbox(folder).knows(nonce)


def _unkept(error: KlingError) -> Turned:
    """The answer where a disk or a setting is in the way; why is for the log alone."""
    _log.info("a notification cannot be kept now: %s", error)
    return _UNKEPT
