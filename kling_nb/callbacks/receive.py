"""Check one HTTP request that claims to be a callback of the service, and store the callback.

Used by every server. A callback is saved to disk before it is answered, since it may be the only
record of a paid task. Its content is not trusted: it only makes the kernel poll the service. Must
not depend on sockets or jobs.
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
from kling_nb.kie.webhooks import nonce_in, parse_callback, verify_callback
from kling_nb.storage import CallbackStore

__all__ = [
    "AcceptedCallback",
    "CallbackReceiver",
    "CallbackRequest",
    "RejectedCallback",
    "receive",
]

_TASK_ID = re.compile(r"[!-~]{1,200}")
"""A task id is opaque; one that cannot stand in a query is none."""


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One request as it came. What could give away a one-time value stays out of its repr."""

    method: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """By their names in lower case."""
    body: bytes = field(repr=False)
    """As much as was read: one byte more than the limit is enough to be turned away."""


@dataclass(frozen=True, slots=True)
class AcceptedCallback:
    """A notification to act on: the service is to be asked what is true."""

    nonce: str = field(repr=False)
    task_id: str
    status_claimed: TaskStatus | None
    """None when only the task id could be read."""


@dataclass(frozen=True, slots=True)
class RejectedCallback:
    """A request that is turned away, and the answer to it. It repeats nothing of the request."""

    status: int
    """HTTP status."""
    words: str


_NO_POST = RejectedCallback(405, "Only POST is answered here.")
_TOO_LONG = RejectedCallback(413, f"More than {CALLBACK_LIMIT_BYTES} bytes are not read.")
_STRANGER = RejectedCallback(403, "This address is not known here.")
_ENCODED = RejectedCallback(415, "Send the body as it is, without Content-Encoding.")
_UNREADABLE = RejectedCallback(400, "No task id can be read in the body.")
_UNSIGNED = RejectedCallback(403, "The signature is missing, wrong or older than five minutes.")


def receive(
    posted: CallbackRequest, *, knows_nonce: Callable[[str], bool], webhook_key: str, now_s: float
) -> AcceptedCallback | RejectedCallback:
    """Judge a request. Nothing is raised, whatever the bytes are.

    Args:
        posted: The request.
        knows_nonce: Whether a one-time value was handed out; asked only where there is one.
        webhook_key: The account's; empty where it has none, and then no signature is asked for.
        now_s: The present time in unix seconds.
    """
    turned = _judge_envelope(posted)
    if turned is not None:
        return turned
    nonce = nonce_in(posted.query)
    # Missing or wrong: the same answer, so that nobody learns which values exist. They have 128
    # random bits and are looked up by hash, so the time that takes tells nothing either.
    if not nonce or not knows_nonce(nonce):
        return _STRANGER
    return _judge_body(posted, nonce, webhook_key, now_s)


def _judge_envelope(posted: CallbackRequest) -> RejectedCallback | None:
    """What turns a request away before anything of it is looked at."""
    if posted.method != "POST":
        return _NO_POST
    announced = posted.headers.get("content-length", "").strip()
    is_long = re.fullmatch(r"[0-9]+", announced) is not None and (
        len(announced) > 12 or int(announced) > CALLBACK_LIMIT_BYTES
    )
    return _TOO_LONG if is_long or len(posted.body) > CALLBACK_LIMIT_BYTES else None


def _judge_body(
    posted: CallbackRequest, nonce: str, webhook_key: str, now_s: float
) -> AcceptedCallback | RejectedCallback:
    encoding = posted.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        return _ENCODED
    try:
        callback = parse_callback(posted.body)
    except UnreadableAnswer:
        return _UNREADABLE
    if not _TASK_ID.fullmatch(callback.task_id):
        return _UNREADABLE
    if webhook_key and not verify_callback(
        webhook_key,
        callback.task_id,
        timestamp=posted.headers.get("x-webhook-timestamp", ""),
        signature=posted.headers.get("x-webhook-signature", ""),
        now_s=now_s,
    ):
        return _UNSIGNED
    return AcceptedCallback(nonce, callback.task_id, callback.status)


_UNKEPT = RejectedCallback(503, "It cannot be kept now; come again later.")

_log = logging.getLogger("kling_nb")


@dataclass(frozen=True, slots=True)
class CallbackReceiver:
    """Judges what comes in, and leaves it where it belongs. May wait for disks.

    Args:
        find_folder: Whose one-time value is whose; None where that is not known.
        webhook_key: The account's; None asks for no signature.
        clock: Gives the time in unix seconds.
    """

    find_folder: Callable[[str], Path | None]
    webhook_key: Key | None
    clock: Callable[[], float] = time.time

    def judge(self, posted: CallbackRequest) -> AcceptedCallback | RejectedCallback:
        """What to answer to a request; nothing is changed."""
        key = self.webhook_key.reveal() if self.webhook_key else ""
        try:
            return receive(posted, knows_nonce=self._knows, webhook_key=key, now_s=self.clock())
        except KlingError as error:
            return _unkept(error)

    def take_in(self, posted: CallbackRequest) -> AcceptedCallback | RejectedCallback:
        """The same, and what is heard is in the mailbox of its folder on return."""
        judged = self.judge(posted)
        if isinstance(judged, RejectedCallback):
            return judged
        at = datetime.fromtimestamp(self.clock(), UTC)
        try:
            folder = self.find_folder(judged.nonce)
            # For a job that is over nothing is kept, and the answer is the same: heard.
            if folder is not None:
                CallbackStore(folder).post(judged.nonce, posted.body, at)
        except KlingError as error:
            return _unkept(error)
        return judged

    def _knows(self, nonce: str) -> bool:
        folder = self.find_folder(nonce)
        return folder is not None and CallbackStore(folder).knows(nonce)


def _unkept(error: KlingError) -> RejectedCallback:
    """The answer where a disk or a setting is in the way; why is for the log alone."""
    _log.info("a notification cannot be kept now: %s", error)
    return _UNKEPT
