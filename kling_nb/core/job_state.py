"""Job states: the stage in the ledger, the state, and the facts that a card shows.

Values only: small frozen dataclasses without a field that has a meaning in one state only, so that
`match` over a union can end in `assert_never`. The service's states of a task are in `task_status`.

The `name` of each state is saved in notebooks (`data-kling-state`, the JSON of a card) and read
from old ones. It never changes, even if the class is renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from .charge_evidence import NO_EVIDENCE, Evidence
from .errors import Problem


class Stage(StrEnum):
    """Stage of a job in the ledger."""

    INTENDED = "intended"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    VANISHED = "vanished"
    SAVED = "saved"
    EXPIRED = "expired"
    DISCARDED = "discarded"
    """Intended, and certainly never sent."""
    FORGOTTEN = "forgotten"
    """The user allowed to pay for the request again."""


NEXT_STAGES: Mapping[Stage, frozenset[Stage]] = {
    Stage.INTENDED: frozenset({Stage.SENDING, Stage.DISCARDED}),
    Stage.SENDING: frozenset({Stage.ACCEPTED, Stage.REFUSED, Stage.UNKNOWN}),
    Stage.ACCEPTED: frozenset({Stage.SUCCEEDED, Stage.FAILED, Stage.VANISHED}),
    Stage.REFUSED: frozenset(),
    Stage.UNKNOWN: frozenset({Stage.ACCEPTED, Stage.FORGOTTEN}),
    Stage.SUCCEEDED: frozenset({Stage.SAVED, Stage.EXPIRED}),
    Stage.FAILED: frozenset(),
    Stage.VANISHED: frozenset({Stage.ACCEPTED, Stage.FORGOTTEN}),
    Stage.SAVED: frozenset({Stage.SUCCEEDED, Stage.EXPIRED}),
    Stage.EXPIRED: frozenset({Stage.SUCCEEDED, Stage.FORGOTTEN}),
    Stage.DISCARDED: frozenset(),
    Stage.FORGOTTEN: frozenset(),
}
"""The allowed next stages of a ledger row.

`saved → succeeded`: the clip's file is missing and is downloaded again. `saved → expired`: the user
deletes the clip. `vanished → accepted` and `expired → succeeded`: the user polls again; `forgotten`
is the user's choice, too.
"""

SUBMITTING = frozenset({Stage.INTENDED, Stage.SENDING})
"""Stages that only the session that owns the job can continue."""

FOLLOWED = frozenset({Stage.ACCEPTED, Stage.SUCCEEDED})
"""Stages in which the task exists and any session may poll it."""

BLOCKING = SUBMITTING | FOLLOWED | {Stage.UNKNOWN, Stage.VANISHED, Stage.SAVED, Stage.EXPIRED}
"""Stages in which the same request gets this row and is not sent again."""

ENDED = frozenset(Stage) - SUBMITTING - FOLLOWED
"""Stages in which nothing more happens automatically."""

RESULTS_KEPT: Final = timedelta(days=14)
"""How long the service keeps results. Source: D, L (section 6), 2026-10."""

FORGETTABLE = frozenset({Stage.UNKNOWN, Stage.VANISHED, Stage.EXPIRED})
"""Stages that `forget` may end."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Measurements of a clip's file."""

    path: str
    """Absolute path of the file."""
    width_px: int
    height_px: int
    duration_s: float
    fps: float
    video_codec: str
    audio_codec: str
    """Empty if the clip is silent."""
    size_bytes: int
    sha256: str = ""
    """Of the saved file, in hex; empty if unknown."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a clip is encoded, as FFmpeg names it."""

    mime_type: str
    """MIME type of the container."""
    video_codec: str
    profile: str
    pixel_format: str
    audio_codec: str
    """Codec of the first audio track; empty if the clip is silent."""

    @property
    def plays_everywhere(self) -> bool:
        """Return whether all current browsers play it: 8-bit 4:2:0 H.264 in MP4, AAC or silent.

        This lists playable forms, so that an unknown codec gets a preview. VP9 and AV1 are not
        on it: Safari plays them on some machines only, in MP4 as in WebM.
        """
        return (
            self.mime_type == "video/mp4"
            and self.video_codec == "h264"
            and self.profile in {"Baseline", "Constrained Baseline", "Main", "High"}
            and self.pixel_format in {"yuv420p", "yuvj420p"}
            and self.audio_codec in {"", "aac"}
        )


