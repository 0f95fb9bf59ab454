"""Download a finished clip: fetch it to a temporary file beside its path, verify it, rename it.

The caller decides when a clip is finished, and what to do if a download fails.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from kling_nb.core.errors import LedgerError, MediaError
from kling_nb.core.files import write_new
from kling_nb.core.job_state import ClipFacts, Downloading
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord

from .background_loop import in_thread
from .clip_files import clip_path, is_file_of
from .context import Context
from .job import Job


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
    target = await in_thread(clip_path, folder, record, place)
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
        unfinished = context.clips.unfinished
        for part in [each for each in unfinished if is_file_of(each, record.id)]:
            del unfinished[part]
            await in_thread(part.unlink, missing_ok=True)


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
