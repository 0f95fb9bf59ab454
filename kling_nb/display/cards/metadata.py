"""Card metadata: a small JSON record beside the HTML of each card, for programs.

Programs pack, slim and recover notebooks with it, without reading HTML. It contains ids, names,
hashes, prices, times and the cell that makes the same request, all of which are also in the card's
HTML; no key, and no path of a clip on the machine. Pure: must not depend on files or notebooks.
A notebook may come from a stranger, so reading checks the format of each value (not its truth): a
file is the bare name of a clip, a hash is a hash, a number fits into a ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePath
from typing import Any, Final, Literal

from kling_nb.core.job_state import JobState, Saved
from kling_nb.storage.job_record import JobRecord

CARD_MIME: Final = "application/vnd.kling-nb.card+json"
"""The MIME type of the metadata in a mimebundle."""

Embedded = Literal["", "whole", "preview", "poster"]
"""The form of the clip in the HTML; empty if there is no clip."""

_UNPROVEN: Final = "recovered:"

_VERSION: Final = 1
_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|[+-][0-9:]{4,9})"
_PLAIN: Final = r"[^\x00-\x1f\x7f\ud800-\udfff]{0,300}"
_FORMS: Final[Mapping[str, str]] = {
    "id": r"[0-9A-Za-z_-]{1,64}",
    "fingerprint": r"[0-9A-Za-z_:-]{0,128}",
    "service": r"live|emulator",
    "state": r"[a-z]+",
    # Our names are ASCII; a file system allows 255 bytes, including suffixes.
    "file": r"[0-9A-Za-z_-][0-9A-Za-z_ .-]{0,200}\.(?:mp4|webm)",
    "sha256": r"[0-9a-f]{64}",
    "embed": r"whole|preview|poster",
    "cell": r"%%kling[^\ud800-\udfff]{0,50000}",
    "created_at": _TIME,
    "finished_at": _TIME,
}
"""Pattern of each text, by default one line; a text that does not match is read as empty."""

_LARGEST: Final = 2**53
"""The largest number accepted: JSON and SQLite store larger ones inexactly."""


@dataclass(frozen=True, slots=True)
class CardMetadata:
    """One job, as its card in a notebook records it."""

    id: str
    fingerprint: str = ""
    model: str = ""
    service: str = ""
    """`live` or `emulator`."""
    task_id: str = ""
    state: str = ""
    """The `name` of the state, e.g. `saved`."""
    take: int = 1
    file: str = ""
    """The clip's name in the folder of clips."""
    sha256: str = ""
    """Hash of the clip's file."""
    size_bytes: int = 0
    embed: Embedded = ""
    cell: str = ""
    """The `%%kling` cell that makes the same request."""
    price_credits: float | None = None
    credits: float | None = None
    """Credits the service reported as consumed."""
    created_at: str = ""
    """Time of the request, in ISO format with its offset."""
    finished_at: str = ""
    """Time when the clip was finished, in the same format."""
    title: str = ""
    """The user's title of the clip."""


def unproven_fingerprint(fingerprint: str) -> str:
    """Return a placeholder for the fingerprint of a recovered job without proof.

    No request has such a fingerprint, so no request finds the job.
    """
    return _UNPROVEN + bare_fingerprint(fingerprint)


def bare_fingerprint(fingerprint: str) -> str:
    """Return a fingerprint without the placeholder's prefix, if it has one."""
    return fingerprint.removeprefix(_UNPROVEN)


def is_unproven(fingerprint: str) -> bool:
    """Whether a fingerprint is such a placeholder."""
    return fingerprint.startswith(_UNPROVEN)


def card_json(record: JobRecord, state: JobState, embedded: Embedded = "") -> dict[str, Any]:
    """Return the metadata of one job's card; `embedded` is the form of the clip in its HTML."""
    known: dict[str, Any] = {
        "id": record.id,
        "fingerprint": record.fingerprint,
        "model": record.model,
        "service": record.service,
        "task_id": getattr(state, "task_id", ""),
        "state": state.name,
        "take": record.take,
        "cell": record.cell,
        "price_credits": record.price_credits,
        "credits": getattr(state, "credits", None),
        "created_at": record.created_at.isoformat(),
        "title": record.title,
    }
    if isinstance(state, Saved):
        clip = state.clip
        known |= {
            "file": PurePath(clip.path).name,
            "sha256": clip.sha256,
            "size_bytes": clip.size_bytes,
            "embed": embedded,
            "finished_at": state.finished_at.isoformat(),
        }
    return _record([CardMetadata(**known)])


def join_cards(*values: object) -> dict[str, Any]:
    """Return the metadata of several cards in one output, in order."""
    return _record(card for value in values for card in read_card(value))


def read_card(value: object) -> tuple[CardMetadata, ...]:
    """Parse the metadata of an output, one item for each job; entries without an id are omitted.

    Unknown keys, e.g. of a later version, are ignored.
    """
    entries = value.get("cards") if isinstance(value, Mapping) else None
    if not isinstance(entries, list | tuple):
        return ()
    found = (_parse(entry) for entry in entries if isinstance(entry, Mapping))
    return tuple(card for card in found if card.id)


def _record(cards: Iterable[CardMetadata]) -> dict[str, Any]:
    return {"version": _VERSION, "cards": [asdict(card) for card in cards]}


def _parse(entry: Mapping[Any, object]) -> CardMetadata:
    known: dict[str, Any] = {"id": ""}
    for part in fields(CardMetadata):
        value: Any = entry.get(part.name)
        if isinstance(value, str) and part.type in {"str", "Embedded"}:
            form = _FORMS.get(part.name, _PLAIN)
            known[part.name] = value if re.fullmatch(form, value) else ""
        elif type(value) is int and part.type == "int" and 0 <= value <= _LARGEST:
            known[part.name] = value
        elif type(value) in {int, float} and part.type == "float | None":
            known[part.name] = float(value) if 0 <= value <= _LARGEST else None
    return CardMetadata(**known)
