"""While a clip is made: reload, detach, resume, and a page that does not jump."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import Beginner, Opener
from .lab import Lab
from .notebook import CARD, LIVE, Notebook
from .stories import setup, tasks_made, write_notebook

RELOADED, DETACHED, RESUMED, TAKEN = 1, 2, 3, 4
FOLDER = "slow"
CELLS = [
    setup(16),
    "%%kling --image lake.png -o slow\nClouds gather over the hills",
    "%%kling --image lake.png\nThe clouds open and the sun returns",
    "%kling resume ID",
    "%%kling --image lake.png\nThe clouds open and the sun returns",
]


MOUNT = """\
import ipywidgets
from IPython.display import display
from kling_nb.display import comm as live
live.present_front_end = lambda: "notebook"  # as if a page had been there and had saved it
box = ipywidgets.Textarea("dead")
display(live.mount_widget(box, {"text/html": "<p>saved form</p>", "text/plain": "saved"}),
        raw=True)"""


@pytest.fixture(scope="module")
def slow(lab: Lab, begun: Beginner) -> Notebook:
    """A notebook of slow clips, in a folder of its own, that has been set up."""
    return begun(lab, f"{FOLDER}/slow.ipynb", CELLS)


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
    output.locator(LIVE).wait_for()
    assert slow.elapsed_s(RELOADED) >= before_s, "the clock began anew"
    assert not output.get_by_text("Run this cell again").is_visible()
    slow.page.screenshot(path=screenshots / "reloaded-waiting.png")
    clip = slow.wait_for_clip(RELOADED)
    assert clip["currentTime"] > 0
    assert output.locator(f"{CARD}:visible").count() == 1
    assert not output.get_by_text("Run this cell again").is_visible()
    assert output.get_by_role("button", name="Detach").count() == 0
    slow.page.screenshot(path=screenshots / "reloaded-done.png")


def test_the_notebook_keeps_what_came_after_a_reload(slow: Notebook, lab: Lab) -> None:
    """The page puts it there: JupyterLab no longer knows the output of the update."""
    slow.wait_until_kept(RELOADED, "data:video/mp4")
    slow.save()
    book = nbformat.read(lab.folder / FOLDER / "slow.ipynb", as_version=4)
    (output,) = book.cells[RELOADED].outputs
    assert output.data["text/plain"].startswith("Saved")
    assert slow.output(RELOADED).locator(f"{CARD}:visible").count() == 1
    slow.output(RELOADED).get_by_role("button", name="Another take").wait_for()
    assert not slow.output(RELOADED).get_by_text("This page was reloaded").is_visible()


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


def test_detach_offers_resume_and_nothing_jumps(slow: Notebook, screenshots: Path) -> None:
    """The output keeps its height while the job waits; the command shows the clip elsewhere."""
    slow.watch_height(DETACHED)
    slow.begin_cell(DETACHED)
    output = slow.output(DETACHED)
    output.locator(".kling-clock").wait_for(state="attached")
    output.locator("[data-kling-state=waiting]").wait_for()
    output.get_by_role("button", name="Detach").click()
    entry = output.locator(".kling-code", has_text="%kling resume")
    entry.wait_for()
    output.locator(LIVE).wait_for(state="detached")
    output.get_by_role("button", name="Resume · 0 credits").wait_for()
    slow.page.screenshot(path=screenshots / "detached.png")
    heights = slow.heights()
    assert heights[-1]["state"] == "waiting"
    assert len({each["height"] for each in heights}) == 1, heights
    slow.write(RESUMED, entry.text_content())
    slow.run(RESUMED)
    slow.wait_for_clip(RESUMED)


def test_a_detached_job_goes_on_with_a_click(slow: Notebook, lab: Lab) -> None:
    """In its own place, for 0 credits; the cell below does not move when the clip comes."""
    output = slow.output(DETACHED)
    output.get_by_role("button", name="Resume · 0 credits").click()
    top = slow.top_of(RESUMED)
    slow.wait_until_kept(DETACHED, "data:video/mp4")
    slow.page.wait_for_function("() => kling.isDrawn()")
    assert slow.top_of(RESUMED, scrolled=False) == pytest.approx(top, abs=2)
    assert slow.wait_for_clip(DETACHED)["currentTime"] > 0
    assert output.locator(CARD).count() == 1
    assert tasks_made(lab.folder / FOLDER) == 2


def test_another_take_comes_below_the_first(slow: Notebook, lab: Lab, screenshots: Path) -> None:
    """One click, one task, in the same output; a double click is one, too."""
    slow.run(TAKEN)
    slow.wait_for_clip(TAKEN)
    output = slow.output(TAKEN)
    output.get_by_role("button", name="Another take · free").dblclick()
    output.get_by_text("· take 2").wait_for()
    slow.page.screenshot(path=screenshots / "another-take.png")
    slow.page.wait_for_function("cell => kling.videos(cell).length === 2", arg=TAKEN)
    assert output.locator(CARD).count() == 2
    assert tasks_made(lab.folder / FOLDER) == 3


def test_a_card_gives_its_cell_and_its_file(slow: Notebook, lab: Lab) -> None:
    """To the clipboard, and as a whole path with a link; by the keyboard as well."""
    output = slow.output(TAKEN)
    output.get_by_role("button", name="Copy cell").first.click()
    output.get_by_role("button", name="Copied").wait_for()
    output.get_by_role("button", name="Show file").first.focus()
    slow.page.keyboard.press("Enter")  # which JupyterLab would take for a command
    path = output.locator(".kling-where .kling-code")
    path.wait_for()
    assert Path(path.text_content()).is_file()
    assert output.get_by_role("link", name="Open the file").count() == 1


def test_a_restarted_kernel_leaves_no_dead_button(slow: Notebook) -> None:
    """The clips stay, and play."""
    slow.restart()
    output = slow.output(TAKEN)
    output.get_by_role("button").first.wait_for(state="detached")
    assert slow.wait_for_clip(TAKEN)["currentTime"] > 0
    assert output.locator(CARD).count() == 2


def test_the_saved_state_of_widgets_is_not_brought_to_life(lab: Lab, opened: Opener) -> None:
    """A headless run leaves it in the notebook: what is saved stays readable in its place."""
    path = lab.folder / FOLDER / "headless.ipynb"
    write_notebook(path, [setup(1), "kling.panel()", MOUNT])
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert "dead" in str(book.metadata.widgets)
    assert "data-kling-mount" in book.cells[2].outputs[0].data["text/html"]
    nbformat.write(book, path)
    lab.trust(f"{FOLDER}/headless.ipynb")
    notebook = opened(lab, f"{FOLDER}/headless.ipynb")
    notebook.output(1).get_by_text("Run this cell again to use it").wait_for()
    saved = notebook.output(2).get_by_text("saved form")
    saved.wait_for()
    notebook.page.wait_for_timeout(1500)
    assert saved.is_visible()
    assert notebook.page.locator("textarea:visible").count() == 0
