"""Derive the duration, the shots and the inputs of a clip from the values of its request.

Pure: a caller passes functions that find and measure files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator.models import MODELS, HostedModel

_Measure = Callable[[str], float | None]
"""Returns the seconds of the video or audio at a URL; None if they are unknown."""
_UNKNOWN_S = 5.0
"""For a file that is not the emulator's own, and for a request without a duration."""
_RESOLUTIONS = ("resolution", "mode")
"""The request fields that set the resolution. Source: published documentation (D)."""
SLACK_S = 0.1
"""How much longer than whole seconds a file may be: a clip of 5 s has 121 frames, 5.04 s, and was
billed as 5 (L, 2026-08-20)."""

_FIRST_FRAMES = ("image_urls", "input_urls", "image_url")
_TAIL_MODELS = ("kling-3.0/video", "kling-3.0-omni/image-to-video")
"""The models whose second image is the last frame, and not another reference. Source: D."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of the clip."""

    prompt: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class ShotList:
    """The content of a clip."""

    first: Path | None
    """An uploaded image; None for a drawn scene."""
    video: Path | None
    """An uploaded video, for the first frame if there is no image."""
    last: Path | None
    """The image of the last frame."""
    foreign: str
    """The URL of an input that is not the emulator's own, or empty."""
    shots: tuple[Shot, ...]
    """At least one; if there are several, each shows its prompt."""
    aspect_ratio: str
    """Empty for that of the image."""
    sound: bool
    large: bool
    """Whether the request sets a resolution."""

    @property
    def duration_s(self) -> float:
        """The duration of the whole clip."""
        return sum(shot.duration_s for shot in self.shots)

    def file_name(self, canned: bool) -> str:
        """Return the name of the rendered file; equal shot lists share one."""
        suffix = f"{self.duration_s:g}-{'sound' if self.sound else 'silent'}"
        if canned:
            return f"canned-{suffix}.mp4"
        files = [file and file.name for file in (self.first, self.video, self.last)]
        shows_prompt = len(self.shots) > 1 or not any(files)
        shots = [(shot.prompt if shows_prompt else "", shot.duration_s) for shot in self.shots]
        content = json.dumps([files, self.foreign, shots, self.aspect_ratio])
        name = f"{hashlib.sha256(content.encode()).hexdigest()[:32]}-{suffix}"
        return f"{name}-large.mp4" if self.large else f"{name}.mp4"


def read_shot_list(
    name: str,
    values: Mapping[str, object],
    *,
    file_at: Callable[[str], Path | None],
    measure: _Measure,
    share: float = 1.0,
) -> ShotList:
    """Return the shot list of a valid request.

    Args:
        name: The model.
        values: The input of the request.
        file_at: Returns the file of a URL; None if it is not the emulator's own.
        measure: Returns the seconds of the video or audio at a URL.
        share: The part of its duration that the clip gets.
    """
    model = MODELS[name]
    first_url, last_url = _frames_of(name, values)
    video_url = _first_of(values.get("video_urls"))
    first = file_at(first_url) if first_url else None
    video = file_at(video_url) if video_url and not first_url else None
    foreign = (first_url or video_url) if first is None and video is None else ""
    ratio = str(values.get("aspect_ratio") or "")
    return ShotList(
        first=first,
        video=video,
        last=file_at(last_url) if last_url else None,
        foreign=foreign,
        shots=tuple(_split_shots(model, values, _duration_of(model, values, measure) * share)),
        aspect_ratio="" if ratio == "auto" else ratio,
        sound=model.speaks or bool(values.get("sound") or values.get("audio")),
        large=any(map(values.get, _RESOLUTIONS)),
    )


def _frames_of(name: str, values: Mapping[str, object]) -> tuple[str, str]:
    """Return the URLs of the first and of the last frame, or empty strings."""
    urls = next((values[field] for field in _FIRST_FRAMES if values.get(field)), "")
    last = str(values.get("tail_image_url") or "")
    if name in _TAIL_MODELS and isinstance(urls, list) and len(urls) > 1:
        last = str(urls[1])
    return _first_of(urls), last


def _first_of(value: object) -> str:
    """Return the first URL of a list, or the single one, or an empty string."""
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value or "")


def _split_shots(model: HostedModel, values: Mapping[str, object], duration_s: float) -> list[Shot]:
    """Return the shots, stretched to the duration of the clip; one if the request names none."""
    shots = _requested_shots(model, values)
    whole_s = sum(shot.duration_s for shot in shots)
    if not shots:
        return [Shot(str(values.get("prompt") or ""), duration_s)]
    return [Shot(shot.prompt, duration_s * shot.duration_s / whole_s) for shot in shots]


def _requested_shots(model: HostedModel, values: Mapping[str, object]) -> list[Shot]:
    """Return the shots of a request; none unless its flags enable them."""
    shots = values.get("multi_prompt")
    is_enabled = all(
        values.get(flag) is not False
        for flag in ("multi_shots", "customize_multi_shots")
        if flag in model.fields
    )
    if not is_enabled or not isinstance(shots, list):
        return []
    return [Shot(str(shot["prompt"]), float(str(shot["duration"]))) for shot in shots]


def _duration_of(model: HostedModel, values: Mapping[str, object], measure: _Measure) -> float:
    """Return the seconds of the clip of a valid request."""
    duration = values.get("duration")
    followed = model.lasts_as or ("" if duration else model.may_last_as)
    if followed and values.get(followed):
        return _measure_first(values[followed], measure)
    duration = duration or model.defaults.get("duration")
    shots = _requested_shots(model, values)
    return float(str(duration or sum(shot.duration_s for shot in shots) or _UNKNOWN_S))


def billed_s(model: HostedModel, values: Mapping[str, object], measure: _Measure) -> int:
    """Return the billed seconds: those of the clip, or of a longer video beside it.

    A started second counts whole.
    """
    seconds = [_duration_of(model, values, measure)]
    if model.may_last_as and values.get(model.may_last_as):
        seconds.append(_measure_first(values[model.may_last_as], measure))
    return max(1, math.ceil(max(seconds) - SLACK_S))


def _measure_first(value: object, measure: _Measure) -> float:
    """Return the seconds of the first file of a field."""
    return measure(_first_of(value)) or _UNKNOWN_S
