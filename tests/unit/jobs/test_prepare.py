"""What `prepare` promises: all that a request is made from is read, wherever it is given."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from kling_nb.core.stored_input import StoredInput
from kling_nb.errors import InvalidInput
from kling_nb.jobs.prepare import PreparedRequest, RequestMedia, prepare, read_media
from kling_nb.kie.http import Downloader
from kling_nb.media import inputs
from kling_nb.media.audio_video import AudioVideoInput
from kling_nb.models.clip_request import ClipRequest, with_media
from kling_nb.models.parameters import Choice, Media, Text
from kling_nb.models.prices import Price, PriceList
from kling_nb.models.records import Column, Records
from kling_nb.models.rules import LastsAtMost
from kling_nb.models.spec import ModelSpec, Parameter, validate
from tests.support.reels import sound, video

PICTURE = Media(("image/png", "image/jpeg"), 10_000_000, max_count=2)
CAST = Records(
    (
        Column("name", Text(20), "how the prompt calls it"),
        Column("images", Media(("image/png",), 10_000_000, max_count=3), "what it looks like"),
        Column("voice", Media(("audio/wav",), 10_000_000), "how it sounds", required=False),
    ),
    max_count=3,
    noun="element",
)
SPEC = ModelSpec(
    name="made/up",
    title="Made up",
    parameters=(
        Parameter("prompt", Text(100), "what happens", required=False),
        Parameter("image", PICTURE, "the frames", required=False),
        Parameter(
            "video", Media(("video/mp4",), 100_000_000, duration_s=(3, 30)), "the moves",
            required=False,
        ),
        Parameter("follows", Choice(("image", "video")), "whose way it goes", default="image"),
        Parameter("cast", CAST, "who is in it", required=False),
    ),
    prices=PriceList((Price(10, per_s_of="video"),), date(2026, 10, 31), "made up"),
    usual_s=10,
    source="made up",
    rules=(LastsAtMost("video", "follows", ("image",), longest_s=10),),
)  # fmt: skip
URL = "https://media.example/it"


def web(*answers: httpx.Response) -> Downloader:
    """A web that answers once with each of these."""
    waiting = list(answers)

    def respond(request: httpx.Request) -> httpx.Response:
        return waiting.pop(0) if waiting else httpx.Response(404)

    return Downloader(transport=httpx.MockTransport(respond))


def gathered(
    values: Mapping[str, object], service: str = "live", pictures: Downloader | None = None
) -> RequestMedia:
    """What is found."""
    checked = validate(SPEC, values)
    return asyncio.run(read_media(SPEC, checked, service=service, downloads=pictures or web()))


def ready(values: Mapping[str, object], **given: Any) -> PreparedRequest:
    """The prepared request."""
    wish = ClipRequest(SPEC, values, **given)
    return asyncio.run(prepare(wish, service="live", downloads=web()))


def png(shade: int) -> bytes:
    """A picture like no other."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


CAST_OF_TWO = [
    {"name": "fox", "images": [png(1), png(2)]},
    {"name": "owl", "images": png(3), "voice": sound(seconds=2.0)},
]

# --- where media are given ---------------------------------------------------------------------


def test_every_place_is_read() -> None:
    """Frames, a video, and what is inside records, in the order of the spec."""
    found = gathered({"image": [png(4), png(5)], "video": video(), "cast": CAST_OF_TWO})
    assert {path: len(given) for path, given in found.sources.items()} == {
        "image": 2, "video": 1, "cast[0].images": 2, "cast[1].images": 1, "cast[1].voice": 1,
    }  # fmt: skip
    assert found.problems == ()
    assert found.facts.durations_s == {"video": 4.0, "cast": pytest.approx(2.0)}


def test_problems_say_where() -> None:
    """All at once; inside a record by its number and field."""
    cast = [CAST_OF_TWO[0], {"name": "owl", "images": b"none", "voice": video()}]
    found = gathered({"image": b"none", "video": sound(), "cast": cast})
    assert [problem.field for problem in found.problems] == ["image", "video", "cast", "cast"]
    texts = [str(problem).partition(": ")[2] for problem in found.problems]
    assert texts[1].startswith(f"{len(sound()):,} bytes: is a WAV file")
    assert texts[2].startswith("element 2: images: ")
    assert texts[3].startswith("element 2: voice: ")


def test_what_is_to_be_done_is_told_once() -> None:
    """A file's own advice, or else what the field takes; not one after the other."""
    found = gathered({"image": png(1), "video": sound()})
    (problem,) = found.problems
    assert problem.given.endswith("is a WAV file")
    assert problem.allowed.startswith("allowed: MP4; convert it")
    assert str(problem).count("MP4") == 1


