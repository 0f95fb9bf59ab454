"""The hosted models as the service's own pages describe them: fields, rules, prices.

One literal for each model, no functions. Written from the API's documentation and not from the
client's catalogue, so that a shared misreading cannot hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["MODELS", "Choice", "Flag", "HostedModel", "Kind", "Pictures", "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """A string of bounded length."""

    max_chars: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some strings."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false, nothing else."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A list of exactly `count` URLs."""

    count: int
    when_missing: str
    """What the service says when the list is missing or empty."""


Kind = Text | Choice | Flag | Pictures


@dataclass(frozen=True, slots=True)
class HostedModel:
    """One model. All its fields are required; any other field is refused."""

    fields: Mapping[str, Kind]
    priced_by: tuple[str, ...]
    prices_credits: Mapping[Any, float]
    """Values of the `priced_by` fields, as a tuple → price."""


# Source: three independent captures (C), March to October 2026; 1 credit is $0.005.
KLING_2_6_PRICES = {
    ("5", False): 55.0,
    ("10", False): 110.0,
    ("5", True): 110.0,
    ("10", True): 220.0,
}

MODELS = {
    # Source: specification (prompt limit, one picture), C (the answer to a missing picture).
    "kling-2.6/image-to-video": HostedModel(
        fields={
            "prompt": Text(max_chars=1000),
            "image_urls": Pictures(
                count=1, when_missing="aspect_ratio is required for text-to-video"
            ),
            "sound": Flag(),
            "duration": Choice(("5", "10")),
        },
        priced_by=("duration", "sound"),
        prices_credits=KLING_2_6_PRICES,
    ),
    # Source: D, crawl of August 2026.
    "kling-2.6/text-to-video": HostedModel(
        fields={
            "prompt": Text(max_chars=1000),
            "sound": Flag(),
            "aspect_ratio": Choice(("1:1", "16:9", "9:16")),
            "duration": Choice(("5", "10")),
        },
        priced_by=("duration", "sound"),
        prices_credits=KLING_2_6_PRICES,
    ),
}
