"""Convert a record of the ledger to the state, the error and the clip of its job.

Most are pure functions of the record; `others_of` and `is_on_disk` look for files.
"""

from __future__ import annotations

import re
from pathlib import Path

from kling_nb.core.charge_evidence import BalanceHistory, Evidence, TimedBalance
from kling_nb.core.errors import (
    ClipDeleted,
    ClipExpired,
    JobDetached,
    JobFailed,
    KlingError,
    MediaError,
    TaskFailed,
    TaskUnknown,
    TaskVanished,
)
from kling_nb.core.job_state import (
    Deleted,
    Detached,
    Discarded,
    Expired,
    Failed,
    JobState,
    Preparing,
    Refused,
    Saved,
    Sending,
    Stage,
    Unknown,
    Vanished,
    Waiting,
)
from kling_nb.core.money import format_price
from kling_nb.core.poll_schedule import PollSchedule
from kling_nb.kie.wire import named_ids
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord

from .clip import Clip, ClipController
from .clip_files import further_path

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def clip_of(record: JobRecord, controller: ClipController | None = None) -> Clip:
    """Return the clip of a `saved` record; without a controller it cannot be changed."""
    if record.clip is None or record.finished_at is None:
        raise ValueError(f"job {record.id} is {record.stage} and has no clip")
    return Clip(
        request=record,
        facts=record.clip,
        task_id=record.task_id,
        url=record.result_url,
        credits=record.credits,
        finished_at=record.finished_at,
        others=tuple(Path(each) for each in others_of(record)[0]),
        controller=controller,
    )


