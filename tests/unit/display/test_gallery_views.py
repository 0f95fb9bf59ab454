"""The numbers of clips on a page follow each change without a new search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.display.gallery_views import MOST_VIEWS, View, Views
from kling_nb.storage.clip_events import ClipChange
from kling_nb.storage.clip_search import ClipFilter
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import CLIP, FACTS

WOLF = replace(FACTS, id="00000001", stage=Stage.SAVED, clip=CLIP, values={"prompt": "A wolf"})
OWL = replace(WOLF, id="00000002", values={"prompt": "An owl"})


def change(before: JobRecord | None, after: JobRecord) -> ClipChange:
    """A change in some folder."""
    return ClipChange(Path("clips"), before, after)


def view(wanted: ClipFilter, *listed: JobRecord, kept: int = 7) -> View:
    """A page that has these clips, of seven in the folder."""
    return View(wanted, {each.id: each for each in listed}, len(listed), kept, "")


@pytest.mark.parametrize(
    ("wanted", "before", "after", "fits", "heading"),
    [
        (ClipFilter(), replace(OWL, stage=Stage.SUCCEEDED), OWL, True, "2 of 8 clips"),
        (ClipFilter("owl"), None, OWL, True, "2 of 8 clips"),
        (ClipFilter("wolf"), None, OWL, False, "1 of 8 clips"),
        (ClipFilter(), WOLF, replace(WOLF, hidden=True), False, "0 of 6 clips"),
        (ClipFilter(hidden=True), WOLF, replace(WOLF, hidden=True), True, "1 of 7 clips"),
        (ClipFilter(starred=True), OWL, replace(OWL, starred=True), True, "2 of 7 clips"),
        (ClipFilter(), WOLF, replace(WOLF, stage=Stage.SUCCEEDED), False, "0 of 6 clips"),
    ],
    ids=["new", "found", "not found", "hidden", "hidden shown", "starred", "lost"],
)
def test_a_change_is_counted(
    wanted: ClipFilter, before: JobRecord | None, after: JobRecord, fits: bool, heading: str
) -> None:
    """By the filter of the page."""
    shown = view(wanted, WOLF)
    assert shown.count(change(before, after)) == fits
    assert shown.heading == heading


def test_a_change_that_the_list_has_already_counts_once() -> None:
    """The list was read after the commit and before its report."""
    shown = view(ClipFilter(), WOLF, OWL)
    shown.count(change(replace(OWL, stage=Stage.SUCCEEDED), OWL))
    assert shown.heading == "2 of 7 clips"
    shown.count(change(OWL, replace(OWL, hidden=True)))
    shown.count(change(OWL, replace(OWL, hidden=True)))
    assert shown.heading == "1 of 6 clips"


def test_each_page_has_its_own_numbers() -> None:
    """By the name that it chose; the oldest of too many is dropped, and names are texts."""
    views = Views()
    assert not views
    views.add(["nonsense"], view(ClipFilter()))
    assert not views
    for number in range(MOST_VIEWS + 1):
        views.add(f"{number}", view(ClipFilter("wolf" if number else "")))
    views.remove("1")
    views.remove(None)
    assert views.find("0") is views.find("1") is views.find(7) is None
    told = views.count(change(None, WOLF))
    assert len(told) == MOST_VIEWS - 1
    assert told["2"] == {"fits": True, "matching": 1, "heading": "1 of 8 clips"}
