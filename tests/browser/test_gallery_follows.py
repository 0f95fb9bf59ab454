"""A gallery on screen in JupyterLab: clips that are made later are there without another run."""

from __future__ import annotations

from typing import Any

import pytest

from .axe import AXE, MISSING, faults
from .conftest import Opener
from .lab import Lab
from .notebook import Notebook
from .stories import setup, write_notebook

SETUP, SHOW, MAKE, OTHER, HIDE, AGAIN = range(6)
OWL, CROW = "An owl lands", "A crow leaves"
ELSEWHERE = f"""\
import subprocess, sys
code = '''
import kling_nb as kling
kling.configure(mode="emulator", folder="kling_clips", emulator_seconds=0.2)
kling.text_to_video({CROW!r}).result()
'''
subprocess.run([sys.executable, "-c", code], check=True);"""
CELLS = [
    setup(0.5),
    "kling.gallery()",
    f"clip = await kling.text_to_video({OWL!r});",
    ELSEWHERE,
    "kling.default_session().hide(clip.request.id);",
    "kling.gallery()",
]
FOCUS = "window.dispatchEvent(new Event('focus'))"
CHECK_MS = 2_500


@pytest.fixture(scope="module")
def day(lab: Lab, opened: Opener) -> Notebook:
    """A notebook whose gallery is shown before there is a clip."""
    write_notebook(lab.folder / "follows" / "clips.ipynb", CELLS)
    notebook = opened(lab, "follows/clips.ipynb")
    notebook.run(SETUP)
    notebook.run(SHOW)
    notebook.output(SHOW).get_by_text("No clips yet").wait_for()
    return notebook


def tile(notebook: Notebook, prompt: str, cell: int = SHOW) -> Any:
    """The clip with that prompt."""
    return notebook.output(cell).locator(".kling-tile").filter(has_text=prompt)


def test_a_clip_of_another_cell_comes_by_itself(day: Notebook) -> None:
    """With its image; the text of the empty folder goes."""
    day.run(MAKE)
    tile(day, OWL).locator("img").wait_for()
    assert not day.output(SHOW).get_by_text("No clips yet").is_visible()
    assert day.output(SHOW).locator(".kling-gallery-count").inner_text() == "1 clip"


def test_a_clip_of_another_kernel_comes_when_it_is_looked_at(day: Notebook) -> None:
    """The window gets the focus; nothing asks before that."""
    day.run(OTHER)
    day.page.wait_for_timeout(CHECK_MS)
    day.output(SHOW)
    day.page.evaluate(FOCUS)
    tile(day, CROW).locator("img").wait_for()
    prompts = day.output(SHOW).locator(".kling-tile-prompt").all_inner_texts()
    assert prompts == [CROW, OWL]


def test_a_clip_that_is_hidden_by_code_goes(day: Notebook) -> None:
    """In all galleries on screen."""
    day.run(AGAIN)
    tile(day, OWL, AGAIN).wait_for()
    day.run(HIDE)
    for cell in (AGAIN, SHOW):
        day.output(cell)
        tile(day, OWL, cell).wait_for(state="detached")
        assert tile(day, CROW, cell).is_visible()


@pytest.mark.skipif(not AXE.exists(), reason=MISSING)
def test_two_galleries_with_details_have_no_fault(day: Notebook) -> None:
    """No landmark is there twice."""
    for cell in (AGAIN, SHOW):
        day.output(cell)
        tile(day, CROW, cell).get_by_role("button", name="Details").click()
    assert day.page.locator(".kling-details").count() == 2
    assert faults(day.page, ".kling-gallery-root") == []
