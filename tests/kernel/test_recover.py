"""A folder that was lost comes back from the notebook that was run in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kernel.kernels import environment
from tests.kernel.service import Service

pytestmark = pytest.mark.kernel

CELLS = (
    "import kling_nb as kling\n%load_ext kling_nb",
    "%%kling -i fox.png\nA red fox shakes the snow off its coat",
    "%%kling --sound -o wolf\nA wolf howls",
    "job = kling.image_to_video('fox.png', 'It turns its head', duration=10)\njob",
)


def execute(path: Path, cells: tuple[str, ...], env: dict[str, str]) -> list[Any]:
    """Run a notebook as `jupyter execute` does and save it; gives its cells."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    NotebookClient(book, resources={"metadata": {"path": str(path.parent)}}).execute(env=env)
    nbformat.write(book, path)
    return list(book.cells)


def test_run_all_after_recover_costs_nothing(folder: Path, service: Service) -> None:
    """Ledger and clips deleted: 0 new tasks, 0 credits, and the clips are there."""
    env = environment(folder.parent, **service.settings())
    path = folder / "quickstart.ipynb"
    execute(path, CELLS, env)
    clips = folder / "kling_clips"
    made = {each.read_bytes() for each in clips.glob("*.mp4")}
    before = (service.creations, len(service.account.tasks()), service.account.balance())
    shutil.rmtree(clips)
    (recovering,) = execute(
        folder / "rescue.ipynb",
        ("%load_ext kling_nb", "%kling recover *.ipynb", "%kling recover quickstart.ipynb"),
        env,
    )[1:2]
    text = recovering.outputs[0].data["text/plain"]
    assert text.startswith("3 jobs recovered from 1 notebook")
    execute(path, CELLS, env)
    assert (service.creations, len(service.account.tasks()), service.account.balance()) == before
    assert {each.read_bytes() for each in clips.glob("*.mp4")} == made
    assert len(made) == 3
