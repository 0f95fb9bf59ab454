"""How much of a clip of 12 MB goes into a notebook: measured on what a kernel displays."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kling_nb.display.cards.metadata import read_card
from kling_nb.media.clips import probe_clip
from tests.kernel.kernels import Kernel
from tests.kernel.service import Service, open_service
from tests.support.noise import write_noise

pytestmark = pytest.mark.kernel

AMOUNTS = {"auto": "preview", "always": "whole", "never": "poster"}
"""How much of a large clip is in a card at the end."""
CELL = "%%kling -i fox.png --embed {}\nnoise"

Bundle = Mapping[str, Any]


class Sources(HTMLParser):
    """What a card takes from where: elements with `src`, and links."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where an element leads."""
        for name, value in attrs:
            if name in {"src", "href"}:
                self.found.setdefault(tag, []).append(value or "")

    def video(self) -> bytes:
        """The embedded video, which stands on the element itself."""
        assert "source" not in self.found
        (url,) = self.found["video"]
        kind, _, content = url.partition(";base64,")
        assert kind == "data:video/mp4"
        return base64.b64decode(content, validate=True)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 5 s and 12 MB that cannot be compressed."""
    return write_noise(tmp_path_factory.mktemp("noise") / "noise.mp4")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, noise: Path) -> Iterator[Service]:
    """An emulator whose every clip is the noise."""
    with open_service(tmp_path_factory.mktemp("large"), 0.2) as service:
        clips = service.account.folder / "clips"
        clips.mkdir()
        (clips / "canned-5-silent.mp4").write_bytes(noise.read_bytes())
        yield service


@pytest.fixture(scope="module")
def shown(start: Callable[..., Kernel], large: Service) -> dict[str, Bundle]:
    """The same job's display in each way of embedding; the second and third cost nothing."""
    kernel = start(**large.settings())
    found: dict[str, Bundle] = {}
    for embed, amount in AMOUNTS.items():
        (request,) = kernel.send(CELL.format(embed))
        saved = kernel.until(
            lambda request=request: [m for m in kernel.shown(request) if m.state == "saved"]
        )
        found[f"{embed} at first"] = saved[0].bundle
        found[embed] = kernel.until(
            lambda request=request, amount=amount: [
                m.bundle
                for m in kernel.shown(request)
                if m.state == "saved" and record_of(m.bundle).embed == amount
            ]
        )[-1]
    assert large.account.count_tasks() == 1
    return found


def size_in_notebook(bundle: Bundle) -> int:
    """By how many bytes a notebook grows that is saved with this display."""
    sizes = []
    for outputs in ([], [nbformat.v4.new_output("display_data", data=dict(bundle))]):
        cell = nbformat.v4.new_code_cell(CELL, outputs=outputs)
        book = nbformat.v4.new_notebook(cells=[cell])
        sizes.append(len(nbformat.writes(book).encode("utf-8")))
    return sizes[1] - sizes[0]


def record_of(bundle: Bundle) -> Any:
    """The card's record for programs."""
    (receipt,) = (receipt for value in bundle.values() for receipt in read_card(value))
    return receipt


def test_auto_embeds_a_preview(shown: dict[str, Bundle], tmp_path: Path) -> None:
    """Of at most 1.5 MB, as long as the clip, with a link to the whole file."""
    sources = Sources(shown["auto"]["text/html"])
    preview = tmp_path / "preview.mp4"
    preview.write_bytes(sources.video())
    assert preview.stat().st_size <= 1_500_000
    assert size_in_notebook(shown["auto"]) <= 2_100_000
    assert probe_clip(preview).duration_s == pytest.approx(5, abs=0.3)
    (link,) = sources.found["a"]
    assert re.fullmatch(r"kling_clips/\d{8}-\d{6}-[0-9a-f]+\.mp4", link)


def test_always_embeds_the_file(shown: dict[str, Bundle], noise: Path) -> None:
    """Byte by byte, so that no link is needed."""
    sources = Sources(shown["always"]["text/html"])
    assert sources.video() == noise.read_bytes()
    assert "a" not in sources.found


def test_never_embeds_a_poster(shown: dict[str, Bundle]) -> None:
    """A still and a link; no video at all."""
    sources = Sources(shown["never"]["text/html"])
    assert "video" not in sources.found
    assert any(url.startswith("data:image/jpeg;base64,") for url in sources.found["img"])
    assert len(sources.found["a"]) == 1
    assert size_in_notebook(shown["never"]) < 100_000


def test_until_there_is_a_preview_the_file_is_linked(shown: dict[str, Bundle]) -> None:
    """With its poster: making the preview takes seconds, and nobody waits for them."""
    assert record_of(shown["auto at first"]).embed == "poster"
    assert Sources(shown["auto at first"]["text/html"]).found.keys() >= {"img", "a"}


@pytest.mark.parametrize(("embed", "amount"), AMOUNTS.items())
def test_each_card_records_its_clip(
    shown: dict[str, Bundle], noise: Path, embed: str, amount: str
) -> None:
    """By name, size and hash, and how much of it is inside."""
    receipt = record_of(shown[embed])
    assert receipt.embed == amount
    assert receipt.size_bytes == noise.stat().st_size
    assert receipt.sha256 == sha256(noise.read_bytes()).hexdigest()
    assert receipt.file in str(shown[embed]["text/html"])
