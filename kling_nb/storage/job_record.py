"""The values in a ledger, and their conversion to columns.

Pure: from values to columns and back. Opens no file and contains no SQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kling_nb.core.charge_evidence import Watch, encode_watch, parse_watch
from kling_nb.core.job_state import ClipFacts, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.models.spec import words_of

__all__ = [
    "Column",
    "Intent",
    "JobRecord",
    "adopted_name",
    "encode_facts",
    "encode_intent",
    "encode_row",
    "encode_sources",
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
    """What a person gave, in JSON's types: prompt, duration, the names of its media; no bytes."""
    take: int
    price_credits: float | None
    thumbnail: bytes = field(default=b"", repr=False)
    callback_url: str = ""
    cell: str = ""
    sources: Mapping[str, Sequence[StoredInput]] = field(default_factory=dict)
    """What is kept of the media, by the path of `request_inputs.media_of`; empty in older rows."""
    notebook: str = ""
    """Which notebook asks, by its path from the folder's parent; empty where that is not known."""
    earlier_fingerprints: tuple[str, ...] = ()
    """Fingerprints of the same request in earlier versions; only looked up, never written."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Return all fingerprints of the request, the current one first."""
        return (self.fingerprint, *self.earlier_fingerprints)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord(Intent):
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
    starred: bool = False
    """A person likes the clip."""
    hidden: bool = False
    """A person does not want to see the clip among the others."""
    budget_before: float | None = None
    """What the tightest budget had left before this request; None where none was set."""
    nonce: str = ""
    """The one-time value in the callback's URL as it was sent; empty without a callback."""
    answer: str = field(default="", repr=False)
    """The raw answer by which the job failed, was refused or was lost; cut where it is long."""
    watch: Watch | None = None
    """What was seen of the balance after it was lost, or failed without a word on its cost."""
    balance_at: datetime | None = None
    """When `balance_before` was read; None in rows that were written before this was noted."""
    result_urls: tuple[str, ...] = ()
    """Every URL of the result, in the service's order; empty in rows that were written before
    this was noted. `result_url` is the one that is the clip, or the first until that is known."""

    @property
    def is_adopted(self) -> bool:
        """Whether nothing but its task makes it what it is: it is the request of no cell."""
        return self.fingerprint == adopted_name(self.task_id)

    @property
    def prompt(self) -> str:
        """What the request says: its prompt, or without one those of its shots."""
        return words_of(self.values)


TEXT = (str,)
NUMBER = (int, float, type(None))
TIME = (datetime,)
FACTS: Mapping[str, tuple[type, ...]] = {
    "task_id": TEXT,
    "sent_at": TIME,
    "accepted_at": TIME,
    "finished_at": TIME,
    "balance_before": NUMBER,
    "balance_at": TIME,
    "balance_after": NUMBER,
    "credits": NUMBER,
    "reason": TEXT,
    "code": TEXT,
    "result_url": TEXT,
    "result_urls": (tuple,),
    "clip": (ClipFacts,),
    "nonce": TEXT,
    "answer": TEXT,
    "watch": (Watch, type(None)),
}
"""What may be learnt of a job after it was intended, and the types it comes in."""

MARKS = ("starred", "hidden")

TIMES = ("created_at", "updated_at", "sent_at", "accepted_at", "finished_at", "balance_at")


def adopted_name(task_id: str) -> str:
    """Returns what stands for a fingerprint where only the task is known."""
    return f"adopted {task_id}"


def column_names(kind: type[Intent]) -> list[str]:
    """Returns the columns of the table `jobs` that a dataclass has as fields."""
    return [part.name for part in fields(kind) if part.name != "earlier_fingerprints"]


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


def relative(path: str, folder: Path) -> str:
    """Returns a path as it is kept: without `folder` where it lies below it."""
    for root in (folder, folder.resolve()):
        if Path(path).is_relative_to(root):
            return Path(path).relative_to(root).as_posix()
    return Path(path).as_posix()


def encode_clip(clip: ClipFacts, folder: Path) -> str:
    """Returns the facts as JSON, the path relative to `folder` where it lies below it."""
    return json.dumps(asdict(replace(clip, path=relative(clip.path, folder))))


def parse_clip(text: str | None, folder: Path) -> ClipFacts | None:
    """Returns the facts with an absolute path, which follows the folder when it was moved."""
    if text is None:
        return None
    clip = ClipFacts(**json.loads(text))
    return replace(clip, path=str(folder / clip.path))


def encode_sources(sources: Mapping[str, Sequence[StoredInput]], folder: Path) -> str:
    """Returns the media of a request as JSON, their paths relative to `folder`."""

    def encode(negative: StoredInput) -> dict[str, str]:
        path = relative(negative.path, folder) if negative.path else ""
        return asdict(replace(negative, path=path))

    return json.dumps({name: [encode(each) for each in given] for name, given in sources.items()})


def parse_sources(text: str, folder: Path) -> dict[str, tuple[StoredInput, ...]]:
    """Returns the media of a request with absolute paths, which follow the folder."""

    def parse(kept: dict[str, str]) -> StoredInput:
        path = str(folder / kept["path"]) if kept["path"] else ""
        return StoredInput(**(kept | {"path": path}))

    return {name: tuple(map(parse, given)) for name, given in json.loads(text).items()}


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
            case Watch():
                columns[name] = json.dumps(encode_watch(value))
            case str():
                columns[name] = encode_text(value)
            case tuple():
                columns[name] = json.dumps(value)
            case int() | float() | None:
                columns[name] = value
    return columns


def encode_intent(intent: Intent, folder: Path) -> dict[str, Column]:
    """Returns the columns of a request; the paths of its media are relative to `folder`.

    Raises:
        TypeError: A value is not of JSON's types.
    """
    columns: dict[str, Column] = {}
    for name in column_names(Intent):
        value = getattr(intent, name)
        columns[name] = encode_text(value) if isinstance(value, str) else value
    columns["values"] = json.dumps(dict(intent.values), allow_nan=False)
    columns["sources"] = encode_sources(intent.sources, folder)
    return columns


def encode_row(row: JobRecord, folder: Path) -> dict[str, Column]:
    """Returns the columns of a whole job; the paths of its files are relative to `folder`."""
    learnt = {name: getattr(row, name) for name in FACTS}
    learnt = {name: value for name, value in learnt.items() if value is not None}
    return (
        encode_intent(row, folder)
        | encode_facts(learnt, folder)
        | {name: int(getattr(row, name)) for name in MARKS}
        | {
            "id": row.id,
            "stage": row.stage,
            "owner": row.owner,
            "created_at": encode_time(row.created_at),
            "updated_at": encode_time(row.updated_at),
            "budget_before": row.budget_before,
        }
    )


def parse_row(columns: Mapping[str, Any], folder: Path) -> JobRecord:
    """Returns the job that a record of the table `jobs` describes."""
    facts = {name: columns[name] for name in column_names(JobRecord)}
    facts |= {name: parse_time(columns[name]) for name in TIMES}
    facts["stage"] = Stage(columns["stage"])
    facts["values"] = json.loads(columns["values"])
    facts["result_urls"] = tuple(json.loads(columns["result_urls"]))
    facts["clip"] = parse_clip(columns["clip"], folder)
    facts["sources"] = parse_sources(columns["sources"], folder)
    facts["watch"] = parse_watch(json.loads(columns["watch"])) if columns["watch"] else None
    facts |= {name: bool(columns[name]) for name in MARKS}
    return JobRecord(**facts)
