"""`%kling folder`: show the disk use of the clip folder, and delete files that nothing needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from kling_nb.core.errors import InvalidInput
from kling_nb.core.formatting import format_bytes, format_count
from kling_nb.display.links import relative_path
from kling_nb.display.notice import show_notice, show_table
from kling_nb.jobs.disk_use import FileKind, FolderFile, delete_unneeded, measure_folder
from kling_nb.jobs.session import Session

_MOST_SHOWN = 50
_DELETES = "`%kling folder --tidy --yes` deletes these files. Clips are never deleted."


def show_folder(session: Session, *, tidy: bool, yes: bool) -> None:
    """Show the files of the clip folder by kind, or the unneeded files.

    Args:
        session: The session of the folder.
        tidy: List the unneeded files.
        yes: Delete them.

    Raises:
        InvalidInput: `yes` without `tidy`.
    """
    if yes and not tidy:
        value = "`--yes` without `--tidy`"
        raise InvalidInput.of("folder", value, "give `--tidy --yes` to delete unneeded files")
    files = measure_folder(session, datetime.now(UTC))
    unneeded = [file for file in files if file.is_unneeded]
    if yes:
        left = delete_unneeded(unneeded)
        lines = [f"{file.path} could not be deleted" for file in left]
        deleted = [file for file in unneeded if file not in left]
        show_notice("info", f"Deleted: {_count(deleted)}", lines)
    elif tidy:
        _show_unneeded(session, unneeded)
    else:
        _show_kinds(session, files, unneeded)


def _show_kinds(
    session: Session, files: Sequence[FolderFile], unneeded: Sequence[FolderFile]
) -> None:
    def row(name: str, of_kind: Sequence[FolderFile]) -> tuple[str, ...]:
        free = [file for file in of_kind if file.is_unneeded]
        return name, f"{len(of_kind):,}", _size(of_kind), _size(free) if free else ""

    by_kind = [(kind, [file for file in files if file.kind is kind]) for kind in FileKind]
    rows = [row(kind, found) for kind, found in by_kind if found]
    folder = session.settings.folder
    name = relative_path(folder) or str(folder)
    show_table(("files", "number", "size", "not needed"), [*rows, row("all", files)], name)
    if unneeded:
        show_notice(
            "info", f"{_count(unneeded)} not needed", ["`%kling folder --tidy` lists them."]
        )


def _show_unneeded(session: Session, unneeded: Sequence[FolderFile]) -> None:
    if not unneeded:
        show_notice("info", "Every file is needed, or was changed recently")
        return
    folder = session.ledger.folder
    rows = [
        (file.path.relative_to(folder).as_posix(), str(file.kind), format_bytes(file.size_bytes))
        for file in unneeded[:_MOST_SHOWN]
    ]
    show_table(("file", "kind", "size"), rows, "Unneeded files")
    more = len(unneeded) - len(rows)
    lines = [f"… and {more:,} more", _DELETES] if more else [_DELETES]
    show_notice("info", _count(unneeded), lines)


def _count(files: Sequence[FolderFile]) -> str:
    return f"{format_count(len(files), 'file')}, {_size(files)}"


def _size(files: Sequence[FolderFile]) -> str:
    return format_bytes(sum(file.size_bytes for file in files))
