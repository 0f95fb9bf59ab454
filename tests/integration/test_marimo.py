"""marimo: jobs and clips show their cards in its own export, and waiting works in its cells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from kling_nb.display.html import find_sections
from tests.support.processes import PACKAGE

APP = """
import marimo

app = marimo.App()


@app.cell
def setup():
    import kling_nb as kling
    kling.configure(mode="emulator", emulator_seconds=0.1)
    return (kling,)


@app.cell
def waiting(kling):
    job = kling.text_to_video("A red fox")
    clip = job.result()
    job
    return (clip,)


@app.cell
def clips(clip):
    clip
    return


@app.cell
async def awaited(kling):
    owl = await kling.text_to_video("A grey owl")
    owl
    return (owl,)


@app.cell
def panel(kling, owl):
    kling.panel(prompt="A blue whale")
    return


@app.cell
def gallery(kling, owl):
    kling.gallery()
    return
"""
NAMES = ("setup", "waiting", "clips", "awaited", "panel", "gallery")
SESSION = re.compile(r'"session": (\{.*\}),\n')
"""The line of an exported page that has the outputs of all cells."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The outputs of each cell of the app, as `marimo export html` writes them."""
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    command = [sys.executable, "-m", "marimo", "export", "html", "app.py", "-o", "app.html"]
    homes = {name: str(folder) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | PACKAGE | homes,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (folder / "app.html").read_text(encoding="utf-8")
    cells = json.loads(SESSION.search(page)[1])["cells"]
    return {name: cell["outputs"] for name, cell in zip(NAMES, cells, strict=True)}


def html_of(outputs: list[dict[str, Any]]) -> str:
    """The HTML of a cell, which is its only output."""
    (only,) = outputs
    return only["data"]["text/html"]


@pytest.mark.parametrize(
    ("cell", "prompt"),
    [("waiting", "A red fox"), ("clips", "A red fox"), ("awaited", "A grey owl")],
)
def test_a_job_and_a_clip_show_their_card(outputs: Any, cell: str, prompt: str) -> None:
    """Saved, with the clip in it, after `job.result()` and after `await job`."""
    markup = html_of(outputs[cell])
    assert [section.state for section in find_sections(markup)] == ["saved"]
    assert '<video src="data:video/mp4;base64,' in markup
    assert prompt in markup


def test_the_panel_says_what_to_use(outputs: Any) -> None:
    """In one line, in place of a form that could not answer."""
    markup = html_of(outputs["panel"])
    assert "kling.image_to_video(" in markup
    assert "%%kling" in markup
    assert "marimo-" not in markup


def test_the_gallery_shows_its_saved_view(outputs: Any) -> None:
    """With the posters of both clips."""
    markup = html_of(outputs["gallery"])
    assert "A red fox" in markup
    assert "A grey owl" in markup
    assert "marimo-" not in markup
