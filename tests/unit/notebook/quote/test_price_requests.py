"""The price of one request of a notebook: nothing is run, and no other machine is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kling_nb.jobs.session import Session
from kling_nb.notebook.quote import price_requests
from kling_nb.notebook.quote.find_requests import CallRequest, CellRequest, UnpricedCall
from kling_nb.notebook.quote.price_requests import QuoteLine, RequestPricer
from tests.support.reels import video

MODEL = "kling-2.6/text-to-video"


def price(
    session: Session, wanted: CellRequest | CallRequest | UnpricedCall, **variables: Any
) -> QuoteLine:
    """Return the line of one request, in a notebook in the working directory."""
    return RequestPricer(session, variables, Path()).price(wanted)


def call(*args: object, function: str = "text_to_video", **values: object) -> CallRequest:
    """Return a call in cell 3."""
    return CallRequest(3, function, args, values)


def cell(line: str, body: str = "A fox") -> CellRequest:
    """Return a `%%kling` cell in cell 3."""
    return CellRequest(3, line, body, {})


def test_a_new_request_costs_its_price(session: Session) -> None:
    """A call and a cell have the same price."""
    line = QuoteLine(3, "A fox", MODEL, "10", 110.0)
    assert price(session, call("A fox", duration=10)) == line
    assert price(session, cell("-d 10")) == line
    assert price(session, call(MODEL, function="generate", prompt="A fox", duration=10)) == line


def test_shots_are_priced_by_their_words(session: Session) -> None:
    """Shots are JSON or a variable; with a missing variable the request is not priced."""
    shots = [{"prompt": "wakes", "duration": 3}, {"prompt": "runs", "duration": 4}]
    line = QuoteLine(3, "wakes; runs", "kling-3.0/video", "7", 98.0)
    wanted = cell("-m 3.0/video --shots mine", body="")
    assert price(session, wanted, mine=shots) == line
    assert "`mine` does not exist yet" in price(session, wanted).note
    assert price(session, wanted).credits is None


def test_an_unpriced_call_has_no_price(session: Session) -> None:
    """Its line has the code and the reason."""
    unpriced = UnpricedCall(3, "make(shot)", "in a loop")
    assert price(session, unpriced) == QuoteLine(3, "make(shot)", note="in a loop")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        *((call("A fox", take=take), f"refused: take: {take!r}") for take in ("2", 0, -1, 1.5)),
        (call("A fox", take=None), "refused: take: None"),
        (call("A fox", callback_url="ftp://a"), "refused: callback: 'ftp://a'"),
        (cell("--callback ftp://a"), "refused: callback: 'ftp://a'"),
        (call("A fox", 5), "2 values by position"),
        (call("fox.png", "A fox", 5, function="image_to_video"), "3 values by position"),
        (call(MODEL, "A fox", function="generate"), "2 values by position"),
    ],
)
def test_a_request_that_would_be_refused_costs_nothing(
    session: Session, wanted: CallRequest | CellRequest, words: str
) -> None:
    """A take that is no number, a callback that is no URL, values that raise a TypeError."""
    line = price(session, wanted)
    assert line.credits == 0.0
    assert words in line.note


@pytest.mark.parametrize(
    "path",
    [
        "\\\\server\\share\\fox.png",
        "//server/share/fox.png",
        "\\/server/fox.png",
        " \\\\server\\fox.png",
        "\\\\?\\UNC\\server\\share\\fox.png",
        "smb://server/fox.png",
        "file://server/fox.png",
        "FTP://server/fox.png",
    ],
)
@pytest.mark.parametrize("folder", [Path(), Path("/elsewhere")])
def test_another_machine_is_not_asked(
    session: Session, monkeypatch: pytest.MonkeyPatch, path: str, folder: Path
) -> None:
    """A notebook from another person must not make this machine contact a server."""

    def reach(given: object, _kind: object) -> None:
        raise AssertionError(f"{given!r} was opened")

    monkeypatch.setattr(price_requests, "identify_input", reach)
    priced = RequestPricer(session, {}, folder)
    in_a_cell = cell(f"-i '{path}'")
    for wanted in (call(path, "A fox", function="image_to_video"), in_a_cell):
        line = priced.price(wanted)
        assert line.credits is None
        assert "on another machine" in line.note


def test_a_variable_with_such_a_path_is_not_followed(session: Session) -> None:
    """The value of the variable is checked."""
    for picture in ("//server/fox.png", Path("//server/fox.png")):
        line = price(session, cell("-i picture"), picture=picture)
        assert line.credits is None
        assert "on another machine" in line.note


def test_a_plain_path_is_opened(session: Session, photo: bytes, tmp_path: Path) -> None:
    """Absolute paths, and paths relative to the notebook."""
    (tmp_path / "fox.png").write_bytes(photo)
    assert price(session, cell(f"-i {tmp_path / 'fox.png'}")).credits == 55.0
    beside = RequestPricer(session, {}, tmp_path)
    assert beside.price(cell("-i fox.png")).credits == 55.0
    assert beside.price(cell("-i none.png")).credits is None


def test_a_video_is_priced_by_its_length(session: Session, tmp_path: Path) -> None:
    """The file is measured; a video that is too long is refused, a URL is not priced."""
    (tmp_path / "walk.mp4").write_bytes(video(4.0))
    (tmp_path / "long.mp4").write_bytes(video(11.0, (64, 48)))
    Image.new("RGB", (400, 400)).save(tmp_path / "fox.png")
    line = f"-m kling-2.6/motion-control -i {tmp_path}/fox.png --video "
    assert price(session, cell(f"{line} {tmp_path}/walk.mp4")).credits == 44.0
    assert "refused: video" in price(session, cell(f"{line} {tmp_path}/long.mp4")).note
    url = price(session, cell(f"{line} https://media.example/walk.mp4"))
    assert url.credits is None
    assert url.note == "billed per second of the video, which is not fetched for a quote"
