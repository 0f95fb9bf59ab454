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
from kling_nb.kie.webhooks import add_callback_token
from kling_nb.storage.job_record import JobRecord

from .mimebundle import render_notice

_log = logging.getLogger("kling_nb")


@dataclass(slots=True)
class CallbackUrls:
    """The callback URLs of a session while a receiver is open."""

    listening: Listening | None = None
    """The open receiver."""
    _folders: dict[str, Path] = field(default_factory=dict, repr=False)
    _awaited: set[str] = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        """The URL as the service reaches it; empty without a receiver."""
        return self.listening.url if self.listening is not None else ""

    def switch_to(self, listening: Listening) -> Listening:
        """Send callbacks to a receiver from now on, and close the one before; return it."""
        self.stop()
        self.listening = listening
        return listening

    def stop(self) -> None:
        """Close the receiver, if there is one."""
        if self.listening is not None:
            self.listening.close()

    def leave(self, listening: Listening) -> None:
        """Stop sending callbacks to a receiver that is closed."""
        if self.listening is listening:
            self.listening = None
            self._awaited.clear()  # the next receiver may have another URL

    def offer(self, folder: Path) -> tuple[str, str]:
        """Return a callback URL and its callback token; both empty without a receiver.

        May wait for a disk.

        Args:
            folder: The folder of the job's ledger.
        """
        listening = self.listening
        if listening is None:
            return "", ""
        token = secrets.token_urlsafe(16)
        try:
            if listening.note is not None:
                listening.note(token, folder)
        except (KlingError, OSError) as error:
            _log.warning("a request is sent without a callback URL: %s", error)
            return "", ""
        self._folders[token] = folder
        self._awaited.add(token)
        return add_callback_token(listening.url, token), token

    def folder_of(self, token: str) -> Path | None:
        """Return the ledger folder for a callback token of this session, or None."""
        return self._folders.get(token)

    def covers(self, record: JobRecord) -> bool:
        """Return whether a job's callback is still to arrive, so that polling can be rare."""
        return self.listening is not None and record.nonce in self._awaited

    def note_received(self, token: str) -> None:
        """Poll as usual from now on: a callback is not trusted, and there may be no other."""
        self._awaited.discard(token)


class Listening:
    """The handle of an open receiver: a notebook shows it, `close()` ends it.

    Args:
        urls: The callback URLs of the session; see `CallbackUrls.switch_to`.
        url: The URL as the service reaches it.
        notes: What the user should know, one sentence each.
        stop: Ends the receiver; called once.
        note: Called with each callback token and its ledger folder, before a request is sent with
            it. If it raises a KlingError or an OSError, the request is sent without a callback URL.
        is_local: Whether only this machine reaches the URL, so that the service cannot.
    """

    __slots__ = ("_stop", "_urls", "is_local", "is_open", "note", "notes", "received", "url")

    def __init__(
        self,
        urls: CallbackUrls,
        url: str,
        notes: tuple[str, ...] = (),
        *,
        stop: Callable[[], None],
        note: Callable[[str, Path], None] | None = None,
        is_local: bool = False,
    ) -> None:
        self._urls = urls
        self._stop = stop
        self.url = url
        self.notes = notes
        self.note = note
        self.is_local = is_local
        self.is_open = True
        self.received: Counter[str] = Counter()
        """Number of callbacks by outcome."""

    def close(self) -> None:
        """Stop receiving callbacks. Running jobs are polled as often as without a receiver."""
        if self.is_open:
            self.is_open = False
            self._urls.leave(self)
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
            return f"Listening for callbacks at {self.url}"
        return "Stopped listening for callbacks"

    @property
    def _lines(self) -> list[str]:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.received.items()))
        return [*(self.notes if self.is_open else ()), f"Received: {counts or 'nothing yet'}."]