@dataclass(frozen=True, slots=True)
class Preparing:
    """Validated and recorded in the ledger; nothing was sent."""

    name: ClassVar[str] = "preparing"


@dataclass(frozen=True, slots=True)
class Uploading:
    """The inputs are being uploaded."""

    name: ClassVar[str] = "uploading"
    sent_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Sending:
    """The createTask request, which may cost money, is being sent."""

    name: ClassVar[str] = "sending"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The service has the task, and it is polled."""

    name: ClassVar[str] = "waiting"
    task_id: str
    word: str
    since: datetime
    expected_s: float
    """Median duration of such tasks; 0 if unknown, as in a view without a session."""
    late_s: float
    """90th percentile of the durations of such tasks; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class Unresponsive:
    """The service has the task, but status requests fail."""

    name: ClassVar[str] = "outofsight"
    task_id: str
    since: datetime
    expected_s: float
    late_s: float
    failing_since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Downloading:
    """The clip is being downloaded."""

    name: ClassVar[str] = "downloading"
    task_id: str
    received_bytes: int
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Saved:
    """The clip is on disk."""

    name: ClassVar[str] = "saved"
    task_id: str
    clip: ClipFacts
    credits: float | None
    """The cost reported by the service; None if it does not report it."""
    finished_at: datetime
    already: bool = False
    """Whether the clip existed before this run, which costs nothing."""
    others: tuple[str, ...] = ()
    """Absolute paths of other clips of the same result."""
    other_urls: tuple[str, ...] = ()
    """URLs of other files of the result: not clips, or not available."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The service reports failure."""

    name: ClassVar[str] = "failed"
    task_id: str
    code: str
    message: str
    credits: float | None
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Refused:
    """The service refused the request; no task exists."""

    name: ClassVar[str] = "refused"
    message: str
    problems: tuple[Problem, ...] = ()
    code: str = ""
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer was lost: the task may exist and may be paid for."""

    name: ClassVar[str] = "unknown"
    at: datetime
    reason: str
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Vanished:
    """The service has no task or result; it can be polled again."""

    name: ClassVar[str] = "vanished"
    task_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The clip could not be downloaded; it can be tried again."""

    name: ClassVar[str] = "expired"
    task_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The user has deleted the clip. It stays paid, and can be downloaded again."""

    name: ClassVar[str] = "deleted"
    task_id: str
    at: datetime
    """When it was deleted."""
    kept_until: datetime
    """About how long the service keeps it."""


@dataclass(frozen=True, slots=True)
class Detached:
    """The job is not polled in this kernel."""

    name: ClassVar[str] = "detached"
    task_id: str
    reason: str = ""
    """The reason; empty if the user detached it."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """The job ended before createTask was sent."""

    name: ClassVar[str] = "discarded"
    message: str


JobState = (
    Preparing
    | Uploading
    | Sending
    | Waiting
    | Unresponsive
    | Downloading
    | Saved
    | Failed
    | Refused
    | Unknown
    | Vanished
    | Expired
    | Detached
    | Discarded
    | Deleted
)


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a job's state, for observers and the ledger."""

    job_id: str
    state: JobState


def has_ended(state: JobState) -> bool:
    """Return whether nothing more happens to the job automatically in this kernel."""
    return isinstance(
        state,
        Saved | Failed | Refused | Unknown | Vanished | Expired | Detached | Discarded | Deleted,
    )
