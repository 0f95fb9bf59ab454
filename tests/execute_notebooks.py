"""Run the notebooks from top to bottom: `python -m tests.execute_notebooks`.

Each runs headless in a folder of its own, with nothing of this machine's settings, and is written
back executed. `--check` runs them and writes nothing. Either way the outputs are compared with the
text. What is committed holds no widget: a saved widget without its kernel is dead, and the HTML
beside it says how to get it back.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.tutorials import TUTORIALS, contradictions

__all__ = ["NOTEBOOKS", "execute", "without_widgets"]

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
TIMEOUT_S = 300
AT_ONCE = 3
"""They mostly wait for clips."""


def execute(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook in a copy of its folder.

    Args:
        path: The notebook.
        folder: An empty folder, for the copy and for HOME.
    """
    work = folder / "notebooks"
    shutil.copytree(path.parent, work, ignore=shutil.ignore_patterns("kling_clips"))
    environ = {name: text for name, text in os.environ.items() if not _is_setting(name)}
    environ |= {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "KLING_NB_FOLDER": str(work / "kling_clips"),
        "KLING_NB_EMULATOR_SECONDS": "2",
    }
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": str(work)}}
    )
    client.execute(env=environ)
    return notebook


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is committed: no widget views, no state, no times of execution."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def main() -> None:
    """Run every notebook; the exit code is 1 if an output contradicts the text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="run them and write nothing")
    check = parser.parse_args().check
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    wrong: list[str] = []
    # Processes, since a client takes the loop of its thread and the signals of its process.
    with ProcessPoolExecutor(AT_ONCE) as pool:
        for path, notebook in zip(paths, pool.map(executed, paths), strict=True):
            if not check:
                nbformat.write(notebook, path)
            found = contradictions(notebook, TUTORIALS[path.stem])
            print(f"{path.name}: {len(notebook.cells)} cells ran", *found, sep="\n  ")
            wrong += found
    sys.exit(1 if wrong else 0)


def executed(path: Path) -> NotebookNode:
    """A notebook as it is committed, executed in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return without_widgets(execute(path, Path(folder)))


def _is_setting(name: str) -> bool:
    return name.startswith(("KIE_", "KLING_NB_"))


if __name__ == "__main__":
    main()
