"""What a model is offered for: what it takes, and what its standard clip costs.

The standard clip is the one that nobody has to choose anything for. From specs to numbers and plain
words; how they look is for `html`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .kinds import Media
from .records import Records
from .rules import NeededWithout
from .spec import ModelSpec, describe, price_credits

__all__ = ["Offer", "needed_media", "offer_of", "takes_words"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A model's standard clip and its price."""

    words: tuple[str, ...]
    """What is chosen for it, e.g. `5 s`, `no sound`."""
    credits: float | None
    """For the clip; for a second of `per_s_of` where that is not empty; None where not known."""
    per_s_of: str = ""
    """The parameter whose length decides, e.g. `video`."""


def offer_of(spec: ModelSpec) -> Offer:
    """The standard clip of a model."""
    values = {p.name: p.default for p in spec.parameters if p.default is not None}
    words = tuple(describe(spec, values).values())
    line = spec.prices.line(values)
    if line is None or line.per_s_of in {"", *values}:
        return Offer(words, price_credits(spec, values))
    return Offer(words, line.credits, line.per_s_of)


def takes_words(spec: ModelSpec) -> str:
    """Return the inputs of a model in words: `image + video`, `image or video`, `words (shots)`."""
    sources = [p for p in spec.parameters if isinstance(p.kind, Media | Records)]
    needed = needed_media(spec)
    named = {name for names in needed for name in names}
    words = " + ".join(" or ".join(names) for names in needed) or "words"
    free = ", ".join(p.name for p in sources if p.name not in named)
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
