"""Records of jobs, for tests of what is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kling_nb.core.job_state import NEXT_STAGES, Stage
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger

__all__ = ["advance_to", "record_of"]


def record_of(
    job_id: str,
    model: str,
    prompt: str,
    created_at: datetime,
    *,
    emulated: bool = False,
    **more: Any,
) -> JobRecord:
    """The record of a job that was just reserved."""
    return JobRecord(
        more.pop("fingerprint", ""),
        "emulator" if emulated else "live",
        model,
        {"prompt": prompt, **more.pop("values", {})},
        more.pop("take", 1),
        more.pop("price_credits", None),
        id=job_id,
        created_at=created_at,
        updated_at=created_at,
        **more,
    )


def advance_to(ledger: Ledger, row: JobRecord, stage: Stage) -> JobRecord:
    """Move a row to a stage by the shortest way."""
    ways: dict[Stage, tuple[Stage, ...]] = {row.stage: ()}
    while stage not in ways:
        ways |= {
            after: (*way, after)
            for before, way in ways.items()
            for after in NEXT_STAGES[before]
            if after not in ways
        }
    for step in ways[stage]:
        row = ledger.advance(row.id, step)
    return row
