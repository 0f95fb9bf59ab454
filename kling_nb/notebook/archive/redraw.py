"""Redraw the card of a saved notebook, with its whole clip embedded or with a poster.

A card in the ledger is rendered from the ledger; for a card of another folder only the player
changes. Handles one card at a time; the caller passes its notebook and the path of its clip.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kling_nb.core.errors import MediaError
from kling_nb.core.job_state import JobFacts, JobState, Saved
from kling_nb.display import html
from kling_nb.display.cards import card_bundle
from kling_nb.display.cards.metadata import CARD_MIME, CardMetadata, Embedded, read_card
from kling_nb.jobs.job_from_record import facts_of, state_of
from kling_nb.media import clips
from kling_nb.storage import JobRecord

from .clip_finder import sha256_of, size_of

__all__ = ["Amount", "Replica", "draw_replica", "same_card", "whole_clip"]

Amount = Literal["whole", "poster"]


@dataclass(frozen=True, slots=True)
class Replica:
    """A card as it is written."""

    markup: str
    record: dict[str, Any]
    text: str = ""
    """Its text twin; empty where the old one stays."""
    embedded: Embedded = ""
    """The embedded amount of the clip; empty if the card did not change."""


def same_card(section: html.Section, receipt: CardMetadata) -> Replica:
    """The card as it was."""
    return Replica(section.markup, {"cards": [asdict(receipt)]})


def draw_replica(
    section: html.Section, receipt: CardMetadata, row: JobRecord | None, path: Path, amount: Amount
) -> Replica | None:
    """A card with the file inside, or as a poster; None where the file does not play.

    Args:
        section: The card as it was.
        receipt: Its record.
        row: What the ledger knows of it, if anything.
        path: The clip.
        amount: How much of the clip goes in. In place of a whole clip that not every browser
            plays, its preview does.
    """
    try:
        facts, state = _known(receipt, row, path) if row else _foreign(section, receipt, path)
    except MediaError:
        return None
    bundle = card_bundle(facts, state, "always" if amount == "whole" else "never")
    (fresh,) = html.find_sections(bundle["text/html"])
    if not fresh.player:
        return None
    (drawn,) = read_card(bundle[CARD_MIME])
    if row:
        return Replica(fresh.markup, bundle[CARD_MIME], bundle["text/plain"], drawn.embed)
    kept = asdict(replace(receipt, embed=drawn.embed))
    return Replica(section.with_player(fresh.player), {"cards": [kept]}, embedded=drawn.embed)


def whole_clip(section: html.Section, receipt: CardMetadata, row: JobRecord | None) -> bytes:
    """The clip that is embedded, if it is the whole file; empty for a preview."""
    video, sha256 = section.video, sha256_of(receipt, row)
    if sha256:
        return video if hashlib.sha256(video).hexdigest() == sha256 else b""
    return video if len(video) == size_of(receipt, row) else b""


def _known(receipt: CardMetadata, row: JobRecord, path: Path) -> tuple[JobFacts, JobState]:
    """A job of the ledger, with its clip as and where it was found."""
    state = state_of(row, already=False)
    if not isinstance(state, Saved):
        raise MediaError(f"job {row.id} is {row.stage} and has no clip now")
    sha256, size_bytes = sha256_of(receipt, row), size_of(receipt, row)
    clip = replace(state.clip, path=str(path), sha256=sha256, size_bytes=size_bytes)
    return facts_of(row), replace(state, clip=clip)


def _foreign(section: html.Section, receipt: CardMetadata, path: Path) -> tuple[JobFacts, JobState]:
    """As much of another folder's job as its player needs."""
    now = datetime.now(UTC)
    facts = JobFacts(receipt.id, receipt.model, section.prompt, {}, None, None, now, emulated=False)
    return facts, Saved(receipt.task_id, clips.probe_clip(path), None, now)
