"""Submit one request: upload its inputs, record it, send it once, record the result.

The money rules are here: no other folder of the user has paid for the same request, `sending` is on
disk before the socket is opened, a lost answer is `unknown`, and nothing in this module sends
createTask twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from kling_nb.core.charge_evidence import SAMPLE_TIMES_S, Evidence
from kling_nb.core.errors import (
    AlreadyPaid,
    BadRequest,
    KlingError,
    LedgerError,
    Problem,
    ServiceError,
)
from kling_nb.core.job_state import Discarded, Refused, Sending, Stage, Waiting
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.kie.client import SubmitOutcome
from kling_nb.kie.webhooks import add_callback_token
from kling_nb.kie.wire import create_body
from kling_nb.media.inputs import InputSource
from kling_nb.models.clip_request import request_input
from kling_nb.models.spec import review
from kling_nb.storage.job_record import JobRecord

from .background_loop import committed, in_thread
from .context import Context
from .job import Job
from .job_from_record import error_of, state_of
from .prepare import PreparedRequest
from .upload_inputs import is_about_media

_NO_MEDIA_HOST: Final = "server exception"
"""The message of the service, seen twice, when the host of a media URL did not exist.

Source: recorded live traffic (L), other models, 2026-04-28.
"""


async def submit(
    context: Context, job: Job, request: PreparedRequest, schedule: PollSchedule
) -> JobRecord:
    """Send the request of an `intended` job, once.

    Args:
        context: The parts of the session.
        job: The handle of the job.
        request: The request to send.
        schedule: The durations of such tasks.

    Returns:
        The record, `accepted` or `unknown`; the job is in the same state.

    Raises:
        KlingError: The request was refused, or could not be uploaded or sent; no task exists.
        AlreadyPaid: Another folder of this user has paid for the request meanwhile.
    """
    try:
        urls = await context.uploads.deliver(job, request.media)
    except KlingError as error:
        await _discard(context, job, error)
        raise
    spec = request.request.spec
    url, callback_token = await _callback(request.request.callback_url, context)
    body = create_body(spec.name, request_input(spec, request.values, urls), url)

    async def record_sending() -> None:
        await in_thread(_begin, context, job.id, request, callback_token)
        job.enter(Sending())

    fields = review(spec, request.values)
    answers: list[str] = []
    # Recorded once the rate limit allows the request: a kernel that dies before has sent nothing.
    try:
        outcome = await context.client.create_task(
            body, fields=fields, sending=record_sending, keep_answer=answers.append
        )
    except AlreadyPaid as error:
        await _discard(context, job, error)
        raise
    if isinstance(outcome, SubmitOutcome):
        cause = _likely_cause(outcome.error, request.media)
        record = await _not_accepted(context, job, outcome, fields, cause)
        await in_thread(context.other_folders.note, record)
        if record.stage is Stage.REFUSED:
            raise outcome.error
        return record
    return await _accepted(context, job, outcome, schedule, answer="".join(answers))


def _begin(context: Context, job_id: str, request: PreparedRequest, callback_token: str) -> None:
    """Record that a request is being sent, unless it is paid for already.

    The claim comes first. If the kernel dies after it, nothing was sent: the claim only blocks
    other folders until this folder is opened again.
    """
    at = context.now()
    record = context.ledger.row(job_id)  # first: it raises if the ledger is gone
    other_folders, slots = context.other_folders, context.ledger.id_slots
    other_folders.claim(record, at, request.fingerprints_of)
    try:
        sending = replace(record, stage=Stage.SENDING, sent_at=at, nonce=callback_token)
        slots.allocate(sending)
        record = context.ledger.advance(job_id, Stage.SENDING, sent_at=at, nonce=callback_token)
    except LedgerError:
        slots.free(job_id)
        other_folders.drop(record)
        raise
    other_folders.preallocate(record)


async def _discard(context: Context, job: Job, error: KlingError) -> None:
    """End a job of which nothing was sent."""
    ledger = context.ledger
    record = await committed(
        ledger.submit(ledger.advance, job.id, Stage.DISCARDED, reason=str(error))
    )
    job.fail(Discarded(str(error)), error)
    # An earlier kernel may have died between its claim and `sending`.
    await in_thread(context.other_folders.note, record)


async def _callback(url: str, context: Context) -> tuple[str, str]:
    """Return the callback URL to send and its callback token; both empty without a callback.

    A URL that the user gave has precedence.
    """
    if url:
        callback_token = secrets.token_urlsafe(16)
        return add_callback_token(url, callback_token), callback_token
    if context.callback_urls.listening is None:
        return "", ""
    return await in_thread(context.callback_urls.offer, context.ledger.folder)


async def _accepted(
    context: Context, job: Job, task_id: str, schedule: PollSchedule, *, answer: str
) -> JobRecord:
    """Record the task in the folder's preallocated file, then in the index and the ledger."""
    at = context.now()
    ledger = context.ledger
    job.enter(Waiting(task_id, "waiting", at, schedule.expected_s, schedule.late_s))
    # Not in a worker thread: nothing, not even the end of the program, may come in between.
    is_kept = ledger.id_slots.write(job.id, task_id)
    facts = {"task_id": task_id, "accepted_at": at, "answer": answer}
    recording = ledger.submit(ledger.advance, job.id, Stage.ACCEPTED, **facts)
    is_live, is_in_index = context.service == "live", False
    write_task_id = context.other_folders.write_task_id
    if is_live and is_kept:
        is_in_index = await in_thread(write_task_id, job.record, task_id)
    elif is_live:  # at once: the id is in no other place
        is_kept = is_in_index = write_task_id(job.record, task_id)
    try:
        record = await committed(recording)
    except LedgerError as error:
        kept = (
            "The id is saved: this kernel retries, and the next kernel resumes the job. To add it "
            f"yourself: `%kling adopt {task_id} {job.id}`."
            if is_kept
            else "This kernel retries. Write the id down: "
            f"`%kling adopt {task_id} {job.id}` downloads the clip."
        )
        raise LedgerError(
            f"Task {task_id} was accepted and is paid for, but the ledger could not save it: "
            f"{error} {kept}"
        ) from None
    ledger.id_slots.free(job.id)
    if is_live and not is_in_index:  # else `write_task_id` has recorded the same payment
        await in_thread(context.other_folders.note, record)
    return record


