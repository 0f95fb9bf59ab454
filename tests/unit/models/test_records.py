"""Records: what is wrong in one of them is told with its place, for whoever shows it there."""

from __future__ import annotations

import pytest

from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.parameter_kind import Rejected
from kling_nb.models.parameters import Number, Text
from kling_nb.models.records import Column, Fault, Records

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


RECORDS = [
    (spec.name, parameter.kind)
    for spec in CATALOGUE.values()
    for parameter in spec.parameters
    if isinstance(parameter.kind, Records)
]


@pytest.mark.parametrize(("model", "kind"), RECORDS, ids=lambda each: str(each)[:40])
def test_a_new_row_has_allowed_values(model: str, kind: Records) -> None:
    """A shot has a length, so that a form can price it; a request without one is refused."""
    for column in kind.columns:
        if column.initial is not None:
            assert column.kind.parse(column.initial) == column.initial
    initial = {column.name: column.initial for column in kind.columns}
    if kind.noun == "shot":
        assert initial == {"prompt": None, "duration": 3}
        assert Fault(0, "duration", "is missing") in kind.faults([{"prompt": "fog"}])


def test_a_refusal_names_every_fault() -> None:
    """Counted as people count."""
    given = [{"prompt": "fog", "mood": 1}, {"duration": 3}]
    with pytest.raises(Rejected) as refused:
        SHOTS.parse(given)
    assert refused.value.given == "shot 1 has no field 'mood'; shot 2: prompt: is missing"


ELEMENTS = Records(
    columns=(
        Column("images", Text(5), "what it looks like", required=False),
        Column("video", Text(5), "how it moves", required=False),
        Column("start", Number(0, 99, integer=True), "where it begins", required=False),
        Column("end", Number(0, 99, integer=True), "where it ends", required=False),
    ),
    max_count=2,
    noun="element",
    one_of=("images", "video"),
    rising=("start", "end"),
)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"images": "a"}, ""),
        ({"video": "a", "start": 3}, ""),
        ({"video": "a", "start": 3, "end": 4}, ""),
        ({"images": "a", "video": "b"},
         "element 1 has images and video; give one of: images or video"),
        ({}, "element 1 has no source; give one of: images or video"),
        ({"video": "a", "start": 3, "end": 3}, "element 1: end: 3 must be greater than start 3"),
    ],
)  # fmt: skip
def test_fields_of_a_record_go_together(record: dict[str, object], words: str) -> None:
    """One of several sources, and an end after the start."""
    if not words:
        assert ELEMENTS.parse([record]) == (record,)
        return
    with pytest.raises(Rejected) as caught:
        ELEMENTS.parse([record])
    assert caught.value.given == words
    assert "either images or video" in ELEMENTS.takes
