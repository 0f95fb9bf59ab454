"""Redraw the card of a saved notebook, with its whole clip embedded or with a poster.

A card in the ledger is rendered from the ledger; for a card of another folder only the player
changes. Handles one card at a time; the caller passes its notebook and the path of its clip.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kling_nb.core.errors import MediaError
from kling_nb.core.job_state import JobState, Saved
from kling_nb.display import html
from kling_nb.display.cards.metadata import CARD_MIME, CardMetadata, Embedded, read_card
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.jobs.job_from_record import state_of
from kling_nb.media import clips
from kling_nb.storage.job_record import JobRecord

from .clip_finder import with_clip


@dataclass(frozen=True, slots=True)
class RedrawnCard:
    """A card as it is written."""

    markup: str
    metadata: dict[str, Any]
    text: str = ""
    """Its plain text; empty if the old one stays."""
    embedded: Embedded = ""
    """The embedded amount of the clip; empty if the card did not change."""


def redraw_card(
    section: html.Section, card: CardMetadata, row: JobRecord | None, path: Path, *, whole: bool
) -> RedrawnCard | None:
    """Return a card with the clip or a poster embedded, or None if the file does not play.

    Args:
        section: The HTML of the card.
        card: Its metadata.
        row: Its row in the ledger, if it has one.
        path: The clip.
        whole: Embed the clip, or its preview if some browsers cannot play it; else a poster.
    """
    try:
        facts, state = _known(card, row, path) if row else _foreign(section, card, path)
    except MediaError:
        return None
    bundle = card_bundle(facts, state, "always" if whole else "never")
    (fresh,) = html.find_sections(bundle["text/html"])
    if not fresh.player:
        return None
    (drawn,) = read_card(bundle[CARD_MIME])
    if row:
        return RedrawnCard(fresh.markup, bundle[CARD_MIME], bundle["text/plain"], drawn.embed)
    kept = {"cards": [asdict(replace(card, embed=drawn.embed))]}
    return RedrawnCard(section.with_player(fresh.player), kept, embedded=drawn.embed)


def whole_clip(section: html.Section, clip: CardMetadata) -> bytes:
    """Return the embedded clip if it is the whole file; empty for a preview.

    Args:
        section: The HTML of the card.
        clip: Its metadata, by `with_clip`.
    """
    video = section.video
    if clip.sha256:
        return video if hashlib.sha256(video).hexdigest() == clip.sha256 else b""
    return video if len(video) == clip.size_bytes else b""


def _known(card: CardMetadata, row: JobRecord, path: Path) -> tuple[JobRecord, JobState]:
    """Return the facts and the state of a job in the ledger, with the clip that was found."""
    state = state_of(row, already=False)
    if not isinstance(state, Saved):
        raise MediaError(f"job {row.id} is {row.stage} and has no clip now")
    card = with_clip(card, row)
    clip = replace(state.clip, path=str(path), sha256=card.sha256, size_bytes=card.size_bytes)
    return row, replace(state, clip=clip)


def _foreign(section: html.Section, card: CardMetadata, path: Path) -> tuple[JobRecord, JobState]:
    """Return the facts of another folder's job that its player needs."""
    now = datetime.now(UTC)
    values = {"prompt": section.prompt}
    record = JobRecord("", "live", card.model, values, 1, None, id=card.id, created_at=now)
    return record, Saved(card.task_id, clips.probe_clip(path), None, now)