def test_other_things_in_the_places_of_the_media() -> None:
    """Names, hashes or kept files; a place without one is left out, all else stays."""
    values = validate(SPEC, {"image": png(1), "video": video(), "cast": CAST_OF_TWO})
    changed = with_media(SPEC, values, {"image": "A", "cast[0].images": "B", "cast[1].voice": "C"})
    assert changed == {
        "image": "A",
        "follows": "image",
        "cast": ({"name": "fox", "images": "B"}, {"name": "owl", "voice": "C"}),
    }
    assert "video" in values


# --- URLs --------------------------------------------------------------------------------------


ONLY_HERE = [
    "http://localhost:8888/files/it?token=T",
    "http://127.0.0.1:8888/it",
    "http://192.168.1.7/it",
    "http://169.254.1.1/it",
    "http://nas/it",
    "http://printer.local/it",
    "https://me:pass@media.example/it",
    "https://media.example/it?token=T",
    "https://bucket.example/it?X-Amz-Signature=0f&X-Amz-Expires=300",
    "https://blob.example/it?sv=2024&sig=abc",
    "https://media.example/it?v=3f9a8b7c6d5e4f3a2b1c0d9e",
]
"""What the service cannot reach, or would get a secret with."""


@pytest.mark.parametrize("service", ["live", "emulator"])
@pytest.mark.parametrize("url", ONLY_HERE)
def test_a_url_that_is_not_handed_on(url: str, service: str) -> None:
    """What was fetched is uploaded; it is the request that it was, and the URL is known."""
    cast = [{"name": "fox", "images": url, "voice": url}]
    files = [png(1), video(), png(1), sound(seconds=2.0)]
    answers = [httpx.Response(200, content=content) for content in files]
    found = gathered({"image": url, "video": url, "cast": cast}, service, web(*answers))
    assert found.problems == ()
    sources = [source for given in found.sources.values() for source in given]
    assert [source.url for source in sources] == [""] * 4
    assert [source.origin for source in sources] == [url] * 4
    assert [source.attachment.source_sha256 for source in sources] == [
        hashlib.sha256(content).hexdigest() for content in files
    ]


def test_a_name_that_leads_to_a_local_network_is_not_handed_on() -> None:
    """A host of the company's, known by where the connection ends."""
    asyncio.run(_from_peer("10.0.0.7", ""))
    asyncio.run(_from_peer("93.184.216.34", URL))


async def _from_peer(address: str, sent: str) -> None:
    class Peer:
        """A connection that ends there."""

        def get_extra_info(self, name: str) -> tuple[str, int]:
            """The address."""
            return address, 443

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=png(1), extensions={"network_stream": Peer()})

    pictures = Downloader(transport=httpx.MockTransport(answer))
    found = await read_media(
        SPEC, validate(SPEC, {"image": URL}), service="live", downloads=pictures
    )
    assert found.sources["image"][0].url == sent


