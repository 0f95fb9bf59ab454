"""Where each field stands: what a clip shows first, then how it is made, then what is listed.

Decides by kind alone: it names no model and no parameter. How much room a place has on a page is
the style sheet's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

from kling_nb.models.kinds import Media, Text
from kling_nb.models.records import Records
from kling_nb.models.spec import Parameter

__all__ = ["Place", "arranged", "place_of", "sorted_names"]

Place = Literal["scene", "options", "lists"]
"""What is in the picture, how it is filmed, and rows of both."""

_RANKS: dict[Place, int] = {"scene": 0, "options": 1, "lists": 2}


def place_of(parameter: Parameter) -> Place:
    """The group of fields that a parameter belongs to."""
    match parameter.kind:
        case Records():
            return "lists"
        case Media() | Text(one_line=False):
            return "scene"
        case _:
            return "options"


def sorted_names(parameters: Iterable[Parameter]) -> list[str]:
    """The names in the order in which a person meets the fields, by eye and by the Tab key."""
    return [name for _, names in arranged(parameters) for name in names]


def arranged(parameters: Iterable[Parameter]) -> Iterator[tuple[Place, list[str]]]:
    """The groups that have a field, and the names in each."""
    for place, group in groupby(sorted(parameters, key=_rank), place_of):
        yield place, [parameter.name for parameter in group]


def _rank(parameter: Parameter) -> tuple[int, bool]:
    """Files before words, and short fields before a line of text; else as the model has them."""
    is_text, place = isinstance(parameter.kind, Text), place_of(parameter)
    return _RANKS[place], is_text
