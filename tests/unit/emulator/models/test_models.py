"""Every hosted model takes a good request, makes a clip, and refuses each broken rule."""

from __future__ import annotations

import io
import json
from itertools import product
from typing import Any

import av
import pytest

from kling_nb.emulator.http.validate import Refusal, check_request
from kling_nb.emulator.models import MODELS
from kling_nb.emulator.models.fields import (
    Choice,
    FieldKind,
    Flag,
    Integer,
    Number,
    ObjectList,
    Text,
    Url,
    UrlList,
)
from tests.support.emulator_requests import ELEMENT, GOOD, PICTURE, SHOTS

REQUIRED = (500, "This field is required")
RANGE = "is not within the range of allowed options"
BLANK_ID = (422, "generate playground failed, task id is blank")
WITHOUT_VIDEO: dict[str, Any] = {"video_urls": None, "customize_multi_shots": False}
LENGTHS_S = {
    "kling-2.6/text-to-video": 10,
    "kling/v3-turbo-text-to-video": 3,
    "kling/v3-turbo-image-to-video": 15,
    "kling-3.0-omni/text-to-video": 3,
    **dict.fromkeys((name for name, values in GOOD.items() if values.get("cfg_scale")), 10),
}
"""Of the clips for the good requests, where they are not 5; a file elsewhere counts as 5."""


def refused(name: str, values: dict[str, Any]) -> tuple[int, str]:
    """Code and text of a refusal."""
    with pytest.raises(Refusal) as caught:
        check_request({"model": name, "input": values})
    return caught.value.code, caught.value.msg


def credits_of(name: str, **changes: Any) -> float:
    """The price of the good request, changed; None drops a field."""
    values = {key: value for key, value in (GOOD[name] | changes).items() if value is not None}
    return check_request({"model": name, "input": values}, lambda _: 7.2).credits


def wrong_values(kind: FieldKind) -> list[tuple[Any, int]]:
    """Values that a field of the kind does not take, and the code that each is refused with."""
    match kind:
        case Text(None):
            return [(7, 422)]
        case Text(limit):
            return [(7, 422), ("x" * (limit + 1), 422)]
        case Choice():
            return [("nothing", 500), (5, 500)]
        case Flag():
            return [("true", 500), (1, 500)]
        case Integer(low, high):
            return [(low - 1, 500), (high + 1, 500), (str(low), 500), (True, 500)]
        case Number(low, high, step):
            wrong = (high + step, low + step / 2, float("nan"))
            return [(value, 500) for value in wrong] + [("0.5", 422)]
        case Url():
            return [([PICTURE], 422), ("data:image/png;base64,AAAA", 422)]
        case UrlList(_, least, most):
            wrong = (PICTURE, ["fox.png"] * least, [PICTURE] * ((most or least) + 1))
            return [(value, 422) for value in wrong[: 3 if most else 2]]
        case ObjectList():
            return [("shots", 422), (["shot"], 422)]


BROKEN = [
    pytest.param(name, field, value, code, id=f"{name}-{field}-{number}")
    for name, model in MODELS.items()
    for field, kind in model.fields.items()
    for number, (value, code) in enumerate(wrong_values(kind))
]


def test_the_whole_family_is_here() -> None:
    """The nineteen models of the documentation's crawl of August 2026."""
    assert list(MODELS.keys() - GOOD.keys()) == []
    assert len(MODELS) == len(GOOD) == 19


