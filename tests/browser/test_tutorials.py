"""The tutorials in new folders: Run All, clips that play, and outputs that agree with the text."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nbformat
import pytest

from tests.execute_notebooks import NOTEBOOKS
from tests.support.tutorials import TUTORIALS, contradictions

from .conftest import Opener, Serving
from .lab import Lab
from .notebook import Notebook

PATIENCE_S = 60.0
PAUSE_MS = 200


@pytest.fixture(scope="module")
def learner(serving: Serving) -> Lab:
    """The server of a user without clips: a folder of clips above a tutorial would be its own."""
    return serving("learner", "lab")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_run_all_shows_what_the_text_says(
    learner: Lab, opened: Opener, path: Path, screenshots: Path
) -> None:
    """Every cell runs without a key and without an error, and each clip can be watched."""
    copy = copy_without_outputs(path, learner.folder / path.stem)
    notebook = opened(learner, f"{path.stem}/{path.name}")
    notebook.command("notebook:run-all-cells")
    assert notebook.errors() == []
    assert None not in notebook.execution_counts()
    assert wait_for_truth(notebook, copy) == []
    cells = nbformat.read(copy, as_version=4).cells
    clips = [number for number, cell in enumerate(cells) if shows_clip(cell.source)]
    assert clips
    for cell in clips:
        assert notebook.wait_for_clip(cell)["duration"] > 1
        assert notebook.faint_texts(cell) == []
    notebook.output(clips[0])
    notebook.page.screenshot(path=screenshots / f"tutorial-{path.stem}.png")


def copy_without_outputs(path: Path, folder: Path) -> Path:
    """Copy the folder of a notebook and clear its outputs, which could hide a cell that shows none.

    Returns:
        The notebook in the new folder.
    """
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("kling_clips"))
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(book, folder / path.name)
    return folder / path.name


def wait_for_truth(notebook: Notebook, saved: Path) -> list[str]:
    """Save a notebook until it agrees with its text, since cards are drawn after their cells end.

    Returns:
        What still contradicts the text at the end.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        notebook.save()
        found = contradictions(nbformat.read(saved, as_version=4), TUTORIALS[saved.stem])
        if not found or time.monotonic() > deadline:
            return found
        notebook.page.wait_for_timeout(PAUSE_MS)


def shows_clip(source: str) -> bool:
    """Whether a cell ends with a clip on screen."""
    is_magic = source.startswith("%%kling ") and "--dry-run" not in source
    return is_magic or source.endswith("\nclip")
