"""Test `expenses`: totals by notebook, day and model, as a table and as CSV."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kling_nb.core.expenses import By, Expense, Total, format_csv, table, totals
from kling_nb.core.money import format_price

CLIP = Expense(
    service="live",
    created_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    notebook="fox.ipynb",
    model="kling-2.6/image-to-video",
    credits=55,
    is_certain=True,
    is_clip=True,
    is_kept=False,
)
KEPT = replace(CLIP, is_kept=True)
LOST = replace(CLIP, is_clip=False, is_certain=False)


def test_a_kept_clip_costs_what_all_cost() -> None:
    """Three clips were made to keep one; without a kept clip there is no such cost."""
    [total] = totals([CLIP, CLIP, KEPT], By.NOTEBOOK)
    assert total == Total("live", "fox.ipynb", clips=3, credits=165, kept=1)
    assert total.credits_per_kept == 165
    assert total.dollars == pytest.approx(0.825)
    assert totals([CLIP], By.DAY)[0].credits_per_kept is None


def test_uncertain_and_unknown_credits() -> None:
    """A lost answer counts as uncertain; jobs of unknown price are reported with the sum."""
    [total] = totals([CLIP, LOST, replace(CLIP, credits=None)], By.DAY)
    assert (total.clips, total.credits, total.uncertain_credits, total.unpriced) == (2, 110, 55, 1)
    _, [row] = table([total], By.DAY)
    assert row[2] == "110 + 1 of unknown price"


def test_emulated_credits_are_never_added_to_real_ones() -> None:
    """Two totals of the same day, the real one first."""
    found = totals([replace(CLIP, service="emulator"), CLIP], By.DAY)
    assert [(total.service, total.credits) for total in found] == [("live", 55), ("emulator", 55)]


def test_days_are_local_and_the_newest_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day of the request in local time."""
    late = replace(CLIP, created_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        names = [total.name for total in totals([CLIP, late], By.DAY)]
    time.tzset()
    assert names == ["2026-11-21", "2026-11-20"]


@pytest.mark.parametrize("credits", [25, 55, 165, 1_234_567])
def test_dollars_are_rounded_as_in_prices(credits: int) -> None:
    """25 credits are $0.13 on the card of the clip, and here."""
    _, [row] = table(totals([replace(CLIP, credits=credits)], By.DAY), By.DAY)
    assert f"({row[3]})" in format_price(credits)


def test_unknown_names_are_not_empty() -> None:
    """A program has no notebook, and an adopted task no model."""
    adopted = replace(CLIP, notebook="", model="")
    assert [totals([adopted], by)[0].name for by in (By.NOTEBOOK, By.MODEL)] == ["(unknown)"] * 2


def test_a_table_with_its_sum() -> None:
    """Several rows have a sum, with the cost per kept clip of all."""
    found = totals([KEPT, replace(CLIP, model="another")], By.MODEL)
    heads, rows = table(found, By.MODEL)
    assert heads == ("model", "clips", "credits", "dollars", "uncertain", "kept", "per kept clip")
    assert rows == [
        ("another", "1", "55", "$0.28", "0", "0", "–"),
        ("kling-2.6/image-to-video", "1", "55", "$0.28", "0", "1", "55"),
        ("all", "2", "110", "$0.55", "0", "1", "110"),
    ]
    assert len(table(found[:1], By.MODEL)[1]) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_name_in_csv_is_no_formula(start: str) -> None:
    """Another person may choose a notebook's name; numbers stay numbers."""
    name = f"{start}HYPERLINK(1).ipynb"
    text = format_csv([Total("live", name, credits=-5.0)], By.NOTEBOOK)
    _, row = csv.reader(io.StringIO(text))
    assert row[1] == f"'{name}"
    assert "-5.0" in row


def test_csv_is_read_back_by_any_spreadsheet() -> None:
    """Plain numbers; names with commas and quotes are unchanged; unknown values are empty."""
    found = totals([replace(CLIP, notebook='a "fox", red.ipynb')], By.NOTEBOOK)
    [row] = csv.DictReader(io.StringIO(format_csv(found, By.NOTEBOOK)))
    assert row == {
        "service": "live",
        "notebook": 'a "fox", red.ipynb',
        "clips": "1",
        "credits": "55.0",
        "dollars": "0.275",
        "uncertain_credits": "0.0",
        "unpriced_jobs": "0",
        "kept_clips": "0",
        "credits_per_kept_clip": "",
    }
