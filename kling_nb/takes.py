"""Another take: the request of a row, made again for another result.

Decides what is asked for and under which number, and keeps what that needs: the pictures. Sends
nothing and notes nothing in the ledger; `roster` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

from .cells import read_line
from .errors import InvalidInput, LedgerError, MediaError
from .ledger import Row
from .models import CATALOGUE
from .negatives import Negative, is_kept, keep
from .preparation import Prepared, Wish, intent_of
from .specs import ModelSpec
from .states import BLOCKING, Stage
from .submission import Source

__all__ = [
    "check_retakeable",
    "has_pictures",
    "numbers",
    "retaken",
    "wish_of",
    "with_kept_pictures",
]

_UNCERTAIN = frozenset({Stage.UNKNOWN, Stage.VANISHED})
"""Stages whose task may be paid for, and may still become a clip."""


def wish_of(row: Row) -> Wish:
    """The request of a row as a person could state it, its pictures as `Negative`.

    Raises:
        LedgerError: What was asked for is not known.
    """
    spec = CATALOGUE.get(row.model)
    if spec is None or not row.values:
        raise LedgerError(
            f"job {row.id}: what was asked for is not known here (model {row.model!r}); "
            "write a new cell for it"
        )
    pictures = {p.name for p in spec.media}
    values = {name: value for name, value in row.values.items() if name not in pictures}
    for name, kept in row.sources.items():
        values[name] = kept[0] if len(kept) == 1 else list(kept)
    return Wish(spec, values, row.take, row.callback_url, _written(row, spec))


def check_retakeable(row: Row) -> None:
    """See that another take can be asked for and makes sense. Looks for the pictures' files.

    Raises:
        LedgerError: The job's task may exist and be paid for; that is settled first.
        MediaError: A picture of the request is not kept; says how it can be.
    """
    if row.stage in _UNCERTAIN:
        raise LedgerError(
            f"job {row.id} is {row.stage}: its task may exist and may be paid. Settle that first, "
            f"by `%kling adopt TASK_ID`, `%kling resume {row.id}` or `%kling forget {row.id}`; "
            f"`--take {row.take + 1}` in its cell pays for another all the same"
        )
    for name, kept in _pictures(row).items():
        if not kept or not all(is_kept(each) or each.url for each in kept):
            again = "again, for 0 credits" if row.stage in BLOCKING else "again"
            raise MediaError(
                f"the {name} of job {row.id}, {row.values[name]}, is not kept in this folder. Run "
                f"its cell {again}: the {name} is kept from then on"
            )


def has_pictures(row: Row) -> bool:
    """Whether every picture of the request is kept."""
    return all(kept and all(map(is_kept, kept)) for kept in _pictures(row).values())


def with_kept_pictures(prepared: Prepared, folder: Path) -> Prepared:
    """The same request, its pictures written into the folder of clips where they can be."""

    def negative_of(source: Source) -> Negative:
        picture = source.picture
        path = keep(folder, picture.content, picture.mime_type)
        return Negative(picture.source_sha256, picture.name, picture.mime_type, path, source.origin)

    kept = {name: tuple(map(negative_of, given)) for name, given in prepared.request.media.items()}
    return replace(prepared, intent=replace(prepared.intent, sources=kept))


def retaken(prepared: Prepared, wish: Wish, take: int) -> Prepared:
    """The same request with another number, as a cell with `--take N` makes it."""
    intent = intent_of(replace(wish, take=take), prepared.request, prepared.intent.service)
    return replace(prepared, intent=replace(intent, sources=prepared.intent.sources))


def numbers(
    row: Row, answered: Iterable[tuple[int, str]], name_of: Callable[[int], str]
) -> Iterator[int]:
    """The takes to try, best first.

    A request that came to nothing is tried again under its own number, as its cell would be. All
    else is the one after the last take of the same request.

    Args:
        row: Whose request it is.
        answered: Take and fingerprint of the requests that are answered already.
        name_of: The fingerprint of this request as another take.
    """
    ours = {take for take, name in set(answered) if name == name_of(take)}
    if row.stage not in BLOCKING:
        yield row.take
    yield from count(max({row.take, *ours}) + 1)


def _pictures(row: Row) -> Mapping[str, tuple[Negative, ...]]:
    """What is kept for each picture that was given."""
    spec = CATALOGUE.get(row.model)
    given = [p.name for p in spec.media if p.name in row.values] if spec else []
    return {name: tuple(row.sources.get(name, ())) for name in given}


def _written(row: Row, spec: ModelSpec) -> dict[str, str]:
    """How the pictures are written in the row's cell."""
    try:
        line = row.cell.partition("\n")[0].removeprefix("%%kling")
        values = read_line(line).values
    except InvalidInput:  # of another version: its options may have changed
        return {}
    return {p.name: str(values[p.name]) for p in spec.media if p.name in values}
