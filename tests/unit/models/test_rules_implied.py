"""What `rules` promises: values that nobody has to write follow from those that were given."""

from __future__ import annotations

from datetime import date

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.clip_request import fingerprint, request_input
from kling_nb.models.parameters import Choice, Media, Number, Text
from kling_nb.models.prices import PriceList
from kling_nb.models.records import Column, Records
from kling_nb.models.rules import Filled, PresenceFlag, Summed
from kling_nb.models.spec import ModelSpec, Parameter, Values, validate

STEPS = Records(
    (Column("words", Text(20), "words"), Column("length", Number(1, 9, integer=True), "s")),
    max_count=3,
    noun="step",
)
SPEC = ModelSpec(
    name="made-up/implied",
    title="Implied",
    parameters=(
        Parameter("image", Media(("image/png",), 1_000), "first frame", required=False),
        Parameter("shape", Choice(("1:1", "16:9")), "shape", required=False),
        Parameter("length", Choice(("3", "5", "7")), "length", default="5"),
        Parameter("steps", STEPS, "steps", required=False, sent_as="many"),
    ),
    prices=PriceList((), date(2026, 11, 1), "made up"),
    usual_s=10.0,
    source="made up",
    implied=(
        Filled("shape", "16:9", without="image"),
        Summed("length", "steps", "length"),
        PresenceFlag("has_steps", "steps"),
    ),
)
TWO = [{"words": "up", "length": 3}, {"words": "down", "length": 4}]


def values(**given: object) -> dict[str, object]:
    """What is used of these values."""
    return validate(SPEC, given)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, "16:9"),
        ({"shape": "1:1"}, "1:1"),
        ({"image": "a", "shape": "1:1"}, "1:1"),
        ({"image": "a.png"}, None),
    ],
)
def test_a_field_is_filled_where_another_is_missing(given: Values, shape: str | None) -> None:
    """Beside the other field nothing is filled: the service decides, the field is not sent."""
    assert values(**given).get("shape") == shape


@pytest.mark.parametrize(
    ("given", "length"),
    [({}, "5"), ({"steps": TWO}, "7"), ({"steps": TWO[:1]}, "3"), ({"length": 3}, "3")],
)
def test_a_length_is_summed_before_its_default_counts(given: Values, length: str) -> None:
    """The default is for those who said nothing at all."""
    assert values(**given)["length"] == length


def test_a_sum_that_is_not_allowed_says_where_it_is_from() -> None:
    """Nobody wrote that length: the records have it together."""
    with pytest.raises(InvalidInput, match="length: the steps add up to 4; allowed: 3, 5, 7"):
        values(steps=TWO[1:])


def test_nothing_follows_from_what_is_wrong() -> None:
    """One mistake is one problem."""
    with pytest.raises(InvalidInput) as caught:
        values(steps=[{"words": "up"}], length="9")
    assert [problem.field for problem in caught.value.problems] == ["length", "steps"]


@pytest.mark.parametrize("given", [{}, {"steps": TWO}], ids=["without", "with"])
def test_the_service_is_told_what_it_could_see(given: Values) -> None:
    """The flag is sent either way, under the service's name, and is no value of a person."""
    checked = values(**given)
    assert request_input(SPEC, checked, {})["has_steps"] is ("steps" in given)
    assert "has_steps" not in checked


def test_what_follows_is_the_same_request_as_what_was_written() -> None:
    """Who writes out what follows anyway does not pay again."""

    def name(**given: object) -> str:
        return fingerprint(SPEC, values(**given), {}, service="live", take=1)

    assert name() == name(shape="16:9", length="5")
    assert name(steps=TWO) == name(steps=TWO, length=7)
    assert name(steps=TWO) != name(length=7)
