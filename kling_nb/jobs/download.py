"""Download a finished clip: fetch it to a temporary file beside its path, verify it, rename it.

The caller decides when a clip is finished, and what to do if a download fails.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from kling_nb.core.errors import LedgerError, MediaError
from kling_nb.core.files import write_new
from kling_nb.core.job_state import ClipFacts, Downloading
from kling_nb.media import clips
from kling_nb.storage import JobRecord

from .background_loop import in_thread
from .context import Context
from .job import Job
from .job_from_record import further_path

__all__ = ["clip_path", "fetch_clip", "stray_clips"]

CLIP_NAME = re.compile(r"\d{8}-\d{6}-([0-9a-f]+)(?:-\d{1,2})?\.mp4")
"""How the files are named that are made here: when the job was begun, its id, and the place of a
further clip in its result."""


def stray_clips(folder: Path, known: Collection[str]) -> list[str]:
    """The names of clips in a folder that were made here, and whose jobs nobody knows any more.

    Args:
        folder: Of clips; it need not exist.
        known: The ids of the jobs that the folder's ledger has.
    """
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError:
        return []
    made = ((name, CLIP_NAME.fullmatch(name)) for name in names)
    return [name for name, parts in made if parts and parts[1] not in known]


async def fetch_clip(
    context: Context, job: Job, row: JobRecord, url: str, *, accept_odd: bool, place: int = 0
) -> ClipFacts:
    """Fetch a clip of a job beside its place, verify it, give it its name.

    Args:
        context: What the job works with.
        job: Told how far it is.
        row: The job as it is noted.
        url: Where the service has the clip; empty where it names no file.
        accept_odd: Whether a clip of another length than asked for is kept all the same.
        place: The index of a further clip in the result; 0 for the job's own clip.

    Raises:
        MediaError: There is no clip, or what came is none, or not the one that was asked for.
        LedgerError: The disk does not take it.
        KlingError: It cannot be fetched.
    """
    if not url:
        raise MediaError("the service names no file of it")
    folder = context.ledger.folder
    target = clip_path(context, row, place)
    part = target.with_suffix(".part")

    def progress(received: int, total: int | None) -> None:
        job.enter(Downloading(row.task_id, received, total))

    try:
        await context.clips.download(url, part, progress)
        return await in_thread(_settle_file, part, target, _asked_s(row), accept_odd)
    except OSError as error:
        raise LedgerError(
            f"The clip of job {row.id} cannot be written to {folder}: {error.strerror}. Make "
            f"room, then `%kling resume {row.id}`: it costs nothing."
        ) from None
    finally:
        await in_thread(part.unlink, missing_ok=True)


def clip_path(context: Context, row: JobRecord, place: int = 0) -> Path:
    """Return the path of a clip of a job."""
    own = context.ledger.folder / f"{row.created_at:%Y%m%d-%H%M%S}-{row.id}.mp4"
    return further_path(own, place) if place else own


def _settle_file(part: Path, target: Path, asked_s: float | None, accept_odd: bool) -> ClipFacts:
    """Verify a fetched file and give it its name.

    A clip of another length than asked for was paid for all the same: after some tries it is
    kept as it is, since the card shows what was measured.
    """
    facts = clips.probe_clip(part)
    if asked_s is not None and not accept_odd:
        clips.check_clip(facts, asked_s)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    with contextlib.suppress(MediaError, OSError):  # a still can be made again at any time
        write_new(target.with_suffix(".jpg"), clips.poster(target))
    return replace(facts, path=str(target))


def _asked_s(row: JobRecord) -> float | None:
    try:
        return float(str(row.values.get("duration")))
    except ValueError:
        return None
