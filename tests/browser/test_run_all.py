"""Run All: every cell runs, every clip plays, and running again pays for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lab import APPS, Lab
from .notebook import CARD, LIVE, Notebook
from .stories import PROMPT, SOUND_PROMPT, tasks_made

pytestmark = pytest.mark.parametrize("lab", APPS, indirect=True, scope="package")

SILENT, SOUND, PLAIN, PYTHON = 2, 3, 4, 5


def test_every_cell_runs(first: Notebook) -> None:
    """Queued at once, as JupyterLab's Run All does; none is lost while clips are made."""
    assert first.execution_counts() == [1, 2, 3, 4, 5]
    assert first.words(PLAIN) == "the kernel is free: 42"


@pytest.mark.parametrize("cell", [SILENT, SOUND, PYTHON])
def test_a_clip_plays(first: Notebook, cell: int) -> None:
    """From the data in the page: it is decoded, has the requested length, and time moves."""
    clip = first.wait_for_clip(cell)
    assert clip["readyState"] >= 3
    assert clip["duration"] == pytest.approx(5, abs=0.2)
    assert clip["currentTime"] > 0
    assert clip["videoWidth"] == 640


def test_one_card_is_left_of_each_cell(first: Notebook) -> None:
    """The live part has gone and left no line, no text and no room behind."""
    for cell in (SILENT, SOUND, PYTHON):
        first.wait_for_clip(cell)
        assert "LiveView" not in first.words(cell)
        output = first.output(cell)
        assert output.locator(CARD).count() == 1
        assert output.locator(LIVE).count() == 0
        spare = output.bounding_box()["height"] - output.locator(CARD).bounding_box()["height"]
        assert spare <= 12


def test_what_was_written_is_shown_as_it_was_written(first: Notebook) -> None:
    """Braces and tags of a prompt are text."""
    first.wait_for_clip(SOUND)
    assert first.output(SILENT).locator(".kling-prompt").text_content() == PROMPT
    assert first.output(SOUND).locator(".kling-prompt").text_content() == SOUND_PROMPT


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_text_can_be_read(first: Notebook, theme: str, screenshots: Path) -> None:
    """Contrast of 4.5 : 1 at least (WCAG AA) with the theme's own colours."""
    first.theme(theme)
    for cell in (SILENT, SOUND, PYTHON):
        first.wait_for_clip(cell)
        assert first.faint_texts(cell) == []
    first.output(SILENT)
    first.page.screenshot(path=screenshots / f"run-all-{theme}.png")


def test_a_fresh_kernel_shows_the_clips_for_nothing(first: Notebook, lab: Lab) -> None:
    """Restart and Run All: no task is made, and each cell ends with its clip on screen."""
    first.wait_for_clip(SOUND)
    before = tasks_made(lab.folder)
    first.restart()
    first.command("notebook:run-all-cells")
    assert first.execution_counts() == [1, 2, 3, 4, 5]
    for cell in (SILENT, SOUND, PYTHON):
        assert first.output(cell).locator("video").count() == 1
    assert "0 credits now" in first.words(SILENT)
    assert tasks_made(lab.folder) == before == 3
