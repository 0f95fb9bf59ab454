"""axe finds no fault in a card in any state, in light and dark, in a trusted page."""

from __future__ import annotations

import pytest

from .axe import AXE, MISSING, faults
from .conftest import Opener
from .lab import Lab
from .notebook import CARD, Notebook
from .staged import STAGES, states_notebook

pytestmark = pytest.mark.skipif(not AXE.exists(), reason=MISSING)

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
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_card_has_no_fault(staged: Notebook, stage: str, theme: str) -> None:
    """Names, roles, order, contrast: whatever axe can tell of it."""
    staged.theme(theme)
    cell = FIRST_STAGE + list(STAGES).index(stage)
    staged.output(cell).locator(CARD).first.wait_for()
    assert faults(staged.page, staged.mark(cell)) == []
    assert staged.faint_texts(cell) == []


def test_axe_sees_a_fault(staged: Notebook) -> None:
    """Axe finds a button without a name and a text that is too faint."""
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
