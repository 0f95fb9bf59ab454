"""Files of clips: choose their names, and find the files of a job.

A file is named once, when it is first downloaded; after that, the ledger has its path. Names of
earlier versions stay valid: `20261120-120000-1a2b3c4d.mp4`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from kling_nb.storage.job_record import JobRecord

CLIP_SUFFIXES = frozenset({".mp4", ".webm"})
"""Suffixes of clips."""

_MAX_WORDS_CHARS = 40
_APOSTROPHES = str.maketrans("", "", "'’ʼ")
_ARTICLES = frozenset({"a", "an", "the"})
_NAME = re.compile(r"[0-9]{8}(?:-[0-9a-z]+)*-([0-9a-f]{8})(?:-[0-9]{1,2})?\.(?:mp4|part|mp4\.part)")
"""Names of clips and of their unfinished downloads: date, words, job id, index in the result. In
names of earlier versions, the time of day is in the place of the words."""


def clip_name(record: JobRecord) -> str:
    """Return the name for the clip of a new job, e.g. `20261129-red-fox-shakes-d57859d5.mp4`.

    The local date, words of the prompt and the job's id, which makes the name unique. ASCII, at
    most 62 characters, and not a reserved name of Windows, since it begins with a digit.
    """
    date = f"{record.created_at.astimezone():%Y%m%d}"
    return "-".join(filter(None, (date, prompt_words(record.prompt), record.id))) + ".mp4"


def prompt_words(prompt: str) -> str:
    """Return the words of a prompt for a file name: `[a-z0-9-]`, at most 40 characters.

    Omits articles, accents, and words with letters of other scripts. The text ends with a whole
    word, unless the first word alone is longer.
    """
    # Letters such as U+1D4D0 have no lower case before they are normalized.
    folded = unicodedata.normalize("NFKD", prompt.translate(_APOSTROPHES)).casefold()
    plain = "".join(each for each in folded if not unicodedata.combining(each))
    words = [word for word in re.findall(r"[^\W_]+", plain) if word.isascii()]
    text = "-".join(word for word in words if word not in _ARTICLES)
    if len(text) <= _MAX_WORDS_CHARS:
        return text
    start = text[: _MAX_WORDS_CHARS + 1]
    return start.rpartition("-")[0] or start[:-1]


def clip_path(folder: Path, record: JobRecord, place: int = 0) -> Path:
    """Return the path of a clip of a job: its existing path, or one with a new name.

    Args:
        folder: The clip folder. Looks for files that an earlier kernel or version has downloaded
            without recording them.
        record: The job.
        place: Index of the clip in the result; 0 for the job's own clip.
    """
    own = _recorded_path(folder, record) or _found_path(folder, record.id)
    own = own or folder / clip_name(record)
    return further_path(own, place) if place else own


def further_path(clip: Path, place: int) -> Path:
    """Return the path of a further clip, by its index in the result, counted from 1."""
    return clip.with_stem(f"{clip.stem}-{place}")


def is_clip_name(name: str) -> bool:
    """Return whether a file has a name of a clip, or of its unfinished download."""
    return _NAME.fullmatch(name) is not None


def is_file_of(path: Path, job_id: str) -> bool:
    """Return whether a file is a clip of this job, or its unfinished download, by its name."""
    parts = _NAME.fullmatch(path.name)
    return parts is not None and parts[1] == job_id


def stray_clips(folder: Path, known: Collection[str]) -> list[str]:
    """Return the file names of clips in a folder that belong to no job of its ledger.

    Args:
        folder: The clip folder; it need not exist.
        known: The ids of the jobs in the folder's ledger.
    """
    try:
        names = sorted(each.name for each in folder.iterdir() if each.suffix == ".mp4")
    except OSError:
        return []
    # `recover` appends a hash to the name of a clip if a file has the name already.
    return [
        name
        for name in names
        if is_clip_name(name) and not any(part in known for part in Path(name).stem.split("-"))
    ]


def _recorded_path(folder: Path, record: JobRecord) -> Path | None:
    """Return the path in the record if it is a clip's in the folder: saved cards link this file.

    In a ledger from a stranger it may be another file, which a download must not replace.
    """
    path = Path(record.clip.path) if record.clip else None
    is_clip = path is not None and path.parent == folder and path.suffix in CLIP_SUFFIXES
    return path if is_clip else None


def _found_path(folder: Path, job_id: str) -> Path | None:
    """Return the path of a clip of the job that was downloaded but not recorded, or None."""
    found = (each for each in folder.glob(f"*-{job_id}.mp4") if is_file_of(each, job_id))
    return min(found, default=None)
