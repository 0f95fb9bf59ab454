"""The tutorial in a new folder: Run All, and clips that play."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from .conftest import ROOT, Opener
from .lab import Lab

QUICKSTART = ROOT / "notebooks" / "quickstart.ipynb"


def test_the_quickstart_runs_and_its_clips_play(
    lab: Lab, opened: Opener, screenshots: Path
) -> None:
    """Every cell runs without a key and without an error, and each clip can be watched."""
    if not QUICKSTART.exists():
        pytest.skip(f"needs {QUICKSTART.name}")
    folder = lab.folder / "quickstart"
    shutil.copytree(QUICKSTART.parent, folder, ignore=shutil.ignore_patterns("kling_clips"))
    cells = nbformat.read(QUICKSTART, as_version=4).cells
    clips = [number for number, cell in enumerate(cells) if shows_clip(cell.source)]

    notebook = opened(lab, "quickstart/quickstart.ipynb")
    notebook.command("notebook:run-all-cells")
    assert notebook.errors() == []
    assert None not in notebook.execution_counts()
    assert len(clips) >= 2
    for cell in clips:
        assert notebook.wait_for_clip(cell)["duration"] == pytest.approx(5, abs=0.2)
        assert notebook.faint_texts(cell) == []
    notebook.output(clips[0])
    notebook.page.screenshot(path=screenshots / "quickstart.png")


def shows_clip(source: str) -> bool:
    """Whether a cell ends with a clip on screen."""
    is_magic = source.startswith("%%kling ") and "--dry-run" not in source
    return is_magic or source.endswith("\nclip")
