"""Each part of the benchmark runs; the values of the figures are not tested."""

from __future__ import annotations

import math

import pytest

from .__main__ import PARTS
from .figures import Figure, at_least, at_most, render_table
from .polling import judge_refusals

FIGURES = {
    "jobs": 8,
    "jobs-with-clips": 6,
    "cpu": 5,
    "polling": 7,
    "schedule": 2,
    "download": 4,
    "upload": 1,
    "memory": 2,
    "ledger": 4,
    "start-up": 4,
    "kernel": 3,
    "emulator-clips": 2,
    "emulator-answer": 1,
}
"""Number of figures of each part."""


def test_every_part_is_counted() -> None:
    """The expected numbers cover all parts, so a new part must be added here."""
    assert FIGURES.keys() == PARTS.keys()


@pytest.mark.kernel
@pytest.mark.parametrize("part", FIGURES)
def test_a_part_gives_its_figures(part: str) -> None:
    """With small numbers, a part returns its figures, and each is a number."""
    figures = PARTS[part](True)
    assert len(figures) == FIGURES[part]
    assert all(math.isfinite(figure.value) for figure in figures)


def test_a_goal_is_about_the_figure_or_its_ratio() -> None:
    """A bound can be a minimum or a maximum; a ratio without a value beside it has no result."""
    beside = ("curl", 4.0)
    assert Figure("speed", 2.0, "MB/s", *beside, at_least(0.5, "ratio")).is_met is True
    assert Figure("speed", 1.9, "MB/s", *beside, at_least(0.5, "ratio")).is_met is False
    assert Figure("time", 3.0, "s", *beside, at_most(2)).is_met is False
    assert Figure("time", 3.0, "s", goal=at_most(2, "ratio")).is_met is None


def test_the_table_is_markdown() -> None:
    """The table has one row per figure, with unit and goal."""
    table = render_table([Figure("speed", 2.0, "MB/s", "curl", 4.0, at_least(0.6, "ratio"))])
    assert table.splitlines() == [
        "| what | figure | beside it | ratio | goal | met |",
        "| --- | --- | --- | --- | --- | --- |",
        "| speed | 2 MB/s | curl: 4 MB/s | 0.5 × | ≥ 0.6 × | no |",
    ]


def test_avoidable_refusals_are_those_inside_a_window() -> None:
    """Three in flight at the first 429 and one that opens the next window are unavoidable."""
    windows = ((10.0, 15.0, 3), (10.1, 15.0, 2), (10.2, 15.0, 1), (12.0, 15.0, 1), (15.5, 18.0, 1))
    refusals = [{"at": at, "retry_at": end, "in_flight": count} for at, end, count in windows]
    assert judge_refusals(refusals, [10.0, 12.0, 15.5, 18.2]) == (4, 0.5)
    assert judge_refusals([], [1.0]) == (0, 0.0)
