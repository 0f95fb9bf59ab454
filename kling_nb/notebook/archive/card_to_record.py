"""Convert the metadata of a saved card to the ledger row of its job.

Pure: metadata, its notebook and its clip in, a row out; the caller knows which files and rows
exist. Metadata may be old, broken or forged: missing values are not guessed, and if a task may
have been paid for, the row says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from kling_nb.core.errors import InvalidInput
from kling_nb.core.job_state import ClipFacts, Stage
from kling_nb.display.cards.metadata import CardMetadata, bare_fingerprint, unproven_fingerprint
from kling_nb.media.unwrapping import describe
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_line
from kling_nb.models.request_inputs import fingerprints, media_of, with_media
from kling_nb.models.spec import ModelSpec, most_credits, validate
from kling_nb.storage import JobRecord

__all__ = ["CardEvidence", "ended_without", "fault_of", "proves", "row_of", "weight_of"]

KEPT_FOR: Final = timedelta(days=14)
"""How long the service keeps results. Source: D, L (section 6), 2026-10."""

_PLAIN: Final = {
    "failed": Stage.FAILED,
    "refused": Stage.REFUSED,
    "discarded": Stage.DISCARDED,
    "unknown": Stage.UNKNOWN,
    "vanished": Stage.VANISHED,
    "expired": Stage.EXPIRED,
}
"""States that are a stage by themselves."""
_NO_CLIP: Final = frozenset({"failed", "refused", "discarded"})
_BEFORE: Final = frozenset({"preparing", "uploading", "sending"})
_WITH_TASK: Final = frozenset({"waiting", "outofsight", "downloading", "detached", "saved"})
_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class CardEvidence:
    """A record and the notebook that it stands in."""

    receipt: CardMetadata
    prompt: str
    """As the card shows it."""
    notebook: str
    """The notebook's name, as the ledger has it."""
    saved_at: datetime
    """When the notebook was saved: the job is at least as old."""


def fault_of(receipt: CardMetadata) -> str:
    """Why no row can be made of a record, in words; empty where one can."""
    if not _ID.fullmatch(receipt.id):
        return f"{receipt.id!r} is no id of a job"
    if receipt.state not in _PLAIN.keys() | _BEFORE | _WITH_TASK:
        return f"job {receipt.id}: {receipt.state!r} is no state of a job"
    if not receipt.fingerprint or not receipt.service:
        return f"job {receipt.id}: its card does not say which request it answers"
    return ""


def ended_without(receipt: CardMetadata) -> bool:
    """Whether the job surely has no clip."""
    return receipt.state in _NO_CLIP


def weight_of(receipt: CardMetadata) -> int:
    """How much a record tells of the same job beside another one; the heaviest is believed."""
    match receipt.state:
        case "saved":
            return 5 if receipt.embed == "whole" else 4
        case "failed" | "refused":
            return 3
        case "discarded":
            return 1
        case state:
            return 0 if state in _BEFORE else 2


def proves(witness: CardEvidence, hash_of: Callable[[str], str]) -> bool:
    """Return whether the fingerprint of a record matches the request in its cell.

    Args:
        witness: The record; one without a fault.
        hash_of: Gives the SHA-256 of a file that a cell names, empty where there is none. What is
            given as a URL or a variable cannot be hashed here.
    """
    receipt = witness.receipt
    found = _stated(receipt)
    if found is None:
        return False
    spec, values = found
    media = {
        path: [(hash_of(str(each)),) for each in place.given]
        for path, place in media_of(spec, values).items()
    }
    if not all(sha256 for hashes in media.values() for (sha256,) in hashes):
        return False
    take, given = max(receipt.take, 1), _values(receipt)
    names = fingerprints(spec, values, media, service=receipt.service, take=take, given=given)
    return bare_fingerprint(receipt.fingerprint) in names


