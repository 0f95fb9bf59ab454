"""A file as it was chosen: what it is, and how a cell would name it.

Opens nothing. Knows no control and no parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kling_nb.core.formatting import one_line
from kling_nb.core.stored_input import Negative
from kling_nb.display.links import relative_path
from kling_nb.models.kinds import shorten

__all__ = ["Chosen", "Surroundings", "chosen_from", "is_url", "name_of", "path_beside"]

_NOUNS = {"image": "picture", "video": "video", "audio": "sound"}
"""How an object without a name reads in a cell: as a variable to be filled in."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a name may mean here, and where files are kept."""

    variables: Callable[[], Mapping[str, object]]
    """The notebook's variables, now."""
    is_emulated: Callable[[], bool]
    """Whether a file that cannot be fetched is replaced."""
    folder: Callable[[], Path]
    """The folder of clips."""

    def named(self, text: str) -> Chosen:
        """What a path, a URL or the name of a variable means."""
        known = self.variables() if text.isidentifier() else {}
        if text in known:
            return Chosen(known[text], text, text)
        return Chosen(text, text, text.rpartition("/")[2] if is_url(text) else "")


@dataclass(frozen=True, slots=True)
class Chosen:
    """One file as it was given."""

    value: object = field(repr=False)
    written: str
    """How it reads in a cell."""
    name: str = ""
    """For people; empty for the one that the value suggests."""


def chosen_from(value: object, written: str = "", medium: str = "image") -> Chosen:
    """What was given in Python, or in another request.

    Args:
        value: A path, a URL or any object that a file can be made of.
        written: How it reads in a cell, where that is known.
        medium: What it is: `image`, `video` or `audio`.
    """
    if isinstance(value, Negative):
        path = path_beside(value.path) if value.path else value.url
        return Chosen(value, written or path, value.name)
    is_text = isinstance(value, str) or hasattr(value, "__fspath__")
    return Chosen(value, written or (str(value) if is_text else _NOUNS[medium]))


def path_beside(path: str) -> str:
    """A path as a cell of this notebook would give it."""
    short = relative_path(Path(path))
    return path if not short or short.startswith("..") else short


def is_url(given: object) -> bool:
    """Whether it is the address of a file on the web."""
    return isinstance(given, str) and given.lower().startswith(("http://", "https://"))


def name_of(chosen: Chosen) -> str:
    """What people call it."""
    return one_line(chosen.name, 80) or one_line(shorten(chosen.value), 80)
