"""Submit one request: upload its inputs, record it, send it once, record the result.

The money rules are here: no other folder of the user has paid for the same request, `sending` is on
disk before the socket is opened, a lost answer is `unknown`, and nothing in this module sends
createTask twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlsplit

from kling_nb.core.charge_evidence import LOOKS_S, Evidence
from kling_nb.core.errors import (
    AlreadyPaid,
    BadRequest,
    KlingError,
    LedgerError,
    Problem,
    ServiceError,
)
from kling_nb.core.job_state import Discarded, JobFacts, Refused, Sending, Stage, Waiting
from kling_nb.kie.client import Client, SubmitOutcome
from kling_nb.kie.http import Downloader
from kling_nb.kie.webhooks import with_nonce
from kling_nb.kie.wire import create_body
from kling_nb.models.request_inputs import fingerprints, request_input
from kling_nb.models.spec import ModelSpec, review
from kling_nb.storage import JobRecord, Ledger, Uploads

from .background_loop import in_thread
from .balance_watch import BalanceWatcher, BalanceWatches
from .callback_urls import CallbackUrls
from .job import Job
from .job_from_record import error_of, state_of
from .upload_inputs import InputSource, InputUploader, UploadLocks, is_about_media

__all__ = ["Context", "Others", "Request", "submit"]

NO_MEDIA_HOST: Final = "server exception"
"""The message of the service, seen twice, when the host of a media URL did not exist.

