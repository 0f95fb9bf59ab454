"""What the catalogue promises, for every model in it: it validates, it costs, it is sourced."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.kie.wire import create_body
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.clip_request import media_of, request_input
from kling_nb.models.parameters import Choice, Flag, Media
from kling_nb.models.rules import PresenceFlag, Unsent
from kling_nb.models.spec import ModelSpec, check_durations, price_credits, validate
from tests.support.sample_files import document
from tests.support.sample_requests import (
    BROKEN,
    ELEMENT,
    EXAMPLES,
    FORMS,
    SHOTS,
    body_of,
    given_of,
    least,
)

SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
BROKEN_HERE: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("kling-3.0/video", {"shots": SHOTS, "duration": 5}, "duration", "add up to 7; set 7"),
    ("kling-3.0/video", {"shots": [{"prompt": "a", "duration": 2}]}, "duration",
     "the shots add up to 2"),
)  # fmt: skip
"""What the pages do not forbid, and nobody knows the price of."""
MOTION = ("kling-2.6/motion-control", "kling-3.0/motion-control")
SHOT_MODELS = (
    "kling-3.0/video",
    "kling-3.0-omni/text-to-video",
    "kling-3.0-omni/image-to-video",
    "kling-3.0-omni/reference-to-video",
)


def every_choice(spec: ModelSpec) -> list[dict[str, object]]:
    """Every combination of the values that a price depends on."""
    asked = {name for line in spec.prices.lines for name in (*line.when, line.per_s_of)}
    options: dict[str, tuple[object, ...]] = {}
    for parameter in spec.parameters:
        match parameter.kind:
            case Choice(options=choices) if parameter.name in asked:
                options[parameter.name] = choices
            case Flag() if parameter.name in asked:
                options[parameter.name] = (False, True)
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def problem_of(name: str, **values: object) -> tuple[str, str]:
    """The one thing that is wrong with the least request and these values: field and sentence."""
    spec = CATALOGUE[name]
    given = {**least(spec), **values}
    with pytest.raises(InvalidInput) as caught:
        validate(spec, {key: value for key, value in given.items() if value != ""})
    (problem,) = caught.value.problems
    return problem.field, str(problem)


def sent_by(name: str, **values: object) -> dict[str, object]:
    """What is sent for the least request and these values, the sources as their URLs."""
    spec = CATALOGUE[name]
    given = {**least(spec), **values}
    checked = validate(spec, {key: value for key, value in given.items() if value != ""})
    return request_input(spec, checked, urls_of(spec, checked))


def urls_of(spec: ModelSpec, values: dict[str, object]) -> dict[str, list[str]]:
    """The media as they were given, by their path: what was given is a URL."""
    return {path: [str(each) for each in m.given] for path, m in media_of(spec, values).items()}


# --- each model --------------------------------------------------------------------------------


def test_there_are_nineteen() -> None:
    """All models of the family, under the names that are sent, each with a sample request."""
    assert len(CATALOGUE) == 19
    assert EXAMPLES.keys() == CATALOGUE.keys()
    assert all(spec.name == name for name, spec in CATALOGUE.items())


@SPECS
def test_the_request_is_the_documented_one(spec: ModelSpec) -> None:
    """The example's own values, given by our names, make the example's body, key for key."""
    example = body_of(spec)
    assert example["model"] == spec.name
    values = validate(spec, given_of(spec))
    sent = request_input(spec, values, urls_of(spec, values))
    body = create_body(spec.name, sent, example.get("callBackUrl", ""))
    assert body == example
    for name, value in example["input"].items():
        assert type(body["input"][name]) is type(value)  # type: ignore[index]


@pytest.mark.parametrize("sample", FORMS)
def test_each_form_is_the_documented_one(sample: str) -> None:
    """A request of that form is sent as the sample has it, no field more and none less."""
    body = document(sample)
    spec = CATALOGUE[body["model"]]
    values = validate(spec, given_of(spec, body))
    assert create_body(spec.name, request_input(spec, values, urls_of(spec, values)), "") == body


@SPECS
def test_samples_have_every_field(spec: ModelSpec) -> None:
    """What is in no sample is sent under a name that nobody compared."""
    told = {each.sent_as for each in spec.implied if isinstance(each, PresenceFlag)}
    fields = {parameter.field for parameter in spec.parameters} | told
    bodies = (document(name) for name in (EXAMPLES[spec.name], *FORMS))
    sent = {name for body in bodies if body["model"] == spec.name for name in body["input"]}
    assert fields <= sent


@SPECS
def test_defaults_validate(spec: ModelSpec) -> None:
    """A prompt, and a source where one is needed, is enough."""
    assert {p.name for p in spec.parameters if p.required} <= set(validate(spec, least(spec)))


@SPECS
def test_every_choice_has_a_price_and_the_default_is_the_cheapest(spec: ModelSpec) -> None:
    """The default duration is 5 s; every other default costs no more than another choice."""
    durations_s = {"video": 7.0, "audio": 7.0}

    def price(chosen: dict[str, object]) -> float:
        found = price_credits(spec, validate(spec, {**least(spec), **chosen}), durations_s)
        assert found is not None
        return found

    for chosen in every_choice(spec):
        price(chosen)
        assert price({**chosen, "duration": None}) >= price({})


@SPECS
def test_a_spec_is_sourced_and_its_options_have_names(spec: ModelSpec) -> None:
    """Prices have a day and a source; every parameter can be written in a cell, with help."""
    assert date(2026, 1, 1) < spec.prices.as_of < date(2027, 1, 1)
    assert spec.prices.source
    assert spec.source
    letters = [parameter.flag for parameter in spec.parameters if parameter.flag]
    assert len(letters) == len(set(letters))
    assert not set(letters) & set("mown")
    for parameter in spec.parameters:
        assert parameter.name.isidentifier()
        assert parameter.help


@SPECS
def test_what_is_implied_names_real_fields(spec: ModelSpec) -> None:
    """What follows from a field that is not there would never follow."""
    names = {parameter.name for parameter in spec.parameters}
    for each in spec.implied:
        if isinstance(each, PresenceFlag):
            assert each.of in names
            assert each.sent_as not in {parameter.field for parameter in spec.parameters}
        elif isinstance(each, Unsent):
            assert set(each.when.fields) <= names
        else:
            assert each.field in names


@SPECS
def test_price_lines_name_real_fields_and_values(spec: ModelSpec) -> None:
    """A line about a value that is none would never count."""
    for line in spec.prices.lines:
        for name, value in line.when.items():
            assert spec.parameter(name).kind.parse(value) == value
        if line.per_s_of:
            assert spec.parameter(line.per_s_of)


# --- prices ------------------------------------------------------------------------------------

VIDEO_ONLY: dict[str, object] = {"video": "a.mp4", "image": None}


@pytest.mark.parametrize(
    ("name", "values", "credits"),
    [
        ("kling-2.6/image-to-video", {}, 55),
        ("kling-2.6/image-to-video", {"duration": "10"}, 110),
        ("kling-2.6/image-to-video", {"sound": True}, 110),
        ("kling-2.6/text-to-video", {"duration": "10", "sound": True}, 220),
        ("kling-2.6/motion-control", {}, 7 * 11),
        ("kling-2.6/motion-control", {"mode": "1080p"}, 7 * 18),
        ("kling-3.0/video", {}, 5 * 14),
        ("kling-3.0/video", {"mode": "pro", "duration": "3"}, 3 * 18),
        ("kling-3.0/video", {"sound": True}, 5 * 20),
        ("kling-3.0/video", {"mode": "pro", "sound": True}, 5 * 27),
        ("kling-3.0/video", {"mode": "4K", "sound": True}, 5 * 67),
        ("kling-3.0/video", {"mode": "4K", "duration": "15"}, 15 * 67),
        ("kling-3.0/video", {"shots": SHOTS}, 7 * 14),
        ("kling-3.0/motion-control", {}, 7 * 20),
        ("kling-3.0/motion-control", {"mode": "1080p"}, 7 * 27),
        ("kling/v3-turbo-image-to-video", {}, 5 * 18),
        ("kling/v3-turbo-text-to-video", {"resolution": "1080p", "duration": "4"}, 4 * 22.5),
        ("kling-3.0-omni/text-to-video", {}, 5 * 14),
        ("kling-3.0-omni/image-to-video", {"sound": True}, 5 * 18),
        ("kling-3.0-omni/text-to-video", {"resolution": "1080p"}, 5 * 18),
        ("kling-3.0-omni/reference-to-video", {"resolution": "1080p", "sound": True}, 5 * 23),
        ("kling-3.0-omni/text-to-video", {"resolution": "4k", "duration": 3}, 3 * 67),
        ("kling-3.0-omni/reference-to-video", {"resolution": "720p"}, 5 * 14),
        ("kling-3.0-omni/reference-to-video", {"resolution": "4k", "sound": True}, 5 * 67),
        ("kling-3.0-omni/reference-to-video", VIDEO_ONLY, 7 * 20),
        ("kling-3.0-omni/reference-to-video", VIDEO_ONLY | {"resolution": "1080p"}, 7 * 27),
        ("kling-3.0-omni/reference-to-video", VIDEO_ONLY | {"resolution": "4k"}, 7 * 67),
        ("kling-3.0-omni/reference-to-video", {"video": "a.mp4"}, 7 * 20),
        ("kling-3.0-omni/reference-to-video", {"video": "a.mp4", "duration": 9}, 9 * 20),
        ("kling-3.0-omni/transformation", {}, 7 * 20),
        ("kling-3.0-omni/transformation", {"sound": True}, 7 * 20),
        ("kling-3.0-omni/transformation", {"sound": True, "resolution": "1080p"}, 7 * 27),
        ("kling-3.0-omni/transformation", {"resolution": "4k"}, 7 * 67),
        ("kling/v2-5-turbo-image-to-video-pro", {}, 42),
        ("kling/v2-5-turbo-text-to-video-pro", {"duration": "10"}, 84),
        ("kling/v2-1-standard", {}, 25),
        ("kling/v2-1-standard", {"duration": "10"}, 50),
        ("kling/v2-1-pro", {}, 50),
        ("kling/v2-1-pro", {"duration": "10"}, 100),
        ("kling/v2-1-master-image-to-video", {}, 160),
        ("kling/v2-1-master-text-to-video", {"duration": "10"}, 320),
        ("kling/ai-avatar-standard", {}, 8 * 8),
        ("kling/ai-avatar-pro", {}, 8 * 16),
    ],
)
def test_prices(name: str, values: dict[str, object], credits: float) -> None:
    """Source: captures of the price pages, 2026-03 to 2026-10; begun seconds count whole."""
    spec = CATALOGUE[name]
    durations_s = {"video": 7.0, "audio": 7.2}
    assert price_credits(spec, validate(spec, {**least(spec), **values}), durations_s) == credits


@pytest.mark.parametrize(
    ("duration_s", "paid_s"),
    [(4.98, 5), (5.0, 5), (5.04, 5), (5.0417, 5), (5.09, 5), (5.12, 6), (5.5, 6), (0.05, 1)],
)
@pytest.mark.parametrize(
    ("name", "field", "rate"),
    [
        ("kling-3.0-omni/transformation", "video", 20),
        ("kling-2.6/motion-control", "video", 11),
        ("kling/ai-avatar-standard", "audio", 8),
    ],
)
def test_a_clip_of_five_seconds_is_paid_as_five(
    name: str, field: str, rate: int, duration_s: float, paid_s: int
) -> None:
    """A container adds a frame and two packets of sound to what it was made for (5.04 s).

    Recorded 2026-08-20: omni, 720p, from a clip of 5 s: 100 credits.
    """
    spec = CATALOGUE[name]
    price = price_credits(spec, validate(spec, least(spec)), {field: duration_s})
    assert price == paid_s * rate


def test_a_price_by_the_second_is_not_known_before_the_length_is() -> None:
    """No figure is better than one that is made up."""
    for name in (*MOTION, "kling/ai-avatar-pro", "kling-3.0-omni/transformation"):
        spec = CATALOGUE[name]
        assert price_credits(spec, validate(spec, least(spec))) is None


# --- what a person need not know ---------------------------------------------------------------


@pytest.mark.parametrize("name", SHOT_MODELS)
def test_shots_set_their_flag_and_the_duration(name: str) -> None:
    """The flag is sent either way (its own default may be true); the duration is the sum."""
    field = "multi_shots" if name == "kling-3.0/video" else "customize_multi_shots"
    sent = sent_by(name, shots=SHOTS)
    assert (sent_by(name)[field], sent[field]) == (False, True)
    assert float(str(sent["duration"])) == 7
    assert sent_by(name, shots=SHOTS, duration=7) == sent


def test_shots_need_no_prompt_at_3_0_and_one_at_omni() -> None:
    """Source: documentation, crawl of 2026-08: "unless `multi_shots`" stands at 3.0 only."""
    assert "prompt" not in sent_by("kling-3.0/video", prompt="", shots=SHOTS)
    for name in SHOT_MODELS[1:]:
        assert problem_of(name, prompt="", shots=SHOTS)[0] == "prompt"


def test_a_shape_is_chosen_only_without_an_image() -> None:
    """Source: documentation, crawl of 2026-08: `aspect_ratio` is optional with images."""
    assert sent_by("kling-3.0/video")["aspect_ratio"] == "16:9"
    assert "aspect_ratio" not in sent_by("kling-3.0/video", image="fox.png")
    assert sent_by("kling-3.0/video", image="f.png", aspect_ratio="1:1")["aspect_ratio"] == "1:1"


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "values", "field", "words"), [*BROKEN, *BROKEN_HERE])
def test_a_broken_rule_is_one_clear_problem(
    name: str, values: dict[str, object], field: str, words: str
) -> None:
    """At the field where it can be mended, with what is allowed."""
    found, sentence = problem_of(name, **values)
    assert found == field
    assert words in sentence


@pytest.mark.parametrize("name", MOTION)
def test_a_reference_video_may_be_longer_where_it_says_how_one_faces(name: str) -> None:
    """Source: documentation, crawl of 2026-08: 10 s with `image`, 30 s with `video`."""
    spec = CATALOGUE[name]
    values = validate(spec, least(spec))
    assert check_durations(spec, values, {"video": 10.04}) == []
    (problem,) = check_durations(spec, values, {"video": 12.0})
    assert str(problem) == (
        "video: lasts 12.0 s; at most 10 s with character_orientation image; "
        "shorten it, or set another character_orientation"
    )
    turned = validate(spec, {**least(spec), "character_orientation": "video"})
    assert check_durations(spec, turned, {"video": 30.0}) == []


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("kling-2.6/image-to-video", {"max_count": 1, "max_bytes": 10_000_000,
         "mime_types": ("image/jpeg", "image/png", "image/webp")}),
        ("kling-2.6/motion-control", {"over_px": 300, "ratio": (0.4, 2.5)}),
    ],
)  # fmt: skip
def test_the_limits_of_an_image(name: str, limits: dict[str, object]) -> None:
    """Source: the specification; motion control: documentation, crawl of 2026-08."""
    kind = CATALOGUE[name].parameter("image").kind
    assert isinstance(kind, Media)
    assert {field: getattr(kind, field) for field in limits} == limits


def test_an_element_has_its_images_under_the_services_name() -> None:
    """Source: documentation, crawl of 2026-08: 2 to 4 images in `element_input_urls`."""
    assert sent_by("kling-3.0/video", elements=[ELEMENT])["kling_elements"] == [
        {"name": "fox", "description": "red", "element_input_urls": ["a.png", "b.png"]}
    ]
