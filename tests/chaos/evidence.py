"""Read the service's account and the ledgers, with one hash for each request.

The hash is made here from the model, the values and the content of the picture; it shares
nothing with the package's own fingerprint. Files are only read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from kling_nb.emulator import EmulatedAccount, Task
from tests.chaos.judge import Noted, Paid
from tests.chaos.plan import Run

__all__ = [
    "LEDGER",
    "check_ledger",
    "hash_of",
    "read_noted",
    "read_paid",
    "stage_at_death",
    "stage_of",
]

LEDGER = "ledger.sqlite3"
SENT = ("prompt", "duration", "sound", "aspect_ratio")
NEWEST = """SELECT stage FROM jobs WHERE json_extract("values", '$.prompt') = ?
    ORDER BY number DESC LIMIT 1"""
ALL = """SELECT id, model, "values", stage, task_id, clip FROM jobs ORDER BY number"""


def hash_request(model: str, values: Mapping[str, object], picture_sha256: str) -> str:
    """Hash a request: the values that are sent, and the image by its content."""
    kept = {name: values[name] for name in SENT if name in values}
    named = json.dumps([model, kept, picture_sha256], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()


def hash_of(run: Run, folder: Path) -> str:
    """Hash a planned request; `folder` has its image."""
    values = {"prompt": run.prompt, "duration": run.duration, "sound": run.sound}
    if not run.picture:
        values["aspect_ratio"] = "16:9"
    return hash_request(run.model, values, sha256_of(folder / run.picture))


def sha256_of(path: Path) -> str:
    """The hash of a file, empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_paid(account: EmulatedAccount) -> list[Paid]:
    """The tasks of an emulated account."""
    query = "SELECT path, sha256 FROM uploads"
    with account.database.reading() as connection:
        uploads = {str(path): str(sha256) for path, sha256 in connection.execute(query)}
    return [
        Paid(
            task_id=task.task_id,
            request=hash_request(task.model, task.input, picture_of(task, uploads)),
            state=task.state,
            credits=task.charged,
            clip_sha256=sha256_of(account.folder / "clips" / task.clip) if task.clip else "",
        )
        for task in account.tasks()
    ]


def picture_of(task: Task, uploads: Mapping[str, str]) -> str:
    """Return the hash of the upload behind a task's image URL."""
    urls = task.input.get("image_urls")
    if not isinstance(urls, list):
        return ""
    return uploads.get(urlsplit(str(urls[0])).path.lstrip("/"), "not uploaded")


def read_noted(folder: Path) -> list[Noted]:
    """The rows of the ledger in a working folder, oldest first."""
    clips = folder / "kling_clips"
    with closing(sqlite3.connect(clips / LEDGER)) as connection:
        return [
            Noted(
                job_id=job_id,
                request=request_noted(model, json.loads(values), folder),
                stage=stage,
                task_id=task_id,
                clip_sha256=sha256_of(clips / json.loads(clip)["path"]) if clip else "",
            )
            for job_id, model, values, stage, task_id, clip in connection.execute(ALL)
        ]


def request_noted(model: str, values: Mapping[str, object], folder: Path) -> str:
    """Hash the request of a row."""
    picture = values.get("image")
    return hash_request(model, values, sha256_of(folder / str(picture)) if picture else "")


def check_ledger(folder: Path) -> str:
    """Return the result of SQLite's checks of a ledger: `ok`, or the problems."""
    with closing(sqlite3.connect(folder / "kling_clips" / LEDGER)) as connection:
        said = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
        said += [f"dangling: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
    return "; ".join(line for line in said if line != "ok") or "ok"


def stage_of(folder: Path, prompt: str) -> str | None:
    """The newest stage of a request, empty without one; None while it cannot be read."""
    address = f"{(folder / 'kling_clips' / LEDGER).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as connection:
            found = connection.execute(NEWEST, (prompt,)).fetchone()
            return str(found[0]) if found else ""
    except sqlite3.Error:
        return None


def stage_at_death(folder: Path, prompt: str) -> str:
    """Return the stage on disk after a kernel was killed, as the next kernel finds it."""
    # In a copy: reading would undo a half-written change, and that is for the next kernel to do.
    with TemporaryDirectory() as aside:
        for name in (LEDGER, f"{LEDGER}-journal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(folder / "kling_clips" / name, aside)
        with closing(sqlite3.connect(Path(aside, LEDGER))) as connection:
            try:
                found = connection.execute(NEWEST, (prompt,)).fetchone()
            except sqlite3.OperationalError:  # no table yet
                return ""
        return str(found[0]) if found else ""
