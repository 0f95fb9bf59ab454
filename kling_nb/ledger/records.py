"""The values a ledger keeps, and their form as columns.

Pure: from values to columns and back. No file is opened here and no SQL is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ..states import ClipFacts, Stage

__all__ = [
    "Column",
    "Intent",
    "Row",
    "Spent",
    "encode_facts",
    "encode_intent",
    "encode_text",
    "encode_time",
    "parse_clip",
    "parse_row",
    "parse_time",
]

Column = str | bytes | int | float | None


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that may be paid for, as a person made it."""

    fingerprint: str
    """What makes two requests the same request; the service is part of it."""
    service: str
    """`live` or `emulator`."""
    model: str
    values: Mapping[str, object]
    """What a person gave, in JSON's types: prompt, duration, the picture's name; no bytes."""
    take: int
    price_credits: float | None
    thumbnail: bytes = field(default=b"", repr=False)
    callback_url: str = ""
    cell: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Intent):
    """One job: its intent and what has become of it. Times are aware, in UTC."""

    id: str
    """Eight lower-case hexadecimal digits."""
    stage: Stage
    owner: str
    """The session that answers for the job; empty when nobody follows it."""
    task_id: str
    """Empty until the service has accepted."""
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    finished_at: datetime | None
    """When the service was done, as far as we know."""
    balance_before: float | None
    balance_after: float | None
    credits: float | None
    """What the service reports as consumed."""
    reason: str
    """Why the job is in its stage, in words."""
    code: str
    """The service's code of a failure."""
    result_url: str
    clip: ClipFacts | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What one model of one service cost on one day (UTC)."""

    day: date
    model: str
    service: str
    jobs: int
    credits: float


TEXT = (str,)
NUMBER = (int, float, type(None))
TIME = (datetime,)
FACTS: Mapping[str, tuple[type, ...]] = {
    "task_id": TEXT,
    "sent_at": TIME,
    "accepted_at": TIME,
    "finished_at": TIME,
    "balance_before": NUMBER,
    "balance_after": NUMBER,
    "credits": NUMBER,
    "reason": TEXT,
    "code": TEXT,
    "result_url": TEXT,
    "clip": (ClipFacts,),
}
"""What may be learnt of a job after it was intended, and the types it comes in."""

TIMES = ("created_at", "updated_at", "sent_at", "accepted_at", "finished_at")


def encode_time(at: datetime) -> str:
    """Returns a text that sorts as the times do.

    Raises:
        ValueError: `at` has no time zone, so that its place in time is a guess.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; give an aware datetime")
    return at.astimezone(UTC).isoformat()


def parse_time(text: str | None) -> datetime | None:
    """Returns the time that `encode_time` wrote, None for a column that was never filled."""
    return None if text is None else datetime.fromisoformat(text)


def encode_text(text: str) -> str:
    """Returns the text with `?` for what UTF-8 does not have."""
    # JSON from a server may hold half a surrogate pair. SQLite refuses it, and a job must not
    # be lost for one broken character in an error message.
    return text.encode("utf-8", "replace").decode("utf-8")


def encode_clip(clip: ClipFacts, folder: Path) -> str:
    """Returns the facts as JSON, the path relative to `folder` where it lies below it."""
    path = Path(clip.path)
    for root in (folder, folder.resolve()):
        if path.is_relative_to(root):
            path = path.relative_to(root)
            break
    return json.dumps(asdict(replace(clip, path=path.as_posix())))


def parse_clip(text: str | None, folder: Path) -> ClipFacts | None:
    """Returns the facts with an absolute path, which follows the folder when it was moved."""
    if text is None:
        return None
    clip = ClipFacts(**json.loads(text))
    return replace(clip, path=str(folder / clip.path))


def encode_facts(facts: Mapping[str, object], folder: Path) -> dict[str, Column]:
    """Returns the columns for facts that were learnt of a job.

    Raises:
        TypeError: A fact that no row has, or one of the wrong type.
    """
    columns: dict[str, Column] = {}
    for name, value in facts.items():
        if name not in FACTS:
            raise TypeError(f"{name!r} is no fact of a job; allowed are {', '.join(FACTS)}")
        match value:
            case _ if not isinstance(value, FACTS[name]):
                allowed = " or ".join(kind.__name__ for kind in FACTS[name])
                raise TypeError(f"{name}: {value!r} is a {type(value).__name__}, not {allowed}")
            case datetime():
                columns[name] = encode_time(value)
            case ClipFacts():
                columns[name] = encode_clip(value, folder)
            case str():
                columns[name] = encode_text(value)
            case int() | float() | None:
                columns[name] = value
    return columns


def encode_intent(intent: Intent) -> dict[str, Column]:
    """Returns the columns of a request.

    Raises:
        TypeError: A value is not of JSON's types.
    """
    columns: dict[str, Column] = {}
    for part in fields(Intent):
        value = getattr(intent, part.name)
        columns[part.name] = encode_text(value) if isinstance(value, str) else value
    columns["values"] = json.dumps(dict(intent.values), allow_nan=False)
    return columns


def parse_row(columns: Mapping[str, Any], folder: Path) -> Row:
    """Returns the job that a record of the table `jobs` describes."""
    facts = {part.name: columns[part.name] for part in fields(Row)}
    facts |= {name: parse_time(columns[name]) for name in TIMES}
    facts["stage"] = Stage(columns["stage"])
    facts["values"] = json.loads(columns["values"])
    facts["clip"] = parse_clip(columns["clip"], folder)
    return Row(**facts)
