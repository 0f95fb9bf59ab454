"""Process received and stored callbacks: find the job by its callback token, then poll its task.

The content of a callback is not trusted. It makes the session poll the service, and its callback
token recovers the id of a task whose createTask request got no answer. Must not depend on how
callbacks are received.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from kling_nb.core.errors import KlingError
from kling_nb.core.job_state import ENDED
from kling_nb.kie.webhooks import parse_callback
from kling_nb.storage.callback_store import CallbackStore, StoredCallback
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

from .background_loop import in_thread
from .job import Job
from .recovery import Recovery

_OTHERS_FIRST: Final = timedelta(seconds=30)
"""How long a stored callback for the lost job of another kernel is left to that kernel."""

_ROUNDS: Final = 8
"""How often the store is read: up to five callbacks may wait for one job, and more may arrive."""
LONGEST_S: Final = 10.0
"""Time limit of one pass: the user waits for it, and a network that is down may never answer."""

_ReceiveCallback = Callable[[bytes, str], Awaitable[Job | None]]
"""Processes the body of a callback that arrived with a callback token."""
_Attach = Callable[[JobRecord], Awaitable[Job]]
"""Returns the handle of a record; the job is polled if it runs."""

_log = logging.getLogger("kling_nb")


async def receive_callback(
    recovery: Recovery, attach: _Attach, body: bytes, token: str
) -> Job | None:
    """Poll the task that a callback names, at once.

    Args:
        recovery: Finds the job.
        attach: Polls it.
        body: The callback as it arrived.
        token: The callback token in the URL that it was sent to.

    Returns:
        The job. None if the token is unknown, the service does not confirm the task, or the job
        has ended: a token is valid for one end.

    Raises:
        UnreadableAnswer: The body names no task.
        KlingError: The service cannot be polled; nothing has changed.
    """
    record = await recovery.called_back(parse_callback(body).task_id, token)
    if record is None or record.stage in ENDED:
        return None
    job = await attach(record)
    job.poll_now()
    return job


async def process_stored(ledger: Ledger, service: str, receive: _ReceiveCallback) -> list[Job]:
    """Process every callback that was stored while no session received callbacks.

    Callbacks that cannot be processed now stay for the next time, and so do those that are left
    after `LONGEST_S`.

    Args:
        ledger: Of the session; it has been opened.
        service: `live` or `emulator`.
        receive: Polls the task of one callback.

    Returns:
        The jobs that are polled again.
    """
    jobs: dict[str, Job] = {}
    failed = set[str]()

    async def receive_one(body: bytes, token: str) -> Job | None:
        job = await receive(body, token)
        if job is not None:
            jobs[job.id] = job
        return job

    async def process(callback: StoredCallback) -> None:
        try:
            await process_stored_one(ledger, callback, receive_one)
        except KlingError as error:
            failed.add(callback.nonce)
            _log.info("a callback could not be processed: %s", error)

    # What is cut off here is polled with the other unfinished jobs, and its callback stays stored.
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_S):
            for _ in range(_ROUNDS):
                callbacks = await in_thread(stored_callbacks, ledger, service, frozenset(failed))
                if not callbacks:
                    break
                await asyncio.gather(*map(process, callbacks))
    return list(jobs.values())


async def process_stored_one(
    ledger: Ledger, callback: StoredCallback, receive: _ReceiveCallback
) -> bool:
    """Process a stored callback, then delete it. Until then it may be all that names a paid task.

    Returns:
        Whether it was processed. False after an unexpected error, which would occur again.

    Raises:
        KlingError: The service cannot be polled now; the callback stays stored.
    """
    is_processed = False
    try:
        job = await receive(callback.body, callback.nonce)
        is_processed = True
        _log.info("a callback was received%s", "" if job else " and changed nothing")
    except KlingError:
        raise
    except Exception:
        _log.exception("a callback could not be processed")
    await in_thread(CallbackStore(ledger.folder).discard, callback)
    return is_processed


def stored_callbacks(ledger: Ledger, service: str, in_progress: Set[str]) -> list[StoredCallback]:
    """Return the oldest stored callback for each job of a session.

    Args:
        ledger: Of the session.
        service: `live` or `emulator`.
        in_progress: Callback tokens to leave out.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    store = CallbackStore(ledger.folder)
    found = (store.oldest(token) for token in store.callback_tokens() - in_progress)
    now = datetime.now(UTC)
    return [each for each in found if each is not None and is_for(ledger, service, each, now)]


def is_for(ledger: Ledger, service: str, callback: StoredCallback, now: datetime) -> bool:
    """Return whether a stored callback is for a job of this session, or of no living session."""
    record = ledger.by_callback_token(callback.nonce)
    if record is None or record.service != service:
        return False
    if record.owner == ledger.owner or not ledger.owner_is_alive(record.owner):
        return True
    # No session polls a lost job, and its own kernel may not receive callbacks any more.
    return record.stage in ENDED and now - callback.at > _OTHERS_FIRST
