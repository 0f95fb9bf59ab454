"""Client and emulator, written apart, read the same pages: requests, prices, what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from kling_nb.emulator.http.validate import Refusal, check_request
from kling_nb.emulator.models import MODELS
from kling_nb.errors import InvalidInput
from kling_nb.kie.wire import create_body
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.clip_request import media_of, request_input
from kling_nb.models.parameters import Choice, Flag
from kling_nb.models.spec import ModelSpec, price_credits, validate
from tests.support.sample_requests import BROKEN_FORMS, broken_form, given_of, least

SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
PICTURE = "https://example.com/a.png"
FILM = "https://example.com/a.mp4"
FORMS: tuple[dict[str, object], ...] = (
    {},
    {"shots": [{"prompt": "wakes", "duration": 5}]},
    {"image": PICTURE},
    {"image": None, "video": FILM},
    {"image": PICTURE, "video": FILM},
)
"""What forms of a request differ in."""
REQUIRED = {
    "kling-2.6/image-to-video": "prompt image_urls sound duration",
    "kling-2.6/text-to-video": "prompt sound aspect_ratio duration",
    "kling-2.6/motion-control": "input_urls video_urls character_orientation mode",
    "kling-3.0/video": "sound duration mode multi_shots",
    "kling-3.0/motion-control": "input_urls video_urls",
    "kling/v3-turbo-text-to-video": "prompt duration aspect_ratio resolution",
    "kling/v3-turbo-image-to-video": "prompt image_urls duration resolution",
    "kling-3.0-omni/text-to-video": "prompt",
    "kling-3.0-omni/image-to-video": "prompt image_urls",
    "kling-3.0-omni/reference-to-video": "prompt",
    "kling-3.0-omni/transformation": "prompt video_urls",
    "kling/v2-5-turbo-image-to-video-pro": "prompt image_url",
    "kling/v2-5-turbo-text-to-video-pro": "prompt",
    "kling/v2-1-master-image-to-video": "prompt image_url",
    "kling/v2-1-master-text-to-video": "prompt",
    "kling/v2-1-pro": "prompt image_url",
    "kling/v2-1-standard": "prompt image_url",
    "kling/ai-avatar-standard": "prompt image_url audio_url",
    "kling/ai-avatar-pro": "prompt image_url audio_url",
}
"""What the pages call required whatever else is sent: here a third time, since what both leave out
in the same way no comparison of the two would show."""


def given_to(spec: ModelSpec) -> dict[str, Any]:
    """The least a person gives, its files elsewhere."""
    media = {parameter.name for parameter in spec.media}
    return {key: PICTURE if key in media else value for key, value in least(spec).items()}


def sent_by(spec: ModelSpec, values: dict[str, Any]) -> dict[str, Any]:
    """The input that the client sends."""
    urls = {path: [str(each) for each in m.given] for path, m in media_of(spec, values).items()}
    return request_input(spec, values, urls)


def choices_of(spec: ModelSpec) -> list[dict[str, object]]:
    """Every combination of what the client's prices depend on."""
    deciding = {name for line in spec.prices.lines for name in (*line.when, line.per_s_of)}
    options: dict[str, tuple[object, ...]] = {}
    for parameter in spec.parameters:
        match parameter.kind:
            case Choice(options=some) if parameter.name in deciding:
                options[parameter.name] = some
            case Flag() if parameter.name in deciding:
                options[parameter.name] = (False, True)
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def allowed_with(spec: ModelSpec, name: str, option: object) -> dict[str, Any]:
    """Values with that option, in the first form of a request that has it."""
    names = {parameter.name for parameter in spec.parameters}
    for form in FORMS:
        given = {**given_to(spec), **form, name: option}
        try:
            return validate(spec, {key: value for key, value in given.items() if key in names})
        except InvalidInput:
            continue
    raise AssertionError(f"{spec.name} has no form with {name} {option}")


@SPECS
def test_what_the_page_requires_is_asked_for_and_sent(spec: ModelSpec) -> None:
    """By the emulator, no more and no less; by the client in its least request."""
    required = set(REQUIRED[spec.name].split())
    assert MODELS[spec.name].required.keys() == required
    assert required <= sent_by(spec, validate(spec, given_to(spec))).keys()


@SPECS
@pytest.mark.parametrize("seconds", [5.0, 5.04, 7.2])
def test_both_know_the_same_price(spec: ModelSpec, seconds: float) -> None:
    """For each combination that decides it, in each form, for files of these lengths."""
    lengths_s = {parameter.name: seconds for parameter in spec.media}
    names = {parameter.name for parameter in spec.parameters}
    compared = 0
    for choice, form in product(choices_of(spec), FORMS):
        given = {**given_to(spec), **choice, **form}
        try:
            values = validate(spec, {key: value for key, value in given.items() if key in names})
        except InvalidInput:  # not a form of this model
            continue
        order = check_request(create_body(spec.name, sent_by(spec, values)), lambda _: seconds)
        assert order.credits == price_credits(spec, values, lengths_s)
        compared += 1
    assert compared >= len(choices_of(spec))


@pytest.mark.parametrize(("sample", "changes", "field", "words"), BROKEN_FORMS)
def test_both_refuse_each_broken_form(
    sample: str, changes: dict[str, object], field: str, words: str
) -> None:
    """The client before anything is sent, at the field to change; the emulator for any client."""
    check_request(broken_form(sample, {}))
    body = broken_form(sample, changes)
    with pytest.raises(Refusal):
        check_request(body)
    spec = CATALOGUE[body["model"]]
    with pytest.raises(InvalidInput) as caught:
        validate(spec, given_of(spec, body))
    said = {problem.field: str(problem) for problem in caught.value.problems}
    assert words in said[field]


@pytest.mark.parametrize("name", ["customize_multi_shots", "prefer_multi_shots"])
@pytest.mark.parametrize("form", ["both", "video"])
def test_no_flag_of_shots_goes_with_a_video(name: str, form: str) -> None:
    """The forms with a video have no such field, and the client sends none."""
    sample = f"create.request.3.0-omni-reference-to-video-{form}.json"
    with pytest.raises(Refusal, match="task id is blank"):
        check_request(broken_form(sample, {name: False}))
    body = broken_form(sample, {})
    spec = CATALOGUE[body["model"]]
    assert name not in sent_by(spec, validate(spec, given_of(spec, body)))


@SPECS
def test_what_the_client_calls_an_option_the_emulator_takes(spec: ModelSpec) -> None:
    """And nothing else: each choice is accepted, a made-up one is refused."""
    for parameter in spec.parameters:
        if not isinstance(parameter.kind, Choice):
            continue
        for option in parameter.kind.options:
            sent = sent_by(spec, allowed_with(spec, parameter.name, option))
            check_request(create_body(spec.name, sent))
        with pytest.raises(Refusal, match=r"500 .*allowed options"):
            check_request(create_body(spec.name, sent | {parameter.field: "none of them"}))
