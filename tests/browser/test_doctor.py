"""`%kling doctor` in JupyterLab and Notebook 7 reports what the page can play."""

from __future__ import annotations

import re

import pytest

from .axe import AXE, MISSING, faults
from .conftest import Beginner
from .lab import APPS, Lab
from .notebook import Notebook
from .stories import setup

UNOPENED = "Comm not found for comm id"
BOTH = pytest.mark.parametrize("lab", APPS, indirect=True, scope="package")
# What the browser lacks, and what a reload loses, is the same in the other application.
IN_LAB = pytest.mark.parametrize("lab", APPS[:1], indirect=True, scope="package")

NAMES = {"lab": "JupyterLab", "notebook": "Jupyter Notebook"}
REPORT, WRITTEN = 1, 3
CELLS = [setup(1), "%kling doctor"]
SCRIPT = "<script>globalThis.klingScriptRan = true</script>"
WRITING = [
    f"from IPython.display import HTML\nHTML('{SCRIPT}')",
    "%kling doctor --report r.md\nprint(open('r.md').read())",
]
NO_DECODER = """() => {
HTMLMediaElement.prototype.play = () => Promise.reject(new Error("no supported sources"));
OfflineAudioContext.prototype.decodeAudioData = () => Promise.reject(new Error("no decoder"));
}"""


def words_with(notebook: Notebook, words: str) -> str:
    """The report, once it says something."""
    notebook.output(REPORT).get_by_text(words).first.wait_for()
    return notebook.words(REPORT)


@pytest.fixture(scope="module")
def healthy(lab: Lab, begun: Beginner) -> Notebook:
    """A report that is complete."""
    notebook = begun(lab, "doctor/healthy.ipynb", CELLS)
    notebook.run(REPORT)
    words_with(notebook, "audio decoded")
    return notebook


@BOTH
def test_it_tells_where_it_is_and_that_clips_play(healthy: Notebook, lab: Lab) -> None:
    """The report is complete, and nothing in it is broken."""
    words = words_with(healthy, "balance 5,916")
    assert re.search(rf"Front end: {NAMES[lab.app]} \d", words)
    assert "Widgets: the page answers" in words
    assert "320×180 decoded and played" in words
    for status in ("ASKING", "BROKEN"):
        assert status not in words


@BOTH
def test_it_can_be_read_by_everybody(healthy: Notebook) -> None:
    """No fault that axe knows, in a light and in a dark theme."""
    if not AXE.exists():
        pytest.skip(MISSING)
    for theme in ("dark", "light"):
        healthy.theme(theme)
        assert faults(healthy.page, healthy.mark(REPORT)) == []


@IN_LAB
def test_a_browser_without_decoders_is_found(lab: Lab, begun: Beginner) -> None:
    """In the browser's own words, with the fix, and the rest is not concerned."""
    notebook = begun(lab, "doctor/deaf.ipynb", CELLS)
    notebook.page.evaluate(NO_DECODER)
    notebook.run(REPORT)
    words = words_with(notebook, "no decoder")
    assert "no supported sources" in words
    assert "Use a browser with H.264 and AAC" in words
    assert "Widgets: the page answers" in words


@IN_LAB
def test_a_page_that_is_reloaded_meanwhile_is_told(lab: Lab, begun: Beginner) -> None:
    """Updates of the output are lost then, and the report gets complete nevertheless."""
    notebook = begun(lab, "doctor/reloaded.ipynb", CELLS)
    # The page's answer is waited for by the cell behind, so that it comes after the reload.
    notebook.write(REPORT, "%kling doctor\nimport time; time.sleep(3)")
    notebook.begin_cell(REPORT)
    notebook.output(REPORT).get_by_text("waiting for the page…").first.wait_for()
    notebook.save()
    notebook.reload()
    words = words_with(notebook, "audio decoded")
    assert "ASKING" not in words
    # JupyterLab logs what the kernel sends to widgets before the page has opened them again.
    notebook.complaints[:] = [each for each in notebook.complaints if UNOPENED not in each]


@BOTH
def test_a_bug_report_has_what_the_page_answered(lab: Lab, begun: Beginner) -> None:
    """Every mechanism that a front end may lack, also scripts."""
    setting, doctor = CELLS
    script, write = WRITING
    notebook = begun(lab, "doctor/report.ipynb", [setting, doctor, script, write])
    notebook.run(2)
    notebook.run(REPORT)
    words_with(notebook, "audio decoded")
    notebook.run(WRITTEN)
    notebook.output(WRITTEN).get_by_text("## Ledger").first.wait_for()
    words = notebook.words(WRITTEN)
    for said in (
        f"Front end: ok. {NAMES[lab.app]}",
        "Widgets: ok",
        "H.264 video: ok",
        "AAC audio: ok",
        "Scripts: ok",
        "Comm: ok",
        "Browser: ok. Mozilla",
    ):
        assert said in words
