"""Measure the files of a clip folder, and find unneeded ones.

Clips, posters and the ledger are always needed. A file that was changed within the last hour may be
in use.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kling_nb.core.job_state import FOLLOWED
from kling_nb.media.clips import PREVIEW_FOLDER, preview_path
from kling_nb.media.input_store import INPUT_FOLDER

from .clip_files import CLIP_SUFFIXES, is_clip_name, is_file_of, stray_clips

if TYPE_CHECKING:
    from .session import Session

_IN_USE: Final = timedelta(hours=1)
_INPUT_AGE: Final = timedelta(days=14)
"""A cell that was copied from the panel and has not run yet may name a stored input."""
_OWN_NAMES: Final = {
    INPUT_FOLDER: re.compile(r"[0-9a-f]{64}\.[0-9a-z]+(?:\.part)?"),
    PREVIEW_FOLDER: re.compile(r".+-[0-9a-f]{12}\.(?:mp4|[0-9a-f]{8}\.part)"),
}
"""Names that this package gives to the files of a folder, also unfinished ones. A user may put
other files there."""
_LEDGER_NAMES: Final = frozenset({"ledger.sqlite3", "ledger.sqlite3-journal", "owners", "sending"})


class FileKind(StrEnum):
    """Kinds of files in a clip folder."""

    CLIP = "clips and posters"
    INPUT = "stored inputs"
    PREVIEW = "previews"
    PART = "unfinished files"
    EMULATOR = "emulator"
    LEDGER = "ledger"
    OTHER = "other files"


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file in a clip folder."""

    path: Path
    kind: FileKind
    size_bytes: int
    is_unneeded: bool = False


def measure_folder(session: Session, now: datetime) -> list[FolderFile]:
    """Return the files of a session's clip folder, sorted by path.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    return sorted(_FolderCheck(session, now).files(), key=lambda file: file.path)


def delete_unneeded(files: Sequence[FolderFile]) -> list[FolderFile]:
    """Delete the files that nothing needs; return those that could not be deleted."""
    left = []
    for file in files:
        try:
            if file.is_unneeded:
                file.path.unlink(missing_ok=True)
        except OSError:
            left.append(file)
    return left


class _FolderCheck:
    """Decides what the files of one folder are, and which of them nothing needs."""

    def __init__(self, session: Session, now: datetime) -> None:
        ledger, self._now = session.ledger, now
        self._folder = folder = ledger.folder
        saved = ledger.clips(include_hidden=True)
        self._clips = {Path(row.clip.path) for row in saved if row.clip}
        self._running = [row.id for row in ledger.rows(*FOLLOWED, limit=-1)]
        # Without its ledger, or with an old copy of it, a folder needs all its inputs.
        is_complete = not stray_clips(folder, ledger.ids())
        self._inputs = ledger.input_names() if is_complete else None
        self._previews = set(_current_previews(folder))
        self._emulated = _emulated_clips(session, now)

    def files(self) -> Iterator[FolderFile]:
        """Yield each file of the folder; links are not followed."""
        for parent, _, names in os.walk(self._folder):
            for path in (Path(parent, name) for name in names):
                try:
                    found = path.lstat()
                except OSError:
                    continue  # deleted meanwhile
                kind = self._kind_of(path)
                age = timedelta(seconds=self._now.timestamp() - found.st_mtime)
                may_go = stat.S_ISREG(found.st_mode) and age > _IN_USE
                is_unneeded = may_go and self._is_unneeded(path, kind, age)
                yield FolderFile(path, kind, found.st_size, is_unneeded)

    def _kind_of(self, path: Path) -> FileKind:
        top, *inside = path.relative_to(self._folder).parts
        if top == "emulator":
            return FileKind.EMULATOR
        if top in _LEDGER_NAMES:
            return FileKind.LEDGER
        if inside:
            names = _OWN_NAMES.get(top)
            if len(inside) > 1 or names is None or not names.fullmatch(path.name):
                return FileKind.OTHER
            if path.suffix == ".part":
                return FileKind.PART
            return FileKind.INPUT if top == INPUT_FOLDER else FileKind.PREVIEW
        if path.suffix == ".part":
            return FileKind.PART if is_clip_name(path.name) else FileKind.OTHER
        clip = path.with_suffix(".mp4") if path.suffix == ".jpg" else path
        is_clip = clip in self._clips or is_clip_name(clip.name)
        return FileKind.CLIP if is_clip else FileKind.OTHER

    def _is_unneeded(self, path: Path, kind: FileKind, age: timedelta) -> bool:
        """Return whether nothing needs a file that has not changed for an hour."""
        match kind:
            case FileKind.PART:  # only the kernel that wrote it can continue it
                return not any(is_file_of(path, job_id) for job_id in self._running)
            case FileKind.PREVIEW:
                return path not in self._previews
            case FileKind.INPUT if self._inputs is not None:
                return age > _INPUT_AGE and path.name not in self._inputs
            case FileKind.EMULATOR if self._emulated is not None:
                is_clip = path.parent == self._folder / "emulator" / "clips"
                return is_clip and path.name not in self._emulated
            case _:
                return False


def _current_previews(folder: Path) -> Iterator[Path]:
    """Yield the paths that the previews of the clips in a folder have now."""
    for clip in folder.iterdir() if folder.is_dir() else ():
        if clip.suffix in CLIP_SUFFIXES and clip.is_file():
            yield preview_path(clip)


def _emulated_clips(session: Session, now: datetime) -> Collection[str] | None:
    """Return the names of the clips that the emulator still serves; None if they are unknown."""
    if session.emulator is None:
        return None
    account = session.emulator.account
    oldest, tasks = now.timestamp() - account.limits.clip_life_s, account.tasks()
    if any(task.ended_at is None for task in tasks):
        return None  # it may be about to use an existing file again
    return {task.clip for task in tasks if (task.ended_at or 0) >= oldest}
