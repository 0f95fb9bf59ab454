"""Convert the metadata of a saved card to the ledger row of its job.

Pure: the caller knows which files and rows exist. Metadata may be old, broken or forged: missing
values are not guessed, and if a task may have been paid for, the row says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kling_nb.core.errors import InvalidInput
from kling_nb.core.job_state import RESULTS_KEPT, ClipFacts, Stage
from kling_nb.display.cards.metadata import CardMetadata, bare_fingerprint, unproven_fingerprint
from kling_nb.media.unwrapping import describe
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_line
from kling_nb.models.clip_request import fingerprints, media_of, with_media
from kling_nb.models.spec import ModelSpec, most_credits, validate
from kling_nb.storage.job_record import JobRecord

_ENDS: Final = frozenset({"failed", "refused", "discarded", "unknown", "vanished", "expired"})
"""The states that have a stage of the same name."""
_DELETED: Final = "deleted"
_WITHOUT_TASK: Final = frozenset({"preparing", "uploading", "sending"})
_WITH_TASK: Final = frozenset({"waiting", "outofsight", "downloading", "detached", "saved"})
_ID: Final = re.compile(r"[0-9a-f]{8}")
_UNKNOWN: Final[dict[str, Any]] = {
    "owner": "",
    "code": "",
    "result_url": "",
    "sent_at": None,
    "balance_before": None,
    "balance_after": None,
}
"""What no card contains."""


@dataclass(frozen=True, slots=True)
class CardEvidence:
    """A card in a saved notebook."""

    card: CardMetadata
    prompt: str
    """As the card shows it."""
    notebook: str
    """The notebook's name in the ledger."""
    saved_at: datetime
    """When the notebook was saved: the job is at least as old."""

    @property
    def request(self) -> tuple[ModelSpec, dict[str, object]] | None:
        """The model and the values of the cell, or None if this version cannot read it."""
        try:
            cell = read_line(self.card.cell.partition("\n")[0].removeprefix("%%kling"))
            values = validate(cell.spec, _unvalidated(self.card))
        except InvalidInput:
            return None
        return (cell.spec, values) if CATALOGUE.get(self.card.model) is cell.spec else None


def check_card(card: CardMetadata) -> str:
    """Return why a card cannot be converted, or an empty text if it can."""
    if not _ID.fullmatch(card.id):
        return f"{card.id!r} is not a job id"
    if card.state not in _ENDS | _WITHOUT_TASK | _WITH_TASK | {_DELETED}:
        return f"job {card.id}: {card.state!r} is not a job state"
    if not card.fingerprint or not card.service:
        return f"job {card.id}: its card does not identify a request"
    return ""


def has_no_clip(card: CardMetadata) -> bool:
    """Return whether the job certainly has no clip; a deleted one may be back in the folder."""
    return card.state in {"failed", "refused", "discarded"}


def precedence_of(card: CardMetadata) -> int:
    """Return the precedence of a card if several describe the same job; the highest wins."""
    match card.state:
        case "deleted":  # after it was saved; it must not come back by itself
            return 6
        case "saved":
            return 5 if card.embed == "whole" else 4
        case "failed" | "refused":
            return 3
        case "discarded":
            return 1
        case state:
            return 0 if state in _WITHOUT_TASK else 2


def is_proven(evidence: CardEvidence, hash_of: Callable[[str], str]) -> bool:
    """Return whether the fingerprint of a card matches the request in its cell.

    Args:
        evidence: A card that `check_card` accepts.
        hash_of: Returns the SHA-256 of a file that the cell names, or an empty text: URLs and
            variables cannot be hashed here.
    """
    card = evidence.card
    if evidence.request is None:
        return False
    spec, values = evidence.request
    media = {
        path: [(hash_of(str(each)),) for each in place.given]
        for path, place in media_of(spec, values).items()
    }
    if not all(sha256 for hashes in media.values() for (sha256,) in hashes):
        return False
    take, given = max(card.take, 1), _unvalidated(card)
    names = fingerprints(spec, values, media, service=card.service, take=take, given=given)
    return bare_fingerprint(card.fingerprint) in names


