"""Callbacks through the Jupyter server of the notebook: the card becomes the clip.

Everything as a person has it: two lines in the server's configuration, and a service in a process
of its own that calls back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.service import Served, serve

from .conftest import Opener
from .lab import Lab, running_lab
from .notebook import CARD, Notebook
from .stories import write_notebook

SETUP, LISTEN, CLIP, REST = 0, 1, 2, 3
CLIP_S = 4
SETTINGS = """\
%load_ext kling_nb
import kling_nb as kling
from kling_nb.core.poll_schedule import PollSchedule

# The next poll comes after an hour, so that only a callback can end the wait.
PollSchedule.delay_s = lambda *given, **named: 3600.0
kling.configure(mode="emulator", folder="kling_clips", api_url="{url}", upload_url="{url}");"""


SWITCHES = """\
c.ServerApp.jpserver_extensions = {"kling_nb": True}
c.KlingCallbacks.enabled = True
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An emulator in a process of its own."""
    with serve(tmp_path_factory.mktemp("service"), seconds=CLIP_S) as service:
        yield service


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with both switches of the extension on."""
    home = tmp_path_factory.mktemp("hearing")
    settings = home / "config" / "jupyter_server_config.py"
    settings.parent.mkdir()
    settings.write_text(SWITCHES, encoding="utf-8")
    with running_lab(home) as lab:
        yield lab


@pytest.fixture(scope="module")
def notebook(hearing: Lab, service: Served, opened: Opener) -> Notebook:
    """A notebook that listens."""
    cells = [
        SETTINGS.format(url=service.url),
        "listening = kling.listen(jupyter=True)\nlistening",
        "%%kling --image lake.png -o evening\nThe sun sinks behind the hills",
        "evening.done(), listening",
    ]
    write_notebook(hearing.folder / "listening.ipynb", cells)
    notebook = opened(hearing, "listening.ipynb")
    notebook.run(SETUP)
    notebook.run(LISTEN)
    return notebook


def test_the_server_is_found(notebook: Notebook, hearing: Lab) -> None:
    """The cell shows the URL for callbacks, and that the server receives them."""
    assert notebook.errors() == []
    words = notebook.words(LISTEN)
    assert f"Listening for callbacks at {hearing.url}/kling/callback" in words
    assert "receives callbacks" in words


def test_the_card_turns_to_the_clip(
    notebook: Notebook, hearing: Lab, service: Served, screenshots: Path
) -> None:
    """The service calls the server, and the open page shows the clip."""
    notebook.run(CLIP)
    notebook.output(CLIP).locator("[data-kling-state=waiting]").wait_for()
    task = service.account.tasks()[-1]
    stranger = httpx.post(f"{hearing.url}/kling/callback", json={"taskId": task.task_id})
    assert stranger.status_code == 403
    assert notebook.wait_for_clip(CLIP)["duration"] > 0
    assert notebook.output(CLIP).locator(f"{CARD}:visible").count() == 1
    notebook.run(REST)
    assert "1 accepted" in notebook.words(REST)
    assert f"received a callback for task {task.task_id}" in log_of(hearing)
    assert task.callback_url.partition("kling_nb=")[2] not in log_of(hearing)
    notebook.page.screenshot(path=screenshots / "called-back.png")


def log_of(lab: Lab) -> str:
    """The server's log."""
    return (lab.home / "server.log").read_text(encoding="utf-8")