Source: recorded live traffic (L), other models, 2026-04-28.
"""


class Others(Protocol):
    """What the user has paid for, here and in other folders; called beside the loop."""

    def claim(
        self, row: JobRecord, at: datetime, names_of: Callable[[int], Sequence[str]], /
    ) -> None:
        """Claim a request for this folder; raise AlreadyPaid if it is paid for already.

        `names_of` gives every fingerprint of the same request as a take.
        """

    def preallocate(self, row: JobRecord, /) -> None:
        """Note that a claimed request is sent now, and reserve space for its task id."""

    def write_task_id(self, facts: JobFacts, task_id: str, /) -> bool:
        """Write the id of an accepted task into that space; return whether it is on the disk."""

    def note(self, row: JobRecord, /) -> None:
        """Hear what became of a request."""

    def drop(self, row: JobRecord, /) -> None:
        """Hear that a request was not sent after all."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every job of a session works with."""

    client: Client
    clips: Downloader
    """Fetches results."""
    ledger: Ledger
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    watches: BalanceWatches = field(default_factory=BalanceWatches)
    hearing: CallbackUrls = field(default_factory=CallbackUrls)
    """Where notifications are sent to, if somebody listens."""
    turns: UploadLocks = field(default_factory=UploadLocks)
    """Who is uploading what."""

    @property
    def witness(self) -> BalanceWatcher:
        """Who watches the balance where the service does not tell what a job cost."""
        return BalanceWatcher(self.client, self.ledger, self.now, self.sleep, self.watches)

    @property
    def freight(self) -> InputUploader:
        """Who uploads what a request is made from."""
        return InputUploader(self.client, Uploads(self.ledger.folder), self.now, self.turns)


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that is sent for one job."""

    spec: ModelSpec
    values: Mapping[str, object]
    media: Mapping[str, Sequence[InputSource]]
    """By the path of `media_of`."""
    callback_url: str = ""
    lengths_s: Mapping[str, float] = field(default_factory=dict)
    """How long the videos and sounds are, by parameter."""

    given: Mapping[str, object] = field(default_factory=dict)
    """The values before validation: earlier versions took texts as they were written."""

    def fingerprints(self, service: str, take: int) -> tuple[str, ...]:
        """Return every fingerprint of this request as a take, for `live` or `emulator`.

        The current one first, then those that earlier versions gave it.
        """
        hashes = {
            path: [each.attachment.source_hashes for each in given]
            for path, given in self.media.items()
        }
        return fingerprints(
            self.spec, self.values, hashes, service=service, take=take, given=self.given
        )


async def submit(
    context: Context,
    job: Job,
    request: Request,
    expected_s: float,
    others: Others,
) -> JobRecord:
    """Send the request of an `intended` job, once.

    Args:
        context: What the job works with.
        job: Its handle.
        request: What is sent.
        expected_s: How long a clip takes.
        others: They let a request through before it is sent, and hear when it was refused or not
            sent after all: a kernel that dies meanwhile can tell nobody any more.

    Returns:
        The row, `accepted` or `unknown`; the job has taken on the state.

    Raises:
        KlingError: It was refused, or could not be uploaded or sent; no task exists.
        AlreadyPaid: Another folder of this user was quicker.
    """
    try:
        urls = await context.freight.deliver(job, request.media)
    except KlingError as error:
        await _discard(context, job, error, others)
        raise
    sent = request_input(request.spec, request.values, urls)
    url, nonce = await in_thread(_callback, request.callback_url, context)
    body = create_body(request.spec.name, sent, url)

    async def note_sending() -> None:
        await in_thread(_begin, context, job.id, request, nonce, others)
        job.enter(Sending())

    fields = review(request.spec, request.values)
    kept: list[str] = []
    # Noted when its turn has come: a kernel that dies while it waits has surely sent nothing.
    try:
        outcome = await context.client.create_task(
            body, fields=fields, sending=note_sending, keep_answer=kept.append
        )
    except AlreadyPaid as error:
        await _discard(context, job, error, others)
        raise
    if isinstance(outcome, SubmitOutcome):
        cause = _likely_cause(outcome.error, request.media)
        row = await _not_accepted(context, job, outcome, fields, cause)
        if row.stage is Stage.REFUSED:
            await in_thread(others.note, row)
            raise outcome.error
        return row
    return await _accepted(context, job, outcome, expected_s, others, answer="".join(kept))


def _begin(context: Context, job_id: str, request: Request, nonce: str, others: Others) -> None:
    """Note that a request is being sent, unless it is paid for already.

    The claim comes first: a kernel that dies in between has surely sent nothing, and only stands
    in the other folders' way until its own is opened again.
    """
    at = context.now()
    row = context.ledger.row(job_id)
    others.claim(row, at, partial(request.fingerprints, row.service))
    slots = context.ledger.id_slots
    try:
        slots.allocate(replace(row, stage=Stage.SENDING, sent_at=at, nonce=nonce))
        row = context.ledger.advance(job_id, Stage.SENDING, sent_at=at, nonce=nonce)
    except LedgerError:
        slots.free(job_id)
        others.drop(row)
        raise
    others.preallocate(row)


async def _discard(context: Context, job: Job, error: KlingError, others: Others) -> None:
    """End a job of which nothing was sent."""
    row = await in_thread(context.ledger.advance, job.id, Stage.DISCARDED, reason=str(error))
    job.fail(Discarded(str(error)), error)
    # An earlier kernel may have died between its claim and `sending`.
    await in_thread(others.note, row)


def _callback(url: str, context: Context) -> tuple[str, str]:
    """The address that is sent, and the one-time value in it; both empty without a callback.

    An address of a person's own goes first.
    """
    if not url:
        return context.hearing.offer(context.ledger.folder)
    nonce = secrets.token_urlsafe(16)
    return with_nonce(url, nonce), nonce


async def _accepted(
    context: Context, job: Job, task_id: str, expected_s: float, others: Others, *, answer: str
) -> JobRecord:
    """Note the task: in the folder's and the index's preallocated space, then in the ledger."""
    at = context.now()
    ledger = context.ledger
    job.enter(Waiting(task_id, "waiting", at, expected_s))
    # Not in a worker thread: nothing, not even the program's end, may come in between.
    is_kept = ledger.id_slots.write(job.id, task_id)
    is_kept = others.write_task_id(job.facts, task_id) or is_kept
    try:
        row = ledger.advance(job.id, Stage.ACCEPTED, task_id=task_id, accepted_at=at, answer=answer)
    except LedgerError as error:
        kept = (
            "The id is saved: this kernel retries, and the next kernel resumes the job. To add it "
            f"yourself: `%kling adopt {task_id} {job.id}`."
            if is_kept
            else "This kernel retries. Write the id down: "
            f"`%kling adopt {task_id} {job.id}` downloads the clip."
        )
        raise LedgerError(
            f"Task {task_id} was accepted and is paid, but the ledger could not save it: {error} "
            f"{kept}"
        ) from None
    ledger.id_slots.free(job.id)
    return row


def _likely_cause(error: KlingError, media: Mapping[str, Sequence[InputSource]]) -> str:
    """Return a sentence with the media URLs that the service probably could not read.

    It omits their queries, which may contain a secret: notebooks save the sentence.
    """
    if not isinstance(error, ServiceError) or NO_MEDIA_HOST not in error.message.lower():
        return ""
    parts = [urlsplit(each.url) for given in media.values() for each in given if each.url]
    shown = dict.fromkeys(
        f"{part.scheme}://{part.netloc.rpartition('@')[2]}{part.path}" for part in parts
    )
    if not shown:
        return ""
    return f" Likely cause: the service cannot reach {', '.join(shown)}; check the address."


async def _not_accepted(
    context: Context,
    job: Job,
    outcome: SubmitOutcome,
    fields: tuple[Problem, ...],
    cause: str,
) -> JobRecord:
    error, answer = outcome.error, outcome.answer
    stage, reason, code = Stage.UNKNOWN, f"{error}{cause}", ""
    if not outcome.may_exist:
        # The service's own words: what they mean is for the card to say.
        stage, reason = Stage.REFUSED, error.message if isinstance(error, ServiceError) else reason
        code = str(getattr(error, "code", ""))
    # On disk first; the balance is evidence and may take a while.
    conclude = context.ledger.adoptions.conclude
    row = await in_thread(conclude, job.id, stage, reason=reason, code=code, answer=answer)
    await in_thread(context.ledger.id_slots.free, job.id)
    if row.stage is Stage.ACCEPTED:  # a notification was quicker than the answer
        job.enter(state_of(row))
        return row
    if row.stage is Stage.REFUSED:
        named = fields if isinstance(error, BadRequest) else ()
        if named and is_about_media(reason):
            await context.freight.forget(row)
        job.fail(Refused(reason, named, code, Evidence(answer=answer)), error)
        return row
    with suppress(KlingError):  # an answer that is lost is told in any case
        row = await context.witness.look(row)
    job.fail(state_of(row), error_of(row))
    context.witness.watch(job, row, LOOKS_S[1:])
    return row
