"""A notebook that was mailed or cloned: sanitized by JupyterLab, and still of use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.html_states import FACTS

from .conftest import Opener
from .lab import Lab
from .notebook import Notebook
from .staged import STAGES, states_notebook
from .stories import PROMPT

SILENT, SOUND, PYTHON = 2, 3, 5


def test_a_sent_notebook_still_shows_everything(sent: Notebook, screenshots: Path) -> None:
    """Clips play, and prompt, price and task id can be read, in both themes."""
    assert sent.page.locator(".jp-OutputArea style").count() == 0, "JupyterLab trusts it"
    for cell in (SILENT, SOUND, PYTHON):
        clip = sent.wait_for_clip(cell)
        assert clip["duration"] == pytest.approx(5, abs=0.2)
        assert clip["currentTime"] > 0
    words = sent.words(SILENT)
    for fact in (PROMPT, "55 credits ($0.28)", "5.0 s", "640×360", ".mp4"):
        assert fact in words
    assert len(sent.output(SILENT).locator(".kling-code").last.text_content()) == 32
    assert "Run this cell again" not in words
    for theme in ("light", "dark"):
        sent.theme(theme)
        sent.output(SILENT)
        assert [text for cell in (SILENT, SOUND, PYTHON) for text in sent.faint_texts(cell)] == []
        sent.page.screenshot(path=screenshots / f"untrusted-{theme}.png")


@pytest.fixture(scope="module")
def sent_states(lab: Lab, stranger: Lab, opened: Opener) -> Notebook:
    """Every state of a card, executed, saved, and opened where nothing is trusted."""
    states_notebook(lab.folder / "sent states.ipynb")
    executed = opened(lab, "sent states.ipynb")
    executed.command("notebook:run-all-cells")
    assert executed.errors() == []
    executed.save()
    shutil.copy(lab.folder / "sent states.ipynb", stranger.folder / "sent states.ipynb")
    return opened(stranger, "sent states.ipynb")


# The theme is the outer loop: changing it takes longer than reading a card.
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_sent_card_can_be_read(sent_states: Notebook, stage: str, theme: str) -> None:
    """The request and its price, in every state, with a contrast of 4.5 : 1."""
    sent_states.theme(theme)
    cell = 2 + list(STAGES).index(stage)
    words = sent_states.words(cell)
    for fact in (FACTS.prompt, FACTS.model, "55 credits ($0.28)"):
        assert fact in words
    assert sent_states.faint_texts(cell) == []
    assert sent_states.output(cell).get_by_role("button", name="Detach").count() == 0
