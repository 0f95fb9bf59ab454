"""Photographs of a notebook while clips are made and when they are there.

    python -m tests.browser.look [NOTEBOOK.ipynb]

Light and dark, 900 and 480 pixels wide, into tests/screenshots/. A test can say that nothing is
broken; whether it is good to look at takes an eye.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .lab import Lab, running_lab
from .notebook import ARGUMENTS, CHROMIUM, LIVE, Notebook
from .stories import first_clips, write_notebook

__all__ = ["main"]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
WIDTHS_PX = (900, 480)
HEIGHT_PX = 1000
TALL_PX = 5200
THEMES = ("light", "dark")
CLIPS_S = 12.0


def main(arguments: list[str]) -> None:
    """Photograph the notebook that is named, or the first day's."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab:
        name = place(lab, arguments)
        with browsing() as chromium:
            page = chromium.new_page(viewport={"width": WIDTHS_PX[0], "height": HEIGHT_PX})
            notebook = Notebook(page, lab, name)
            notebook.begin("notebook:run-all-cells")
            page.locator(LIVE).first.wait_for()
            photograph(notebook, "running", HEIGHT_PX)
            notebook.finish()
            page.wait_for_function("() => kling.isQuiet()")
            photograph(notebook, "done", TALL_PX)


def place(lab: Lab, arguments: list[str]) -> str:
    """Put the notebook where the server finds it, with what lies beside it."""
    if not arguments:
        write_notebook(lab.folder / "first.ipynb", first_clips(CLIPS_S), title="# First clips")
        return "first.ipynb"
    given = Path(arguments[0])
    shutil.copytree(given.parent, lab.folder, dirs_exist_ok=True)
    return given.name


@contextmanager
def browsing() -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


def photograph(notebook: Notebook, moment: str, height_px: int) -> None:
    """One picture for each theme and width."""
    for theme in THEMES:
        notebook.theme(theme)
        for width_px in WIDTHS_PX:
            notebook.page.set_viewport_size({"width": width_px, "height": height_px})
            notebook.output(0)
            notebook.page.wait_for_function("() => kling.isDrawn()")
            file = SCREENSHOTS / f"{moment}-{theme}-{width_px}.png"
            notebook.page.screenshot(path=file)
            print(file)


if __name__ == "__main__":
    main(sys.argv[1:])
