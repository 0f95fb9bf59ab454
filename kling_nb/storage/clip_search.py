"""Search the saved clips of a ledger: count those that match a filter, and read the newest.

Reads only the columns and rows that it needs: a folder may have tens of thousands of clips.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import PurePath

from .job_record import JobRecord, encode_time
from .jobs_table import PAGE_ROWS, JobsTable, read_pages

SAVED_CLIP = "stage = 'saved' AND clip IS NOT NULL"
"""The SQL condition of the index `clips`."""

_MATCHES = "(hidden <= ? AND starred >= ? AND ? IN ('', model))"
"""The SQL condition of a filter, without its words."""

# By default SQLite uses the index of the stages and reads every row: 60 ms instead of 7 ms for
# 50,000 clips.
_COUNTS = f"""
    SELECT model, sum(hidden <= ?), sum({_MATCHES}) FROM jobs INDEXED BY clips
    WHERE {SAVED_CLIP} GROUP BY model
"""

_NEWEST = f"""
    SELECT number FROM jobs INDEXED BY clips WHERE {SAVED_CLIP} AND {_MATCHES}
    ORDER BY number DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class ClipFilter:
    """A filter for the clips of a folder."""

    words: str = ""
    """Each must occur in title, prompt, model, file name, job id, or the word `emulated`."""
    model: str = ""
    """Name of the model; empty for all."""
    starred: bool = False
    """Only starred clips."""
    hidden: bool = False
    """Include hidden clips."""


@dataclass(frozen=True, slots=True)
class ClipPage:
    """The newest clips that match a filter, and the numbers of clips."""

    records: list[JobRecord]
    matching: int
    kept: int
    """Number of clips in the folder; hidden ones count only if the filter includes them."""
    models: list[str]
    """The models of all clips, sorted."""
    numbers: list[int] = field(default_factory=list, compare=False)
    """The row number of each record; a newer row has a higher one."""


class ClipSearch:
    """Searches the saved clips of one ledger. Safe in any thread.

    Every method raises `LedgerError` if the file cannot be used.

    Args:
        reading: Opens the table of jobs for one operation.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[JobsTable]]) -> None:
        self._reading = reading

    def find(self, wanted: ClipFilter, count: int) -> ClipPage:
        """Return the newest `count` clips that match a filter."""
        marks = int(wanted.hidden), int(wanted.starred), wanted.model
        with self._reading() as jobs:
            counts = jobs.connection.execute(_COUNTS, (int(wanted.hidden), *marks)).fetchall()
            matching = sum(number for _, _, number in counts)
            newest = jobs.connection.execute(_NEWEST, (*marks, min(count, matching))).fetchall()
        numbers = [number for (number,) in newest]
        if words := wanted.words.casefold().split():
            numbers = list(self._with_words(words, marks))
            matching = len(numbers)
        shown = numbers[:count]
        return ClipPage(
            records=self.records(shown),
            matching=matching,
            kept=sum(number for _, number, _ in counts),
            models=[model for model, _, _ in counts],
            numbers=shown,
        )

    def number_of(self, job_id: str) -> int:
        """Return the row number of a job; 0 if there is none."""
        with self._reading() as jobs:
            found = jobs.connection.execute("SELECT number FROM jobs WHERE id = ?", (job_id,))
            return int((found.fetchone() or (0,))[0])

    def numbers(
        self, wanted: ClipFilter, since: datetime | None = None, limit: int | None = None
    ) -> list[int]:
        """Return the row numbers of the clips that match a filter, newest first.

        Args:
            wanted: The filter.
            since: Only clips requested at that time or later; aware.
            limit: The maximum number; None returns all.
        """
        marks = int(wanted.hidden), int(wanted.starred), wanted.model
        words = wanted.words.casefold().split()
        count = -1 if limit is None else limit
        if words or since:
            return list(islice(self._with_words(words, marks, since), limit))
        with self._reading() as jobs:
            return [number for (number,) in jobs.connection.execute(_NEWEST, (*marks, count))]

    def records(self, numbers: Sequence[int]) -> list[JobRecord]:
        """Return the rows with these numbers that still exist, newest first."""
        found: list[JobRecord] = []
        for start in range(0, len(numbers), PAGE_ROWS):
            with self._reading() as jobs:
                found += jobs.numbered(numbers[start : start + PAGE_ROWS])
        return found

    def _with_words(
        self, words: list[str], marks: tuple[int, int, str], since: datetime | None = None
    ) -> Iterator[int]:
        """Yield the row numbers of the clips that contain all these words, newest first."""
        where = f"{SAVED_CLIP} AND {_MATCHES} AND created_at >= ?"
        columns = 'id, service, model, title, "values", clip'
        after = encode_time(since) if since else ""
        for row in read_pages(self._reading, columns, where, *marks, after):
            text = _text_of(row) if words else ""
            if all(word in text for word in words):
                yield row["number"]


def fits(record: JobRecord | None, wanted: ClipFilter) -> bool:
    """Return whether `ClipSearch.find` finds this record."""
    if record is None or not is_kept(record, wanted):
        return False
    if record.starred < wanted.starred or wanted.model not in ("", record.model):
        return False
    text = _text_of_record(record)
    return all(word in text for word in wanted.words.casefold().split())


def is_kept(record: JobRecord | None, wanted: ClipFilter) -> bool:
    """Return whether `ClipPage.kept` includes this record."""
    return record is not None and record.has_clip and record.hidden <= wanted.hidden


def _text_of(row: sqlite3.Row) -> str:
    """Return the searchable text of a row."""
    path = json.loads(row["clip"])["path"]
    values = json.loads(row["values"])
    return _text(row["title"], values, path, row["model"], row["service"], row["id"])


def _text_of_record(record: JobRecord) -> str:
    path = record.clip.path if record.clip else ""
    return _text(record.title, record.values, path, record.model, record.service, record.id)


def _text(
    title: str, values: Mapping[str, object], path: str, model: str, service: str, job_id: str
) -> str:
    """Return the searchable text of a clip."""
    mode = "emulated" if service == "emulator" else ""
    file = PurePath(path).name
    return f"{title} {values.get('prompt', '')} {model} {file} {job_id} {mode}".casefold()
