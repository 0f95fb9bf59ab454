"""The record of a job in the ledger, and its conversion to columns and back.

A field of `JobRecord` is a column of the table `jobs`. Its annotation decides how `_encode_column`
and `_parse_column` convert it, so a new column needs a field here and a step in `migrations`. Give
the field a default: records of older versions lack it. Pure: opens no file and contains no SQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from kling_nb.core.charge_evidence import BalanceHistory, encode_watch, parse_watch
from kling_nb.core.job_state import RESULTS_KEPT, ClipFacts, Stage
from kling_nb.core.stored_input import StoredInput
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.spec import describe_named, request_text

Column = str | bytes | int | float | None


_NOT_RECORDED = datetime(1, 1, 1, tzinfo=UTC)
"""The time of a record that the ledger does not have yet."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job: its request and its state. Times are aware, in UTC."""

    fingerprint: str
    """Identifies the request; includes the service."""
    service: str
    """`live` or `emulator`."""
    model: str
    values: Mapping[str, object]
    """The user's values as JSON types: prompt, duration, the names of its media; no bytes."""
    take: int
    price_credits: float | None
    thumbnail: bytes = field(default=b"", repr=False)
    """A small JPEG of the image or video; empty without one."""
    callback_url: str = ""
    cell: str = ""
    """The `%%kling` cell that makes the same request."""
    sources: Mapping[str, Sequence[StoredInput]] = field(default_factory=dict)
    """The stored inputs, by the path of `clip_request.media_of`; empty in older records."""
    notebook: str = ""
    """The notebook's path from the parent of the ledger's folder; empty if it is not known."""
    panel: str = ""
    """The panel that sent the request, by its name or its cell; empty for other requests."""
    earlier_fingerprints: tuple[str, ...] = ()
    """Fingerprints of the same request in earlier versions; only looked up, not a column."""
    warnings: tuple[str, ...] = ()
    """What the service may not accept; known only in the kernel that made the request."""
    _: KW_ONLY
    id: str = ""
    """Eight lower-case hexadecimal digits; empty until the ledger has the record."""
    stage: Stage = Stage.INTENDED
    owner: str = ""
    """The session that owns the job; empty if none follows it."""
    task_id: str = ""
    """Empty until the service has accepted."""
    created_at: datetime = _NOT_RECORDED
    updated_at: datetime = _NOT_RECORDED
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    finished_at: datetime | None = None
    """When the service finished the task, as far as it is known."""
    balance_before: float | None = None
    balance_after: float | None = None
    credits: float | None = None
    """The credits that the service reports as consumed."""
    reason: str = ""
    """Why the job is in its stage, for people."""
    code: str = ""
    """The service's failure code."""
    result_url: str = ""
    clip: ClipFacts | None = None
    starred: bool = False
    """The user likes the clip."""
    hidden: bool = False
    """The user does not want to see the clip among the others."""
    budget_before: float | None = None
    """Credits left in the tightest budget before this request; None without a budget."""
    nonce: str = ""
    """The callback token in the callback URL as sent; empty without a callback."""
    answer: str = field(default="", repr=False)
    """The raw answer to a request that failed, was refused or was lost; a long one is cut."""
    watch: BalanceHistory | None = None
    """The balance after a lost answer, or after a failure that reports no credits."""
    balance_at: datetime | None = None
    """When `balance_before` was read; None in older records."""
    result_urls: tuple[str, ...] = ()
    """Every URL of the result, in the service's order; empty in older records. `result_url` is
    the URL of the clip, or the first one until that is known."""
    title: str = ""
    """The user's title of the clip; empty without one."""
    deleted_at: datetime | None = None
    """When the user deleted the clip; None if it was not deleted, or was downloaded again."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Return all fingerprints of the request, the current one first."""
        return (self.fingerprint, *self.earlier_fingerprints)

    @property
    def emulated(self) -> bool:
        """Return whether the job belongs to an emulator and costs nothing."""
        return self.service == "emulator"

    @property
    def has_clip(self) -> bool:
        """Return whether the clip is saved: the condition `SAVED_CLIP` of `clip_search`."""
        return self.stage is Stage.SAVED and self.clip is not None

    @property
    def inputs(self) -> Mapping[str, str]:
        """Return the values without the prompt as text, e.g. `{"duration": "5 s"}`."""
        spec = CATALOGUE.get(self.model)
        return describe_named(spec, self.values) if spec else {}

    @property
    def is_deleted(self) -> bool:
        """Return whether the user has deleted the clip."""
        return self.stage is Stage.EXPIRED and self.deleted_at is not None

    @property
    def shown_stage(self) -> str:
        """Return the stage as lists of jobs show it: `deleted` for a deleted clip."""
        return "deleted" if self.is_deleted else str(self.stage)

    @property
    def kept_until(self) -> datetime:
        """Return about how long the service keeps the clip."""
        return (self.finished_at or self.created_at) + RESULTS_KEPT

    @property
    def is_adopted(self) -> bool:
        """Return whether only the task identifies the job: it is the request of no cell."""
        return self.fingerprint == adopted_fingerprint(self.task_id)

    @property
    def prompt(self) -> str:
        """Return the prompt of the request, or those of its shots."""
        return request_text(self.values)


