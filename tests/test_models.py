"""What the catalogue promises, for every model in it: it validates, it costs, it is sourced."""

from __future__ import annotations

from datetime import date
from itertools import product
from typing import Any

import pytest

from kling_nb.kinds import Choice, Flag, Media, Text
from kling_nb.models import CATALOGUE, DOLLARS_PER_CREDIT, IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.specs import ModelSpec, price_credits, request_input, validate
from kling_nb.wire import create_body
from tests.sample_files import document

EXAMPLES = {
    "kling-2.6/image-to-video": "create.request.image-to-video.json",
    "kling-2.6/text-to-video": "create.request.text-to-video.json",
}
SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)


def least(spec: ModelSpec) -> dict[str, object]:
    """The least that a model takes: what has no default."""
    fill = {Text: "A red fox", Media: "fox.png"}
    return {
        parameter.name: fill[type(parameter.kind)]
        for parameter in spec.parameters
        if parameter.required and parameter.default is None
    }


def every_choice(spec: ModelSpec) -> list[dict[str, object]]:
    """Every combination of the values that a person chooses from."""
    options: dict[str, tuple[object, ...]] = {}
    for parameter in spec.parameters:
        match parameter.kind:
            case Choice(options=choices):
                options[parameter.name] = choices
            case Flag():
                options[parameter.name] = (False, True)
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


@SPECS
def test_every_model_has_a_sample_request(spec: ModelSpec) -> None:
    """A model without a sample of its request is not in the catalogue."""
    assert document(EXAMPLES[spec.name])["model"] == spec.name


@SPECS
def test_the_request_is_the_documented_one(spec: ModelSpec) -> None:
    """The example's own values, given by our names, make the example's body, key for key."""
    example: dict[str, Any] = document(EXAMPLES[spec.name])
    given = {p.name: example["input"][p.field] for p in spec.parameters}
    media = {p.name: example["input"][p.field] for p in spec.media}
    values = validate(spec, given)
    body = create_body(
        spec.name, request_input(spec, values, media), example.get("callBackUrl", "")
    )
    assert body == example
    for name, value in example["input"].items():
        assert type(body["input"][name]) is type(value)  # type: ignore[index]


@SPECS
def test_defaults_validate(spec: ModelSpec) -> None:
    """A prompt, and a picture where one is needed, is enough."""
    values = validate(spec, least(spec))
    assert set(values) == {p.name for p in spec.parameters if p.required}


@SPECS
def test_every_choice_has_a_price(spec: ModelSpec) -> None:
    """Whatever a person may choose, the price is known before anything is sent."""
    for chosen in every_choice(spec):
        assert price_credits(spec, validate(spec, {**least(spec), **chosen})) is not None


@SPECS
@pytest.mark.parametrize(
    ("duration", "sound", "credits", "dollars"),
    [
        ("5", False, 55, 0.275),
        ("10", False, 110, 0.55),
        ("5", True, 110, 0.55),
        ("10", True, 220, 1.1),
    ],
)
def test_the_four_prices(
    spec: ModelSpec, duration: str, sound: bool, credits: float, dollars: float
) -> None:
    """Source: three independent captures of the price page, 2026-03 to 2026-10."""
    values = validate(spec, {**least(spec), "duration": duration, "sound": sound})
    assert price_credits(spec, values) == credits
    assert credits * DOLLARS_PER_CREDIT == pytest.approx(dollars)


@SPECS
def test_prices_and_fields_have_a_date_or_a_source(spec: ModelSpec) -> None:
    """Prices move: they carry the day they were true and where they are from."""
    assert date(2026, 1, 1) < spec.prices.as_of < date(2027, 1, 1)
    assert spec.prices.source
    assert spec.source


@SPECS
def test_names_are_options_and_letters_are_not_shared(spec: ModelSpec) -> None:
    """Every parameter can be written in a cell, and no letter means two things."""
    letters = [parameter.flag for parameter in spec.parameters if parameter.flag]
    assert len(letters) == len(set(letters))
    for parameter in spec.parameters:
        assert parameter.name.isidentifier()
        assert parameter.help


@SPECS
def test_the_catalogue_is_keyed_by_the_services_name(spec: ModelSpec) -> None:
    """A model is found by the name that is sent."""
    assert CATALOGUE[spec.name] is spec


def test_silent_and_short_is_the_default() -> None:
    """What nobody asked for is the cheapest: `sound` false and `duration` "5"."""
    for spec in (IMAGE_TO_VIDEO, TEXT_TO_VIDEO):
        values = validate(spec, least(spec))
        assert (values["sound"], values["duration"]) == (False, "5")


def test_a_picture_is_one_of_three_types_of_at_most_10_mb() -> None:
    """Source: the specification."""
    (image,) = IMAGE_TO_VIDEO.media
    assert isinstance(image.kind, Media)
    assert image.kind.mime_types == ("image/jpeg", "image/png", "image/webp")
    assert (image.kind.max_bytes, image.kind.max_count) == (10_000_000, 1)
