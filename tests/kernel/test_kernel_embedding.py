"""How much of a clip goes into a notebook: measured on a clip above 2 MB, in a kernel's output."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest

from kling_nb.clips import probe_clip
from tests.kernel.kernels import Kernel
from tests.kernel.service import Service, open_service

pytestmark = pytest.mark.kernel

CELL = "%%kling -i fox.png --embed {}\nnoise"


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
    """A clip of 5 s that cannot be compressed."""
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    dice = np.random.default_rng(1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=8, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for _ in range(40):
            picture = dice.integers(0, 256, (360, 640, 3), dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    assert path.stat().st_size > 2_000_000
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, noise: Path) -> Iterator[Service]:
    """An emulator whose every clip is the noise."""
    with open_service(tmp_path_factory.mktemp("large"), 0.2) as service:
        clips = service.books.folder / "clips"
        clips.mkdir()
        (clips / "canned-5-silent.mp4").write_bytes(noise.read_bytes())
        yield service


@pytest.fixture(scope="module")
def shown(start: Callable[..., Kernel], large: Service) -> dict[str, str]:
    """The same job's record in each way of embedding; the second and third cost nothing."""
    kernel = start(**large.settings())
    found = {}
    for embed in ("auto", "always", "never"):
        (request,) = kernel.send(CELL.format(embed))
        saved = kernel.until(
            lambda request=request: [m for m in kernel.shown(request) if m.state == "saved"]
        )
        found[embed] = saved[0].html
    assert large.books.count_tasks() == 1
    return found


def test_auto_embeds_a_preview(shown: dict[str, str], tmp_path: Path) -> None:
    """Of at most 1.5 MB, as long as the clip, with a link to the whole file."""
    sources = Sources(shown["auto"])
    preview = tmp_path / "preview.mp4"
    preview.write_bytes(sources.video())
    assert preview.stat().st_size <= 1_500_000
    assert len(shown["auto"]) <= 2_300_000
    assert probe_clip(preview).duration_s == pytest.approx(5, abs=0.3)
    (link,) = sources.found["a"]
    assert re.fullmatch(r"kling_clips/\d{8}-\d{6}-[0-9a-f]+\.mp4", link)


def test_always_embeds_the_file(shown: dict[str, str], noise: Path) -> None:
    """Byte by byte, so that no link is needed."""
    sources = Sources(shown["always"])
    assert sources.video() == noise.read_bytes()
    assert "a" not in sources.found


def test_never_embeds_a_poster(shown: dict[str, str]) -> None:
    """A still and a link; no video at all."""
    sources = Sources(shown["never"])
    assert "video" not in sources.found
    assert any(url.startswith("data:image/jpeg;base64,") for url in sources.found["img"])
    assert len(sources.found["a"]) == 1
    assert len(shown["never"]) < 300_000
