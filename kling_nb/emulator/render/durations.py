"""How long a clip is: as its request says, as its shots together, or as the file it follows.

Pure. Must not know how files are measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kling_nb.emulator.models import HostedModel

__all__ = ["SLACK_S", "Length", "billed_lengths", "length_of", "shots_of"]

UNKNOWN_S = 5.0
"""For a file that is not the emulator's own, and for a request that names no length."""
SLACK_S = 0.1
"""By so little a file may be longer than the whole seconds that it is made for: a clip of 5 s has
121 frames, 5.04 s, and was paid as 5 (L, 2026-08-20)."""


@dataclass(frozen=True, slots=True)
class Length:
    """The length of a clip."""

    seconds: float

    @property
    def whole_s(self) -> int:
        """The seconds that are paid: one that has begun counts."""
        return max(1, math.ceil(self.seconds - SLACK_S))


def length_of(
    model: HostedModel, values: Mapping[str, object], measure: Callable[[str], float | None]
) -> Length:
    """The length of the clip that a valid request asks for."""
    if model.lasts_as:
        return length_at(values[model.lasts_as], measure)
    if model.may_last_as and values.get(model.may_last_as) and not values.get("duration"):
        return length_at(values[model.may_last_as], measure)
    duration = values.get("duration") or model.defaults.get("duration")
    shots = shots_of(model, values)
    return Length(float(str(duration or sum(seconds for _, seconds in shots) or UNKNOWN_S)))


def billed_lengths(
    model: HostedModel, values: Mapping[str, object], measure: Callable[[str], float | None]
) -> list[Length]:
    """The lengths of which the greatest is paid: the clip's, and that of a video beside it."""
    clip = length_of(model, values, measure)
    video = values.get(model.may_last_as) if model.may_last_as else None
    return [clip, length_at(video, measure)] if video else [clip]


def length_at(value: object, measure: Callable[[str], float | None]) -> Length:
    """The length of the file that a field names."""
    return Length(measure(first_url(value)) or UNKNOWN_S)


def shots_of(model: HostedModel, values: Mapping[str, object]) -> list[tuple[str, float]]:
    """Words and seconds of each shot that the request asks for by itself."""
    shots = values.get("multi_prompt")
    asked = all(
        values.get(flag) is not False
        for flag in ("multi_shots", "customize_multi_shots")
        if flag in model.fields
    )
    if not asked or not isinstance(shots, list):
        return []
    return [(str(shot["prompt"]), float(str(shot["duration"]))) for shot in shots]


def first_url(value: object) -> str:
    """The URL of a field that holds one, or a list of them."""
    return str(value[0] if isinstance(value, list) else value)
