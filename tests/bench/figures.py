"""The figures of a measurement, and their table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Figure", "Goal", "at_least", "at_most", "render_table"]

HEADINGS = ("what", "figure", "beside it", "ratio", "goal", "met")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure, or on its ratio to the figure beside it."""

    bound: float
    of: Literal["figure", "ratio"] = "figure"
    is_lower: bool = False
    """Whether the bound is the minimum; otherwise it is the maximum."""

    def judge(self, value: float | None) -> bool | None:
        """Return whether a value meets the goal; None if there is no value."""
        if value is None:
            return None
        return value >= self.bound if self.is_lower else value <= self.bound


def at_most(bound: float, of: Literal["figure", "ratio"] = "figure") -> Goal:
    """Return a goal with this maximum."""
    return Goal(bound, of)


def at_least(bound: float, of: Literal["figure", "ratio"] = "figure") -> Goal:
    """Return a goal with this minimum."""
    return Goal(bound, of, is_lower=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    what: str
    value: float
    unit: str = ""
    beside: str = ""
    """Name of the figure it is compared with, from the same run, or why there is none."""
    beside_value: float | None = None
    """Value of that figure, in the same unit."""
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """Return the value divided by `beside_value`, or None without one."""
        return self.value / self.beside_value if self.beside_value else None

    @property
    def is_met(self) -> bool | None:
        """Return whether the goal is met; None without a goal, or without a value for it."""
        if self.goal is None:
            return None
        return self.goal.judge(self.value if self.goal.of == "figure" else self.ratio)

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the figure's row in the table."""
        beside = self.beside
        if self.beside_value is not None:
            beside = f"{beside}: {format_value(self.beside_value, self.unit)}"
        goal = ""
        if self.goal is not None:
            bound = format_value(self.goal.bound, "×" if self.goal.of == "ratio" else self.unit)
            goal = f"{'≥' if self.goal.is_lower else '≤'} {bound}"
        ratio = "" if self.ratio is None else format_value(self.ratio, "×")
        met = {True: "yes", False: "no", None: "–"}[self.is_met]
        return self.what, format_value(self.value, self.unit), beside, ratio, goal, met


def format_value(value: float, unit: str) -> str:
    """Format a value with 3 significant digits, or with all integer digits if there are more."""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def render_table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
