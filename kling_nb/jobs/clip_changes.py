"""Change saved clips: set a title, delete the files, and find files that the user has put back.

The ledger keeps the payment of a deleted clip, so that its request is not paid for again.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Final

from kling_nb.core.errors import InvalidInput, LedgerError, NoTrash
from kling_nb.core.job_state import Stage
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

from .clip_files import CLIP_SUFFIXES
from .job_from_record import is_on_disk, others_of

_TITLE_CHARS: Final = 120
_BREAKS: Final = frozenset({"Cc", "Zl", "Zp", "Cs"})
"""Unicode categories of control characters, line ends and broken characters."""


def check_title(title: str) -> str:
    """Return a title without spaces at its ends.

    Raises:
        InvalidInput: It is not one line of at most 120 characters.
    """
    allowed = f"allowed: one line of at most {_TITLE_CHARS} characters; '' removes the title"
    if not isinstance(title, str):
        raise InvalidInput.of("title", f"a {type(title).__name__}", allowed)
    text = title.strip()
    if any(unicodedata.category(each) in _BREAKS for each in text):
        raise InvalidInput.of("title", "several lines, or control characters", allowed)
    if len(text) > _TITLE_CHARS:
        raise InvalidInput.of("title", f"{len(text)} characters", allowed)
    return text


def delete_clip(ledger: Ledger, job_id: str, now: datetime, *, permanently: bool) -> JobRecord:
    """Delete the clips of a job, their posters and their previews, and record when.

    Links to the files, copies of them and saved notebooks are not changed. No effect if the clip
    is deleted already.

    Args:
        ledger: The ledger of the job.
        job_id: The id of the job, or its first characters.
        now: The current time.
        permanently: Delete the files instead of moving them to the system's trash.

    Raises:
        NoTrash: A file cannot be moved to the trash.
        LedgerError: The job has no saved clip, or its file cannot be deleted.
    """
    record = ledger.row(job_id)
    if record.is_deleted:
        return record
    if record.stage is not Stage.SAVED or record.clip is None:
        raise LedgerError(f"job {record.id} is {record.stage}; only a saved clip can be deleted")
    if not ledger.shares_file(record):
        for path in (record.clip.path, *others_of(record)[0]):
            _delete_files(ledger.folder, Path(path), permanently=permanently)
    reason = "you deleted the clip"
    return ledger.advance(record.id, Stage.EXPIRED, reason=reason, deleted_at=now)


def restore_clip(ledger: Ledger, record: JobRecord) -> JobRecord:
    """Return a deleted job as saved if its file is back, e.g. from the trash.

    Any other record is returned as it is.
    """
    if not record.is_deleted or ledger.shares_file(record) or not is_on_disk(record):
        return record
    ledger.advance(record.id, Stage.SUCCEEDED)
    return ledger.advance(record.id, Stage.SAVED, clip=record.clip, deleted_at=None)


def move_to_trash(path: Path) -> None:
    """Move a file to the system's trash.

    Raises:
        NoTrash: There is no trash for it; the file stays.
    """
    from send2trash import send2trash

    try:
        send2trash(path)
    except Exception as error:  # each platform has other errors
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoTrash(
            f"{path.name} cannot be moved to the trash ({reason}) and was not deleted. "
            "`clip.delete(permanently=True)` deletes it permanently."
        ) from None


def _delete_files(folder: Path, clip: Path, *, permanently: bool) -> None:
    """Delete a clip, its poster and its previews.

    Raises:
        NoTrash: A file cannot be moved to the trash.
        LedgerError: A file cannot be deleted, or the ledger names a file that is not a clip of its
            folder: a folder from a stranger must not delete other files.
    """
    is_ours = clip.parent.resolve() == folder.resolve() and clip.suffix in CLIP_SUFFIXES
    if not is_ours:
        raise LedgerError(f"{clip} is not a clip in {folder}; delete the file yourself")
    try:
        for path in (clip, clip.with_suffix(".jpg")):
            if path.is_symlink() or path.exists():
                path.unlink() if permanently else move_to_trash(path)
        clips.delete_previews(clip)
    except OSError as error:
        raise LedgerError(
            f"{clip.name} cannot be deleted: {error.strerror or error}. Close the programs that "
            "use it, then try again."
        ) from None
