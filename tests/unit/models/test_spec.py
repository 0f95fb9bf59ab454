"""What `spec` promises: one validator with all problems at once, and what derives from a spec."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kling_nb.errors import InvalidInput, Problem
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import fingerprint, request_input
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.spec import (
    ModelSpec,
    Parameter,
    Values,
    describe,
    describe_named,
    price_credits,
    request_text,
    review,
    validate,
)

EVERY_KIND = ModelSpec(
    name="made-up/every-kind",
    title="Every kind",
    parameters=(
        Parameter("prompt", Text(20), "what happens"),
        Parameter("image", Media(("image/png",), 1_000_000, as_list=False), "a picture"),
        Parameter("frames", Media(("image/png",), 1_000_000, max_count=2), "more", required=False),
        Parameter("mode", Choice(("std", "pro")), "how well", default="std", sent_as="quality"),
        Parameter("sound", Flag("sound", "no sound"), "sound", default=False),
        Parameter("cfg_scale", Number(0, 1, 0.1), "how strictly", required=False),
    ),
    prices=PriceList(
        (Price(10, {"mode": "std"}), Price(20, {"mode": "pro", "sound": False})),
        as_of=date(2026, 10, 31),
        source="made up",
    ),
    usual_s=10.0,
    source="made up",
)


def problems(spec: ModelSpec, values: Values) -> tuple[Problem, ...]:
    """Everything that is wrong with the values."""
    with pytest.raises(InvalidInput) as caught:
        validate(spec, values)
    return caught.value.problems


# --- validation --------------------------------------------------------------------------------


def test_defaults_are_filled_in() -> None:
    """What was not given has its default, and nothing else is invented."""
    assert validate(EVERY_KIND, {"prompt": "fox", "image": "fox.png"}) == {
        "prompt": "fox",
        "image": "fox.png",
        "mode": "std",
        "sound": False,
    }


def test_none_counts_as_not_given() -> None:
    """None takes the default, and is missing where there is none."""
    given = {"prompt": "fox", "image": None, "mode": None}
    assert problems(EVERY_KIND, given) == (
        Problem("image", "is missing", EVERY_KIND.parameter("image").kind.allowed),
    )


def test_all_problems_come_at_once_in_the_order_of_the_parameters() -> None:
    """However the values were ordered, each wrong field is named, in the spec's order."""
    given = {"duration": "7", "sound": "yes", "image": "", "prompt": ""}
    found = [problem.field for problem in problems(IMAGE_TO_VIDEO, given)]
    assert found == [parameter.name for parameter in IMAGE_TO_VIDEO.parameters]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("duration", "7", "'7' is not one of 5, 10; choose one of them"),
        ("duration", True, "True is not one of 5, 10; choose one of them"),
        ("sound", "yes", "'yes' is not true or false; allowed: True, False"),
        ("prompt", "x" * 1001, "has 1,001 characters; allowed: 1 to 1,000 characters"),
    ],
)
def test_a_problem_has_field_given_and_allowed(field: str, value: object, said: str) -> None:
    """The sentence is enough to correct the value; nothing is guessed that costs more."""
    given = {"prompt": "fox", "image": "fox.png", field: value}
    assert [str(each) for each in problems(IMAGE_TO_VIDEO, given)] == [f"{field}: {said}"]


def test_an_unknown_parameter_is_named_with_those_that_exist() -> None:
    """A value for a field that the model does not have is no silence."""
    (problem,) = problems(
        IMAGE_TO_VIDEO, {"prompt": "fox", "image": "fox.png", "aspect_ratio": "16:9"}
    )
    assert problem.field == "aspect_ratio"
    assert IMAGE_TO_VIDEO.name in problem.given
    names = [parameter.name for parameter in IMAGE_TO_VIDEO.parameters]
    assert problem.allowed == "allowed: " + ", ".join(names)


def test_an_unknown_parameter_without_a_value_is_no_problem() -> None:
    """A surface that asks for all options of all models may pass None on."""
    assert validate(TEXT_TO_VIDEO, {"prompt": "fox", "image": None})["prompt"] == "fox"


def test_given_values_are_not_changed() -> None:
    """Validating is reading: the caller's dict stays what it was."""
    given = {"prompt": "a\r\nb", "duration": 5}
    validate(TEXT_TO_VIDEO, given)
    assert given == {"prompt": "a\r\nb", "duration": 5}


# --- what is sent ------------------------------------------------------------------------------


