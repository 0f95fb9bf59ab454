"""Parameter kinds with one value: text, choice, flag, number, media; and the check of a frame.

`records` has the kind with several fields. To add a kind, write a subclass of `ParameterKind` and
add it to `spec.Kind`. Must not depend on models, files or other parameters.
"""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeGuard, cast

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import shorten
from kling_nb.core.text import comparable_text, normalize_text

from .parameter_kind import LookUp, Medium, ParameterKind, Rejected, as_tuple, wrong_count

_LONG_LIST = 4
"""Longer lists of consecutive numbers are shown by their ends."""

_MAX_COMPLETIONS = 21
"""Completion lists the values of a number only up to this many."""

ROUNDING_S = 0.1
"""A file may be this much longer than the whole seconds it was made for.

A clip of 5 s has 121 frames at 24 fps (5.04 s), and its audio track ends up to two packets after
the last frame (0.05 s). The service bills 5 s for it, not 6. Source: recorded live traffic,
kling-3.0-omni, 2026-08-20.
"""


@dataclass(frozen=True, slots=True)
class Text(ParameterKind):
    """A text of 1 to `max_chars` characters (Unicode code points), see `normalize_text`."""

    max_chars: int
    one_line: bool = False
    """Whether lines are joined: an option in a cell has only one line."""

    is_labelled = True

    @property
    def takes(self) -> str:
        """Return the allowed values, for a table."""
        return f"1 to {self.max_chars:,} characters"

    def parse(self, value: object) -> str:
        """Return the normalized text."""
        if not isinstance(value, str):
            raise Rejected(f"{shorten(value)} is not text")
        text = self._join_lines(normalize_text(value))
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Rejected("contains half a character (a lone surrogate)")
        if not comparable_text(text):
            raise Rejected("is empty")
        if len(text) > self.max_chars:
            raise Rejected(f"has {len(text):,} characters")
        return text

    def parse_earlier(self, value: str) -> str:
        """Return the text that versions before normalization sent."""
        return self._join_lines(ParameterKind.parse_earlier(self, value))

    def _join_lines(self, text: str) -> str:
        return " ".join(text.splitlines()) if self.one_line else text


@dataclass(frozen=True, slots=True)
class Choice(ParameterKind):
    """One of a few strings; a number with the same digits counts as the string."""

    options: tuple[str, ...]
    unit: str = ""
    """For people only, e.g. `s`."""
    words: tuple[str, ...] = ()
    """A text for each option, in the same order, if the options do not explain themselves."""

    def format_value(self, value: object) -> str:
        """Return an option for people, e.g. `5 s`; also one of another version."""
        words = dict(zip(self.options, self.words, strict=False))
        return words.get(str(value)) or f"{value} {self.unit}".rstrip()

    @property
    def takes(self) -> str:
        """Return the options; a long list of consecutive numbers by its ends."""
        first = self.options[0]
        if len(self.options) > _LONG_LIST and first.isdecimal():
            numbers = range(int(first), int(first) + len(self.options))
            if self.options == tuple(map(str, numbers)):
                return f"{first} to {self.options[-1]}"
        return ", ".join(self.options)

    def parse(self, value: object) -> str:
        """Return the option: `5`, `5.0` and `"5"` are all `"5"`."""
        text = value.strip() if isinstance(value, str) else ""
        if isinstance(value, Real) and not isinstance(value, bool):
            # Python's integers may be too large for a float; none of them is an option.
            with suppress(OverflowError):
                text = f"{float(value):.15g}"
        if text not in self.options:
            near = [option for option in self.options if option.lower() == text.lower()]
            advice = f"write {near[0]}" if near else "choose one of them"
            raise Rejected(f"{shorten(value)} is not one of {self.takes}", advice)
        return text

    @property
    def longest_s(self) -> float:
        """Return the largest option as a number."""
        return max(map(float, self.options))

    @property
    def option_note(self) -> str:
        """Return all options."""
        return f": {', '.join(self.options)}"

    def choices(self) -> tuple[str, ...]:
        """Return the options."""
        return self.options


