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
from kling_nb.storage import CallbackStore, Ledger, StoredCallback

from .background_loop import in_thread
from .job import Job
from .recovery import Recovery
from .registry import JobRegistry

__all__ = ["is_for", "letters_for", "open_letter", "take_callback", "take_letters"]

OTHERS_FIRST: Final = timedelta(seconds=30)
"""How long a letter for another kernel's lost job is left to that kernel."""

ROUNDS: Final = 8
"""How often the mailbox is emptied at once: five letters may wait for a job, and more come in."""
LONGEST_S: Final = 10.0
"""How long that may take: somebody waits, and a network that is down may answer nothing at all."""

Hear = Callable[[bytes, str], Awaitable[Job | None]]
"""Acts on the body of a notification that came with a one-time value."""

_log = logging.getLogger("kling_nb")


async def take_callback(
    recovery: Recovery, roster: JobRegistry, body: bytes, nonce: str
) -> Job | None:
    """Have the service asked, now, about the task that a notification names.

    Args:
        recovery: Finds the job.
        roster: Follows it.
        body: The notification as it came.
        nonce: The one-time value in the address that it came to.

    Returns:
        The job; None where the value is none of ours, where the service does not confirm the
        task, and where the job has ended: a value is good for one end.

    Raises:
        UnreadableAnswer: Not even a task id can be read.
        KlingError: The service cannot be asked; nothing has changed.
    """
    row = await recovery.called_back(parse_callback(body).task_id, nonce)
    if row is None or row.stage in ENDED:
        return None
    job = await roster.attach(row)
    job.poll_now()
    return job


async def take_letters(ledger: Ledger, service: str, hear: Hear) -> list[Job]:
    """Act on every letter that waits for a session: on what came while nobody looked.

    One that cannot be acted on now waits for the next time, and so does what is not done after
    ten seconds.

    Args:
        ledger: Of the session; it has been opened.
        service: `live` or `emulator`.
        hear: Has the service asked.

    Returns:
        The jobs that are followed again.
    """
    jobs: dict[str, Job] = {}

    async def hear_one(body: bytes, nonce: str) -> Job | None:
        job = await hear(body, nonce)
        if job is not None:
            jobs[job.id] = job
        return job

    async def take(letter: StoredCallback) -> None:
        try:
            await open_letter(ledger, letter, hear_one)
        except KlingError as error:
            failed.add(letter.nonce)
            _log.info("a notification could not be acted on: %s", error)

    failed = set[str]()
    # What is cut off is taken up by who asks for the jobs that are left, and its letter stays.
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_S):
            for _ in range(ROUNDS):
                letters = await in_thread(letters_for, ledger, service, frozenset(failed))
                if not letters:
                    break
                await asyncio.gather(*map(take, letters))
    return list(jobs.values())


async def open_letter(ledger: Ledger, letter: StoredCallback, hear: Hear) -> bool:
    """Act on a letter and throw it away; it may be all that is known of a paid task until then.

    Returns:
        Whether it was acted on; not where a fault of ours came in between, which would come again.

    Raises:
        KlingError: The service cannot be asked now; the letter stays.
    """
    is_heard = False
    try:
        job = await hear(letter.body, letter.nonce)
        is_heard = True
        _log.info("a notification came%s", "" if job else " and changed nothing")
    except KlingError:
        raise
    except Exception:
        _log.exception("a notification could not be acted on")
    await in_thread(CallbackStore(ledger.folder).discard, letter)
    return is_heard


def letters_for(ledger: Ledger, service: str, acting: Set[str]) -> list[StoredCallback]:
    """The oldest letter for each of a session's jobs that none is acted on for.

    Raises:
        LedgerError: The ledger cannot be used.
    """
    box = CallbackStore(ledger.folder)
    found = (box.oldest(nonce) for nonce in box.nonces() - acting)
    now = datetime.now(UTC)
    return [each for each in found if each is not None and is_for(ledger, service, each, now)]


def is_for(ledger: Ledger, service: str, letter: StoredCallback, now: datetime) -> bool:
    """Whether a letter is for a job that is a session's, or that nobody looks after."""
    row = ledger.by_nonce(letter.nonce)
    if row is None or row.service != service:
        return False
    if row.owner == ledger.owner or not ledger.owner_lives(row.owner):
        return True
    # A lost job is followed by nobody, and its own kernel may not listen any more.
    return row.stage in ENDED and now - letter.at > OTHERS_FIRST
