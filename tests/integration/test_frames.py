"""A clip's frame is identified by the clip's request and the position, with any decoder."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kling_nb.core.stored_input import StoredInput
from kling_nb.jobs.clip import Clip
from kling_nb.media import clips
from kling_nb.media.image_sources import find_source, frame_png
from kling_nb.media.images import read_image
from kling_nb.media.input_store import store_input
from tests.support.service import Open

PATIENCE_S = 30.0
FILM = """
eNp9VWFoHEUUnkuaGorQWGONGmFqUyi0d9ndu1zrwYDXtHjSCFVsf4iwzs7MZpfb3dnMTi53/VEaKOg/KUqRSJWifyoK/aWC
CKX0h4J/KggNKDRQSkXRP/mRP/V8s5c019R22Lfz5r3vvTfvvdlZhBD2dScNMxkjNIDMDOTQFrPjtGIjhIZ9JQRCg0djTjVg
Pts+1O1+8tuxP364s9z49sLBm3h579//tJ1qBRcxk0pguzoFbKMEosnXTxx7tVjB9VPToOOCgWJapp1I+Bo7llUuOpZj0IHW
aW1ycmFhodQKuZARTUpSzU4av6VAxxFgZKpDmWQ1zKhHGbGxEj4pYy68SLImsWtWzcI0oVEnE8Rql2tW27bLOBYkEG2czXvA
HcJp1gFTeLuKE7tkgRG8cBy2BXeNRxssXEWTWUHsKmaBkjF1wdTGWokoCjPgDrcPc6aBYXMxsWALlJ+WiSCOfdC2sU8z7aZZ
M0wNoudgLnWl72dCk6KDdaDAwjiKpGzSABbupiyLQiY2BRZOVB6DhTHVZh9hooWKKIBA7kXzinZcJuOUalgzKJFWNEzABQAV
NRhf0VhkUCzPTTvAh5w4wFNOU5OF53ohNZF4qESe14IIZwPtASdTkbizMgVtT5iCaVN0wDdxpqx11o3DhEzhjIlEsHlNKhbO
g5uKKpEFYK2Yez9bo1eMMOXj2IOymqxgQcrQCzxnciFWqQpsavzmM22T6svAZFqkpILDFHoE5wFaCL7oHLTfNBOdhSPriPfP
DXbfvD3675m/Kv6Bwsx3V768/c1b0c1r246snKxc/OXye+fvnfhi9caZD64XvY8OXVq8AVZP1Zf2hHeP7rz68bbCr92fr/2e
gvDZ+tKR11aGpydWX3ri1swAWn33QPfD+veLoHqmvsSOg+onMry49jQ6S8YG5Kcm/O760rn7itFcsbf7+WL+DUnZAkQUtwKO
HhiDd3MqIPNsjsKDqK3rV9BjxwA8pgtN4N/RzTzm4MPeTOzHx/nfuBhoJF9OCK4zmMdFlOlNC+N3ZN22cCfmITVWMd+a+/6c
Tl7PF8WAR2pDY+6CfuQpczc0aMIjYTCF83A8fGBGW3HutH+bE7ynG+dwBvvSeHJeRbjHF97ItBcB/3WmM96HuWguwEeUwiQ+
ghowNx6J2DrGul14l8HrdIGjHd0VtHsW5q+Wj18yHTG1Qjt27tp3oYC2B3+u7Prxyr21NWM4Cl/HekWfu7XhLNN5tTdCD8El
nWMhiX65oTH2EDZv2Thg2Rbs0Pq8H3Sn+zYP8oFlc+CBXjAbAXq+F4/JPh8WkDfPteny27HIZzP29HcUToGiaRr1V6cY9o7N
vstaGocvwp+GbtR1hrb8qlOy4bGc/wCXAJCe
"""
"""Five frames of 32×16 pixels, in an MP4, compressed and in base64."""
LAST_FRAME = "4c5e8709b7c47a44bc0434cb7c41c7812ad3e2f3fc81aa928c5500547227051f"
"""The hash of its last frame's pixels, as version 0 of the fingerprints has it."""
FILE_FRAME = "7774d5a62aa81aa08d14267888b6933d2a38377c26f9dcb89dff8d939a1425c2"
JOB_FRAME = "1e0e6caba742fcdf109cacf20738c3e8a4e2fd5f57e7b9a04fa31d1d5fcd89e6"
"""Of the last frame of the clip of the job with the fingerprint `abab…`."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A clip that is the same for ever."""
    path = tmp_path / "film.mp4"
    path.write_bytes(zlib.decompress(b64decode(FILM)))
    return path


@pytest.fixture
def clip(film: Path) -> Clip:
    """The same as the clip of a job."""
    return clip_at(film)


def clip_at(path: Path, fingerprint: str = "ab" * 32) -> Clip:
    """The clip of the job with this fingerprint."""
    request: Any = Request(fingerprint)
    return Clip(request, clips.probe_clip(path), "t", "", None, None)  # type: ignore[arg-type]


class Request:
    """What a clip tells of its job."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint


class PlainFile:
    """Anything with frames and a path, that is no job's clip."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def frame(self, index: int) -> Image.Image:
        """A frame, decoded."""
        return clips.frame(self.path, index)


