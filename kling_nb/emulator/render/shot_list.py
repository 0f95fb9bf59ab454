"""The script of a clip: what a task asks to see, read from its model and its values.

Owns which field shows what. Files are named by where they are on disk. Must not know how pictures
are drawn or clips are made, nor whether the files can be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator.models import MODELS, HostedModel

from .durations import length_of, shots_of

__all__ = ["Script", "Shot", "write_script"]

FIRST_FRAMES = ("image_urls", "input_urls", "image_url")
TAIL_MODELS = ("kling-3.0/video", "kling-3.0-omni/image-to-video")
"""Where a second picture is the last frame, and not one more reference. Source: D."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of the clip."""

    words: str
    length_s: float


@dataclass(frozen=True, slots=True)
class Script:
    """What a clip is to show."""

    first: Path | None
    """A picture of ours, or None where words are drawn."""
    film: Path | None
    """A video of ours that gives the first frame where no picture does."""
    last: Path | None
    """The picture that the clip ends on."""
    foreign: str
    """The URL of a picture that is not ours; empty where there is none."""
    shots: tuple[Shot, ...]
    """At least one; each shows its words where there are several."""
    aspect_ratio: str
    """Empty where the picture has its own."""
    sound: bool

    @property
    def length_s(self) -> float:
        """Of the whole clip."""
        return sum(shot.length_s for shot in self.shots)

    def key(self, canned: bool) -> str:
        """The name under which the clip is kept: equal scripts share one."""
        shape = f"{self.length_s:g}-{'sound' if self.sound else 'silent'}"
        if canned:
            return f"canned-{shape}.mp4"
        files = [file and file.name for file in (self.first, self.film, self.last)]
        has_words = len(self.shots) > 1 or not any(files)
        shots = [(shot.words if has_words else "", shot.length_s) for shot in self.shots]
        shown = json.dumps([files, self.foreign, shots, self.aspect_ratio])
        return f"{hashlib.sha256(shown.encode()).hexdigest()[:32]}-{shape}.mp4"


def write_script(
    name: str,
    values: Mapping[str, object],
    *,
    file_at: Callable[[str], Path | None],
    measure: Callable[[str], float | None],
    share: float = 1.0,
) -> Script:
    """The script of a task whose values have passed the rules.

    Args:
        name: The model.
        values: As they were sent.
        file_at: The file of a URL, or None for one that is not the emulator's own.
        measure: The seconds of a video or sound at a URL, None where they are not known.
        share: The part of its length that the clip is to have.
    """
    model = MODELS[name]
    first_url, last_url = frames_of(name, values)
    film_url = first_of(values.get("video_urls"))
    first = file_at(first_url) if first_url else None
    film = file_at(film_url) if film_url and not first_url else None
    foreign = (first_url or film_url) if first is None and film is None else ""
    shape = str(values.get("aspect_ratio") or "")
    return Script(
        first=first,
        film=film,
        last=file_at(last_url) if last_url else None,
        foreign=foreign,
        shots=tuple(read_shots(model, values, length_of(model, values, measure).seconds * share)),
        aspect_ratio="" if shape == "auto" else shape,
        sound=model.speaks or bool(values.get("sound") or values.get("audio")),
    )


def frames_of(name: str, values: Mapping[str, object]) -> tuple[str, str]:
    """The URLs of the first and of the last frame, empty where there is none."""
    urls = next((values[field] for field in FIRST_FRAMES if values.get(field)), "")
    last = str(values.get("tail_image_url") or "")
    if name in TAIL_MODELS and isinstance(urls, list) and len(urls) > 1:
        last = str(urls[1])
    return first_of(urls), last


def first_of(value: object) -> str:
    """The first of some URLs, or the one."""
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value or "")


def read_shots(model: HostedModel, values: Mapping[str, object], length_s: float) -> list[Shot]:
    """The parts of the clip, stretched to its length; one where the request names none."""
    shots = shots_of(model, values)
    whole_s = sum(seconds for _, seconds in shots)
    if not shots:
        return [Shot(str(values.get("prompt") or ""), length_s)]
    return [Shot(words, length_s * seconds / whole_s) for words, seconds in shots]
