"""What axe finds in cards, panel and gallery: nothing, in light and dark, in a trusted page."""

from __future__ import annotations

import pytest

from .axe import AXE, MISSING, faults
from .conftest import Opener
from .lab import Lab
from .notebook import CARD, Notebook
from .staged import STAGES, states_notebook
from .stories import PROMPT, setup, write_notebook

pytestmark = pytest.mark.skipif(not AXE.exists(), reason=MISSING)

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])
FIRST_STAGE = 2
"""Above it are the heading and the import."""


@pytest.fixture(scope="module")
def staged(lab: Lab, opened: Opener) -> Notebook:
    """Every state of a card on one page."""
    states_notebook(lab.folder / "states.ipynb")
    notebook = opened(lab, "states.ipynb")
    notebook.command("notebook:run-all-cells")
    assert notebook.errors() == []
    return notebook


# The theme is the outer loop: changing it takes longer than judging a card.
@pytest.mark.parametrize("stage", STAGES)
@THEMES
def test_a_card_has_no_fault(staged: Notebook, stage: str, theme: str) -> None:
    """Names, roles, order, contrast: whatever axe can tell of it."""
    staged.theme(theme)
    cell = FIRST_STAGE + list(STAGES).index(stage)
    staged.output(cell).locator(CARD).first.wait_for()
    assert faults(staged.page, staged.mark(cell)) == []
    assert staged.faint_texts(cell) == []


PANEL, MADE, GALLERY = 1, 2, 3
CELLS = [setup(0.5), "%kling panel", f"%%kling --image lake.png --wait\n{PROMPT}", "%kling gallery"]


@pytest.fixture(scope="module")
def controls(lab: Lab, opened: Opener) -> Notebook:
    """A panel, and a gallery of one clip."""
    write_notebook(lab.folder / "controls" / "controls.ipynb", CELLS)
    notebook = opened(lab, "controls/controls.ipynb")
    notebook.command("notebook:run-all-cells")
    assert notebook.errors() == []
    notebook.wait_for_clip(MADE)
    return notebook


@THEMES
def test_the_panel_has_no_fault(controls: Notebook, theme: str) -> None:
    """The empty form, and the form with a fault beside a field."""
    controls.theme(theme)
    generate = controls.output(PANEL).get_by_role("button", name="Generate").first
    generate.wait_for()
    assert faults(controls.page, controls.mark(PANEL)) == []
    if generate.is_enabled():
        generate.click()
        controls.output(PANEL).get_by_role("alert").first.wait_for()
        assert faults(controls.page, controls.mark(PANEL)) == []


@THEMES
def test_the_gallery_has_no_fault(controls: Notebook, theme: str) -> None:
    """With a clip in it."""
    controls.theme(theme)
    controls.output(GALLERY).get_by_text(PROMPT).first.wait_for()
    assert faults(controls.page, controls.mark(GALLERY)) == []


def test_axe_sees_a_fault(staged: Notebook) -> None:
    """A button without a name and a text that is too faint are found: the judge is awake."""
    staged.page.evaluate(
        "() => document.body.insertAdjacentHTML('beforeend',"
        ' \'<div id=faulty style="position: fixed; inset: 0; z-index: 99999; background: #fff">'
        "<button></button>"
        '<p style="color: #ddd">too faint</p></div>\')'
    )
    found = "\n".join(faults(staged.page, "#faulty"))
    staged.page.evaluate("document.getElementById('faulty').remove()")
    assert "button-name" in found
    assert "color-contrast" in found


def test_the_console_stays_silent(staged: Notebook, controls: Notebook) -> None:
    """Nothing of ours is reported as an error in the browser."""
    assert staged.complaints + controls.complaints == []
