"""What a written name means: the model that is asked for, the known word that is nearest.

Knows the catalogue's names and nothing else of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from kling_nb.core.errors import InvalidInput

from .catalog import CATALOGUE
from .spec import ModelSpec

__all__ = ["find_model", "models_named", "nearest"]


def find_model(name: str) -> ModelSpec:
    """The model of that name; a tail or a part of the name will do where only one has it.

    Raises:
        InvalidInput: There is none, and the nearest is named; or there are several.
    """
    found = models_named(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput.of(
            "model",
            f"{name!r} is a part of {len(found)} names",
            f"write more of one of {', '.join(spec.name for spec in found)}",
        )
    close = nearest(name, list(CATALOGUE))
    hint = f"did you mean {close}? " if close else ""
    raise InvalidInput.of(
        "model", f"{name!r} is not known", f"{hint}allowed: {', '.join(CATALOGUE)}"
    )


def models_named(name: str) -> list[ModelSpec]:
    """The models that a name may mean: one of that name or tail, else all that have the part."""
    if name in CATALOGUE:
        return [CATALOGUE[name]]
    part = name.strip().lower()
    found = [spec for each, spec in CATALOGUE.items() if part and part in each.lower()]
    with_tail = [spec for spec in found if spec.name.lower().endswith(part)]
    return with_tail if len(with_tail) == 1 else found


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that is most like it; empty when none is."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return found[0] if found else ""