@dataclass(frozen=True, slots=True)
class Flag(ParameterKind):
    """True or false."""

    on: str = "on"
    off: str = "off"
    """The two values for people, e.g. `sound` and `no sound`; an empty one is not shown."""

    is_switch = True
    option_takes = "nothing"

    @property
    def takes(self) -> str:
        """Return the allowed values, for a table."""
        return "True, False"

    def parse(self, value: object) -> bool:
        """Return a bool; accepts numpy's, but no text or number."""
        if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
            return bool(value)
        raise Rejected(f"{shorten(value)} is not true or false")

    def format_value(self, value: object) -> str:
        """Return the text of the value."""
        return self.on if value else self.off

    @property
    def argparse_settings(self) -> dict[str, Any]:
        """Return keyword arguments for an option with a `--no-` form."""
        return {"action": argparse.BooleanOptionalAction}


@dataclass(frozen=True, slots=True)
class Number(ParameterKind):
    """A number from `low` to `high`, in steps of `step` from `low`."""

    low: float
    high: float
    step: float = 1
    integer: bool = False
    unit: str = ""
    """For people only, e.g. `s`."""

    @property
    def takes(self) -> str:
        """Return the range and the step."""
        ends = f"{self.low:g} to {self.high:g}"
        is_plain = self.integer and self.step == 1
        return f"whole numbers, {ends}" if is_plain else f"{ends} in steps of {self.step:g}"

    def parse(self, value: object) -> float | int:
        """Return the number, as an int if the field is one."""
        try:
            number = float(value.strip() if isinstance(value, str) else value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, AttributeError):
            raise Rejected(f"{shorten(value)} is not a number") from None
        steps = (number - self.low) / self.step
        if isinstance(value, bool) or not math.isfinite(number):
            raise Rejected(f"{shorten(value)} is not a number")
        if not self.low <= number <= self.high or abs(steps - round(steps)) > 1e-6:
            raise Rejected(f"{shorten(value)} is out of range")
        if self.integer:
            return round(number)
        # 0.1 + 0.2 and 0.3 are the same request.
        return round(float(self.low + round(steps) * self.step), 9)

    @property
    def longest_s(self) -> float:
        """Return the highest number."""
        return self.high

    def format_value(self, value: object) -> str:
        """Return the number with its unit."""
        return f"{value} {self.unit}".rstrip()

    @property
    def is_labelled(self) -> bool:
        """Return whether there is no unit."""
        return not self.unit

    def choices(self) -> tuple[str, ...]:
        """Return all numbers if they are few."""
        count = round((self.high - self.low) / self.step) + 1
        numbers = (round(self.low + place * self.step, 9) for place in range(count))
        return tuple(f"{each:g}" for each in numbers) if count <= _MAX_COMPLETIONS else ()


@dataclass(frozen=True, slots=True)
class Media(ParameterKind):
    """Images, videos or audio files that are uploaded; the request has their URLs.

    `parse` checks the number only; the package `media` checks the content.
    """

    mime_types: tuple[str, ...]
    """All of one medium."""
    max_bytes: int
    max_count: int = 1
    as_list: bool = True
    """Whether the service wants a list of URLs even for one."""
    min_count: int = 1
    over_px: int = 0
    """Each side of an image has more pixels than this."""
    ratio: tuple[float, float] | None = None
    """Lowest and highest width divided by height."""
    duration_s: tuple[float, float] | None = None
    """Shortest and longest duration in seconds."""
    side_px: tuple[int, int] | None = None
    """Shortest and longest side; 0 as the longest means no limit."""
    max_px: int = 0
    """Highest width times height; 0: no limit."""
    fps: tuple[float, float] | None = None
    """Lowest and highest frame rate."""

    is_source = True

    @property
    def medium(self) -> Medium:
        """Return `image`, `video` or `audio`."""
        return cast("Medium", self.mime_types[0].partition("/")[0])

    @property
    def takes(self) -> str:
        """Return number, formats and limits."""
        kinds = [_FORMATS.get(kind, kind.partition("/")[2].upper()) for kind in self.mime_types]
        either = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        number = str(self.max_count)
        if self.min_count != self.max_count:
            number = f"{self.min_count} to {self.max_count}"
        limits = f"{number} {either} of at most {self.max_bytes / 1e6:g} MB"
        if self.duration_s is not None:
            shortest, longest = self.duration_s
            limits += f", {shortest:g} to {longest:g} s" if shortest else f", at most {longest:g} s"
        if self.over_px:
            limits += f", each side over {self.over_px} px"
        if self.ratio is not None:
            limits += f", width to height from {self.ratio[0]:g} to {self.ratio[1]:g}"
        return limits + self._frame_limits

    @property
    def _frame_limits(self) -> str:
        """Return the limits of a frame's sides, of its area and of the frame rate."""
        limits = ""
        if self.side_px is not None:
            shortest, longest = self.side_px
            limits += f", each side {shortest:,} to {longest:,} px" if longest else ""
            limits += "" if longest else f", each side at least {shortest:,} px"
        if self.max_px:
            limits += f", at most {self.max_px:,} px in all"
        if self.fps is not None:
            limits += f", {self.fps[0]:g} to {self.fps[1]:g} frames per second"
        return limits

    @property
    def allowed(self) -> str:
        """Return the allowed values, for an error message."""
        return f"give {self.takes}"

    def parse(self, value: object) -> object:
        """Return the source, unopened; a tuple of several."""
        items = as_tuple(value)
        if not self.min_count <= len(items) <= self.max_count:
            raise Rejected(wrong_count(len(items)))
        if any(isinstance(item, str) and not item.strip() for item in items):
            raise Rejected("is empty")
        return items[0] if len(items) == 1 else items

    @property
    def is_multiple(self) -> bool:
        """Return whether several files may be given."""
        return self.max_count > 1

    @property
    def longest_s(self) -> float | None:
        """Return the longest duration of a file, if there is a limit."""
        return self.duration_s and self.duration_s[1]

    @property
    def argparse_settings(self) -> dict[str, Any]:
        """Return keyword arguments for one file an option, or for several."""
        several = {"action": "extend", "nargs": "+"} if self.is_multiple else {"action": "append"}
        return {**several, "metavar": "SOURCE"}

    def cell_texts(self, value: object) -> list[str]:
        """Return a text for each file."""
        return [str(each) for each in as_tuple(value)]

    def resolve(self, value: object, look_up: LookUp) -> tuple[object, object]:
        """Return the named sources; a list in a variable stands for several."""
        found = [each for item in as_tuple(value) for each in as_tuple(look_up(item))]
        return (found[0] if len(found) == 1 else found), value


