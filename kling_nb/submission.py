"""One request on its way to the service: upload, note, send once, note what came of it.

The money rules are here: `sending` is on disk before the socket is opened, a lost answer is
`unknown`, and nothing in this module sends createTask twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from .callbacks import with_nonce
from .client import Client, SubmitOutcome
from .errors import BadRequest, KlingError, LedgerError, Problem, ServiceError
from .evidence import LOOKS_S, Evidence
from .fetcher import Fetcher
from .history import error_of, state_of
from .jobs import Job
from .ledger import Ledger, Row
from .media import Picture
from .portal import in_thread
from .specs import ModelSpec, request_input, review
from .states import Discarded, Refused, Sending, Stage, Uploading, Waiting
from .wire import create_body
from .witness import Watches, Witness

__all__ = ["Context", "Request", "Source", "submit"]

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class Context:
    """What every job of a session works with."""

    client: Client
    clips: Fetcher
    """Fetches results."""
    ledger: Ledger
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    watches: Watches = field(default_factory=Watches)

    @property
    def witness(self) -> Witness:
        """Who watches the balance where the service does not tell what a job cost."""
        return Witness(self.client, self.ledger, self.now, self.sleep, self.watches)


@dataclass(frozen=True, slots=True)
class Source:
    """One picture of a request: checked content, or the URL that is sent as it is."""

    picture: Picture
    url: str = ""
    origin: str = ""
    """The URL that a person gave, also where the content is uploaded all the same."""


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
    url, nonce = _callback(request.callback_url)
    body = create_body(request.spec.name, sent, url)

    async def note_sending() -> None:
        at = context.now()
        await in_thread(context.ledger.advance, job.id, Stage.SENDING, sent_at=at, nonce=nonce)
        job.enter(Sending())

    fields = review(request.spec, request.values)
    # Noted when its turn has come: a kernel that dies while it waits has surely sent nothing.
    outcome = await context.client.create_task(body, fields=fields, sending=note_sending)
    if isinstance(outcome, SubmitOutcome):
        return await _not_accepted(context, job, outcome, fields)
    return await _accepted(context, job, outcome, expected_s)


def _callback(url: str) -> tuple[str, str]:
    """The address that is sent, and the one-time value in it; both empty without a callback."""
    nonce = secrets.token_urlsafe(16) if url else ""
    return (with_nonce(url, nonce) if url else ""), nonce


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
    ledger, error, answer = context.ledger, outcome.error, outcome.answer
    if not outcome.may_exist:
        # The service's own words: what they mean is for the card to say.
        reason = error.message if isinstance(error, ServiceError) else str(error)
        code = str(getattr(error, "code", ""))
        await in_thread(
            ledger.advance, job.id, Stage.REFUSED, reason=reason, code=code, answer=answer
        )
        named = fields if isinstance(error, BadRequest) else ()
        job.fail(Refused(reason, named, code, Evidence(answer=answer)), error)
        raise error
    # On disk first; the balance is evidence and may take a while.
    row = await in_thread(ledger.advance, job.id, Stage.UNKNOWN, reason=str(error), answer=answer)
    with suppress(KlingError):  # an answer that is lost is told in any case
        row = await context.witness.look(row)
    job.fail(state_of(row), error_of(row))
    context.witness.watch(job, row, LOOKS_S[1:])
    return row
