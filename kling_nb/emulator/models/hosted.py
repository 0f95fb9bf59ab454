"""A hosted model: its fields, what they ask of each other, and what a request costs.

Values only; the models themselves are literals in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fields import Kind, Rule

__all__ = ["HostedModel", "Price"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs when its values are these; the first price that fits counts."""

    credits: float
    when: Mapping[str, object] = field(default_factory=dict)
    beside: str = ""
    """A field that has to be there; empty where it is for any request."""


@dataclass(frozen=True, slots=True)
class HostedModel:
    """One model. Any field that it does not have is refused."""

    required: Mapping[str, Kind]
    prices: tuple[Price, ...]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    per_s: bool = False
    """Whether the price is one for each second."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """What counts where an optional field is not sent. Source: this emulator's own choice."""
    lasts_as: str = ""
    """The field of the video or the sound that the clip is as long as; empty where `duration`
    or the shots say it."""
    may_last_as: str = ""
    """The field of a video that the clip is as long as where no `duration` is sent. With one the
    greater of both is billed. Source: this emulator's own choice."""
    speaks: bool = False
    """Whether its clips have sound without being asked for it."""

    @property
    def fields(self) -> dict[str, Kind]:
        """All fields, the required ones first."""
        return {**self.required, **self.optional}
