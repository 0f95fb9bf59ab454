"""Fields of a request: kinds of values, files, and what one field requires of another.

Values only. `HostedModel` joins them to a model; `http/validate` and `render/input_files` check
requests against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "REQUIRED",
    "Address",
    "Addresses",
    "AtMostBeside",
    "Choice",
    "Flag",
    "Footage",
    "Form",
    "HostedModel",
    "Integer",
    "Kind",
    "Media",
    "NeededWhen",
    "NeededWithout",
    "NotInForm",
    "NotTogether",
    "Number",
    "OnlyInForm",
    "Picture",
    "Price",
    "Records",
    "Rule",
    "Speech",
    "Text",
]

REQUIRED = "This field is required"
"""What the service says of a field that is missing. Source: C."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `max_chars` is None where the page names no limit."""

    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some strings."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false, nothing else."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number, both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number in steps, both ends included."""

    low: float
    high: float
    step: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file; None where the page names no limit."""

    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP")
    max_bytes: int | None = None
    over_px: int = 0
    """Both sides are longer than that."""
    least_px: int = 0
    """The least number of pixels of each side."""
    ratio: tuple[float, float] | None = None
    """The least and the greatest width, in heights."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A video file, MP4 or QuickTime."""

    max_bytes: int | None = None
    least_s: float = 0.0
    most_s: float | None = None
    most_s_when: tuple[str, str, float] | None = None
    """A field, its value, and how long the video may be then."""
    sides_px: tuple[int, int] | None = None
    """The least and the greatest side."""
    area_px: int | None = None
    ratio: tuple[float, float] | None = None
    """The least and the greatest width, in heights."""
    rate: tuple[int, int] | None = None
    """The least and the greatest number of frames a second."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A file with sound."""

    max_bytes: int | None = None
    most_s: float | None = None


Media = Picture | Footage | Speech


@dataclass(frozen=True, slots=True)
class Address:
    """One URL of a file, as a string."""

    media: Media


@dataclass(frozen=True, slots=True)
class Addresses:
    """A list of URLs of files; `most` is None where the page names no number."""

    media: Media
    least: int = 1
    most: int | None = 1
    when_missing: tuple[int, str] = (500, REQUIRED)
    """Code and text where the list is required and is missing or empty."""
    alone: Media | None = None
    """What a single URL holds where that is something else; it is allowed then, whatever `least`
    says."""


@dataclass(frozen=True, slots=True)
class Records:
    """A list of objects that have all of these fields, maybe some others, and no more."""

    fields: Mapping[str, Text | Integer | Addresses]
    most: int | None
    """None if the page names no number."""
    optional: Mapping[str, Integer | Addresses] = field(default_factory=dict)


Kind = Text | Choice | Flag | Integer | Number | Address | Addresses | Records


@dataclass(frozen=True, slots=True)
class NeededWhen:
    """A field is required when a flag stands so."""

    name: str
    flag: str
    stands: bool
    default: bool = False
    """How the flag stands where it is not sent."""
    without: str = ""
    """A field that makes all others optional; empty if there is none."""


@dataclass(frozen=True, slots=True)
class NeededWithout:
    """A field is required when another is missing or empty."""

    name: str
    other: str


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a request: fields that it has, fields that it lacks, lists of one."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    single: str = ""


@dataclass(frozen=True, slots=True)
class AtMostBeside:
    """A list holds at most so many while another field is there, or a flag is true."""

    name: str
    most: int
    other: str


@dataclass(frozen=True, slots=True)
class OnlyInForm:
    """A field that is sent has one of these values in a form of the request."""

    name: str
    options: tuple[object, ...]
    form: Form


@dataclass(frozen=True, slots=True)
class NotInForm:
    """These fields do not exist in a form of the request."""

    names: tuple[str, ...]
    form: Form


@dataclass(frozen=True, slots=True)
class NotTogether:
    """Two flags are not both true."""

    name: str
    other: str


Rule = NeededWhen | NeededWithout | AtMostBeside | OnlyInForm | NotInForm | NotTogether


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs when its values are these; the first price that fits counts."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    beside: str = ""
    """A field that has to be there; empty where it is for any request."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """One model. Any field that it does not have is refused."""

    required: Mapping[str, Kind]
    prices: tuple[Price, ...]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    per_s: bool = False
    """Whether the price is one for each second."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """What counts where an optional field is not sent. Source: this emulator's own choice."""
    lasts_as: str = ""
    """The field of the video or the sound that the clip is as long as; empty where `duration`
    or the shots say it."""
    may_last_as: str = ""
    """The field of a video that the clip is as long as where no `duration` is sent. With one the
    greater of both is billed. Source: this emulator's own choice."""
    speaks: bool = False
    """Whether its clips have sound without being asked for it."""

    @property
    def fields(self) -> dict[str, Kind]:
        """All fields, the required ones first."""
        return {**self.required, **self.optional}
