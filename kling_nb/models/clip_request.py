"""A clip request: what the user asked for, before it is checked."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from .spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A request for one clip, as a cell, the panel or a program states it."""

    spec: ModelSpec
    values: Mapping[str, object]
    """By parameter name, unvalidated. Media are a path, a URL, bytes, an image, an array, a
    figure, a clip or a job."""
    take: int = 1
    callback_url: str = ""
    written: Mapping[str, object] = field(default_factory=dict)
    """How media and records are written in the cell, as `write_cell` takes them: a path, the name
    of a variable, a list of them, or records whose media are texts. Empty if unknown."""

    def __post_init__(self) -> None:
        """Convert the take to a plain int: `True` and a numpy integer become the equal number."""
        with suppress(TypeError):
            object.__setattr__(self, "take", int(operator.index(self.take)))
