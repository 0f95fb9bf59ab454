"""Check one HTTP request that claims to be a callback of the service, and store the callback.

A callback is saved to disk before it is answered, since it may be the only record of a paid task.
Its content is not trusted: it only makes the kernel poll the service. Must not depend on sockets
or jobs.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kling_nb.core.errors import KlingError, UnreadableAnswer
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES
from kling_nb.core.secret import Key
from kling_nb.core.task_status import TaskStatus
from kling_nb.kie.webhooks import parse_callback, read_callback_token, verify_callback
from kling_nb.storage.callback_store import CallbackStore

_TASK_ID = re.compile(r"[!-~]{1,200}")
"""A task id is opaque, but it must fit into a query."""


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One POST. Its repr shows nothing that could contain a callback token."""

    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    """Empty while the body has not been read."""


@dataclass(frozen=True, slots=True)
class AcceptedCallback:
    """A callback that makes the kernel poll its task."""

    callback_token: str = field(repr=False)
    task_id: str
    claimed_status: TaskStatus | None
    """None if only the task id could be read."""


@dataclass(frozen=True, slots=True)
class RejectedCallback:
    """The answer to a rejected request. It repeats nothing of the request."""

    status: int
    """HTTP status."""
    reason: str


Verdict = AcceptedCallback | RejectedCallback

TOO_LONG = RejectedCallback(413, f"The body is larger than {CALLBACK_LIMIT_BYTES} bytes.")
_UNKNOWN_URL = RejectedCallback(403, "Unknown callback URL.")
_ENCODED = RejectedCallback(415, "Send the body as it is, without Content-Encoding.")
_UNREADABLE = RejectedCallback(400, "The body contains no task id.")
_UNSIGNED = RejectedCallback(403, "The signature is missing, wrong or older than five minutes.")
_NOT_STORED = RejectedCallback(503, "The callback cannot be stored now; send it again later.")

_log = logging.getLogger("kling_nb")


def check_callback(
    request: CallbackRequest, *, is_known: Callable[[str], bool], webhook_key: str, now_s: float
) -> Verdict:
    """Check a request. Raises nothing, whatever its bytes are.

    Args:
        request: The request.
        is_known: Returns whether a callback token was issued; called only if there is one.
        webhook_key: The account's key; empty if it has none, then signatures are not checked.
        now_s: The present time in unix seconds.
    """
    length = request.headers.get("content-length", "").strip()
    is_long = re.fullmatch(r"[0-9]+", length) is not None and (
        len(length) > 12 or int(length) > CALLBACK_LIMIT_BYTES
    )
    if is_long or len(request.body) > CALLBACK_LIMIT_BYTES:
        return TOO_LONG
    token = read_callback_token(request.query)
    # A missing and a wrong token get the same answer, so that a sender cannot test for tokens. They
    # have 128 random bits and are looked up by hash, so the response time shows nothing either.
    if not token or not is_known(token):
        return _UNKNOWN_URL
    if request.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        return _ENCODED
    try:
        callback = parse_callback(request.body)
    except UnreadableAnswer:
        return _UNREADABLE
    if not _TASK_ID.fullmatch(callback.task_id):
        return _UNREADABLE
    if webhook_key and not verify_callback(
        webhook_key,
        callback.task_id,
        timestamp=request.headers.get("x-webhook-timestamp", ""),
        signature=request.headers.get("x-webhook-signature", ""),
        now_s=now_s,
    ):
        return _UNSIGNED
    return AcceptedCallback(token, callback.task_id, callback.status)


@dataclass(frozen=True, slots=True)
class CallbackReceiver:
    """Checks requests and stores callbacks in the folders of their jobs.

    Args:
        find_folder: Returns the ledger folder for a callback token, or None.
        webhook_key: The account's key; without it signatures are not checked.
        clock: Returns the time in unix seconds.
    """

    find_folder: Callable[[str], Path | None]
    webhook_key: Key | None
    clock: Callable[[], float] = time.time

    def receive(self, request: CallbackRequest, *, store: bool) -> Verdict:
        """Return the answer to a request; may wait for a disk.

        Args:
            request: The request.
            store: Store an accepted callback on disk first.
        """
        key, now_s = self.webhook_key.reveal() if self.webhook_key else "", self.clock()
        try:
            verdict = check_callback(request, is_known=self._is_known, webhook_key=key, now_s=now_s)
            if store and isinstance(verdict, AcceptedCallback):
                folder = self.find_folder(verdict.callback_token)
                # For a job that has ended nothing is stored, and the answer is the same.
                if folder is not None:
                    at = datetime.fromtimestamp(now_s, UTC)
                    CallbackStore(folder).post(verdict.callback_token, request.body, at)
        except KlingError as error:  # a disk or a setting; the answer does not contain it
            _log.info("a callback cannot be stored now: %s", error)
            return _NOT_STORED
        return verdict

    def _is_known(self, callback_token: str) -> bool:
        folder = self.find_folder(callback_token)
        return folder is not None and CallbackStore(folder).has_token(callback_token)
