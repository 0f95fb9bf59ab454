"""The same notebook in JupyterLab and in Notebook 7: detach, resume, and what a restart leaves."""

from __future__ import annotations

import pytest

from .conftest import Beginner, Opener
from .lab import APPS, Lab
from .notebook import CARD, Notebook
from .stories import setup, tasks_made

pytestmark = pytest.mark.parametrize("lab", APPS, indirect=True, scope="package")

FOLDER = "ends"
DETACHED, RESUMED, QUICK, LEFT = 1, 2, 3, 4
CELLS = [
    setup(6),
    "%%kling --image lake.png\nThe clouds open and the sun returns",
    "%kling resume ID",
    "%%kling --image lake.png --sound\nA boat crosses from left to right",
    "%%kling --image lake.png\nSnow begins to fall on the water",
]
DEAD = ("not found", "Error displaying widget", "Loading widget", "LiveView", "AnyWidget", "Hub(")
"""What a page says where a widget should have been."""


@pytest.fixture(scope="module")
def ends(lab: Lab, begun: Beginner) -> Notebook:
    """A notebook of clips that take six seconds, in a folder of its own, that has been set up."""
    return begun(lab, f"{FOLDER}/ends.ipynb", CELLS)


@pytest.fixture(scope="module")
def reopened(ends: Notebook, lab: Lab, opened: Opener) -> Notebook:
    """The notebook after its kernel was restarted in the middle of a job, saved and reopened."""
    ends.run(QUICK)
    ends.wait_for_clip(QUICK)
    ends.run(LEFT)
    ends.output(LEFT).locator("[data-kling-state=waiting]").wait_for()
    ends.restart()
    ends.save()
    ends.page.goto("about:blank")
    return opened(lab, f"{FOLDER}/ends.ipynb")


def test_detach_says_how_to_resume_and_resume_shows_the_clip(ends: Notebook, lab: Lab) -> None:
    """The task goes on meanwhile, and is not paid for twice."""
    ends.begin_cell(DETACHED)
    output = ends.output(DETACHED)
    output.locator("[data-kling-state=waiting]").wait_for()
    output.get_by_role("button", name="Detach").click()
    entry = output.locator(".kling-code", has_text="%kling resume").first
    entry.wait_for()

    ends.write(RESUMED, entry.text_content())
    ends.run(RESUMED)
    assert ends.wait_for_clip(RESUMED)["currentTime"] > 0
    assert ends.output(RESUMED).locator(CARD).count() == 1
    assert tasks_made(lab.folder / FOLDER) == 1


@pytest.mark.parametrize("cell", [RESUMED, QUICK])
def test_a_clip_is_there_without_its_kernel(reopened: Notebook, cell: int) -> None:
    """It was saved with the notebook, and plays."""
    clip = reopened.wait_for_clip(cell)
    assert clip["duration"] == pytest.approx(5, abs=0.2)
    assert clip["currentTime"] > 0


def test_a_job_that_was_running_says_what_to_do(reopened: Notebook) -> None:
    """Its card has no button without a kernel, and no bar that moves for ever."""
    assert "Run this cell again to see the clip: 0 credits" in reopened.words(LEFT)
    assert reopened.output(LEFT).get_by_role("button", name="Detach").count() == 0


def test_no_output_is_dead_or_empty(reopened: Notebook) -> None:
    """No output names a missing widget, and each one shows something."""
    for cell in range(len(CELLS)):
        words = reopened.words(cell)
        assert [each for each in DEAD if each in words] == []
        for output in reopened.output(cell).locator(".jp-OutputArea-output").all():
            assert output.bounding_box()["height"] > 8
