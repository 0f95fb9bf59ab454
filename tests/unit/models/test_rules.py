"""What `rules` promises: what fields demand of each other, told where it can be mended."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kling_nb.errors import InvalidInput, Problem
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.prices import PriceList
from kling_nb.models.rules import (
    AtMost,
    Excludes,
    LastsAtMost,
    NeededWithout,
    Needs,
    NotTaken,
    OneValueOf,
    OnlyWith,
    Rule,
    RuleInput,
    SumOf,
    When,
)
from kling_nb.models.spec import ModelSpec, Parameter, check_durations, validate

PICTURE = Media(("image/png",), 1_000_000)

SPEC = ModelSpec(
    name="made-up/ruled",
    title="Ruled",
    parameters=(
        Parameter("prompt", Text(20), "what happens", required=False),
        Parameter("image", PICTURE, "first frame", required=False),
        Parameter("tail", PICTURE, "last frame", required=False),
        Parameter("ratio", Choice(("1:1", "16:9")), "shape", required=False),
        Parameter("mode", Choice(("std", "pro")), "quality", default="std"),
        Parameter("shots", Flag("shots", "one shot"), "several shots", default=False),
        Parameter("shot_prompt", Text(20), "of each shot", required=False),
        Parameter("scale", Number(0, 1, 0.1), "how close", required=False),
    ),
    prices=PriceList((), date(2026, 11, 1), "made up"),
    usual_s=10.0,
    source="made up",
)
"""A model like the real ones that have rules: first and last frame, several shots, either-or."""


def found(rule: Rule, **values: object) -> Problem | None:
    """The problem that a rule has with these values, defaults filled in."""
    return rule.problem(RuleInput({**SPEC.defaults, **values}, SPEC.defaults))


def problems(*rules: Rule, **values: object) -> list[str]:
    """What the validator says of these values, each with its field."""
    try:
        validate(replace(SPEC, rules=rules), values)
    except InvalidInput as invalid:
        return [str(problem) for problem in invalid.problems]
    return []


@pytest.mark.parametrize(
    ("rule", "fine", "wrong", "field"),
    [
        (Needs("tail", "image"), {"tail": "b", "image": "a"}, {"tail": "b"}, "image"),
        (Needs("tail", "image"), {}, {"tail": "b"}, "image"),
        (Needs("tail", "mode"), {"tail": "b"}, None, "mode"),
        (Excludes("ratio", "image"), {"ratio": "1:1"}, {"ratio": "1:1", "image": "a"}, "ratio"),
        (Excludes("ratio", "mode"), {"ratio": "1:1"}, {"ratio": "1:1", "mode": "pro"}, "ratio"),
        (Excludes("image", "shots"), {"image": "a"}, {"image": "a", "shots": True}, "image"),
        (
            OnlyWith("shot_prompt", "shots", (True,)),
            {"shot_prompt": "go", "shots": True},
            {"shot_prompt": "go"},
            "shot_prompt",
        ),
        (OnlyWith("scale", "mode", ("pro",)), {"mode": "std"}, {"scale": 0.5}, "scale"),
        (NeededWithout("ratio", "image"), {"image": "a"}, {}, "ratio"),
        (NeededWithout("ratio", "image"), {"ratio": "1:1"}, {"shots": True}, "ratio"),
    ],
)
def test_a_rule_is_kept_or_broken(
    rule: Rule, fine: dict[str, object], wrong: dict[str, object] | None, field: str
) -> None:
    """What keeps it is silent; what breaks it names the field where it can be mended."""
    assert found(rule, **fine) is None
    if wrong is not None:
        problem = found(rule, **wrong)
        assert problem is not None
        assert problem.field == field


@pytest.mark.parametrize(
    ("rule", "fine", "wrong", "words"),
    [
        (
            AtMost("image", 1, When(given=("shots",))),
            [{"image": ("a", "b")}, {"image": "a", "shots": True}],
            {"image": ("a", "b"), "shots": True},
            "image: 2 were given; allowed: at most 1 with shots",
        ),
        (
            OneValueOf("ratio", ("1:1",), When(without=("shots",), counts={"image": 1})),
            [
                {"ratio": "1:1", "image": "a"},
                {"image": "a"},
                {"ratio": "16:9", "image": ("a", "b")},
                {"ratio": "16:9", "image": "a", "shots": True},
            ],
            {"ratio": "16:9", "image": "a"},
            "ratio: is 16:9 with 1 image and without shots; set 1:1, or leave ratio out",
        ),
        (
            OneValueOf("shots", (False,), When(given=("tail",))),
            [{"tail": "a"}, {"tail": "a", "shots": False}, {"shots": True}],
            {"tail": "a", "shots": True},
            "shots: is on with tail; set off, or leave shots out",
        ),
        (
            NotTaken("mode", When(given=("tail",), without=("image",))),
            [{"tail": "a"}, {"tail": "a", "image": "b", "mode": "pro"}, {"mode": "pro"}],
            {"tail": "a", "mode": "pro"},
            "mode: is not allowed with tail and without image; leave mode out",
        ),
    ],
)
def test_a_rule_counts_in_one_form_of_a_request(
    rule: Rule, fine: list[dict[str, object]], wrong: dict[str, object], words: str
) -> None:
    """In any other form it is silent."""
    assert [found(rule, **values) for values in fine] == [None] * len(fine)
    assert str(found(rule, **wrong)) == words


def test_a_default_that_is_not_taken_is_left_out() -> None:
    """A field that the service does not have in a form is not part of the request there."""
    spec = replace(SPEC, rules=(NotTaken("mode", When(given=("tail",))),))
    assert "mode" not in validate(spec, {"tail": "a.png"})
    assert "mode" not in validate(spec, {"tail": "a.png", "mode": "std"})
    assert validate(spec, {})["mode"] == "std"


def test_a_default_that_nobody_chose_excludes_nothing() -> None:
    """A field that stands at its default was not asked for; a choice of another value was."""
    assert found(Excludes("mode", "image"), image="a", mode="std") is None
    assert found(Excludes("mode", "image"), image="a", mode="pro") is not None


def test_a_flag_is_no_number() -> None:
    """True equals 1 in Python, and is another setting."""
    assert found(OnlyWith("scale", "shots", (1,)), scale=0.5, shots=True) is not None


def test_the_validator_keeps_the_rules() -> None:
    """A broken rule is a problem like any other, with what to do."""
    assert problems(Needs("tail", "image"), tail="b.png") == [
        "image: is missing; tail needs it; give it, or leave tail out"
    ]
    assert problems(OnlyWith("scale", "mode", ("pro",)), scale=0.5) == [
        "scale: is allowed only with mode pro; set that, or leave this out"
    ]
    assert problems(OnlyWith("shot_prompt", "shots", (True,)), shot_prompt="go") == [
        "shot_prompt: is allowed only with shots on; set that, or leave this out"
    ]
    assert problems(NeededWithout("ratio", "image")) == ["ratio: is missing; give it, or image"]


def test_problems_of_rules_and_values_come_together_in_the_order_of_the_fields() -> None:
    """All at once, as a person reads the form."""
    said = problems(Needs("tail", "image"), tail="b.png", mode="best", prompt="x" * 30)
    assert [each.partition(":")[0] for each in said] == ["prompt", "image", "mode"]


def test_a_rule_about_a_wrong_value_is_not_judged() -> None:
    """A second complaint about the same mistake would only confuse."""
    assert len(problems(OnlyWith("scale", "mode", ("pro",)), scale=7)) == 1
    # A mode that is no mode is mended first; whether scale goes with it is seen then.
    said = problems(OnlyWith("scale", "mode", ("pro",)), scale=0.5, mode="best")
    assert [each.partition(":")[0] for each in said] == ["mode"]


def test_a_field_has_one_problem() -> None:
    """Two rules that miss the same field say so once."""
    rules = (Needs("tail", "image"), Needs("scale", "image"))
    assert len(problems(*rules, tail="b", scale=0.5)) == 1


def test_rules_are_told_beside_their_field() -> None:
    """Help says of a field what the rules will say of its value."""
    spec = replace(
        SPEC, rules=(OnlyWith("scale", "mode", ("pro", "4K")), Excludes("image", "tail"))
    )
    assert spec.remarks("scale") == ("only with mode pro or 4K",)
    assert spec.remarks("image") == ("not allowed with tail",)
    assert spec.remarks("mode") == ()


@pytest.mark.parametrize("name", CATALOGUE)
def test_rules_of_real_models_name_real_fields(name: str) -> None:
    """A rule about a field that is not there could never be mended."""
    names = {parameter.name for parameter in CATALOGUE[name].parameters}
    for rule in CATALOGUE[name].rules:
        assert set(rule.fields) <= names


@pytest.mark.parametrize(
    "rule",
    [
        Needs("tail", "image"),
        Excludes("tail", "image"),
        OnlyWith("tail", "image", ("std",)),
        NeededWithout("tail", "image"),
        AtMost("tail", 1, When(given=("image",))),
        OneValueOf("mode", ("std",), When(given=("tail",), counts={"image": 1})),
        NotTaken("scale", When(given=("tail",))),
    ],
)
def test_a_picture_may_be_an_array(rule: Rule) -> None:
    """It is there or not, and never compared: an array has no truth of its own."""
    picture = np.zeros((4, 4, 3), np.uint8)
    by_name = found(rule, tail="tail.png", image="image.png")
    assert found(rule, tail=picture, image=picture) == by_name
    assert problems(rule, tail=picture, image=picture) == problems(rule, tail="a", image="b")


STEPS = ({"length": 3}, {"length": 4})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scale": "7", "steps": STEPS}, ""),
        ({"scale": 7, "steps": STEPS}, ""),
        ({"scale": "5", "steps": STEPS}, "scale: is 5, but the steps add up to 7; set 7, "
         "leave scale out, or change the steps"),
        ({"scale": "5"}, ""),
        ({"steps": STEPS}, ""),
    ],
)  # fmt: skip
def test_a_sum_is_what_its_records_have(values: dict[str, object], said: str) -> None:
    """Both are given or one follows from the other; two that differ are a problem."""
    problem = SumOf("scale", "steps", "length").problem(RuleInput(values, {}))
    assert str(problem or "") == said


@pytest.mark.parametrize(
    ("mode", "duration_s", "is_broken"),
    [("std", 10.0, False), ("std", 10.05, False), ("std", 10.2, True), ("pro", 30.0, False)],
)
def test_a_length_is_judged_while_another_field_says_so(
    mode: str, duration_s: float, is_broken: bool
) -> None:
    """A sound track that ends a little later than its pictures breaks nothing."""
    rule = LastsAtMost("tail", "mode", ("std",), longest_s=10)
    spec, values = replace(SPEC, rules=(rule,)), {"tail": "a.mp4", "mode": mode}
    assert validate(spec, values)["mode"] == mode, "the validator opens no file"
    problems = check_durations(spec, values, {"tail": duration_s})
    assert bool(problems) is is_broken
    if problems:
        assert problems[0].field == "tail"
        assert "at most 10 s with mode std; shorten it, or set another mode" in str(problems[0])
