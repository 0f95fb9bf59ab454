"""Records: what is wrong in one of them is told with its place, for whoever shows it there."""

from __future__ import annotations

import pytest

from kling_nb.kinds import Number, Rejected, Text
from kling_nb.records import Column, Fault, Records

SHOTS = Records(
    columns=(
        Column("prompt", Text(5), "what happens"),
        Column("duration", Number(1, 12, integer=True), "its length", required=False),
    ),
    max_count=2,
    noun="shot",
)


def test_a_fault_has_its_place() -> None:
    """Which record, which of its fields, and what is wrong there."""
    given = [{"prompt": "fog"}, {"prompt": "too long", "duration": 40}]
    assert SHOTS.faults(given) == (
        Fault(1, "prompt", "has 8 characters"),
        Fault(1, "duration", "40 is out of range"),
    )


def test_what_is_missing_and_what_is_not_known_are_faults() -> None:
    """A field that there is not stands in no column."""
    assert SHOTS.faults([{"mood": "calm"}]) == (
        Fault(0, "", "has no field 'mood'"),
        Fault(0, "prompt", "is missing"),
    )


@pytest.mark.parametrize("given", [None, "fog", 7, [], ["fog"], [{"prompt": "fog"}]])
def test_nothing_is_wrong_where_there_is_no_record_or_all_is_well(given: object) -> None:
    """That it is no list of records is said of the whole, and not here."""
    assert SHOTS.faults(given) == ()


def test_a_refusal_names_every_fault() -> None:
    """Counted as people count."""
    given = [{"prompt": "fog", "mood": 1}, {"duration": 3}]
    with pytest.raises(Rejected) as refused:
        SHOTS.parse(given)
    assert refused.value.given == "shot 1 has no field 'mood'; shot 2: prompt: is missing"
