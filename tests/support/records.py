"""Records of jobs, for tests of what is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kling_nb.storage.job_record import JobRecord

__all__ = ["record_of"]


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
