"""The types of the emulator's model catalogue: kinds of fields, files, rules, prices.

Values only. `http/validate` and `render/input_files` check requests against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REQUIRED = "This field is required"
"""The service's text for a missing field. Source: C."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `max_chars` is None if the page names no limit."""

    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these strings."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer, both limits included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number in steps, both limits included."""

    low: float
    high: float
    step: float


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file; None if the page names no limit."""

    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP")
    max_bytes: int | None = None
    over_px: int = 0
    """Both sides are longer than this."""
    least_px: int = 0
    """Both sides are at least this long."""
    ratio: tuple[float, float] | None = None
    """The least and the greatest width per height."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video file, MP4 or QuickTime."""

    max_bytes: int | None = None
    least_s: float = 0.0
    most_s: float | None = None
    most_s_when: tuple[str, str, float] | None = None
    """A field, a value of it, and the greatest duration with this value."""
    sides_px: tuple[int, int] | None = None
    """The least and the greatest side."""
    area_px: int | None = None
    ratio: tuple[float, float] | None = None
    """The least and the greatest width per height."""
    rate: tuple[int, int] | None = None
    """The least and the greatest number of frames per second."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """An audio file, or a video with sound."""

    max_bytes: int | None = None
    most_s: float | None = None


Media = ImageFile | VideoFile | AudioFile


@dataclass(frozen=True, slots=True)
class Url:
    """One URL of a file, as a string."""

    media: Media


@dataclass(frozen=True, slots=True)
class UrlList:
    """A list of URLs of files; `most` is None if the page names no number."""

    media: Media
    least: int = 1
    most: int | None = 1
    when_missing: tuple[int, str] = (500, REQUIRED)
    """Code and text for a required list that is missing or empty."""
    alone: Media | None = None
    """Another kind of file that a single URL has; one is allowed then, whatever `least` is."""


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list of objects with all of these fields and any of the optional ones."""

    fields: Mapping[str, Text | Integer | UrlList]
    most: int | None
    """None if the page names no number."""
    optional: Mapping[str, Integer | UrlList] = field(default_factory=dict)


FieldKind = Text | Choice | Flag | Integer | Number | Url | UrlList | ObjectList


@dataclass(frozen=True, slots=True)
class RequiredWhen:
    """A field is required if a flag has this value."""

    name: str
    flag: str
    value: bool
    default: bool = False
    """The value of a flag that is not sent."""
    without: str = ""
    """A field that lifts the requirement, or empty."""


@dataclass(frozen=True, slots=True)
class RequiredWithout:
    """A field is required if another is missing or empty."""

    name: str
    other: str


@dataclass(frozen=True, slots=True)
class RequestForm:
    """A form of a request: fields that are present, fields that are absent, a list of one."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    single: str = ""


@dataclass(frozen=True, slots=True)
class AtMostWith:
    """A list has at most this many items if another field is present or a flag is true."""

    name: str
    most: int
    other: str


@dataclass(frozen=True, slots=True)
class OnlyInForm:
    """In a form of the request, a field that is sent has one of these values."""

    name: str
    options: tuple[object, ...]
    form: RequestForm


@dataclass(frozen=True, slots=True)
class NotInForm:
    """In a form of the request, these fields do not exist."""

    names: tuple[str, ...]
    form: RequestForm


@dataclass(frozen=True, slots=True)
class NotTogether:
    """Two flags cannot both be true."""

    name: str
    other: str


Rule = RequiredWhen | RequiredWithout | AtMostWith | OnlyInForm | NotInForm | NotTogether


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a request with these values; the first match applies."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    beside: str = ""
    """A field that must be present, or empty."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A hosted model. It refuses any other field."""

    required: Mapping[str, FieldKind]
    prices: tuple[Price, ...]
    optional: Mapping[str, FieldKind] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    per_s: bool = False
    """Whether the price is per second."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """The values of optional fields that are not sent. Source: this emulator's own choice."""
    lasts_as: str = ""
    """The field with the video or audio whose duration the clip has; empty if `duration` or the
    shots define it."""
    may_last_as: str = ""
    """The field with the video whose duration the clip has if no `duration` is sent. With one, the
    greater of both is billed. Source: this emulator's own choice."""
    speaks: bool = False
    """Whether its clips always have sound."""

    @property
    def fields(self) -> dict[str, FieldKind]:
        """Return all fields, the required ones first."""
        return {**self.required, **self.optional}
