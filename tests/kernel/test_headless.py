"""Headless runs: nbclient saves the clips, errors fail the run, and no key is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.kernel.kernels import WIDGET, environment
from tests.support.service import KEY, Served

pytestmark = pytest.mark.kernel

Run = Callable[..., Any]


@pytest.fixture
def run(folder: Path, service: Served) -> Run:
    """Execute cells as `jupyter execute` does, and return the notebook."""

    def execute(*cells: str, **settings: object) -> Any:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        env = environment(folder.parent, **(service.environment() | settings))
        client = NotebookClient(notebook, resources={"metadata": {"path": str(folder)}})
        client.execute(env=env)
        return notebook

    return execute


def test_the_saved_notebook_holds_the_clips(run: Run) -> None:
    """The cell waits by itself; the record is the clip, and nothing needs a widget."""
    notebook = run(
        "%load_ext kling_nb",
        "%%kling -i fox.png\nheadless",
        "%%kling -i fox.png --wait --sound -o sung\nheadless, waiting",
    )
    for cell in notebook.cells[1:]:
        (record,) = cell.outputs
        assert '<video src="data:video/mp4;base64,' in record.data["text/html"]
        assert record.data["text/plain"].startswith("Saved · EMULATED · ")
        assert WIDGET not in record.data


def test_a_failed_task_fails_the_run(run: Run, service: Served) -> None:
    """With the service's words; a run that goes on would hide that there is no clip."""
    service.account.inject("fail-content")
    with pytest.raises(CellExecutionError, match="The current content could not be processed"):
        run("%load_ext kling_nb", "%%kling -i fox.png\nfails")


def test_the_key_is_in_no_saved_notebook(run: Run, service: Served, folder: Path) -> None:
    """Live, with a refusal, a lost answer and our own mistakes under verbose tracebacks."""
    service.account.inject("refuse")
    setting = f"import os; os.environ['KIE_API_KEY'] = bytes({list(KEY.encode())}).decode()"
    saved = run(
        setting,
        "%load_ext kling_nb\n%xmode Verbose",
        "try:\n    get_ipython().run_cell_magic('kling', '-i fox.png', 'refused')\n"
        "except Exception as error:\n    get_ipython().showtraceback()",
        "%%kling -i fox.png\nwith a key",
        "import kling_nb as kling\n"
        "try:\n    kling.configure(api_key=os.environ['KIE_API_KEY'], emulator_seconds='x')\n"
        "except Exception:\n    get_ipython().showtraceback()",
        "session = kling.default_session(); session, session.settings, _",
        "%kling",
        KLING_NB_MODE="live",
    )
    text = str([cell.outputs for cell in saved.cells])
    assert "refused" in text
    assert '<video src="data:video/mp4' in text
    assert KEY not in text
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in kept)
    assert service.account.leaks() == []


def test_a_panel_and_a_gallery_leave_no_widget(run: Run) -> None:
    """Their saved forms alone, also after a clip was made; a person's own widgets stay."""
    notebook = run(
        "import kling_nb as kling\npanel = kling.panel(image='fox.png', prompt='rain')\npanel",
        "panel.choose('kling-2.6/text-to-video')\npanel.generate()\nkling.gallery()",
        "import ipywidgets\nown = ipywidgets.IntSlider()\nown",
    )
    assert [WIDGET in out.data for out in notebook.cells[2].outputs] == [True]
    kept = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    names = sorted(each["model_name"] for each in kept.values())
    assert names == ["IntSliderModel", "LayoutModel", "SliderStyleModel"]
    shown = [out.data for cell in notebook.cells[:2] for out in cell.outputs if "data" in out]
    assert any("kling-panel-saved" in data["text/html"] for data in shown)
    assert not any(WIDGET in data for data in shown)
