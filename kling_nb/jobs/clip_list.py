"""A list of clips that reads them from the ledger when they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import overload

from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.formatting import format_count, shorten, table_text, to_one_line
from kling_nb.storage.clip_search import ClipSearch

from .clip import Clip, ClipController
from .job_from_record import clip_of

_PAGE_CLIPS = 50
_SHOWN_CLIPS = 20
"""Number of clips in the text of a list."""
_HEADERS = ("job", "made", "model", "seconds", "prompt")


class ClipList(Sequence[Clip]):
    """Saved clips, newest first.

    Knows only their places in the ledger: a folder may have tens of thousands of clips.

    Args:
        search: Reads the clips.
        controller: Returns what changes the clip of a job.
        numbers: Their row numbers, in the order of the list.
    """

    def __init__(
        self,
        search: ClipSearch,
        controller: Callable[[str], ClipController],
        numbers: Sequence[int],
    ) -> None:
        self._search, self._controller = search, controller
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Clip: ...
    @overload
    def __getitem__(self, place: slice) -> ClipList: ...
    def __getitem__(self, place: int | slice) -> Clip | ClipList:
        if isinstance(place, slice):
            return ClipList(self._search, self._controller, self._numbers[place])
        found = self._read([self._numbers[place]])
        if not found:
            raise LedgerError("this clip was deleted; `kling_nb.clips()` lists the others")
        return found[0]

    def __iter__(self) -> Iterator[Clip]:
        for start in range(0, len(self), _PAGE_CLIPS):
            yield from self._read(self._numbers[start : start + _PAGE_CLIPS])

    def __repr__(self) -> str:
        """Return a table of the newest clips."""
        title = format_count(len(self), "clip")
        if len(self) > _SHOWN_CLIPS:
            title = f"{title}, of which the first {_SHOWN_CLIPS}"
        rows = [_row_of(clip) for clip in self[:_SHOWN_CLIPS]]
        return f"{title}\n{table_text(_HEADERS, rows)}" if rows else title

    def _read(self, numbers: Sequence[int]) -> list[Clip]:
        """Return the clips of these rows that still exist, in the same order."""
        records = self._search.records(numbers)
        if list(numbers) == sorted(numbers):
            records.reverse()
        saved = (record for record in records if record.has_clip)
        return [clip_of(record, self._controller(record.id)) for record in saved]


def parse_since(since: object, now: datetime) -> datetime:
    """Return a time as an aware datetime; one without a zone is in the zone of this machine.

    Args:
        since: A datetime, a date, an ISO text, or a timedelta before `now`.
        now: The current time.

    Raises:
        InvalidInput: It is none of these.
    """
    try:
        given = datetime.fromisoformat(since) if isinstance(since, str) else since
        if isinstance(given, timedelta):
            return now - given
        if isinstance(given, date) and not isinstance(given, datetime):
            given = datetime.combine(given, time())
        if isinstance(given, datetime):
            return given if given.tzinfo else given.astimezone()
    except (ValueError, OverflowError, OSError):
        pass
    advice = "give a date such as '2026-11-29', a datetime, or a timedelta"
    raise InvalidInput.of("since", f"{shorten(since)} is not a time", advice)


def _row_of(clip: Clip) -> tuple[str, ...]:
    record = clip.request
    with_mode = f"{record.model} (emulated)" if record.emulated else record.model
    made = record.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    name = to_one_line(record.title or record.prompt, 32)
    return record.id, made, with_mode, f"{clip.duration_s:.1f}", name
