"""Download a finished clip: fetch it to a temporary file beside its path, verify it, rename it.

The caller decides when a clip is finished, and what to do if a download fails.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from kling_nb.core.errors import LedgerError, MediaError
from kling_nb.core.files import write_new
from kling_nb.core.job_state import ClipFacts, Downloading
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord

from .background_loop import in_thread
from .context import Context
from .job import Job
from .job_from_record import further_path

_CLIP_NAME = re.compile(r"\d{8}-\d{6}-([0-9a-f]+)(?:-\d{1,2})?\.mp4")
"""File names of clips: the job's start, its id, and the place of a further clip in its result."""


def stray_clips(folder: Path, known: Collection[str]) -> list[str]:
    """Return the file names of clips in a folder that belong to no job of its ledger.

    Args:
        folder: The clip folder; it need not exist.
        known: The ids of the jobs in the folder's ledger.
    """
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError:
        return []
    made = ((name, _CLIP_NAME.fullmatch(name)) for name in names)
    return [name for name, parts in made if parts and parts[1] not in known]


async def fetch_clip(
    context: Context, job: Job, record: JobRecord, url: str, *, accept_odd: bool, place: int = 0
) -> ClipFacts:
    """Download a clip to a temporary file beside its path, verify it and rename it.

    If the connection breaks, the temporary file remains, and the next call downloads only the
    rest. `no_parts_left` deletes it at the end.

    Args:
        context: The parts of the session.
        job: Gets the progress.
        record: The job's record.
        url: URL of the clip; empty if the service did not give one.
        accept_odd: Whether to keep a clip of another duration than requested.
        place: Index of the clip in the result; 0 for the job's own clip.

    Raises:
        MediaError: There is no file, it is not a clip, or it is not the requested clip.
        LedgerError: The file cannot be written to disk.
        KlingError: The clip cannot be downloaded.
    """
    if not url:
        raise MediaError("the service returned no URL for it")
    folder = context.ledger.folder
    target = clip_path(context, record, place)
    part = target.with_suffix(".part")

    def progress(received: int, total: int | None) -> None:
        job.enter(Downloading(record.task_id, received, total))

    try:
        received = await context.clips.download(url, part, progress)
        async with context.verifying:
            return await in_thread(
                _settle_file, part, target, received.sha256, _asked_s(record), accept_odd
            )
    except OSError as error:
        raise LedgerError(
            f"The clip of job {record.id} cannot be written to {folder}: {error.strerror}. Free "
            f"some space, then run `%kling resume {record.id}`: 0 credits."
        ) from None
    finally:
        if part not in context.clips.unfinished:
            await in_thread(part.unlink, missing_ok=True)


@asynccontextmanager
async def no_parts_left(context: Context, record: JobRecord) -> AsyncIterator[None]:
    """Delete the unfinished downloads of a job at the end of the block."""
    try:
        yield
    finally:
        stem, unfinished = clip_path(context, record).stem, context.clips.unfinished
        for part in [each for each in unfinished if each.stem.startswith(stem)]:
            del unfinished[part]
            await in_thread(part.unlink, missing_ok=True)


def clip_path(context: Context, record: JobRecord, place: int = 0) -> Path:
    """Return the path of a clip of a job."""
    own = context.ledger.folder / f"{record.created_at:%Y%m%d-%H%M%S}-{record.id}.mp4"
    return further_path(own, place) if place else own


def _settle_file(
    part: Path, target: Path, sha256: str, asked_s: float | None, accept_odd: bool
) -> ClipFacts:
    """Verify a downloaded file and rename it.

    A clip of another duration than requested is paid nevertheless: after some attempts it is kept,
    since the card shows what was measured.
    """
    facts = clips.probe_clip(part, sha256)
    if asked_s is not None and not accept_odd:
        clips.check_clip(facts, asked_s)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    with contextlib.suppress(MediaError, OSError):  # a poster can be created again at any time
        write_new(target.with_suffix(".jpg"), clips.poster(target))
    return replace(facts, path=str(target))


def _asked_s(record: JobRecord) -> float | None:
    try:
        return float(str(record.values.get("duration")))
    except ValueError:
        return None
