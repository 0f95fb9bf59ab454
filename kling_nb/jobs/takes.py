"""Another take: build the request of a ledger row again, for another result.

Chooses the request and the number of the take, and stores its inputs: images, videos and audio.
Sends nothing and records no request in the ledger; `registry` does both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

from kling_nb.core.errors import InvalidInput, LedgerError, MediaError
from kling_nb.core.job_state import BLOCKING, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.media.input_store import is_kept, keep
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_line
from kling_nb.models.request_inputs import media_of, with_media
from kling_nb.models.spec import ModelSpec
from kling_nb.storage import JobRecord, Ledger

from .prepare import Prepared, Wish, intent_of
from .upload_inputs import InputSource

__all__ = [
    "check_retakeable",
    "has_sources",
    "keep_sources",
    "numbers",
    "retaken",
    "wish_of",
]

_log = logging.getLogger("kling_nb")

_UNCERTAIN = frozenset({Stage.UNKNOWN, Stage.VANISHED})
"""Stages whose task may be paid for, and may still become a clip."""


def wish_of(row: JobRecord) -> Wish:
    """The request of a row as a person could state it, its media as `StoredInput`.

    Raises:
        LedgerError: What was asked for is not known.
    """
    spec = CATALOGUE.get(row.model)
    if spec is None or not row.values:
        raise LedgerError(
            f"job {row.id}: what was asked for is not known here (model {row.model!r}); "
            "write a new cell for it"
        )
    kept = {path: given[0] if len(given) == 1 else given for path, given in row.sources.items()}
    values = with_media(spec, row.values, kept)
    return Wish(spec, values, row.take, row.callback_url, _written(row, spec))


def check_retakeable(row: JobRecord) -> None:
    """See that another take can be asked for and makes sense. Looks for the files of its media.

    Raises:
        LedgerError: The job's task may exist and be paid for; that is settled first. Or it was
            adopted, and is no cell's request.
        MediaError: A picture, a video or a sound of it is not kept; says how it can be.
    """
    if row.stage in _UNCERTAIN:
        raise LedgerError(
            f"job {row.id} is {row.stage}: its task may exist and may be paid. Settle that first, "
            f"by `%kling adopt TASK_ID`, `%kling resume {row.id}` or `%kling forget {row.id}`; "
            f"`--take {row.take + 1}` in its cell pays for another all the same"
        )
    if row.is_adopted:
        raise LedgerError(
            f"job {row.id} is a task that was adopted: no cell asks for it, and what it was made "
            "from is not known here. Write a new cell for another clip of it"
        )
    for name, (given, kept) in _media(row).items():
        if not kept or not all(is_kept(each) or each.url for each in kept):
            again = "again, for 0 credits" if row.stage in BLOCKING else "again"
            raise MediaError(
                f"the {name} of job {row.id}, {given}, is not kept in this folder. Run its cell "
                f"{again}: the {name} is kept from then on"
            )


def has_sources(row: JobRecord) -> bool:
    """Whether every picture, video and sound of the request is kept."""
    return all(kept and all(map(is_kept, kept)) for _, kept in _media(row).values())


def keep_sources(ledger: Ledger, job_id: str, prepared: Prepared) -> None:
    """Keep what a noted request is made from, unless it is kept, and note where.

    No request fails for want of a copy.
    """
    try:
        row = ledger.row(job_id)
        if not has_sources(row):
            ledger.note_sources(row.id, _kept_sources(prepared, ledger.folder))
    except Exception as error:
        _log.warning("job %s: another take will need the originals", job_id, exc_info=error)


def _kept_sources(prepared: Prepared, folder: Path) -> dict[str, tuple[StoredInput, ...]]:
    """All that a request is made from, kept in the folder of clips where it can be.

    A video or a sound of up to 100 MB is copied as a picture is, so that another take does not
    depend on a file that somebody may change; a clip of this folder is not, but referred to.
    """

    def negative_of(source: InputSource) -> StoredInput:
        given = source.attachment
        path = keep(folder, source.content, given.mime_type, given.sha256)
        return StoredInput(given.source_sha256, given.name, given.mime_type, path, source.origin)

    return {path: tuple(map(negative_of, given)) for path, given in prepared.request.media.items()}


def retaken(prepared: Prepared, wish: Wish, take: int) -> Prepared:
    """The same request with another number, as a cell with `--take N` makes it."""
    intent = intent_of(replace(wish, take=take), prepared.request, prepared.intent.service)
    return replace(prepared, intent=intent)


def numbers(
    row: JobRecord, answered: Iterable[tuple[int, str]], names_of: Callable[[int], Collection[str]]
) -> Iterator[int]:
    """The takes to try, best first.

    A request that came to nothing is tried again under its own number, as its cell would be. All
    else is the one after the last take of the same request.

    Args:
        row: Whose request it is.
        answered: Take and fingerprint of the requests that are answered already.
        names_of: The fingerprints of this request as another take.
    """
    known = set(answered)
    names = {take: frozenset(names_of(take)) for take in {take for take, _ in known}}
    ours = {take for take, name in known if name in names[take]}
    if row.stage not in BLOCKING:
        yield row.take
    yield from count(max({row.take, *ours}) + 1)


def _media(row: JobRecord) -> Mapping[str, tuple[str, tuple[StoredInput, ...]]]:
    """By each place where media were given, in words: what was given, and what is kept of it."""
    spec = CATALOGUE.get(row.model)
    if spec is None:
        return {}
    return {
        place.label: (str(place.given[0]), tuple(row.sources.get(path, ())))
        for path, place in media_of(spec, row.values).items()
    }


def _written(row: JobRecord, spec: ModelSpec) -> dict[str, object]:
    """How media and records are written in the row's cell."""
    try:
        line = row.cell.partition("\n")[0].removeprefix("%%kling")
        values = read_line(line).values
    except InvalidInput:  # of another version: its options may have changed
        return {}
    return {p.name: values[p.name] for p in spec.sources if p.name in values}
