"""One browser for all tests of this folder; a server and an executed notebook for each application.

`lab` is JupyterLab. A test of both applications says so, and all that it uses follows:

    @pytest.mark.parametrize("lab", APPS, indirect=True)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .lab import App, Lab, running_lab
from .notebook import ARGUMENTS, CHROMIUM, Notebook
from .outputs import Open, open_outputs
from .stories import first_clips, write_notebook

ROOT = Path(__file__).parents[2]

VIEWPORT = {"width": 900, "height": 1000}

Opener = Callable[[Lab, str], Notebook]
Beginner = Callable[[Lab, str, Sequence[str]], Notebook]
Serving = Callable[[str, App], Lab]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them visibly where there is no browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists():
                reason = f"needs Chromium: none at {CHROMIUM}; KLING_NB_CHROMIUM names another"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give the server of a user in an application; it starts at first use."""
    running: dict[tuple[str, App], Lab] = {}
    with ExitStack() as stack:

        def serve(person: str, app: App) -> Lab:
            if (person, app) not in running:
                home = tmp_path_factory.mktemp(person)
                running[person, app] = stack.enter_context(running_lab(home, app))
            return running[person, app]

        yield serve


@pytest.fixture(scope="package")
def lab(serving: Serving, request: pytest.FixtureRequest) -> Lab:
    """The server of the user that makes the clips: JupyterLab, unless a test names the other."""
    return serving("person", getattr(request, "param", "lab"))


@pytest.fixture(scope="package")
def stranger(serving: Serving, lab: Lab) -> Lab:
    """The server of another user: it trusts no signature of the first one."""
    return serving("stranger", lab.app)


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


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Opens a bare page with outputs, and connects hubs to it."""
    pages = []

    def begin(*outputs: str, **given: Any) -> Any:
        page = chromium.new_page()
        pages.append(page)
        open_outputs(page, *outputs, **given)
        return page

    yield begin
    for page in pages:
        page.close()


@pytest.fixture(scope="package")
def context(chromium: Any) -> Any:
    """One person's browser: what one page has loaded of an application the next one need not."""
    return chromium.new_context(viewport=VIEWPORT)


@pytest.fixture(scope="package")
def notebooks() -> list[Notebook]:
    """The notebooks that are open."""
    return []


@pytest.fixture(scope="package")
def opened(context: Any, notebooks: list[Notebook]) -> Opener:
    """Opens notebooks, each in a page of its own."""

    def open_notebook(lab: Lab, name: str) -> Notebook:
        notebooks.append(Notebook(context.new_page(), lab, name))
        return notebooks[-1]

    return open_notebook


@pytest.fixture(scope="module", autouse=True)
def closed(notebooks: list[Notebook]) -> Iterator[None]:
    """Close the pages of a module, since animations slow down other pages; check their consoles."""
    yield
    complaints = [each for notebook in notebooks for each in notebook.complaints]
    for notebook in notebooks:
        notebook.page.close()
    notebooks.clear()
    assert complaints == []


@pytest.fixture(scope="package")
def begun(opened: Opener) -> Beginner:
    """Writes new notebooks, opens them, and runs their first cell."""

    def begin(lab: Lab, name: str, cells: Sequence[str]) -> Notebook:
        write_notebook(lab.folder / name, cells)
        notebook = opened(lab, name)
        notebook.run(0)
        return notebook

    return begin


@pytest.fixture(scope="package")
def first_days() -> dict[App, Notebook]:
    """The notebooks that `first` has made."""
    return {}


@pytest.fixture
def first(lab: Lab, opened: Opener, first_days: dict[App, Notebook]) -> Notebook:
    """The first day's notebook, with all its cells run at once, and saved with its clips."""
    if lab.app not in first_days:
        write_notebook(lab.folder / "first.ipynb", first_clips(2), title="# First clips")
        notebook = first_days[lab.app] = opened(lab, "first.ipynb")
        notebook.command("notebook:run-all-cells")
        for cell in (2, 3):
            notebook.wait_for_clip(cell)
        notebook.save()
    elif first_days[lab.app].page.is_closed():  # another module had it
        first_days[lab.app] = opened(lab, "first.ipynb")
    return first_days[lab.app]


@pytest.fixture
def sent(first: Notebook, lab: Lab, stranger: Lab, opened: Opener) -> Notebook:
    """The same notebook on the other user's server, which does not trust it."""
    shutil.copy(lab.folder / "first.ipynb", stranger.folder / "sent.ipynb")
    return opened(stranger, "sent.ipynb")


@pytest.fixture(scope="package")
def screenshots() -> Path:
    """Where pictures for the eye go; git ignores them."""
    folder = ROOT / "tests" / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
