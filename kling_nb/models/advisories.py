"""Advisories: warnings about inputs that the service may refuse, shown before payment.

Data in a `ModelSpec`, like rules. A rule refuses what a model's page forbids; an advisory warns if
sources disagree, or if a limit comes from another source. Pure: must not depend on a model, and
opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .parameters import ROUNDING_S


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Measurements of a request's media, by parameter; empty until the files are read."""

    durations_s: Mapping[str, float] = field(default_factory=dict)
    """Length of videos and sounds; the sum if a parameter has several."""
    sizes_px: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Width and height of each image and video."""


@dataclass(frozen=True, slots=True)
class LengthAdvisory:
    """A video or a sound `field` may be too long for the service above `longest_s`."""

    field: str
    longest_s: float
    reason: str
    """The source of the limit, as a sentence without its full stop."""

    def warnings(self, facts: MediaFacts) -> list[str]:
        """Return a warning if the media are longer, else nothing."""
        duration_s = facts.durations_s.get(self.field, 0.0)
        if duration_s <= self.longest_s + ROUNDING_S:
            return []
        advice = f"Cut it to {self.longest_s:g} s to be safe."
        return [f"{self.field}: {duration_s:.1f} s. {self.reason}. {advice}"]


@dataclass(frozen=True, slots=True)
class FrameAdvisory:
    """An image of `field` may be too small, too long or too wide for the service."""

    field: str
    side_px: int
    """The shortest side that the service certainly accepts."""
    ratio: tuple[float, float]
    """Lowest and highest width divided by height that the service certainly accepts."""
    reason: str

    def warnings(self, facts: MediaFacts) -> list[str]:
        """Return a warning for each image outside of these limits."""
        sizes = facts.sizes_px.get(self.field, ())
        return [self._warning(size) for size in sizes if not self._fits(size)]

    def _fits(self, size_px: tuple[int, int]) -> bool:
        return min(size_px) >= self.side_px and self._has_shape(size_px)

    def _has_shape(self, size_px: tuple[int, int]) -> bool:
        lowest, highest = self.ratio
        return lowest <= size_px[0] / size_px[1] <= highest

    def _warning(self, size_px: tuple[int, int]) -> str:
        width, height = size_px
        advice = (
            "Use a larger image." if self._has_shape(size_px) else "Crop it, or use another image."
        )
        return f"{self.field}: {width:,} × {height:,} px. {self.reason}. {advice}"


Advisory = LengthAdvisory | FrameAdvisory


def warnings_of(advisories: Sequence[Advisory], facts: MediaFacts) -> tuple[str, ...]:
    """Return the warnings for a request, a few sentences each.

    Args:
        advisories: The model's.
        facts: The measurements of the files.
    """
    return tuple(warning for each in advisories for warning in each.warnings(facts))
