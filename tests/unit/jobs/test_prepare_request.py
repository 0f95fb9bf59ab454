"""What `prepare` promises: every problem at once, nothing sent, nothing noted."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from kling_nb.errors import InvalidInput
from kling_nb.jobs.prepare import PreparedRequest, prepare
from kling_nb.kie.http import Downloader
from kling_nb.models.catalog import IMAGE_TO_VIDEO, TEXT_TO_VIDEO
from kling_nb.models.clip_request import ClipRequest

URL = "https://pictures.example/fox.png"


def web(answer: httpx.Response | Exception | None = None) -> Downloader:
    """A web that answers this, or nobody at all."""

    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.Response):
            return answer
        raise answer or AssertionError(f"nothing should be fetched: {request.url}")

    return Downloader(transport=httpx.MockTransport(respond))


def ready(
    wish: ClipRequest, service: str = "live", pictures: Downloader | None = None
) -> PreparedRequest:
    """The prepared request."""
    return asyncio.run(prepare(wish, service=service, downloads=pictures or web()))


def problems(
    wish: ClipRequest, service: str = "live", pictures: Downloader | None = None
) -> list[str]:
    """The fields that are wrong."""
    with pytest.raises(InvalidInput) as caught:
        ready(wish, service, pictures)
    return [problem.field for problem in caught.value.problems]


def animate(image: object, prompt: str = "A red fox", **values: object) -> ClipRequest:
    """An image-to-video wish."""
    return ClipRequest(IMAGE_TO_VIDEO, {"image": image, "prompt": prompt, **values})


def test_all_problems_at_once() -> None:
    """Prompt, duration and picture in one error, each with what is allowed."""
    wish = animate("no such.png", "x" * 1001, duration=7, sound="loud", colour="red")
    with pytest.raises(InvalidInput) as caught:
        ready(wish)
    fields = sorted(problem.field for problem in caught.value.problems)
    assert fields == ["colour", "duration", "image", "prompt", "sound"]
    text = str(caught.value)
    assert "has 1,001 characters; allowed: 1 to 1,000" in text
    assert "duration: 7 is not one of 5, 10" in text
    assert "no such.png" in text
    assert all(problem.allowed for problem in caught.value.problems)


def test_what_is_missing_is_told_once() -> None:
    """A picture that was not given is not looked for."""
    assert problems(ClipRequest(IMAGE_TO_VIDEO, {"prompt": "A fox"})) == ["image"]
    assert problems(animate("", "A fox")) == ["image"]


@pytest.mark.parametrize("take", [0, -1, "2", 1.5, None])
def test_a_take_that_cannot_be(take: object) -> None:
    """Takes count from 1."""
    assert problems(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A fox"}, take=take)) == ["take"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image", [b"", b"no picture", "/nowhere/fox.png", 5, b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_a_picture_that_is_none(image: object) -> None:
    """One problem of the field `image`."""
    assert problems(animate(image)) == ["image"]


def test_a_picture_is_read_once(photo: bytes, tmp_path: Path) -> None:
    """Its bytes are in the request, not in what is noted."""
    path = tmp_path / "fox.png"
    path.write_bytes(photo)
    prepared = ready(animate(path))
    [source] = prepared.media["image"]
    assert source.attachment.content == photo
    assert source.url == ""
    assert prepared.record.values == {
        "prompt": "A red fox",
        "image": "fox.png",
        "duration": "5",
        "sound": False,
    }
    assert prepared.record.thumbnail.startswith(b"\xff\xd8")
    assert prepared.record.price_credits == 55


def test_the_same_picture_is_the_same_request(photo: bytes, tmp_path: Path) -> None:
    """As a path, under another name, or as bytes."""
    for name in ("fox.png", "copy.png"):
        (tmp_path / name).write_bytes(photo)
    given = [tmp_path / "fox.png", str(tmp_path / "copy.png"), photo, bytearray(photo)]
    assert len({ready(animate(image)).record.fingerprint for image in given}) == 1


def test_what_makes_another_request(photo: bytes) -> None:
    """Service, take, image, prompt, length and sound; not line ends, a callback, a variable."""
    red = io.BytesIO()
    Image.new("RGB", (96, 64), "#000001").save(red, "PNG")
    usual = ready(animate(photo, "Two\nlines")).record.fingerprint
    values = {"image": photo, "prompt": "Two\r\nlines"}
    same = [
        animate(photo, "Two\r\nlines", duration=5.0),
        ClipRequest(IMAGE_TO_VIDEO, values, callback_url="https://my.example/"),
        ClipRequest(IMAGE_TO_VIDEO, values, written={"image": "fox"}),
    ]
    other = [
        ClipRequest(IMAGE_TO_VIDEO, values, take=2),
        animate(red.getvalue(), "Two\nlines"),
        animate(photo, "Two lines"),
        animate(photo, "Two\nlines", duration=10),
        animate(photo, "Two\nlines", sound=True),
    ]
    assert {ready(wish).record.fingerprint for wish in same} == {usual}
    others = {ready(wish).record.fingerprint for wish in other}
    others.add(ready(same[0], "emulator").record.fingerprint)
    assert len(others - {usual}) == 6


def test_a_picture_by_url(photo: bytes) -> None:
    """Fetched once, checked and hashed; the URL is what will be sent."""
    prepared = ready(animate(f" {URL} "), pictures=web(httpx.Response(200, content=photo)))
    [source] = prepared.media["image"]
    assert source.url == URL
    assert source.attachment.content == photo
    assert prepared.record.fingerprint == ready(animate(photo)).record.fingerprint


def test_a_url_that_cannot_be_fetched_in_the_emulator() -> None:
    """A placeholder stands for it, and the request is the same whatever the reason was."""
    first = ready(animate(URL), "emulator", web(httpx.ConnectError("down")))
    second = ready(animate(URL), "emulator", web(httpx.Response(404)))
    [source] = first.media["image"]
    assert source.url == URL
    assert (source.attachment.width_px, source.attachment.height_px) == (1280, 720)
    assert first.record.fingerprint == second.record.fingerprint
    other = ready(animate(URL + "?2"), "emulator", web(httpx.Response(404)))
    assert other.record.fingerprint != first.record.fingerprint


def test_the_cell_that_does_the_same(photo: bytes) -> None:
    """A path as it was given, an object by its variable's name."""
    image = ClipRequest(
        IMAGE_TO_VIDEO, {"image": photo, "prompt": "A fox"}, 2, written={"image": "fox"}
    )
    cell = ready(image).record.cell
    assert cell.startswith("%%kling")
    assert "--image fox" in cell
    assert "--take 2" in cell
    assert cell.endswith("A fox")
    assert "--image picture" in ready(animate(photo)).record.cell


def test_words_alone(photo: bytes) -> None:
    """A model without pictures has none to read."""
    prepared = ready(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A fox"}))
    assert prepared.media == {}
    assert prepared.record.thumbnail == b""
    assert problems(ClipRequest(TEXT_TO_VIDEO, {"prompt": "A fox", "image": photo})) == ["image"]
