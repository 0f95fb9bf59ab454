"""After the kernel: no button waits for it, and the next one goes on with cards and panels."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Beginner
from .lab import Lab
from .notebook import CARD, LIVE, Notebook
from .stories import setup, tasks_made

SLOW, PANEL, GALLERY = 1, 2, 3
FOLDER = "next"
CELLS = [
    setup(12),
    "%%kling --image lake.png\nThe kernel ends while the clouds gather",
    "kling.panel()",
    "kling.gallery()",
]
GENERATE = "Generate"
IMAGE = "Image: path, URL or variable"
WAITING = ("Waiting for the kernel…", "Waiting …", "Sending …")
PRESS_ALL = """() => {
  const all = "[data-kling-do=take], .kling-primary, .kling-gallery-button:enabled";
  for (const button of document.querySelectorAll(all)) button.click();
}"""


def generate(notebook: Notebook, prompt: str) -> Any:
    """Make a clip in the panel; give its output."""
    output = notebook.output(PANEL)
    output.get_by_role("textbox", name="Prompt").fill(prompt)
    output.get_by_role("textbox", name=IMAGE).fill("lake.png")
    output.get_by_role("button", name=GENERATE).click()
    output.locator(f".kling-result {CARD}", has_text=prompt).wait_for()
    return output


def wait_for_clip(notebook: Notebook) -> None:
    """Wait until the card of the slow cell is the clip, with buttons and in the document."""
    assert notebook.wait_for_clip(SLOW)["currentTime"] > 0
    notebook.output(SLOW).get_by_role("button", name="Another take").wait_for()
    notebook.wait_until_kept(SLOW, "data:video/mp4")
    assert notebook.output(SLOW).locator(CARD).count() == 1


def test_a_waiting_card_becomes_the_clip_of_the_next_kernel(lab: Lab, begun: Beginner) -> None:
    """When the extension is loaded; its own cell does not run again, and nothing is paid."""
    notebook = begun(lab, f"{FOLDER}/restarted.ipynb", CELLS)
    notebook.begin_cell(SLOW)
    notebook.output(SLOW).locator("[data-kling-state=waiting]").wait_for()
    notebook.restart()
    notebook.output(SLOW).locator(LIVE).wait_for(state="detached")
    notebook.run(0)
    notebook.output(SLOW).locator(LIVE).wait_for()
    wait_for_clip(notebook)
    assert tasks_made(lab.folder / FOLDER) == 1


def test_a_notebook_that_is_opened_again_goes_on(lab: Lab, begun: Beginner) -> None:
    """It was saved while the card waited; the kernel was ended, and the page loaded anew."""
    cells = [CELLS[0], f"{CELLS[SLOW]} again", *CELLS[PANEL:]]
    notebook = begun(lab, f"{FOLDER}/opened.ipynb", cells)
    notebook.begin_cell(SLOW)
    notebook.output(SLOW).locator("[data-kling-state=waiting]").wait_for()
    notebook.save()
    notebook.shut_down()
    notebook.reload()
    notebook.run(0)
    wait_for_clip(notebook)


def test_the_panel_of_the_next_kernel_shows_its_clips(lab: Lab, begun: Beginner) -> None:
    """The one that was made and the one that is being made; not in another notebook's panel."""
    cells = [setup(3), *CELLS[SLOW:]]
    notebook = begun(lab, f"{FOLDER}/panel.ipynb", cells)
    notebook.run(PANEL)
    generate(notebook, "first").locator(".kling-result video").wait_for()
    generate(notebook, "second").locator("[data-kling-state=waiting]").wait_for()
    notebook.restart()
    notebook.run(0)
    notebook.run(PANEL)
    results = notebook.output(PANEL).locator(".kling-result")
    results.locator("video").nth(1).wait_for()
    assert results.locator(".kling-prompt").all_text_contents() == ["second", "first"]
    other = begun(lab, f"{FOLDER}/other.ipynb", cells)
    other.run(PANEL)
    other.output(PANEL).get_by_text("Start from a recent clip").wait_for()
    assert other.output(PANEL).locator(".kling-result").count() == 0


@pytest.mark.parametrize("by_menu", [True, False], ids=["menu", "server"])
def test_no_button_waits_for_a_kernel_that_was_shut_down(
    lab: Lab, begun: Beginner, by_menu: bool
) -> None:
    """Those of cards, panel and gallery are pressed; each says so, or is gone."""
    cells = [setup(1), f"{CELLS[SLOW]}: {by_menu}", *CELLS[PANEL:]]
    notebook = begun(lab, f"{FOLDER}/shut-{by_menu}.ipynb", cells)
    notebook.run(SLOW)
    notebook.output(SLOW).get_by_role("button", name="Another take").wait_for()
    for cell, button in ((PANEL, GENERATE), (GALLERY, "Refresh")):
        notebook.run(cell)
        notebook.output(cell).get_by_role("button", name=button).wait_for()
    notebook.shut_down(by_menu=by_menu)
    notebook.page.evaluate(PRESS_ALL)
    notebook.output(PANEL).get_by_text("Run this cell again to use it").wait_for()
    for cell in (SLOW, PANEL, GALLERY):
        notebook.output(cell).locator("button:visible").first.wait_for(state="detached")
        assert not any(words in notebook.words(cell) for words in WAITING)
    assert notebook.wait_for_clip(SLOW)["currentTime"] > 0
