"""Convert a ledger row to the facts, the state and the clip of a job.

Pure functions of a row. They return exactly what is on disk.
"""

from __future__ import annotations

import re
from pathlib import Path

from kling_nb.core.charge_evidence import BalanceLook, Evidence, Watch
from kling_nb.core.errors import (
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
    Detached,
    Discarded,
    Expired,
    Failed,
    JobFacts,
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
from kling_nb.kie.wire import named_ids
from kling_nb.media import clips
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.spec import describe_named
from kling_nb.storage import JobRecord

from .job import Clip

__all__ = [
    "clip_of",
    "error_of",
    "evidence_of",
    "facts_of",
    "further_path",
    "is_on_disk",
    "others_of",
    "state_of",
]

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def facts_of(row: JobRecord) -> JobFacts:
    """What was asked for."""
    spec = CATALOGUE.get(row.model)
    return JobFacts(
        id=row.id,
        model=row.model,
        prompt=row.prompt,
        inputs=describe_named(spec, row.values) if spec else {},
        price_credits=row.price_credits,
        balance_credits=row.balance_before,
        created_at=row.created_at,
        emulated=row.service == "emulator",
        take=row.take,
        picture_name=str(row.values.get("image", "")),
        thumbnail=row.thumbnail,
        cell=row.cell,
        fingerprint=row.fingerprint,
        budget_credits=row.budget_before,
    )


def clip_of(row: JobRecord) -> Clip:
    """The clip of a `saved` row."""
    if row.clip is None or row.finished_at is None:
        raise ValueError(f"job {row.id} is {row.stage} and has no clip")
    return Clip(
        request=facts_of(row),
        facts=row.clip,
        task_id=row.task_id,
        url=row.result_url,
        credits=row.credits,
        finished_at=row.finished_at,
        others=tuple(Path(each) for each in others_of(row)[0]),
    )


def further_path(clip: Path, place: int) -> Path:
    """Return the path of a further clip, by its index in the result, counted from 1."""
    return clip.with_stem(f"{clip.stem}-{place}")


def others_of(row: JobRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of the further clips of a saved row, and the URLs of files not saved."""
    if row.clip is None:
        return (), ()
    paths, urls = [], []
    for place, url in enumerate(row.result_urls, start=1):
        path = further_path(Path(row.clip.path), place)
        if url != row.result_url and path.is_file():
            paths.append(str(path))
        elif url != row.result_url:
            urls.append(url)
    return tuple(paths), tuple(urls)


def is_on_disk(row: JobRecord) -> bool:
    """Whether the clip's file is there and plays.

    One that was edited since is a person's own now, and nothing is fetched over it.
    """
    if row.clip is None or not (path := Path(row.clip.path)).is_file():
        return False
    if path.stat().st_size == row.clip.size_bytes:
        return True
    try:
        clips.probe_clip(path)
    except MediaError:
        return False
    return True


def evidence_of(row: JobRecord) -> Evidence:
    """What speaks for or against the job having cost something.

    A row that was written before there were watches holds one look at most. Only ids that can be
    typed as one word of `%kling adopt` are offered.
    """
    watch = row.watch
    if watch is None and row.balance_after is not None:
        watch = Watch(row.updated_at, (BalanceLook(0.0, row.balance_after),))
    ids = _ids_in_answer(row) if row.stage is Stage.UNKNOWN else ()
    return Evidence(row.price_credits, row.balance_before, watch, row.answer, ids)


def state_of(row: JobRecord, expected_s: float = 0.0, *, already: bool = True) -> JobState:
    """Where the job stands.

    Args:
        row: The row.
        expected_s: How long such a task takes.
        already: Whether a saved clip was there before this run.
    """
    match row.stage:
        case Stage.INTENDED:
            return Preparing()
        case Stage.SENDING:
            return Sending()
        case Stage.ACCEPTED | Stage.SUCCEEDED:
            since = row.accepted_at or row.updated_at
            return Waiting(row.task_id, "waiting", since, expected_s)
        case Stage.SAVED:
            clip = clip_of(row)
            others = others_of(row)
            return Saved(row.task_id, clip.facts, row.credits, clip.finished_at, already, *others)
        case _:
            return _ended_state(row)


def error_of(row: JobRecord) -> KlingError:
    """What `job.result()` raises for a row that ended without a clip."""
    reason = row.reason.rstrip(".")
    match row.stage:
        case Stage.FAILED:
            code = f" ({row.code})" if row.code else ""
            return TaskFailed(f"The service failed: {row.reason}{code}", job_id=row.id)
        case Stage.UNKNOWN:
            how = "is unclear" if row.answer.strip() else "was lost"
            return TaskUnknown(
                f"The answer to job {row.id} {how}: {reason}. The task may exist and may "
                f"be paid; nothing is sent again. {_adopt_text(row)}, "
                f"`%kling forget {row.id}` to allow a new task.",
                job_id=row.id,
            )
        case Stage.VANISHED:
            return TaskVanished(
                f"The service gives no status for task {row.task_id} of job {row.id}: "
                f"{_vanished_reason(row).rstrip('.')}. `%kling "
                f"resume {row.id}` asks again, `%kling forget {row.id}` allows a new task.",
                job_id=row.id,
            )
        case Stage.EXPIRED:
            return ClipExpired(
                f"The clip of job {row.id} cannot be had: {reason}. `%kling resume {row.id}` "
                f"tries again, `--take {row.take + 1}` pays for another.",
                job_id=row.id,
            )
        case Stage.REFUSED:
            return JobFailed(f"Job {row.id} was refused: {reason}.", job_id=row.id)
        case _:
            return JobDetached(f"Job {row.id} is {row.stage}: {row.reason}", job_id=row.id)


def _ids_in_answer(row: JobRecord) -> tuple[str, ...]:
    """Return the ids that the kept answer names, without the job's own."""
    named = named_ids(row.answer)
    return tuple(each for each in named if each != row.task_id and _WORD.fullmatch(each))


def _vanished_reason(row: JobRecord) -> str:
    """Return why the service gives no status for a task, with the other ids that it gave."""
    also = "".join(
        f"; the answer to the request also names task {each}: `%kling adopt {each}` adds it"
        for each in _ids_in_answer(row)
    )
    return row.reason.rstrip(".") + also if also else row.reason


def _adopt_text(row: JobRecord) -> str:
    """Return the command that adopts the task of a lost request, with its id if it is known."""
    ids = evidence_of(row).task_ids
    if not ids:
        return "`%kling adopt TASK_ID` if the service lists it"
    return " or ".join(f"`%kling adopt {each} {row.id}`" for each in ids) + (
        " fetches the clip of the task that the answer names"
    )


def _ended_state(row: JobRecord) -> JobState:
    match row.stage:
        case Stage.FAILED:
            return Failed(row.task_id, row.code, row.reason, row.credits, evidence_of(row))
        case Stage.UNKNOWN:
            at = row.sent_at or row.updated_at
            return Unknown(at, row.reason, evidence_of(row))
        case Stage.VANISHED:
            return Vanished(row.task_id, _vanished_reason(row))
        case Stage.EXPIRED:
            return Expired(row.task_id, row.reason)
        case Stage.REFUSED:
            return Refused(row.reason, code=row.code, evidence=evidence_of(row))
        case Stage.DISCARDED | Stage.FORGOTTEN:
            return Discarded(row.reason)
        case _:
            return Detached(row.task_id)
