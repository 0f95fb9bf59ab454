"""Check the folder of clips: its ledger, the jobs in it and their clips, without changes or locks.

Each finding is about one of them. If the ledger cannot be read, jobs and clips are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.formatting import format_bytes, format_count
from kling_nb.core.job_state import FOLLOWED, SUBMITTING, Stage
from kling_nb.display.html import Finding
from kling_nb.jobs.clip_files import stray_clips
from kling_nb.jobs.job_from_record import is_on_disk
from kling_nb.storage.inspect import find_damage, read_records
from kling_nb.storage.job_record import JobRecord

LEDGER = "ledger.sqlite3"


def check_contents(folder: Path) -> list[Finding]:
    """Check the ledger, the jobs and the clips of a folder; wait a few seconds for a lock."""
    if not (folder / LEDGER).exists():
        return [_check_completeness(folder, [])]
    try:
        damage = find_damage(folder)
        rows = read_records(folder, *Stage)
    except LedgerError as error:
        fix = "Fix the ledger first; until then nothing is sent."
        return [
            Finding("Ledger", "bad", str(error), fix),
            Finding("Jobs", "warn", "unknown: the ledger cannot be read", 'Fix "Ledger" above.'),
        ]
    if damage:
        fix = (
            "Restore a copy of `ledger.sqlite3`, or move it away; the new ledger will have no "
            "record of earlier payments."
        )
        ledger = Finding("Ledger", "bad", f"damaged: {damage[0]}", fix)
    else:
        ledger = _check_completeness(folder, rows)
    return [ledger, _check_jobs(rows), _check_clips(rows)]


def _check_completeness(folder: Path, rows: Sequence[JobRecord]) -> Finding:
    """Check that the ledger has a job for each clip in the folder."""
    strays = len(stray_clips(folder, {row.id for row in rows}))
    if not strays:
        message = "intact" if rows else "none yet; created with the first clip"
        return Finding("Ledger", "ok", message)
    clips = f"{format_count(strays, 'clip')} in this folder"
    message = f"no job for {clips}" if (folder / LEDGER).exists() else f"missing, but {clips}"
    # An old copy would replace a ledger that has jobs.
    restore = "" if rows else "Restore `ledger.sqlite3`, or: "
    fix = (
        f"{restore}`%kling recover NOTEBOOK.ipynb` recovers them from the notebooks that show "
        "them, for 0 credits. Until then, their cells are refused if your user account has a "
        "record of the payment; if not, they are paid for again."
    )
    return Finding("Ledger", "warn", message, fix)


def _check_jobs(rows: Sequence[JobRecord]) -> Finding:
    """Count the jobs in progress, and name those whose outcome is unknown."""
    running = sum(row.stage in SUBMITTING | FOLLOWED for row in rows)
    unknown = [row.id for row in rows if row.stage is Stage.UNKNOWN]
    message = f"{running} in progress"
    if not unknown:
        fix = "`%kling jobs` lists them; `%kling resume` resumes those that no kernel polls."
        return Finding("Jobs", "ok", message, fix if running else "")
    fix = f"`%kling show {unknown[0]}` shows what is known, and the commands that resolve it."
    return Finding("Jobs", "warn", f"{message}, {_named(unknown, 'unknown')}", fix)


def _check_clips(rows: Sequence[JobRecord]) -> Finding:
    """Check each saved clip's file by its size and its first and last frames."""
    saved = [(row, row.clip) for row in rows if row.stage is Stage.SAVED and row.clip]
    if not saved:
        return Finding("Clips", "ok", "none yet")
    size = format_bytes(sum(clip.size_bytes for _, clip in saved))
    message = f"{format_count(len(saved), 'clip')}, {size}"
    lost = {row.id: Path(clip.path).is_file() for row, clip in saved if not is_on_disk(row)}
    if not lost:
        return Finding("Clips", "ok", f"{message}, all intact")
    missing = [job_id for job_id, is_file in lost.items() if not is_file]
    damaged = [job_id for job_id, is_file in lost.items() if is_file]
    parts = [_named(missing, "missing"), _named(damaged, "damaged")]
    fix = (
        f"`%kling show {next(iter(lost))}`, or running its cell again, downloads it while the "
        "service keeps it: 0 credits."
    )
    return Finding("Clips", "warn", ", ".join([message, *filter(None, parts)]), fix)


def _named(ids: Sequence[str], state: str) -> str:
    """Return `2 unknown (ID, ID)` with at most 5 ids; empty if there are none."""
    more = ", …" if len(ids) > 5 else ""
    return f"{len(ids)} {state} ({', '.join(ids[:5])}{more})" if ids else ""