def decode_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PyAV convert colours as another version of it does: by one step."""
    real = clips.to_image
    change = lambda value: min(255, value + 1)  # noqa: E731
    monkeypatch.setattr(clips, "to_image", lambda shown: real(shown).point(change))


def test_today_s_decoding_is_pinned(film: Path) -> None:
    """Requests of earlier versions are looked up by these pixels."""
    pixels = clips.frame(film, -1)
    named = b"RGB 32x16\n" + pixels.tobytes()
    assert hashlib.sha256(named).hexdigest() == LAST_FRAME


def test_identities_of_frames_are_golden(clip: Clip, film: Path) -> None:
    """Clips that people have paid for are found by these."""
    assert find_source(clip).hashes == (JOB_FRAME, LAST_FRAME)
    assert find_source(PlainFile(film)).hashes == (FILE_FRAME, LAST_FRAME)


def test_another_decoder(clip: Clip, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels differ, and the identity does not."""
    decode_differently(monkeypatch)
    for given, expected in ((clip, JOB_FRAME), (PlainFile(film), FILE_FRAME)):
        sha256, earlier = find_source(given).hashes
        assert (sha256, earlier != LAST_FRAME) == (expected, True)


def test_a_frame_that_was_taken_out_is_the_same_one(clip: Clip) -> None:
    """The clip itself, its last frame, and the last one by number are one input."""
    for image in (clip.frame(-1), clip.frame(4)):
        assert read_image(image).source_sha256 == JOB_FRAME
    others = {read_image(clip.frame(index)).source_sha256 for index in (0, 1, 2, 3)}
    assert len(others | {JOB_FRAME}) == 5
    assert read_image(clip.frame(-2)).source_sha256 == read_image(clip.frame(3)).source_sha256


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.crop((0, 0, 16, 16)),
        lambda image: image.resize((64, 32)),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.convert("L"),
        lambda image: image.paste("red", (0, 0, 8, 8)) or image,
    ],
)
def test_a_changed_frame_is_another_picture(clip: Clip, change: Callable[[Any], Any]) -> None:
    """Pillow hands the mark on to copies; it counts for the frame's own pixels only."""
    image = change(clip.frame(-1))
    found = read_image(image)
    assert found.source_hashes == (
        find_source(Image.frombytes(image.mode, image.size, image.tobytes())).sha256,
    )


def test_a_clip_whose_file_was_changed_is_another_picture(clip: Clip, film: Path) -> None:
    """A file that a person has edited is not the job's clip any more."""
    film.write_bytes(film.read_bytes() + b"\0\0\0\x08free")
    sha256, earlier = find_source(clip).hashes
    assert sha256 not in {JOB_FRAME, FILE_FRAME}
    assert earlier == LAST_FRAME


def test_a_clip_of_an_unknown_request_is_a_plain_file(film: Path) -> None:
    """A card without a fingerprint may have led to it."""
    assert find_source(clip_at(film, "")).sha256 == FILE_FRAME


def test_a_frame_that_was_written_to_a_file_is_the_same_one(clip: Clip, tmp_path: Path) -> None:
    """As the panel keeps one, so that a cell can name it; what earlier versions wrote is known."""
    content = frame_png(clip.frame(-1))
    path = tmp_path / "frame.png"
    path.write_bytes(content)
    earlier = BytesIO()
    Image.frombytes("RGB", (32, 16), clip.frame(-1).tobytes()).save(earlier, "PNG")
    expected = (JOB_FRAME, hashlib.sha256(earlier.getvalue()).hexdigest())
    kept = StoredInput(JOB_FRAME, "frame", "image/png", store_input(tmp_path, content, "image/png"))
    for given in (content, path, kept):
        assert find_source(given).hashes == expected
        assert read_image(given).content == earlier.getvalue()
    other = StoredInput("cd" * 32, "frame", "image/png", kept.path)
    assert find_source(other).hashes == ("cd" * 32,)


def test_a_file_with_the_mark_of_another_picture_is_itself(clip: Clip) -> None:
    """An editor keeps the text and changes the pixels; a broken file has no frame."""
    image = clip.frame(-1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    content = frame_png(image)
    assert find_source(content).hashes == (hashlib.sha256(content).hexdigest(),)
    cut = frame_png(clip.frame(-1))[:-40]
    assert find_source(cut).hashes == (hashlib.sha256(cut).hexdigest(),)
    plain = frame_png(Image.new("RGB", (9, 9)))
    assert find_source(plain).hashes == (hashlib.sha256(plain).hexdigest(),)


def test_the_next_shot_is_the_same_request_after_an_update_of_the_decoder(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain of two shots, run again with another PyAV, makes no third task."""
    session = open_session()
    first = session.text_to_video("A red fox").result(PATIENCE_S)
    second = session.image_to_video(first, "It stops")
    second.result(PATIENCE_S)
    decode_differently(monkeypatch)
    assert session.image_to_video(first, "It stops").id == second.id
    assert session.image_to_video(first.frame(-1), "It stops").id == second.id
