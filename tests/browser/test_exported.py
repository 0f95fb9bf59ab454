"""Notebooks without their kernel: exported to HTML and read without JavaScript, or mailed.

The exports are opened from disk by a browser that runs no script of a page. What the tests ask it
goes over the debugger, which works without one.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from kling_nb.core.job_state import Saved
from kling_nb.display.cards.mimebundle import card_bundle
from kling_nb.display.html import Section, find_sections
from kling_nb.media.clips import probe_clip
from tests.execute_notebooks import NOTEBOOKS
from tests.support.noise import write_noise
from tests.support.records import record_of

from .lab import Lab
from .notebook import CARD, Notebook
from .stories import PROMPT as EVENING
from .stories import setup, write_notebook

PATIENCE_S = 20.0
PRICE = re.compile(r"\d+ credits \(\$\d")
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PROMPT = "Snow <drifts> across the screen"
FACTS = record_of(
    "c0ffee12",
    "kling-2.6/text-to-video",
    PROMPT,
    datetime(2026, 11, 22, tzinfo=UTC),
    values={"duration": "5", "sound": False},
    price_credits=55.0,
    balance_before=5916.0,
    emulated=True,
)


@pytest.fixture(scope="module")
def plain(chromium: Any) -> Iterator[Any]:
    """A page of a browser with JavaScript off, which also cannot go online."""
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 900, "height": 900}
    )
    context.route(re.compile("^https?:"), lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 12 MB."""
    return write_noise(tmp_path_factory.mktemp("noise") / "noise.mp4")


def outputs_of(path: Path) -> list[dict[str, Any]]:
    """What the displays of a notebook hold."""
    book = nbformat.read(path, as_version=4)
    return [out.get("data", {}) for cell in book.cells for out in cell.get("outputs", ())]


def saved_cards(path: Path) -> list[Section]:
    """The cards of a notebook that show a clip."""
    markups = [data.get("text/html", "") for data in outputs_of(path)]
    found = [section for markup in markups for section in find_sections(markup)]
    return [section for section in found if section.state == "saved"]


def export(path: Path, target: Path) -> Path:
    """What `jupyter nbconvert --to html` writes."""
    text, _ = HTMLExporter().from_filename(str(path))
    target.write_text(text, encoding="utf-8")
    return target


def wait_until(seen: Callable[[], Any]) -> Any:
    """Ask until there is an answer; a page without scripts cannot call back."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def play(video: Any) -> float:
    """Click on a video, as a person does, until it has moved on; gives how long it is."""
    video.scroll_into_view_if_needed()
    video.click()
    wait_until(lambda: video.evaluate("each => each.readyState >= 3 && each.currentTime > 0.2"))
    # Not by another click: two clicks within half a second mean the whole screen.
    video.evaluate("each => each.pause()")
    return float(video.evaluate("each => each.duration"))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_an_exported_notebook_is_whole_without_scripts(
    plain: Any, path: Path, tmp_path: Path, screenshots: Path
) -> None:
    """Every clip plays; its prompt, price and ids can be read."""
    plain.goto(export(path, tmp_path / "exported.html").as_uri())
    cards = saved_cards(path)
    assert cards
    for section in cards:
        mark = f'[data-kling-job="{section.job_id}"][data-kling-state="saved"]'
        card = plain.locator(CARD + mark).first
        words = card.inner_text()
        assert section.prompt.split("\n")[0][:100] in words
        assert PRICE.search(words)
        assert section.job_id in words
        assert re.search(r"\b[0-9a-f]{32}\b", words), "the service's id of the task"
        measured = re.search(r"(\d+\.\d) s · \d+×\d+", words)
        assert measured
        assert play(card.locator("video")) == pytest.approx(float(measured[1]), abs=0.1)
    plain.screenshot(path=screenshots / f"exported-{path.stem}.png")


def test_scripts_are_off_indeed(plain: Any, tmp_path: Path) -> None:
    """Else the test above would say nothing."""
    page = tmp_path / "page.html"
    page.write_text("<p>still</p><script>document.body.textContent = 'moved'</script>")
    plain.goto(page.as_uri())
    assert plain.inner_text("body") == "still"


@pytest.mark.parametrize(("embed", "most"), [("auto", 2_100_000), ("always", 18_000_000)])
def test_a_large_clip_plays_where_nothing_is_trusted(
    stranger: Lab,
    opened: Callable[[Lab, str], Notebook],
    noise: Path,
    embed: Any,
    most: int,
) -> None:
    """As a preview, and packed whole."""
    name = f"large-{embed}.ipynb"
    grown = write(stranger.folder / name, noise, embed)
    assert grown <= most
    notebook = opened(stranger, name)
    assert notebook.page.locator(".jp-OutputArea style").count() == 0, "JupyterLab trusts it"
    clip = notebook.wait_for_clip(0)
    assert clip["duration"] == pytest.approx(5, abs=0.3)
    assert PROMPT in notebook.words(0)


def test_a_poster_shows_where_nothing_is_trusted(
    stranger: Lab, opened: Callable[[Lab, str], Notebook], noise: Path
) -> None:
    """In a slimmed notebook, for less than 100 kB."""
    grown = write(stranger.folder / "large-never.ipynb", noise, "never")
    assert grown < 100_000
    notebook = opened(stranger, "large-never.ipynb")
    poster = notebook.output(0).locator(f"{CARD} img").first
    assert wait_until(lambda: poster.evaluate("each => each.naturalWidth")) > 200
    assert PROMPT in notebook.words(0)


def test_the_notebook_at_hand_is_packed_for_somebody_else(
    lab: Lab, stranger: Lab, opened: Callable[[Lab, str], Notebook]
) -> None:
    """Without its name; trusted at home as it was, and its clip plays where nothing is."""
    cells = [setup(1), f"%%kling --image lake.png --embed never\n{EVENING}", "%kling pack"]
    write_notebook(lab.folder / "mail.ipynb", cells)
    notebook = opened(lab, "mail.ipynb")
    for cell in (0, 1):
        notebook.run(cell)
    poster = notebook.output(1).locator(f"{CARD}[data-kling-state=saved] img").first
    poster.wait_for()
    notebook.save()
    notebook.run(2)
    assert "mail.packed.ipynb: 1 clip embedded" in notebook.words(2)
    assert notebook.errors() == []
    shutil.copy(lab.folder / "mail.packed.ipynb", stranger.folder)
    for place in (lab, stranger):
        copy = opened(place, "mail.packed.ipynb")
        assert copy.wait_for_clip(1)["duration"] == pytest.approx(5, abs=0.3)
        assert (copy.output(1).locator("style").count() > 0) == (place is lab)


def write(path: Path, clip: Path, embed: Any) -> int:
    """A notebook that shows a clip, as it is saved; gives by how much the clip made it grow."""
    saved = Saved("5" * 32, probe_clip(clip), 55.0, datetime(2026, 11, 22, tzinfo=UTC))
    output = nbformat.v4.new_output("display_data", data=card_bundle(FACTS, saved, embed))
    sizes = []
    for outputs in ([], [output]):
        cell = nbformat.v4.new_code_cell("%%kling\n", outputs=outputs)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=KERNEL), path)
        sizes.append(path.stat().st_size)
    return sizes[1] - sizes[0]
