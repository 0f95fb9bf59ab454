"""The gallery in JupyterLab and Notebook 7: clips play when looked at, marks last, two in step.

What the applications cannot make different is seen in JupyterLab alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .axe import AXE, MISSING, faults
from .conftest import Opener
from .lab import APPS, Lab
from .notebook import Notebook
from .stories import setup, write_notebook

BOTH = pytest.mark.parametrize("lab", APPS, indirect=True, scope="package")
# By name and not by default: only tests with the same server share a notebook.
IN_LAB = pytest.mark.parametrize("lab", APPS[:1], indirect=True, scope="package")

SETUP, MAKE, SHOW = range(3)
FOLDER = "gallery"
EVENING, MIST, LOON = "Evening falls over the lake", "Mist rises <i>slowly</i>", "A loon calls"
CELLS = [
    setup(1),
    f"jobs = [kling.image_to_video('lake.png', prompt, sound=prompt == {LOON!r})\n"
    f"        for prompt in ({EVENING!r}, {MIST!r}, {LOON!r})]\n"
    "[job.result() for job in jobs];",
    "kling.gallery()",
]

TILE = ".kling-tile"
IN_STEP = """async () => {
  const videos = [...document.querySelectorAll(".kling-pane video")];
  const [begun, apart] = [performance.now(), []];
  let runs = false;
  while (performance.now() - begun < 2000) {
    await new Promise(requestAnimationFrame);
    apart.push(Math.abs(videos[0].currentTime - videos[1].currentTime));
    runs ||= videos.every((video) => !video.paused && video.currentTime > 0 && video.muted);
  }
  return { runs, apart: Math.max(...apart) };
}"""


@pytest.fixture(scope="module")
def shown(lab: Lab, opened: Opener) -> Notebook:
    """A notebook that made three clips and shows their gallery."""
    write_notebook(lab.folder / FOLDER / "clips.ipynb", CELLS)
    notebook = opened(lab, f"{FOLDER}/clips.ipynb")
    for cell in (SETUP, MAKE, SHOW):
        notebook.run(cell)
    tiles(notebook).nth(2).wait_for()
    return notebook


def tiles(notebook: Notebook) -> Any:
    """The clips on show."""
    return notebook.output(SHOW).locator(TILE)


def tile(notebook: Notebook, prompt: str) -> Any:
    """The one with that prompt."""
    return tiles(notebook).filter(has_text=prompt)


def wait_for_count(notebook: Notebook, count: int) -> None:
    """Wait until so many clips are on show."""
    notebook.page.wait_for_function(
        "([tile, count]) => document.querySelectorAll(tile).length === count", arg=[TILE, count]
    )


def wait_until_moving(notebook: Notebook, video: Any) -> None:
    """Wait until a video is some frames on."""
    notebook.page.wait_for_function(
        "video => !video.paused && video.currentTime > 0.2", arg=video.element_handle()
    )


@BOTH
def test_the_newest_clip_is_first_and_says_what_it_was(shown: Notebook) -> None:
    """Prompt as text, price, model and that nothing was real."""
    prompts = tiles(shown).locator(".kling-tile-prompt").all_text_contents()
    assert prompts == [LOON, MIST, EVENING]
    words = tile(shown, MIST).inner_text()
    assert "would cost $0.28" in words
    assert "kling-2.6/image-to-video" in words
    assert "EMULATED" in words
    assert tile(shown, LOON).locator(".kling-tile-length").inner_text() == "5 s · sound"


@BOTH
def test_a_clip_plays_while_the_mouse_is_over_it(shown: Notebook) -> None:
    """Without sound, and no longer than that."""
    clip = tile(shown, EVENING)
    clip.locator(".kling-tile-screen").hover()
    video = clip.locator("video")
    video.wait_for()
    wait_until_moving(shown, video)
    assert video.evaluate("video => video.muted && video.loop")
    shown.page.mouse.move(2, 2)
    video.wait_for(state="detached")


@BOTH
def test_a_clip_plays_while_it_has_the_focus(shown: Notebook) -> None:
    """Arrows go to the next clip, Enter stops and plays; JupyterLab takes none of the keys."""
    shown.page.get_by_label("Filter by prompt").focus()
    first = tiles(shown).nth(0).locator(".kling-tile-play")
    for _ in range(12):
        shown.page.keyboard.press("Tab")
        if first.evaluate("button => button === document.activeElement"):
            break
    wait_until_moving(shown, tiles(shown).nth(0).locator("video"))
    shown.page.keyboard.press("ArrowRight")
    second = tiles(shown).nth(1).locator("video")
    wait_until_moving(shown, second)
    assert tiles(shown).locator("video").count() == 1
    shown.page.keyboard.press("Enter")
    second.wait_for(state="detached")
    shown.page.keyboard.press("Enter")
    wait_until_moving(shown, second)
    shown.page.keyboard.press("Tab")
    second.wait_for(state="detached")


@BOTH
def test_two_clips_play_side_by_side_in_step(shown: Notebook, screenshots: Path) -> None:
    """Never further apart than a few frames; one button stops both at one picture."""
    for prompt in (EVENING, LOON):
        tile(shown, prompt).get_by_role("button", name="Compare").click()
    shown.page.get_by_role("button", name="Play side by side").click()
    panes = shown.page.locator(".kling-pane video")
    panes.nth(1).wait_for()
    wait_until_moving(shown, panes.nth(1))
    seen = shown.page.evaluate(IN_STEP)
    assert seen["runs"]
    assert seen["apart"] < 0.15, seen
    shown.page.screenshot(path=screenshots / "gallery-side-by-side.png")
    shown.page.get_by_role("button", name="Sound of").click()
    assert panes.evaluate_all("all => all.map((video) => video.muted)") == [True, False]
    shown.page.get_by_role("button", name="Pause").click()
    shown.page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.kling-pane video')]"
        ".map((video) => video.paused && video.currentTime.toFixed(2))).size === 1"
    )
    shown.page.keyboard.press("Escape")
    panes.nth(0).wait_for(state="detached")
    shown.page.get_by_role("button", name="Clear").click()


@IN_LAB
def test_stars_and_hidden_clips_outlive_the_kernel(shown: Notebook, screenshots: Path) -> None:
    """Both are in the ledger; what is hidden can be shown again."""
    tile(shown, MIST).get_by_role("button", name="Star").click()
    tile(shown, EVENING).get_by_role("button", name="Hide").click()
    wait_for_count(shown, 2)
    shown.restart()
    shown.output(SHOW).locator("img.kling-still").nth(2).wait_for()
    assert tiles(shown).count() == 0
    for cell in (SETUP, SHOW):
        shown.run(cell)
    wait_for_count(shown, 2)
    star = tile(shown, MIST).get_by_role("button", name="Star")
    assert star.get_attribute("aria-pressed") == "true"
    shown.page.get_by_role("button", name="Starred").click()
    wait_for_count(shown, 1)
    shown.page.get_by_role("button", name="Starred").click()
    shown.page.get_by_role("button", name="Show hidden").click()
    wait_for_count(shown, 3)
    shown.page.screenshot(path=screenshots / "gallery-hidden-shown.png")
    tile(shown, EVENING).get_by_role("button", name="Show").click()
    shown.page.get_by_role("button", name="Show hidden").click()
    wait_for_count(shown, 3)


@IN_LAB
def test_a_reload_of_the_page_brings_it_back_alive(shown: Notebook) -> None:
    """The kernel went on; the gallery plays again."""
    shown.save()
    shown.reload()
    clip = tile(shown, LOON)
    clip.locator(".kling-tile-screen").hover()
    wait_until_moving(shown, clip.locator("video"))
    shown.page.mouse.move(2, 2)


@IN_LAB
@pytest.mark.parametrize("width_px", [900, 480])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_off_and_all_can_be_read(
    shown: Notebook, screenshots: Path, theme: str, width_px: int
) -> None:
    """In both themes and on a narrow page: no scrolling sideways, controls of 24 px or more."""
    shown.theme(theme)
    with shown.width(width_px):
        sheet = shown.output(SHOW).locator(".kling-gallery-sheet")
        sheet.wait_for()
        shown.page.wait_for_function("() => kling.isDrawn()")
        shown.page.screenshot(path=screenshots / f"gallery-{theme}-{width_px}.png")
        assert sheet.evaluate("sheet => sheet.scrollWidth <= sheet.clientWidth")
        heights = sheet.locator("button:visible").evaluate_all(
            "all => all.map((button) => button.getBoundingClientRect().height)"
        )
        assert min(heights) >= 24
    shown.theme("light")


@IN_LAB
@pytest.mark.skipif(not AXE.exists(), reason=MISSING)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault(shown: Notebook, theme: str) -> None:
    """With details unfolded and two clips on stage: names, roles, contrast."""
    shown.theme(theme)
    details = tile(shown, LOON).get_by_role("button", name="Details")
    for prompt in (MIST, LOON):
        tile(shown, prompt).get_by_role("button", name="Compare").click()
    details.click()
    shown.page.get_by_role("button", name="Play side by side").click()
    shown.page.locator(".kling-pane video").nth(1).wait_for()
    shown.page.get_by_role("button", name="Pause").click()
    found = faults(shown.page, ".kling-gallery-root")
    faint = shown.faint_texts(SHOW)
    details.click()
    shown.page.get_by_role("button", name="Clear").click()
    shown.theme("light")
    assert found == []
    assert faint == []


@BOTH
def test_saved_it_shows_pictures_and_facts_without_its_kernel(
    shown: Notebook, lab: Lab, stranger: Lab, opened: Opener, screenshots: Path
) -> None:
    """No view of a widget is in the file; elsewhere, too, it is a gallery of pictures."""
    if tile(shown, MIST).locator(".kling-tile-star[aria-pressed=false]").count():
        tile(shown, MIST).get_by_role("button", name="Star").click()
        tile(shown, MIST).locator(".kling-tile-star[aria-pressed=true]").wait_for()
    shown.run(SHOW)
    shown.save()
    saved = lab.folder / FOLDER / "clips.ipynb"
    (output,) = json.loads(saved.read_text("utf-8"))["cells"][SHOW]["outputs"]
    assert "application/vnd.jupyter.widget-view+json" not in output["data"]
    assert LOON in "".join(output["data"]["text/plain"])
    # With the style sheets of a trusted notebook both applications show the same.
    for form in ("sent", "trusted") if lab.app == "lab" else ("sent",):
        name = f"gallery-{form}.ipynb"
        shutil.copy(saved, stranger.folder / name)
        if form == "trusted":
            stranger.trust(name)
        sent = opened(stranger, name)
        judge_saved(sent)
        sent.page.screenshot(path=screenshots / f"gallery-saved-{form}.png")


def judge_saved(sent: Notebook) -> None:
    """See that pictures and facts are there and can be read."""
    stills = sent.output(SHOW).locator("img")
    stills.nth(2).wait_for()
    assert stills.evaluate_all("all => all.every((still) => still.naturalWidth > 100)")
    words = sent.words(SHOW)
    for fact in (LOON, MIST, EVENING, "would cost 55 credits ($0.28)", "★ Starred", ".mp4"):
        assert fact in words
    assert not [bad for bad in ("rror", "widget") if bad in words]
    assert sent.faint_texts(SHOW) == []
