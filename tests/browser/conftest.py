"""One server, one browser and one executed notebook for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import Lab, running_lab
from .notebook import ARGUMENTS, CHROMIUM, Notebook
from .stories import first_clips, write_notebook

ROOT = Path(__file__).parents[2]

Opener = Callable[[Lab, str], Notebook]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them visibly where there is no browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists():
                reason = f"needs Chromium: none at {CHROMIUM}; KLING_NB_CHROMIUM names another"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server of the person who makes the clips."""
    with running_lab(tmp_path_factory.mktemp("person")) as lab:
        yield lab


@pytest.fixture(scope="package")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server of somebody who was sent a notebook: it trusts no signature of ours."""
    with running_lab(tmp_path_factory.mktemp("stranger")) as lab:
        yield lab


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One headless browser.

    Not longer than this folder's tests: Playwright's loop would be in the way of `asyncio.run`.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def opened(chromium: Any) -> Iterator[Opener]:
    """Opens notebooks, each in a page of its own."""
    pages = []

    def open_notebook(lab: Lab, name: str) -> Notebook:
        page = chromium.new_page(viewport={"width": 900, "height": 1000})
        pages.append(page)
        return Notebook(page, lab, name)

    yield open_notebook
    for page in pages:
        page.close()


@pytest.fixture(scope="package")
def first(lab: Lab, opened: Opener) -> Notebook:
    """The first day's notebook, with all its cells run at once, and saved with its clips."""
    write_notebook(lab.folder / "first.ipynb", first_clips(2), title="# First clips")
    notebook = opened(lab, "first.ipynb")
    notebook.command("notebook:run-all-cells")
    for cell in (2, 3):
        notebook.wait_for_clip(cell)
    notebook.save()
    return notebook


@pytest.fixture
def sent(first: Notebook, lab: Lab, stranger: Lab, opened: Opener) -> Notebook:
    """The same notebook as it arrives at the stranger's, where nothing is trusted."""
    shutil.copy(lab.folder / "first.ipynb", stranger.folder / "sent.ipynb")
    return opened(stranger, "sent.ipynb")


@pytest.fixture(scope="package")
def screenshots() -> Path:
    """Where pictures for the eye go; git ignores them."""
    folder = ROOT / "tests" / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
