"""Another take: build the request of a ledger row again, for another result.

Chooses the request and the number of the take, and stores its inputs: images, videos and audio.
Sends nothing and records no request in the ledger; `registry` does both.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from kling_nb.core.errors import InvalidInput, LedgerError, MediaError
from kling_nb.core.job_state import BLOCKING, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.media.input_store import is_stored, store_input
from kling_nb.media.inputs import InputSource
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_line
from kling_nb.models.clip_request import ClipRequest, media_of, with_media
from kling_nb.models.spec import ModelSpec
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

from .prepare import PreparedRequest

_log = logging.getLogger("kling_nb")

_UNCERTAIN = frozenset({Stage.UNKNOWN, Stage.VANISHED})
"""Stages whose task may be paid for, and may still become a clip."""


def request_of(record: JobRecord) -> ClipRequest:
    """Return the request of a record, its media as `StoredInput`.

    Raises:
        LedgerError: The request is not known here.
    """
    spec = CATALOGUE.get(record.model)
    if spec is None or not record.values:
        raise LedgerError(
            f"job {record.id}: its request is not known (model {record.model!r}); write a new "
            "cell for it"
        )
    stored = {path: each[0] if len(each) == 1 else each for path, each in record.sources.items()}
    values = with_media(spec, record.values, stored)
    written = _written(record, spec)
    return ClipRequest(spec, values, record.take, record.callback_url, written, record.panel)


def check_repeatable(record: JobRecord) -> None:
    """Check that another take can be made and makes sense. Looks for the files of its media.

    Raises:
        LedgerError: The job's task may exist and be paid, which has to be decided first. Or the
            task was adopted and is not the request of a cell.
        MediaError: One of its inputs is not stored; says what to do.
    """
    if record.stage in _UNCERTAIN:
        raise LedgerError(
            f"job {record.id} is {record.stage}: its task may exist and may be paid for. Resolve "
            f"that first with `%kling adopt TASK_ID`, `%kling resume {record.id}` or "
            f"`%kling forget {record.id}`; "
            f"`--take {record.take + 1}` in its cell pays for another one anyway"
        )
    if record.is_adopted:
        raise LedgerError(
            f"job {record.id} was adopted: its prompt and its inputs are not known. Write a new "
            "cell for another clip"
        )
    for name, (value, stored) in _media(record).items():
        if not stored or not all(is_stored(each) or each.url for each in stored):
            again = "again, for 0 credits" if record.stage in BLOCKING else "again"
            raise MediaError(
                f"the {name} of job {record.id}, {value}, is not stored in this folder. Run its "
                f"cell {again}; that stores the {name}"
            )


def has_inputs(record: JobRecord) -> bool:
    """Return whether every input of the request is stored."""
    return all(stored and all(map(is_stored, stored)) for _, stored in _media(record).values())


def store_inputs(ledger: Ledger, job_id: str, request: PreparedRequest) -> None:
    """Store the inputs of a recorded request, unless they are stored, and record where.

    A request never fails because a copy could not be stored.
    """
    try:
        record = ledger.row(job_id)
        if not has_inputs(record):
            ledger.save_sources(record.id, _store(request, ledger.folder))
    except Exception as error:
        _log.warning("job %s: another take will need the originals", job_id, exc_info=error)


def _store(request: PreparedRequest, folder: Path) -> dict[str, tuple[StoredInput, ...]]:
    """Store all inputs of a request in the clip folder where possible.

    A video or an audio file of up to 100 MB is copied as an image is, so that another take does
    not depend on a file that may change. A clip of this folder is referred to and not copied.
    """

    def stored(source: InputSource) -> StoredInput:
        media = source.attachment
        path = store_input(folder, source.content, media.mime_type, media.sha256)
        return StoredInput(media.source_sha256, media.name, media.mime_type, path, source.origin)

    return {path: tuple(map(stored, sources)) for path, sources in request.media.items()}


def candidate_takes(record: JobRecord, last_take: int) -> Iterator[int]:
    """Yield the takes to try, the best first.

    A request that failed, was refused or discarded is tried again as the same take, as its cell
    would be. Otherwise the first candidate follows the last take of the same request.

    Args:
        record: A job of the request.
        last_take: The highest take of the request that already has a job; 0 if none has.
    """
    if record.stage not in BLOCKING:
        yield record.take
    yield from count(max(record.take, last_take) + 1)


def _media(record: JobRecord) -> Mapping[str, tuple[str, tuple[StoredInput, ...]]]:
    """Return, by the description of each place for media, its first value and what is stored."""
    spec = CATALOGUE.get(record.model)
    if spec is None:
        return {}
    return {
        place.label: (str(place.given[0]), tuple(record.sources.get(path, ())))
        for path, place in media_of(spec, record.values).items()
    }


def _written(record: JobRecord, spec: ModelSpec) -> dict[str, object]:
    """Return how the cell of a job writes its media and records."""
    try:
        line = record.cell.partition("\n")[0].removeprefix("%%kling")
        values = read_line(line).values
    except InvalidInput:  # from another version, which may have other options
        return {}
    return {p.name: values[p.name] for p in spec.sources if p.name in values}