def row_of(
    witness: CardEvidence, clip: ClipFacts | None, now: datetime, *, is_proven: bool = True
) -> JobRecord:
    """The row of a job, in the stage that the record and the clip justify.

    Args:
        witness: The record; one without a fault.
        clip: The clip's file, where there is one.
        now: Decides whether the service still keeps the result.
        is_proven: Whether the job answers the request that the record names. Otherwise it has
            another name, and answers none.
    """
    receipt = witness.receipt
    created = _time(receipt.created_at)
    finished = _time(receipt.finished_at)
    at = min(created or witness.saved_at, now)
    stage = _stage(receipt, clip, (finished or at) + KEPT_FOR > now)
    values, cell = _request(witness)
    bare = bare_fingerprint(receipt.fingerprint)
    return JobRecord(
        fingerprint=bare if is_proven else unproven_fingerprint(bare),
        service=receipt.service,
        model=receipt.model,
        values=values,
        take=max(receipt.take, 1),
        price_credits=_capped(receipt.price_credits, receipt),
        cell=cell,
        notebook=witness.notebook,
        id=receipt.id,
        stage=stage,
        owner="",
        task_id=receipt.task_id,
        created_at=at,
        updated_at=now,
        sent_at=None,
        # How long it took is learnt only where both ends are known.
        accepted_at=at if created and (finished or stage is Stage.ACCEPTED) else None,
        finished_at=min(finished or witness.saved_at, now) if stage is Stage.SAVED else None,
        balance_before=None,
        balance_after=None,
        credits=_capped(receipt.credits, receipt),
        reason=_reason(witness, stage),
        code="",
        result_url="",
        clip=clip,
    )


def _stage(receipt: CardMetadata, clip: ClipFacts | None, is_kept: bool) -> Stage:
    if clip is not None:
        return Stage.SAVED
    if receipt.state in _PLAIN:
        return _PLAIN[receipt.state]
    if receipt.task_id:
        return Stage.ACCEPTED if is_kept else Stage.EXPIRED
    # Saved on screen before the end, its notebook cannot tell whether a task was made and paid.
    return Stage.EXPIRED if receipt.state == "saved" else Stage.UNKNOWN


def _reason(witness: CardEvidence, stage: Stage) -> str:
    saved = witness.saved_at.astimezone(UTC)
    source = f"recovered from {witness.notebook}, saved at {saved:%Y-%m-%d %H:%M} UTC"
    match stage:
        case Stage.UNKNOWN:
            return f"{source}: how it ended was not known then; the task may exist and may be paid"
        case Stage.EXPIRED:
            return f"{source}: the clip is not here, and results are kept for {KEPT_FOR.days} days"
        case _:
            return source


def _request(witness: CardEvidence) -> tuple[dict[str, object], str]:
    """The values of the request and its cell, as far as this version can read them."""
    found = _stated(witness.receipt)
    if found is None:
        return ({"prompt": witness.prompt} if witness.prompt else {}), ""
    return _with_names(*found), witness.receipt.cell


def _stated(receipt: CardMetadata) -> tuple[ModelSpec, dict[str, object]] | None:
    """Return the model and the values of the cell, or None if this version cannot read it."""
    try:
        cell = read_line(receipt.cell.partition("\n")[0].removeprefix("%%kling"))
        values = validate(cell.spec, _values(receipt))
    except InvalidInput:
        return None
    return (cell.spec, values) if CATALOGUE.get(receipt.model) is cell.spec else None


def _values(receipt: CardMetadata) -> dict[str, object]:
    """Return the values of the cell, before validation."""
    line, _, body = receipt.cell.partition("\n")
    return {**read_line(line.removeprefix("%%kling")).values, "prompt": body or None}


def _capped(amount: float | None, receipt: CardMetadata) -> float | None:
    """A recorded amount, at most what the price list says: a forged one would end every budget."""
    if amount is None:
        return None
    found = _stated(receipt)
    price = found[0].prices.credits(found[1], {}) if found else None
    if price is None:
        spec = CATALOGUE.get(receipt.model)
        price = max(map(most_credits, (spec,) if spec else CATALOGUE.values()))
    return min(amount, price)


def _with_names(spec: ModelSpec, values: dict[str, object]) -> dict[str, object]:
    """The values with media by their names, without the folder they lay in."""
    places = media_of(spec, values).items()
    names = {path: ", ".join(_name(str(each)) for each in found.given) for path, found in places}
    return with_media(spec, values, names)


def _name(text: str) -> str:
    return text if text.startswith(("http://", "https://")) else describe(text)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
