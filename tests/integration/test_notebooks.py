"""The notebooks as they are committed: executed, self-contained, and free of machine and key."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from tests.execute_notebooks import NOTEBOOKS, WIDGET

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def outputs(path: Any) -> list[Any]:
    """Every output of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_there_is_a_quickstart() -> None:
    """The notebook that README opens exists."""
    assert "quickstart" in [path.stem for path in ALL]


@each_notebook
def test_every_cell_was_run_in_order(path: Any) -> None:
    """Execution counts are 1, 2, 3 … and no output is an error."""
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not [output for output in outputs(path) if output.output_type == "error"]


@each_notebook
def test_clips_are_inside_and_say_that_they_are_emulated(path: Any) -> None:
    """Videos are data on `<video src>`, each card has its badge, prompt and price as text."""
    html = "\n".join(output.get("data", {}).get("text/html", "") for output in outputs(path))
    videos = re.findall(r'<video src="data:video/mp4;base64,', html)
    assert len(videos) >= 3
    assert "<source" not in html
    assert html.lower().count(">emulated</span>") >= len(videos)
    for output in outputs(path):
        data = output.get("data", {})
        if "<video" in data.get("text/html", ""):
            assert re.search("would cost|0 credits now", data["text/plain"])
            assert "H.264" in data["text/plain"]


@each_notebook
def test_no_widget_is_needed(path: Any) -> None:
    """No output is a widget view, and no widget state is stored."""
    assert not [output for output in outputs(path) if WIDGET in output.get("data", {})]
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


@each_notebook
def test_nothing_of_the_machine_is_inside(path: Any) -> None:
    """No absolute path, no key, no address of a server."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert not re.search(r"Bearer |sk-[A-Za-z0-9]{8}|127\.0\.0\.1", text)


@each_notebook
def test_it_pins_the_emulator(path: Any) -> None:
    """With a key in the environment it spends nothing."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert 'mode="emulator"' in first.source
