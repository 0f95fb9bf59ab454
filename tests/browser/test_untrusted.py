"""A notebook that was mailed or cloned: sanitized by JupyterLab, and still of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from .notebook import Notebook
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
    assert sent.complaints == []