_FORMATS = {
    "audio/mpeg": "MP3",
    "audio/mp4": "M4A",
    "audio/x-wav": "WAV",
    "image/webp": "WebP",
    "video/quicktime": "MOV",
}
"""Common names of formats that differ from their MIME types."""


def is_media(kind: ParameterKind) -> TypeGuard[Media]:
    """Return whether the values of a kind are uploaded."""
    return kind.medium is not None


def check_frame(name: str, size_px: tuple[int, int], kind: Media, fps: float = 0.0) -> None:
    """Check an image, or a frame of a video, against the limits of the model.

    Args:
        name: The file, for the message.
        size_px: Width and height.
        kind: The limits of the model. Source: `ModelSpec`.
        fps: Frames per second, rounded here to a whole number: 23.976 counts as 24. 0 means
            unknown, which is not checked.

    Raises:
        MediaError: Says what was given, what is allowed and what to do.
    """
    width, height = size_px
    size = describe_size(name, size_px)
    shortest, longest = kind.side_px or (0, 0)
    shortest = max(shortest, kind.over_px + 1)
    if min(size_px) < shortest:
        raise MediaError(
            f"{size}; each side must be at least {shortest:,} px: give a larger one, since this "
            "package does not enlarge it"
        )
    if longest and max(size_px) > longest:
        raise MediaError(f"{size}; each side must be at most {longest:,} px: scale it down")
    if kind.ratio is not None and not kind.ratio[0] <= width / height <= kind.ratio[1]:
        raise MediaError(
            f"{size}, width to height {width / height:.2f}; allowed: {kind.ratio[0]:g} to "
            f"{kind.ratio[1]:g}; crop it"
        )
    if kind.max_px and width * height > kind.max_px:
        raise MediaError(
            f"{size} are {width * height:,} px; allowed: at most {kind.max_px:,} px; scale it down"
        )
    if kind.fps is not None and fps and not kind.fps[0] <= round(fps) <= kind.fps[1]:
        raise MediaError(
            f"{name}: {fps:g} frames per second; allowed: {kind.fps[0]:g} to {kind.fps[1]:g}; "
            f"convert it, e.g. with `ffmpeg -i FILE -r {kind.fps[0]:g} converted.mp4`"
        )


def describe_size(name: str, size_px: tuple[int, int]) -> str:
    """Return `fox.png: 240×160 pixels`; the name of an image in memory has its size already."""
    width, height = size_px
    if name.endswith((f" {width}×{height}", f" {height}×{width}")):  # an array: rows, columns
        return f"{name} pixels"
    return f"{name}: {width:,}×{height:,} pixels"