def row_of(
    evidence: CardEvidence, clip: ClipFacts | None, now: datetime, *, is_proven: bool = True
) -> JobRecord:
    """Return the row of a job, in the stage that its card and its clip prove.

    Args:
        evidence: A card that `check_card` accepts.
        clip: The clip's file, if it exists.
        now: Decides whether the service still keeps the result.
        is_proven: Whether the job answers the request of the card's fingerprint. If not, the row
            gets a fingerprint that no request has.
    """
    card = evidence.card
    created, finished = _time(card.created_at), _time(card.finished_at)
    at = min(created or evidence.saved_at, now)
    stage = _stage(card, clip, (finished or at) + RESULTS_KEPT > now)
    request, fingerprint = evidence.request, bare_fingerprint(card.fingerprint)
    values: dict[str, object] = {"prompt": evidence.prompt} if evidence.prompt else {}
    return JobRecord(
        **_UNKNOWN,
        **{name: getattr(card, name) for name in ("id", "service", "model", "task_id")},
        fingerprint=fingerprint if is_proven else unproven_fingerprint(fingerprint),
        values=_with_file_names(*request) if request else values,
        take=max(card.take, 1),
        price_credits=_capped(card.price_credits, evidence),
        credits=_capped(card.credits, evidence),
        cell=card.cell if request else "",
        notebook=evidence.notebook,
        stage=stage,
        created_at=at,
        updated_at=now,
        # Durations of earlier jobs predict the next one, so both ends must be known.
        accepted_at=at if created and (finished or stage is Stage.ACCEPTED) else None,
        finished_at=min(finished or evidence.saved_at, now) if stage is Stage.SAVED else None,
        reason=_reason(evidence, stage),
        clip=clip,
        title=card.title,
        deleted_at=evidence.saved_at if card.state == _DELETED and clip is None else None,
    )


def _stage(card: CardMetadata, clip: ClipFacts | None, is_kept: bool) -> Stage:
    if clip is not None:
        return Stage.SAVED
    if card.state == _DELETED:
        return Stage.EXPIRED
    if card.state in _ENDS:
        return Stage(card.state)
    if card.task_id:
        return Stage.ACCEPTED if is_kept else Stage.EXPIRED
    # A notebook that was saved before the end cannot show whether a task was made and paid for.
    return Stage.EXPIRED if card.state == "saved" else Stage.UNKNOWN


def _reason(evidence: CardEvidence, stage: Stage) -> str:
    saved = evidence.saved_at.astimezone(UTC)
    source = f"recovered from {evidence.notebook}, saved at {saved:%Y-%m-%d %H:%M} UTC"
    match stage:
        case Stage.UNKNOWN:
            return f"{source}, before the job ended; the task may exist and may be paid for"
        case Stage.EXPIRED if evidence.card.state != _DELETED:
            return f"{source}: no clip found, and results are kept for {RESULTS_KEPT.days} days"
        case _:
            return source


def _unvalidated(card: CardMetadata) -> dict[str, object]:
    """Return the values of the cell, before validation."""
    line, _, body = card.cell.partition("\n")
    return {**read_line(line.removeprefix("%%kling")).values, "prompt": body or None}


def _capped(amount: float | None, evidence: CardEvidence) -> float | None:
    """Return an amount, at most the list price: a forged amount would use up every budget."""
    if amount is None:
        return None
    request = evidence.request
    price = request[0].prices.credits(request[1], {}) if request else None
    if price is None:
        spec = CATALOGUE.get(evidence.card.model)
        price = max(map(most_credits, (spec,) if spec else CATALOGUE.values()))
    return min(amount, price)


def _with_file_names(spec: ModelSpec, values: dict[str, object]) -> dict[str, object]:
    """Return the values with the names of input files, without their folders."""
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