@pytest.mark.parametrize("name", GOOD)
def test_a_good_request_brings_a_clip(local: Any, name: str) -> None:
    """With its length, with sound where that was asked for or always comes; it is paid."""
    balance = local.account.balance()
    answer = local.post_task({"model": name, "input": GOOD[name]}).json()
    record = local.finish(answer["data"]["taskId"])
    assert (record["state"], record["model"]) == ("success", name)
    assert balance - local.account.balance() == record["creditsConsumed"] > 0
    local.account.set_balance(5916)
    clip = local.call("GET", "", json.loads(record["resultJson"])["resultUrls"][0], key=None)
    with av.open(io.BytesIO(clip.content)) as film:
        length_s = film.duration / av.time_base
        has_sound = bool(film.streams.audio)
    assert length_s == pytest.approx(LENGTHS_S.get(name, 5), abs=0.06)
    wanted = GOOD[name].get("sound") or GOOD[name].get("audio") or "avatar" in name
    assert has_sound == bool(wanted)


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in GOOD for field in MODELS[name].required]
)
def test_a_required_field_is_missed(name: str, field: str) -> None:
    """Missing, null, or empty."""
    answer = REQUIRED
    if (name, field) == ("kling-2.6/image-to-video", "image_urls"):
        answer = (422, "aspect_ratio is required for text-to-video")
    without = {key: value for key, value in GOOD[name].items() if key != field}
    assert refused(name, without) == answer
    assert refused(name, {**without, field: None}) == answer


@pytest.mark.parametrize(("name", "field", "value", "code"), BROKEN)
def test_a_wrong_value_is_refused(name: str, field: str, value: Any, code: int) -> None:
    """An option with the service's own words, anything else with 422."""
    given, msg = refused(name, {**GOOD[name], field: value})
    assert given == code
    assert (RANGE in msg) == (code == 500)


@pytest.mark.parametrize("name", GOOD)
def test_a_field_of_another_model_is_refused(name: str) -> None:
    """As the service refuses aspect_ratio at 2.6 image-to-video."""
    assert refused(name, {**GOOD[name], "seed": 7}) == BLANK_ID


@pytest.mark.parametrize(
    ("field", "records"),
    [
        ("multi_prompt", [{**SHOTS[0], "prompt": "x" * 501}]),
        ("multi_prompt", [{**SHOTS[0], "duration": 13}]),
        ("multi_prompt", [{**SHOTS[0], "duration": "5"}]),
        ("multi_prompt", [{"prompt": "A fox"}]),
        ("multi_prompt", [{**SHOTS[0], "sound": True}]),
        ("multi_prompt", SHOTS * 3),
        ("kling_elements", [{**ELEMENT, "element_input_urls": []}]),
        ("kling_elements", [{**ELEMENT, "element_input_audio_urls": "a.mp3"}]),
        ("kling_elements", [{**ELEMENT, "start_time": -1}]),
        ("kling_elements", [{**ELEMENT, "start_time": 2000, "end_time": 1000}]),
        ("kling_elements", [{**ELEMENT, "start_time": "2000"}]),
        ("kling_elements", [{**ELEMENT, "element_input_urls": [PICTURE] * 5}]),
        ("kling_elements", [{**ELEMENT, "name": ""}]),
        ("kling_elements", [ELEMENT] * 4),
    ],
)
def test_a_wrong_record_is_refused(field: str, records: Any) -> None:
    """Its fields are checked as those of the request."""
    code, _ = refused("kling-3.0/video", {**GOOD["kling-3.0/video"], field: records})
    assert code in (422, 500)


def test_shots_or_words_are_needed_at_3_0() -> None:
    """The prompt unless multi_shots, the shots with it, a shape without a picture."""
    good = GOOD["kling-3.0/video"]
    single = {key: value for key, value in good.items() if key != "multi_prompt"}
    assert refused("kling-3.0/video", single) == REQUIRED
    assert refused("kling-3.0/video", {**single, "multi_shots": False}) == REQUIRED
    words = {**single, "multi_shots": False, "prompt": "p"}
    check_request({"model": "kling-3.0/video", "input": words})
    bare = {key: value for key, value in words.items() if key != "image_urls"}
    check_request({"model": "kling-3.0/video", "input": bare})
    assert refused("kling-3.0/video", {**bare, "aspect_ratio": None}) == REQUIRED
    check_request({"model": "kling-3.0/video", "input": {**words, "aspect_ratio": None}})


@pytest.mark.parametrize("name", ["text-to-video", "image-to-video", "reference-to-video"])
def test_omni_wants_shots_unless_told_otherwise(name: str) -> None:
    """`customize_multi_shots` is true where it is not sent. Source: D."""
    name = f"kling-3.0-omni/{name}"
    files = {key: GOOD[name][key] for key in ("image_urls",) if key in GOOD[name]}
    told = {**files, "prompt": "p"}
    assert refused(name, told) == REQUIRED
    check_request({"model": name, "input": {**told, "multi_prompt": SHOTS}})
    check_request({"model": name, "input": {**told, "customize_multi_shots": False}})