def _types_of(hint: Any) -> tuple[type, ...]:
    """Return the classes of an annotation's values; an int is a float, too."""
    hints = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    types = tuple(get_origin(each) or each for each in hints)
    return (int, *types) if float in types else types


_NO_COLUMNS = {"earlier_fingerprints", "warnings"}
_HINTS = get_type_hints(JobRecord)
COLUMNS: Mapping[str, tuple[type, ...]] = {
    each.name: _types_of(_HINTS[each.name])
    for each in fields(JobRecord)
    if each.name not in _NO_COLUMNS
}
"""The columns of the table `jobs` and the types of their values."""

REQUEST = [each.name for each in fields(JobRecord) if not each.kw_only]
"""The fields of a request; they never change."""
_MANAGED = {"id", "stage", "owner", "created_at", "updated_at"} | {
    "starred", "hidden", "title", "budget_before"
}  # fmt: skip
_FACTS = [name for name in COLUMNS if name not in {*REQUEST, *_MANAGED}]
"""The columns that callers of `Ledger` may change; it writes the others itself."""


def adopted_fingerprint(task_id: str) -> str:
    """Return the fingerprint of a job of which only the task is known."""
    return f"adopted {task_id}"


def encode_time(at: datetime) -> str:
    """Return a time as a text in UTC; texts sort as times do.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; give an aware datetime")
    return at.astimezone(UTC).isoformat()


def encode_text(text: str) -> str:
    """Return the text with `?` for characters that UTF-8 cannot encode."""
    # JSON from a server may contain half a surrogate pair. SQLite refuses it, and a job must not
    # be lost for one broken character in an error message.
    return text.encode("utf-8", "replace").decode("utf-8")


def _relative(path: str, folder: Path) -> str:
    """Return a path relative to `folder` if it is inside; otherwise unchanged."""
    for root in (folder, folder.resolve()):
        if Path(path).is_relative_to(root):
            return Path(path).relative_to(root).as_posix()
    return Path(path).as_posix()


def _encode_clip(clip: ClipFacts, folder: Path) -> str:
    """Return the facts as JSON, the path relative to `folder` if it is inside."""
    return json.dumps(asdict(replace(clip, path=_relative(clip.path, folder))))


def parse_clip(text: str, folder: Path) -> ClipFacts:
    """Return the facts with an absolute path: the folder may have been moved."""
    clip = ClipFacts(**json.loads(text))
    return replace(clip, path=str(folder / clip.path))


def encode_sources(sources: Mapping[str, Sequence[StoredInput]], folder: Path) -> str:
    """Return the stored inputs as JSON, their paths relative to `folder`."""

    def encode(stored: StoredInput) -> dict[str, str]:
        path = _relative(stored.path, folder) if stored.path else ""
        return asdict(replace(stored, path=path))

    return json.dumps({name: [encode(each) for each in inputs] for name, inputs in sources.items()})


def parse_sources(text: str, folder: Path) -> dict[str, tuple[StoredInput, ...]]:
    """Return the stored inputs with absolute paths: the folder may have been moved."""

    def parse(stored: dict[str, str]) -> StoredInput:
        path = str(folder / stored["path"]) if stored["path"] else ""
        return StoredInput(**(stored | {"path": path}))

    return {name: tuple(map(parse, inputs)) for name, inputs in json.loads(text).items()}


def _encode_column(name: str, value: object, folder: Path) -> Column:
    """Return the column for a field's value; paths are relative to `folder`.

    Raises:
        TypeError: The value has the wrong type, or contains what JSON does not have.
    """
    if not isinstance(value, COLUMNS[name]):
        allowed = " or ".join(kind.__name__ for kind in COLUMNS[name])
        raise TypeError(f"{name}: {value!r} is a {type(value).__name__}, not {allowed}")
    match value:
        case bool():
            return int(value)
        case str():
            return encode_text(value)
        case datetime():
            return encode_time(value)
        case ClipFacts():
            return _encode_clip(value, folder)
        case BalanceHistory():
            return json.dumps(encode_watch(value))
        case tuple():
            return json.dumps(value)
        case Mapping() if name == "sources":
            return encode_sources(value, folder)
        case Mapping():
            return json.dumps(dict(value), allow_nan=False)
    return cast("Column", value)


def _parse_column(name: str, column: Any, folder: Path) -> Any:
    """Return the value that `_encode_column` wrote; None for a column that is empty."""
    kind = COLUMNS[name][0]
    if isinstance(column, int) and float in COLUMNS[name]:
        return float(column)  # as SQLite stores it
    if column is None or kind in {str, bytes, int}:
        return column
    if kind in {bool, Stage}:
        return kind(column)
    if kind is datetime:
        return datetime.fromisoformat(column)
    if kind is ClipFacts:
        return parse_clip(column, folder)
    if name == "sources":
        return parse_sources(column, folder)
    content = json.loads(column)
    if kind is BalanceHistory:
        return parse_watch(content)
    return tuple(content) if kind is tuple else content


def encode_facts(facts: Mapping[str, object], folder: Path) -> dict[str, Column]:
    """Return the columns for new facts about a job.

    Raises:
        TypeError: The name of a fact is not in `_FACTS`, or its value has the wrong type.
    """
    for name in facts:
        if name not in _FACTS:
            raise TypeError(f"{name!r} is not a fact of a job; allowed: {', '.join(_FACTS)}")
    return {name: _encode_column(name, value, folder) for name, value in facts.items()}


def encode_record(record: JobRecord, folder: Path) -> dict[str, Column]:
    """Return the columns of a request or of a whole job, without facts that are not known.

    Paths are relative to `folder`.

    Raises:
        TypeError: A value has the wrong type, or contains what JSON does not have.
    """
    values = {part.name: getattr(record, part.name) for part in fields(record)}
    return {
        name: _encode_column(name, value, folder)
        for name, value in values.items()
        if name in COLUMNS and (value is not None or name not in _FACTS)
    }


def parse_record(columns: Mapping[str, Any], folder: Path) -> JobRecord:
    """Return the job of a row of the table `jobs`."""
    return JobRecord(**parse_columns(columns, folder))


def parse_columns(columns: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the fields of a job for some columns of its row; ignore unknown columns."""
    names = COLUMNS.keys() & columns.keys()
    return {name: _parse_column(name, columns[name], folder) for name in names}
