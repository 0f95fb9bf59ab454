"""One request on its way to the service: upload, note, send once, note what came of it.

The money rules are here: `sending` is on disk before the socket is opened, a lost answer is
`unknown`, and nothing in this module sends createTask twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .client import Client, SubmitOutcome
from .errors import BadRequest, KlingError, LedgerError, Problem
from .fetcher import Fetcher
from .history import error_of, state_of
from .jobs import Job
from .ledger import Ledger, Row
from .media import Picture
from .portal import in_thread
from .specs import ModelSpec, request_input, review
from .states import Discarded, Refused, Sending, Stage, Uploading, Waiting
from .wire import create_body

__all__ = ["Context", "Request", "Source", "balance_or_none", "submit"]

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_BALANCE_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Context:
    """What every job of a session works with."""

    client: Client
    clips: Fetcher
    """Fetches results."""
    ledger: Ledger
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Source:
    """One picture of a request: checked content, or the URL that is sent as it is."""

    picture: Picture
    url: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that is sent for one job."""

    spec: ModelSpec
    values: Mapping[str, object]
    media: Mapping[str, Sequence[Source]]
    callback_url: str = ""


async def submit(context: Context, job: Job, request: Request, expected_s: float) -> Row:
    """Send the request of an `intended` job, once.

    Returns:
        The row, `accepted` or `unknown`; the job has taken on the state.

    Raises:
        KlingError: It was refused, or could not be uploaded or sent; no task exists.
    """
    try:
        urls = {name: [await _url_of(context, job, source) for source in sources]
                for name, sources in request.media.items()}  # fmt: skip
    except KlingError as error:
        await in_thread(context.ledger.advance, job.id, Stage.DISCARDED, reason=str(error))
        job.fail(Discarded(str(error)), error)
        raise
    sent = request_input(request.spec, request.values, urls)
    body = create_body(request.spec.name, sent, request.callback_url)
    await in_thread(context.ledger.advance, job.id, Stage.SENDING, sent_at=context.now())
    job.enter(Sending())
    fields = review(request.spec, request.values)
    outcome = await context.client.create_task(body, fields=fields)
    if isinstance(outcome, SubmitOutcome):
        return await _not_accepted(context, job, outcome, fields)
    return await _accepted(context, job, outcome, expected_s)


async def balance_or_none(client: Client) -> float | None:
    """The balance, or None when it cannot be had soon: no job waits for it."""
    try:
        return await asyncio.wait_for(client.balance(), _BALANCE_WAIT_S)
    except (KlingError, TimeoutError):
        return None


async def _url_of(context: Context, job: Job, source: Source) -> str:
    if source.url:
        return source.url
    picture = source.picture
    # The same name overwrites at the service (source: D), so each upload has its own.
    name = f"{job.id}-{secrets.token_hex(4)}.{_SUFFIXES[picture.mime_type]}"

    def progress(sent: int, total: int | None) -> None:
        job.enter(Uploading(sent, total or len(picture.content)))

    job.enter(Uploading(0, len(picture.content)))
    return await context.client.upload(picture.content, name, picture.mime_type, progress)


async def _accepted(context: Context, job: Job, task_id: str, expected_s: float) -> Row:
    at = context.now()
    job.enter(Waiting(task_id, "waiting", at, expected_s))
    try:
        # Not in a worker thread: nothing, not even the program's end, may come in between.
        return context.ledger.advance(job.id, Stage.ACCEPTED, task_id=task_id, accepted_at=at)
    except LedgerError as error:
        # The disk failed in the one moment that matters: the id must not be lost with it.
        raise LedgerError(
            f"Task {task_id} was accepted and is paid, but could not be noted on disk: {error} "
            f"Keep the id: `%kling adopt {task_id} {job.id}` brings the clip back."
        ) from None


async def _not_accepted(
    context: Context, job: Job, outcome: SubmitOutcome, fields: tuple[Problem, ...]
) -> Row:
    ledger, reason = context.ledger, str(outcome.error)
    if not outcome.may_exist:
        code = str(getattr(outcome.error, "code", ""))
        row = await in_thread(ledger.advance, job.id, Stage.REFUSED, reason=reason, code=code)
        refused = Refused(reason)
        if isinstance(outcome.error, BadRequest):
            refused = Refused(outcome.error.message, fields)
        job.fail(refused, outcome.error)
        raise outcome.error
    # On disk first; the balance is evidence and may take a while.
    row = await in_thread(ledger.advance, job.id, Stage.UNKNOWN, reason=reason)
    after = await balance_or_none(context.client)
    if not await in_thread(_others_moved_it, ledger, row):
        row = await in_thread(ledger.note, job.id, balance_after=after)
    job.fail(state_of(row), error_of(row))
    return row


def _others_moved_it(ledger: Ledger, row: Row) -> bool:
    """Whether another job of this ledger may have moved the balance since this one was noted.

    Then the balance says nothing about this job, and is not kept as evidence.
    """
    return any(
        other.id != row.id and other.service == row.service and other.updated_at >= row.created_at
        for other in ledger.rows(limit=-1)
    )