def others_of(record: JobRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of the further clips of a saved row, and the URLs of files not saved."""
    if record.clip is None:
        return (), ()
    paths, urls = [], []
    for place, url in enumerate(record.result_urls, start=1):
        path = further_path(Path(record.clip.path), place)
        if url != record.result_url and path.is_file():
            paths.append(str(path))
        elif url != record.result_url:
            urls.append(url)
    return tuple(paths), tuple(urls)


def is_on_disk(record: JobRecord) -> bool:
    """Return whether the clip's file exists and plays.

    A file that the user has edited since is kept: nothing is downloaded over it.
    """
    if record.clip is None or not (path := Path(record.clip.path)).is_file():
        return False
    if path.stat().st_size == record.clip.size_bytes:
        return True
    try:
        clips.probe_clip(path)
    except MediaError:
        return False
    return True


def evidence_of(record: JobRecord) -> Evidence:
    """Return the evidence for or against a charge.

    A record of a version without balance watches has at most one sample. Only ids that are one
    word, as `%kling adopt` takes them, are included.
    """
    watch = record.watch
    if watch is None and record.balance_after is not None:
        watch = BalanceHistory(record.updated_at, (TimedBalance(0.0, record.balance_after),))
    ids = _ids_in_answer(record) if record.stage is Stage.UNKNOWN else ()
    return Evidence(record.price_credits, record.balance_before, watch, record.answer, ids)


def state_of(
    record: JobRecord, schedule: PollSchedule | None = None, *, already: bool = True
) -> JobState:
    """Return the state of a job.

    Args:
        record: The job.
        schedule: The durations of such tasks, if known.
        already: Whether a saved clip existed before this run.
    """
    match record.stage:
        case Stage.INTENDED:
            return Preparing()
        case Stage.SENDING:
            return Sending()
        case Stage.ACCEPTED | Stage.SUCCEEDED:
            since = record.accepted_at or record.updated_at
            expected_s, late_s = (schedule.expected_s, schedule.late_s) if schedule else (0.0, 0.0)
            return Waiting(record.task_id, "waiting", since, expected_s, late_s)
        case Stage.SAVED:
            clip = clip_of(record)
            others = others_of(record)
            return Saved(
                record.task_id, clip.facts, record.credits, clip.finished_at, already, *others
            )
        case _:
            return _ended_state(record)


def error_of(record: JobRecord) -> KlingError:
    """Return the error of `job.result()` for a record that ended without a clip."""
    reason = record.reason.rstrip(".")
    match record.stage:
        case Stage.FAILED:
            code = f" ({record.code})" if record.code else ""
            return TaskFailed(f"The task failed: {record.reason}{code}", job_id=record.id)
        case Stage.UNKNOWN:
            how = "is unclear" if record.answer.strip() else "was lost"
            return TaskUnknown(
                f"The answer to job {record.id} {how}: {reason}. The task may exist and may "
                f"be paid for; nothing is sent again. {_adopt_text(record)}; "
                f"`%kling forget {record.id}` allows a new task.",
                job_id=record.id,
            )
        case Stage.VANISHED:
            return TaskVanished(
                f"The service gives no status for task {record.task_id} of job {record.id}: "
                f"{_vanished_reason(record).rstrip('.')}. `%kling resume {record.id}` polls it "
                f"again, `%kling forget {record.id}` allows a new task.",
                job_id=record.id,
            )
        case Stage.EXPIRED if record.is_deleted:
            return _deleted_error(record)
        case Stage.EXPIRED:
            return ClipExpired(
                f"The clip of job {record.id} is not available: {reason}. `%kling resume "
                f"{record.id}` tries again, `--take {record.take + 1}` pays for another.",
                job_id=record.id,
            )
        case Stage.REFUSED:
            return JobFailed(f"Job {record.id} was refused: {reason}.", job_id=record.id)
        case _:
            return JobDetached(
                f"Job {record.id} is {record.stage}: {record.reason}", job_id=record.id
            )


def _deleted_error(record: JobRecord) -> ClipDeleted:
    """Return the error of a deleted clip: when, and how to get it or another one."""
    deleted_at = record.deleted_at or record.updated_at
    another = "makes another"
    if not record.emulated:
        price = record.price_credits
        another = "pays for another" + ("" if price is None else f": {format_price(price)}")
    return ClipDeleted(
        f"You deleted the clip of job {record.id} on {deleted_at.astimezone():%Y-%m-%d}. "
        f"`%kling resume {record.id}` downloads it again for 0 credits while the service keeps "
        f"it, until about {record.kept_until.astimezone():%Y-%m-%d}; `--take {record.take + 1}` "
        f"{another}.",
        job_id=record.id,
    )


def _ids_in_answer(record: JobRecord) -> tuple[str, ...]:
    """Return the ids that the kept answer names, without the job's own."""
    named = named_ids(record.answer)
    return tuple(each for each in named if each != record.task_id and _WORD.fullmatch(each))


def _vanished_reason(record: JobRecord) -> str:
    """Return why the service gives no status for a task, with the other ids that it gave."""
    also = "".join(
        f"; the answer to the request also names task {each}: `%kling adopt {each}` adds it"
        for each in _ids_in_answer(record)
    )
    return record.reason.rstrip(".") + also if also else record.reason


def _adopt_text(record: JobRecord) -> str:
    """Return the command that adopts the task of a lost request, with its id if it is known."""
    ids = evidence_of(record).task_ids
    if not ids:
        return "`%kling adopt TASK_ID` downloads its clip if the service lists it"
    return " or ".join(f"`%kling adopt {each} {record.id}`" for each in ids) + (
        " downloads the clip of the task that the answer names"
    )


def _ended_state(record: JobRecord) -> JobState:
    match record.stage:
        case Stage.FAILED:
            return Failed(
                record.task_id, record.code, record.reason, record.credits, evidence_of(record)
            )
        case Stage.UNKNOWN:
            at = record.sent_at or record.updated_at
            return Unknown(at, record.reason, evidence_of(record))
        case Stage.VANISHED:
            return Vanished(record.task_id, _vanished_reason(record))
        case Stage.EXPIRED if record.deleted_at is not None:
            return Deleted(record.task_id, record.deleted_at, record.kept_until)
        case Stage.EXPIRED:
            return Expired(record.task_id, record.reason)
        case Stage.REFUSED:
            return Refused(record.reason, code=record.code, evidence=evidence_of(record))
        case Stage.DISCARDED | Stage.FORGOTTEN:
            return Discarded(record.reason)
        case _:
            return Detached(record.task_id)