@pytest.mark.parametrize(
    ("given", "is_sent"),
    [
        ("https://media.example/it", True),
        ("https://media.example/it?token=0123456789abcdef01234567", False),
        (video(), False),
    ],
    ids=["public URL", "URL with a token", "bytes"],
)
def test_what_is_too_large_to_upload(
    given: object, is_sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may take a larger video than an upload does: at a URL that is sent as it is."""
    monkeypatch.setattr(inputs, "UPLOAD_LIMIT_BYTES", len(video()) - 1)
    found = gathered({"video": given}, pictures=web(httpx.Response(200, content=video())))
    if is_sent:
        assert found.problems == ()
        assert found.sources["video"][0].url == given
    else:
        [problem] = found.problems
        assert "MB for an upload; make it smaller" in str(problem)
        assert "give a public URL" in str(problem)


def test_a_url_that_shows_something_else() -> None:
    """A problem in both modes."""
    for service in ("live", "emulator"):
        found = gathered({"video": URL}, service, web(httpx.Response(200, content=sound())))
        assert "is a WAV file" in found.problems[0].given


def test_a_url_that_cannot_be_fetched() -> None:
    """Live it is a problem; the emulator gets something tiny, and the same request each time."""
    assert [problem.field for problem in gathered({"video": URL}).problems] == ["video"]
    first, second = (gathered({"video": URL}, "emulator").sources["video"][0] for _ in range(2))
    assert isinstance(first.attachment, AudioVideoInput)
    assert first.attachment.duration_s == 5.0
    assert (first.url, first.attachment.name) == (URL, URL)
    assert first.attachment.source_sha256 == second.attachment.source_sha256


def test_a_copy_that_is_gone_is_fetched_again() -> None:
    """As long as it is the same; else nothing is sent."""
    sha256 = hashlib.sha256(video()).hexdigest()
    negative = StoredInput(sha256, URL, "video/mp4", "/nowhere/it.mp4", URL)
    found = gathered({"video": negative}, pictures=web(httpx.Response(200, content=video())))
    assert found.sources["video"][0].url == URL
    other = web(httpx.Response(200, content=video(shade=10)))
    [problem] = gathered({"video": negative}, pictures=other).problems
    assert f"{URL} now has another video" in problem.given
    assert problem.allowed == "give the video in a new cell"


# --- what becomes of it ------------------------------------------------------------------------


def test_the_length_decides_on_the_price() -> None:
    """Whole seconds, up; kept for another take."""
    prepared = ready({"video": video(3.4)})
    assert prepared.record.price_credits == 40
    assert prepared.durations_s == {"video": pytest.approx(3.4)}


def test_several_are_as_long_as_all_of_them() -> None:
    """Each second of each is paid."""
    several = Media(("audio/wav",), 1_000_000, max_count=2)
    spec = replace(SPEC, parameters=(Parameter("audio", several, "what is heard"),), rules=())
    values = {"audio": (sound(seconds=1.0), sound(seconds=2.0))}
    wanted = read_media(spec, values, service="live", downloads=Downloader())
    assert asyncio.run(wanted).facts.durations_s == {"audio": pytest.approx(3.0, abs=0.1)}


def test_a_length_that_is_not_allowed_with_the_rest() -> None:
    """A rule of the model's, judged once it is measured."""
    long = video(11.0, (64, 48))
    with pytest.raises(InvalidInput, match="video") as caught:
        ready({"video": long})
    assert [problem.field for problem in caught.value.problems] == ["video"]
    ready({"video": long, "follows": "video"})


def test_what_is_noted_is_json() -> None:
    """Names stand for media, also inside records."""
    values = {"image": [png(4), png(5)], "cast": CAST_OF_TWO}
    intent = ready(values).record
    assert intent.values == {
        "image": f"{len(png(4))} bytes, {len(png(5))} bytes",
        "follows": "image",
        "cast": (
            {"name": "fox", "images": f"{len(png(1))} bytes, {len(png(2))} bytes"},
            {
                "name": "owl",
                "images": f"{len(png(3))} bytes",
                "voice": f"{len(sound(seconds=2.0)):,} bytes",
            },
        ),
    }


def test_the_first_picture_stands_for_the_request() -> None:
    """Else the first video; a sound shows nothing."""
    shown = ready({"image": png(200), "video": video()}).record.thumbnail
    assert shown == ready({"image": png(200)}).record.thumbnail
    assert ready({"video": video()}).record.thumbnail not in (b"", shown)
    silent = [{"name": "owl", "images": png(3), "voice": sound(seconds=2.0)}]
    assert ready({"video": video(), "cast": silent}).record.thumbnail == (
        ready({"image": png(3)}).record.thumbnail
    )


def test_another_content_in_a_record_is_another_request() -> None:
    """Its order too; not how the file is called."""

    def name_of(*images: object) -> str:
        return ready({"cast": [{"name": "fox", "images": list(images)}]}).record.fingerprint

    usual = name_of(png(1), png(2))
    assert usual == name_of(bytearray(png(1)), png(2))
    assert len({usual, name_of(png(2), png(1)), name_of(png(1)), name_of(png(1), png(3))}) == 4


def test_a_golden_request() -> None:
    """Its name never changes: it would be paid for again."""
    cast = [{"name": "fox", "images": FIXED}]
    prepared = ready({"prompt": "A fox", "image": FIXED, "cast": cast})
    assert prepared.record.fingerprint == GOLDEN


def test_how_media_are_written_in_a_cell(tmp_path: Path) -> None:
    """Paths as they are given, a clip as its file, objects as a variable; told words go first."""
    (tmp_path / "a b.png").write_bytes(png(1))
    clip = type("Clip", (), {"path": tmp_path / "walk.mp4"})()
    clip.path.write_bytes(video())
    path = tmp_path / "a b.png"
    values = {"image": [path, png(2)], "video": clip, "cast": [{"name": "fox", "images": path}]}
    cell = ready(values).record.cell
    assert f"--image '{path}' --image picture" in cell
    assert f"--video {clip.path}" in cell
    assert f'--cast \'[{{"name": "fox", "images": "{path}"}}]\'' in cell
    told = ready(values, written={"cast": "my_cast", "video": "walk"}).record.cell
    assert "--cast my_cast" in told
    assert "--video walk" in told


FIXED = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
"""A red pixel: the same bytes in every version of Pillow."""
GOLDEN = "dfa10333c828e0fa63648d74cd2435cff74af510d7330bc935a1f2ec4b648e49"
"""SHA-256 of its canonical JSON, written by hand."""
