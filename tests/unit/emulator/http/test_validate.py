"""createTask refuses what the service refuses, in its words where they are known."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.emulator.http.validate import Refusal, check_request

IMAGE = {
    "prompt": "p",
    "image_urls": ["https://example.com/a.png"],
    "sound": False,
    "duration": "5",
}
TEXT = {"prompt": "p", "sound": False, "duration": "5", "aspect_ratio": "16:9"}
REQUIRED = (500, "This field is required")
BLANK_ID = (422, "generate playground failed, task id is blank")
OUT_OF_RANGE = "is not within the range of allowed options"
TOO_LONG = (422, "prompt must be at most 1000 characters")
NOT_ONE_URL = (422, "image_urls must be a list of exactly 1 URL")


def refused(body: object) -> tuple[int, str]:
    """Code and text of the refusal of a body."""
    with pytest.raises(Refusal) as caught:
        check_request(body)
    return caught.value.code, caught.value.msg


def ask(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A body whose input is changed; None drops a field."""
    values = {name: value for name, value in (base | changes).items() if value is not None}
    kind = "image" if "image_urls" in base else "text"
    return {"model": f"kling-2.6/{kind}-to-video", "input": values}


@pytest.mark.parametrize("base", [IMAGE, TEXT])
def test_a_good_body_is_an_order(base: dict[str, Any]) -> None:
    """With its values as they were, and its price; 1,000 characters are allowed."""
    long = base | {"prompt": "x" * 1000}
    order = check_request(ask(long))
    assert (order.input, order.credits, order.callback_url) == (long, 55.0, "")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"prompt": ""}, REQUIRED),
        ({"prompt": " \n"}, REQUIRED),
        ({"prompt": 7}, (422, "prompt must be a string")),
        ({"prompt": "é" * 1001}, TOO_LONG),
        ({"sound": 0}, (500, f"sound {OUT_OF_RANGE}")),
        ({"duration": 5}, (500, f"duration {OUT_OF_RANGE}")),
        ({"negative_prompt": "rain"}, BLANK_ID),
        ({"image_urls": []}, (422, "aspect_ratio is required for text-to-video")),
        ({"image_urls": ["https://a.b/c.png"] * 2}, NOT_ONE_URL),
        ({"image_urls": "https://a.b/c.png"}, NOT_ONE_URL),
    ],
)
def test_a_bad_field_is_refused(changes: dict[str, Any], answer: tuple[int, str]) -> None:
    """Types count: the duration is a string and sound is a boolean."""
    assert refused(ask(IMAGE, **changes)) == answer


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,AAAA", "fox.png", "ftp://a.b/c.png", "https://", "http://[", 7]
)
def test_a_picture_is_a_web_address(url: object) -> None:
    """A URL after upload, not file content."""
    code, msg = refused(ask(IMAGE, image_urls=[url]))
    assert (code, msg) == (422, "image_urls must contain http or https URLs, not file content")


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_is_an_object(body: object) -> None:
    """Also when it was no JSON at all, which reads as None."""
    assert refused(body)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "kling-9/none", "input": {}},
        {"model": ["kling-2.6/image-to-video"], "input": {}},
        {"model": "kling-2.6/image-to-video"},
        {"model": "kling-2.6/image-to-video", "input": "{}"},
        {**ask(IMAGE), "callBackUrl": 7},
    ],
)
def test_the_root_is_checked(body: object) -> None:
    """Model, input and callBackUrl."""
    assert refused(body)[0] == 422
