"""Check the folder of clips: its ledger, the jobs in it and their clips, without changes or locks.

Each finding is about one of them. If the ledger cannot be read, jobs and clips are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.formatting import byte_words, counted
from kling_nb.core.job_state import FOLLOWED, SUBMITTING, Stage
from kling_nb.display.html import Finding
from kling_nb.jobs.download import stray_clips
from kling_nb.jobs.job_from_record import is_on_disk
from kling_nb.storage import JobRecord, look_up
from kling_nb.storage.inspect import inspect

__all__ = ["check_contents"]

LEDGER = "ledger.sqlite3"
NAMED = 5
"""So many jobs are named at most."""


def check_contents(folder: Path) -> list[Finding]:
    """Look at the ledger, the jobs and the clips of a folder; waits a few seconds for a lock."""
    if not (folder / LEDGER).exists():
        return [judge_knowledge(folder, [])]
    try:
        damage = inspect(folder)
        rows = look_up(folder, *Stage)
    except LedgerError as error:
        return [
            Finding("Ledger", "bad", str(error), "Do as it says before anything is sent."),
            Finding("Jobs", "warn", "not known: the ledger cannot be read", "See Ledger above."),
        ]
    if damage:
        fix = (
            "Put a copy of `ledger.sqlite3` back, or move it away: a new ledger begins then, which "
            "does not know what was paid before."
        )
        ledger = Finding("Ledger", "bad", f"damaged: {damage[0]}", fix)
    else:
        ledger = judge_knowledge(folder, rows)
    return [ledger, judge_jobs(rows), judge_clips(rows)]


def judge_knowledge(folder: Path, rows: Sequence[JobRecord]) -> Finding:
    """Whether the ledger knows the clips that lie beside it, or some were made before it."""
    strays = len(stray_clips(folder, {row.id for row in rows}))
    if not strays:
        return Finding("Ledger", "ok", "intact" if rows else "none yet: made with the first clip")
    here = f"{counted(strays, 'clip')} lie{'s' * (strays == 1)} here"
    is_there = (folder / LEDGER).exists()
    said = f"{here} that it does not know" if is_there else f"there is none, and {here}"
    # An old ledger in the place of one that has jobs would forget these.
    back = "" if rows else "Put `ledger.sqlite3` back, or: "
    fix = (
        f"{back}`%kling recover NOTEBOOK.ipynb` notes them again from the notebooks that show "
        "them, for 0 credits. Until then, their cells are refused if your user account has a "
        "record of the payment; if not, they are paid for again."
    )
    return Finding("Ledger", "warn", said, fix)


def judge_jobs(rows: Sequence[JobRecord]) -> Finding:
    """What is under way, and what has an end that nobody knows."""
    under_way = sum(row.stage in SUBMITTING | FOLLOWED for row in rows)
    unknown = [row.id for row in rows if row.stage is Stage.UNKNOWN]
    said = f"{under_way} under way"
    if not unknown:
        fix = "`%kling jobs` lists them; `%kling resume` follows those that nobody follows."
        return Finding("Jobs", "ok", said, fix if under_way else "")
    fix = f"`%kling show {unknown[0]}` tells what is known of it, and the two ways on."
    return Finding("Jobs", "warn", f"{said}, {len(unknown)} unknown ({listed(unknown)})", fix)


def judge_clips(rows: Sequence[JobRecord]) -> Finding:
    """Whether what is saved is there and whole, as far as size and first and last pictures tell."""
    saved = [row for row in rows if row.stage is Stage.SAVED and row.clip]
    sizes = sum(row.clip.size_bytes for row in saved if row.clip)
    said = f"{counted(len(saved), 'clip')}, {byte_words(sizes)}" if saved else "none yet"
    lost = [row for row in saved if not is_on_disk(row)]
    missing = [row.id for row in lost if row.clip and not Path(row.clip.path).is_file()]
    damaged = [row.id for row in lost if row.id not in missing]
    if not lost:
        return Finding("Clips", "ok", f"{said}, all there" if saved else said)
    words = {"not there": missing, "damaged": damaged}
    parts = [f"{len(ids)} {word} ({listed(ids)})" for word, ids in words.items() if ids]
    fix = (
        f"`%kling show {lost[0].id}`, or its cell once more, fetches it again while the service "
        "keeps it: 0 credits."
    )
    return Finding("Clips", "warn", ", ".join([said, *parts]), fix)


def listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")