@pytest.mark.parametrize("name", MODELS)
def test_every_request_has_a_price(name: str) -> None:
    """The prices of a model leave no gap between its options."""
    model = MODELS[name]
    deciding = sorted({field for price in model.prices for field in price.when})
    choices = [
        kind.options if isinstance(kind, Choice) else (True, False)
        for kind in (model.fields[field] for field in deciding)
    ]
    free = WITHOUT_VIDEO if "reference" in name else {}
    for values in product(*choices):
        assert credits_of(name, **free, **dict(zip(deciding, values, strict=True))) > 0
    given = {field: None for field in deciding if field in model.defaults}
    assert credits_of(name, **given) > 0


@pytest.mark.parametrize(
    ("name", "changes", "credits"),
    [
        ("kling-2.6/image-to-video", {"sound": False}, 55),
        ("kling-2.6/image-to-video", {}, 110),
        ("kling-2.6/text-to-video", {"sound": True}, 220),
        ("kling-2.6/motion-control", {}, 8 * 11),
        ("kling-2.6/motion-control", {"mode": "1080p"}, 8 * 18),
        ("kling-3.0/video", {"sound": False, "mode": "std"}, 5 * 14),
        ("kling-3.0/video", {"sound": False}, 5 * 18),
        ("kling-3.0/video", {"mode": "std"}, 5 * 20),
        ("kling-3.0/video", {}, 5 * 27),
        ("kling-3.0/video", {"mode": "4K", "duration": "15"}, 15 * 67),
        ("kling-3.0/motion-control", {}, 8 * 27),
        ("kling-3.0/motion-control", {"mode": None}, 8 * 20),
        ("kling/v3-turbo-text-to-video", {}, 3 * 22.5),
        ("kling/v3-turbo-image-to-video", {}, 15 * 18),
        ("kling-3.0-omni/text-to-video", {}, 3 * 23),
        ("kling-3.0-omni/text-to-video", {"audio": None}, 3 * 18),
        ("kling-3.0-omni/text-to-video", {"resolution": None}, 3 * 18),
        ("kling-3.0-omni/image-to-video", {}, 5 * 67),
        ("kling-3.0-omni/reference-to-video", {}, 8 * 20),
        ("kling-3.0-omni/reference-to-video", {"duration": 10}, 10 * 20),
        ("kling-3.0-omni/reference-to-video", {"image_urls": None, "duration": None}, 8 * 20),
        ("kling-3.0-omni/reference-to-video", {"resolution": "1080p"}, 8 * 27),
        ("kling-3.0-omni/reference-to-video", {"resolution": "4k"}, 8 * 67),
        ("kling-3.0-omni/reference-to-video", WITHOUT_VIDEO | {"audio": True}, 5 * 18),
        ("kling-3.0-omni/transformation", {}, 8 * 20),
        ("kling-3.0-omni/transformation", {"audio": True}, 8 * 20),
        ("kling-3.0-omni/transformation", {"resolution": "1080p"}, 8 * 27),
        ("kling-3.0-omni/transformation", {"resolution": "4k"}, 8 * 67),
        ("kling/v2-5-turbo-image-to-video-pro", {}, 84),
        ("kling/v2-5-turbo-text-to-video-pro", {"duration": None}, 42),
        ("kling/v2-1-standard", {}, 25),
        ("kling/v2-1-pro", {}, 100),
        ("kling/v2-1-master-text-to-video", {}, 320),
        ("kling/v2-1-master-image-to-video", {"duration": "5"}, 160),
        ("kling/ai-avatar-standard", {}, 8 * 8),
        ("kling/ai-avatar-pro", {}, 8 * 16),
    ],
)
def test_prices(name: str, changes: dict[str, Any], credits: float) -> None:
    """Three independent captures; a file of 7.2 s counts as 8."""
    assert credits_of(name, **changes) == credits
