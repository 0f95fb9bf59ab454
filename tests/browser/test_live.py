"""While a clip is made: reload, detach, resume, and a page that does not jump."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .conftest import Opener
from .lab import Lab
from .notebook import CARD, LIVE, Notebook
from .stories import setup, tasks_made, write_notebook

RELOADED, DETACHED, RESUMED = 1, 2, 3
FOLDER = "slow"
CELLS = [
    setup(10),
    "%%kling --image lake.png -o slow\nClouds gather over the hills",
    "%%kling --image lake.png\nThe clouds open and the sun returns",
    "%kling resume ID",
]


@pytest.fixture(scope="module")
def slow(lab: Lab, opened: Opener) -> Notebook:
    """A notebook of slow clips, in a folder of its own, that has been set up."""
    write_notebook(lab.folder / FOLDER / "slow.ipynb", CELLS)
    notebook = opened(lab, f"{FOLDER}/slow.ipynb")
    notebook.run(0)
    return notebook


@pytest.fixture(scope="module")
def half_way(slow: Notebook, lab: Lab) -> Path:
    """A copy of the notebook as it was saved while the task ran."""
    slow.run(RELOADED)
    slow.output(RELOADED).locator("[data-kling-state=waiting]").wait_for()
    slow.save()
    copied = lab.folder / "half.ipynb"
    shutil.copy(lab.folder / FOLDER / "slow.ipynb", copied)
    return copied


def test_a_reload_in_the_middle_loses_nothing(
    slow: Notebook, half_way: Path, screenshots: Path
) -> None:
    """The page loaded anew goes on where it was, and shows the clip once at the end."""
    before_s = slow.wait_for_clock(RELOADED, 2)
    slow.reload()
    output = slow.output(RELOADED)
    output.locator(LIVE).locator(".kling-live").wait_for()
    assert slow.elapsed_s(RELOADED) >= before_s, "the clock began anew"
    assert not output.get_by_text("Run this cell again").is_visible()
    slow.page.screenshot(path=screenshots / "reloaded-waiting.png")
    clip = slow.wait_for_clip(RELOADED)
    assert clip["currentTime"] > 0
    assert output.locator(f"{CARD}:visible").count() == 1
    assert not output.get_by_text("Run this cell again").is_visible()
    assert output.get_by_role("button", name="Detach").count() == 0
    slow.page.screenshot(path=screenshots / "reloaded-done.png")


@pytest.mark.parametrize("trusted", [False, True], ids=["sent", "trusted"])
def test_a_notebook_saved_half_way_says_what_to_do(
    half_way: Path, trusted: bool, stranger: Lab, opened: Opener, screenshots: Path
) -> None:
    """Without its kernel it has the task's id, the way to the clip, and no dead widget."""
    name = f"half-{trusted}.ipynb"
    shutil.copy(half_way, stranger.folder / name)
    if trusted:
        stranger.trust(name)
    half = opened(stranger, name)
    words = half.words(RELOADED)
    assert "Run this cell again to see the clip: 0 credits" in words
    assert re.search(r"task\s+[0-9a-f]{32}", words)
    assert "widget" not in words
    assert "LiveView" not in words
    half.page.screenshot(path=screenshots / f"half-way-{trusted}.png")


def test_detach_says_how_to_resume_and_resume_shows_the_clip(
    slow: Notebook, lab: Lab, screenshots: Path
) -> None:
    """And nothing jumps while the clip is waited for; nothing is paid for twice."""
    slow.watch_height(DETACHED)
    slow.begin_cell(DETACHED)
    output = slow.output(DETACHED)
    output.locator(".kling-clock").wait_for(state="attached")
    output.locator("[data-kling-state=waiting]").wait_for()
    output.get_by_role("button", name="Detach").click()
    entry = output.locator(".kling-code", has_text="%kling resume")
    entry.wait_for()
    output.locator(LIVE).wait_for(state="detached")
    slow.page.screenshot(path=screenshots / "detached.png")
    heights = slow.heights()
    assert heights[-1]["state"] == "waiting"
    assert len({each["height"] for each in heights}) == 1, heights

    slow.write(RESUMED, entry.text_content())
    slow.run(RESUMED)
    assert slow.wait_for_clip(RESUMED)["currentTime"] > 0
    assert slow.output(RESUMED).locator(CARD).count() == 1
    assert tasks_made(lab.folder / FOLDER) == 2


def test_the_console_stays_silent(slow: Notebook) -> None:
    """Nothing of ours is reported as an error in the browser, through reload and detach."""
    assert slow.complaints == []