def _likely_cause(error: KlingError, media: Mapping[str, Sequence[InputSource]]) -> str:
    """Return a sentence with the media URLs that the service probably could not read.

    It omits their queries, which may contain a secret: notebooks save the sentence.
    """
    if not isinstance(error, ServiceError) or _NO_MEDIA_HOST not in error.message.lower():
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
        # The service's own text; the card explains it.
        stage, reason = Stage.REFUSED, error.message if isinstance(error, ServiceError) else reason
        code = str(getattr(error, "code", ""))
    # On disk first; the balance is evidence and may take a while.
    conclude = context.ledger.task_matching.conclude
    record = await committed(
        context.ledger.submit(conclude, job.id, stage, reason=reason, code=code, answer=answer)
    )
    await in_thread(context.ledger.id_slots.free, job.id)
    if record.stage is Stage.ACCEPTED:  # the callback arrived before the answer
        job.enter(state_of(record))
        return record
    if record.stage is Stage.REFUSED:
        named = fields if isinstance(error, BadRequest) else ()
        if named and is_about_media(reason):
            await context.uploads.forget(record)
        job.fail(Refused(reason, named, code, Evidence(answer=answer)), error)
        return record
    with suppress(KlingError):  # the job is `unknown` in any case
        record = await context.balance_watch.look(record)
    job.fail(state_of(record), error_of(record))
    context.balance_watch.watch(job, record, SAMPLE_TIMES_S[1:])
    return record
