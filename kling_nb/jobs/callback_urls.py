"""Callback URLs of a session: the URL to send, its callback tokens, and the handle to stop.

Must not depend on the receiver: a server in this process, or Jupyter Server.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kling_nb.core.console import readable
from kling_nb.core.errors import KlingError
from kling_nb.kie.webhooks import with_nonce
from kling_nb.storage import JobRecord

from .mimebundle import render_notice

__all__ = ["CallbackUrls", "Listening"]

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class CallbackUrls:
    """Where notifications of a session's jobs are sent to, as long as somebody listens there."""

    listening: Listening | None = None
    """Who listens."""
    _folders: dict[str, Path] = field(default_factory=dict, repr=False)
    _awaited: set[str] = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        """The address as the service reaches it; empty where nobody listens."""
        return self.listening.url if self.listening is not None else ""

    def turn_to(self, listening: Listening) -> Listening:
        """Have notifications sent to who listens now; who did before is closed.

        Args:
            listening: The new one; returned as it is.
        """
        self.stop()
        self.listening = listening
        return listening

    def stop(self) -> None:
        """Close who listens; nothing happens where nobody does."""
        if self.listening is not None:
            self.listening.close()

    def leave(self, listening: Listening) -> None:
        """Have no more notifications sent to one who is closed."""
        if self.listening is listening:
            self.listening = None
            self._awaited.clear()  # who listens next may do so at another address

    def offer(self, folder: Path) -> tuple[str, str]:
        """The address for a request, and the one-time value in it; both empty if nobody listens.

        It may wait for a disk.

        Args:
            folder: Of the ledger that has the job.
        """
        listening = self.listening
        if listening is None:
            return "", ""
        nonce = secrets.token_urlsafe(16)
        try:
            if listening.note is not None:
                listening.note(nonce, folder)
        except (KlingError, OSError) as error:
            _log.warning("a request goes without a notification: %s", error)
            return "", ""
        self._folders[nonce] = folder
        self._awaited.add(nonce)
        return with_nonce(listening.url, nonce), nonce

    def folder_of(self, nonce: str) -> Path | None:
        """Whose one-time value this is, if it was handed out here."""
        return self._folders.get(nonce)

    def covers(self, row: JobRecord) -> bool:
        """Whether a notification of a job's end is still to come, so that asking can be rare."""
        return self.listening is not None and row.nonce in self._awaited

    def note_heard(self, nonce: str) -> None:
        """A notification came. There may be no other, and it is not believed: ask as usual."""
        self._awaited.discard(nonce)


class Listening:
    """The handle of who listens for notifications: a notebook shows it, `close()` ends it.

    Args:
        hearing: What it listens for; see `CallbackUrls.turn_to`.
        url: The address as the service reaches it.
        words: What a person should know, sentence by sentence.
        stop: Ends the listening; called once.
        note: Told of each one-time value, and of the folder that it is for, before a request is
            sent with it. Where it raises a KlingError or an OSError the request goes without a
            notification.
        is_local: Whether only this machine reaches the address, so that the service cannot.
    """

    __slots__ = ("_hearing", "_stop", "heard", "is_local", "is_open", "note", "url", "words")

    def __init__(
        self,
        hearing: CallbackUrls,
        url: str,
        words: tuple[str, ...] = (),
        *,
        stop: Callable[[], None],
        note: Callable[[str, Path], None] | None = None,
        is_local: bool = False,
    ) -> None:
        self._hearing = hearing
        self._stop = stop
        self.url = url
        self.words = words
        self.note = note
        self.is_local = is_local
        self.is_open = True
        self.heard: Counter[str] = Counter()
        """How many came, by what became of them: `heard`, `turned away: 403`."""

    def close(self) -> None:
        """Listen no more. Jobs that run are asked about as often as without."""
        if self.is_open:
            self.is_open = False
            self._hearing.leave(self)
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return readable("\n".join([self._title, *self._lines]))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        page = render_notice(self._title, self._lines)
        return {"text/html": page, "text/plain": repr(self)}

    @property
    def _title(self) -> str:
        if self.is_open:
            return f"Listening for notifications at {self.url}"
        return "Nobody listens for notifications any more"

    @property
    def _lines(self) -> list[str]:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.heard.items()))
        return [*(self.words if self.is_open else ()), f"Came in: {counts or 'nothing yet'}."]
