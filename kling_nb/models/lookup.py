"""Find a model by a written name, suggest near names, and list what each model offers.

Uses only names, prices and variants of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

from kling_nb.core.errors import InvalidInput
from kling_nb.core.text import nearest

from .catalog import CATALOGUE
from .rules import NeededWithout
from .spec import ModelSpec, describe, price_credits


def find_model(name: str) -> ModelSpec:
    """Return the model with a name; a unique part of the name is enough.

    Raises:
        InvalidInput: No model matches (names the closest), or several do.
    """
    found = models_named(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput.of(
            "model",
            f"{name!r} matches {len(found)} models",
            f"give a longer part of the name: {', '.join(spec.name for spec in found)}",
        )
    close = nearest(name, list(CATALOGUE))
    hint = f"did you mean {close}? " if close else ""
    raise InvalidInput.of(
        "model", f"{name!r} is not known", f"{hint}allowed: {', '.join(CATALOGUE)}"
    )


def models_named(name: str) -> list[ModelSpec]:
    """Return the model with this name or ending, else all models whose name contains it."""
    if name in CATALOGUE:
        return [CATALOGUE[name]]
    part = name.strip().lower()
    found = [spec for each, spec in CATALOGUE.items() if part and part in each.lower()]
    with_tail = [spec for spec in found if spec.name.lower().endswith(part)]
    return with_tail if len(with_tail) == 1 else found


@dataclass(frozen=True, slots=True)
class Offer:
    """A model's standard clip and its price."""

    words: tuple[str, ...]
    """The chosen values, e.g. `5 s`, `no sound`."""
    credits: float | None
    """For the clip, or for a second of `per_s_of` unless that is empty; None if unknown."""
    per_s_of: str = ""
    """The parameter that sets the duration, e.g. `video`."""


def offer_of(spec: ModelSpec) -> Offer:
    """Return the standard clip of a model."""
    values = spec.defaults
    words = tuple(describe(spec, values).values())
    line = spec.prices.line(values)
    if line is None or line.per_s_of in {"", *values}:
        return Offer(words, price_credits(spec, values))
    return Offer(words, line.credits, line.per_s_of)


def format_inputs(spec: ModelSpec) -> str:
    """Return the inputs of a model in words: `image + video`, `image or video`, `words (shots)`."""
    needed = needed_media(spec)
    named = {name for names in needed for name in names}
    words = " + ".join(" or ".join(names) for names in needed) or "words"
    free = ", ".join(p.name for p in spec.sources if p.name not in named)
    return f"{words} ({free})" if free else words


def needed_media(spec: ModelSpec) -> list[tuple[str, ...]]:
    """Return the required media, each with its alternatives."""
    media = {p.name for p in spec.media}
    needed: list[tuple[str, ...]] = [(p.name,) for p in spec.media if p.required]
    return needed + [
        rule.fields
        for rule in spec.rules
        if isinstance(rule, NeededWithout) and media.issuperset(rule.fields)
    ]