def test_values_go_out_under_the_services_names() -> None:
    """`sent_as` renames, one picture is an array or a string as the model wants it."""
    values = validate(
        EVERY_KIND, {"prompt": "fox", "image": "a.png", "frames": ["b", "c"], "mode": "pro"}
    )
    sent = request_input(EVERY_KIND, values, {"image": ["u1"], "frames": ["u2", "u3"]})
    assert sent == {
        "prompt": "fox",
        "image": "u1",
        "frames": ["u2", "u3"],
        "quality": "pro",
        "sound": False,
    }


# --- what derives from a spec ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "credits"),
    [
        ({"mode": "std", "sound": True}, 10),
        ({"mode": "pro", "sound": False}, 20),
        ({"mode": "pro", "sound": True}, None),
    ],
)
def test_the_first_line_that_fits_is_the_price(
    values: dict[str, object], credits: float | None
) -> None:
    """A price fits when all its conditions do; where none fits, none is invented."""
    assert price_credits(EVERY_KIND, values) == credits


def test_values_are_described_in_words() -> None:
    """A card reads `5 s`, `no sound`; prompt and pictures have places of their own."""
    values = validate(IMAGE_TO_VIDEO, {"prompt": "fox", "image": "fox.png"})
    assert describe(IMAGE_TO_VIDEO, values) == {"duration": "5 s", "sound": "no sound"}


def test_a_long_text_is_told_by_its_beginning() -> None:
    """What must not be in the clip may be 500 characters, and stands in the line of the price."""
    words = describe(CATALOGUE["kling/v2-1-pro"], {"negative_prompt": "people, " * 60})
    assert words["negative_prompt"].startswith("negative prompt people, people, ")
    assert words["negative_prompt"].endswith("…")
    assert len(words["negative_prompt"]) < 80


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("kling-2.6/image-to-video", {"image": "a.png"}, {}),
        ("kling-3.0/video", {"image": "a.png, b.png"}, {"image": "image a.png, b.png"}),
        ("kling/v2-1-pro", {"image": "a.png", "last_image": "b.png"},
         {"last_image": "last image b.png"}),
        ("kling/ai-avatar-pro", {"image": "a.png", "audio": "x" * 90},
         {"audio": f"audio {'x' * 59}…"}),
    ],
)  # fmt: skip
def test_what_a_clip_is_made_from_is_named(
    name: str, values: dict[str, object], told: dict[str, str]
) -> None:
    """A card shows one picture; of all else it tells the names."""
    assert describe_named(CATALOGUE[name], values) == told


def test_a_number_is_described_with_its_name() -> None:
    """A bare number would say nothing."""
    assert describe(EVERY_KIND, {"cfg_scale": 0.5}) == {"cfg_scale": "cfg scale 0.5"}


def test_a_flag_that_goes_without_saying_is_not_said() -> None:
    """An empty word for off leaves it out of the price line."""
    quiet = Parameter("quiet", Flag(on="quiet", off=""), "less noise", default=False)
    spec = replace(EVERY_KIND, parameters=(quiet,))
    assert describe(spec, {"quiet": False}) == {}
    assert describe(spec, {"quiet": True}) == {"quiet": "quiet"}


def test_the_words_of_a_request_are_its_prompt_or_its_shots() -> None:
    """What a list of jobs shows, also for a clip that has no prompt of its own."""
    shots = [{"prompt": "wakes", "duration": 3}, {"prompt": "runs", "duration": 4}]
    assert request_text({"prompt": "A fox", "shots": shots}) == "A fox"
    assert request_text({"shots": shots, "image": ["a", "b"]}) == "wakes; runs"
    assert request_text({"image": "a"}) == ""


def test_a_review_has_what_was_given_and_what_is_allowed() -> None:
    """One entry for each field that was sent, in the order of the parameters."""
    problems = review(IMAGE_TO_VIDEO, {"duration": "5", "prompt": "A red fox"})
    assert [str(problem) for problem in problems] == [
        "prompt: given 'A red fox'; allowed: 1 to 1,000 characters",
        "duration: given '5'; allowed: 5, 10",
    ]


def test_parameters_are_found_by_name() -> None:
    """The name a person writes finds the parameter, the service's name does not."""
    assert EVERY_KIND.parameter("mode").field == "quality"
    with pytest.raises(KeyError):
        EVERY_KIND.parameter("quality")


def test_a_picture_that_was_added_later_may_be_an_array() -> None:
    """The fingerprint takes its hash, and compares nothing."""
    tail = Parameter("tail", Media(("image/png",), 1), "last", required=False, added_later=True)
    spec = replace(EVERY_KIND, parameters=(*EVERY_KIND.parameters, tail))
    values: Values = {"prompt": "fox", "tail": np.zeros((4, 4, 3), np.uint8)}

    def name(hashes: list[str]) -> str:
        return fingerprint(spec, values, {"tail": hashes}, service="live", take=1)

    assert name(["1" * 64]) != name(["2" * 64])
