"""What a panel leaves in the notebook: never a dead widget, and the clips that it made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kling_nb.core.job_state import Detached
from kling_nb.display import comm
from kling_nb.display.cards.metadata import CARD_MIME
from kling_nb.display.comm import VIEW_MIME
from kling_nb.display.panel import panel, saved_view
from tests.support.panes import WAIT_S, press, until


class Output:
    """An output of a cell: what it shows now."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundle = bundle

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        """Show something else in its place."""
        assert raw
        self.bundle = bundle


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Output]]:
    """The outputs of the running cell of a notebook."""
    shown: list[Output] = []

    def display(bundle: dict[str, Any], *, raw: bool, display_id: bool = False) -> Output:
        shown.append(Output(bundle))
        return shown[-1]

    monkeypatch.setattr(saved_view, "display", display)
    monkeypatch.setattr(panel, "present_front_end", lambda: "notebook")
    return shown


def test_a_saved_notebook_says_what_to_do(make, outputs) -> None:
    """Where no kernel answers, text and HTML are left, and no view of a widget."""
    made = make()
    made._ipython_display_()
    place, saved = (output.bundle for output in outputs)
    assert VIEW_MIME not in place
    assert f'data-kling-mount="{made.model_id}"' in place["text/html"]
    for kind in ("text/html", "text/plain"):
        assert "Panel for Kling 2.6, image to video" in place[kind]
        assert "Run this cell again to use it" in place[kind]
        assert "No clips yet" in saved[kind]


def test_the_clips_that_it_made_are_kept(make, outputs, fox, beside) -> None:
    """The saved form holds them, newest first, once each has ended."""
    made = make(prompt="one", image=fox)
    made._ipython_display_()
    for prompt in ("one", "two"):
        press(made, prompt=prompt)
        beside.rest()
        made.jobs[0].result(WAIT_S)
        made._results[0].settled.result(WAIT_S)
    beside.rest()
    saved = outputs[1].bundle
    assert saved["text/html"].count("<video") == 2
    assert saved["text/html"].index("two") < saved["text/html"].index("one</")
    assert "two" in saved["text/plain"]
    assert [card["state"] for card in saved[CARD_MIME]["cards"]] == ["saved", "saved"]
    assert "data-kling-mount" not in saved["text/html"]
    assert outputs[0].bundle["text/html"].count("<video") == 0


def test_a_job_that_was_resumed_is_kept_as_its_clip(make, outputs, fox, beside) -> None:
    """And not as it stood when it was detached."""
    made = make(prompt="one", image=fox)
    made._ipython_display_()
    made.generate().detach()
    beside.rest()
    (result,) = made._results
    assert isinstance(result.job.state, Detached)
    assert "Detached" in outputs[1].bundle["text/plain"]
    result._receive({"do": "resume", "job": result.job.id, "turn": 0})
    beside.rest()
    result.job.result(WAIT_S)
    until(lambda: "<video" in outputs[1].bundle["text/html"])
    assert "Detached" not in outputs[1].bundle["text/plain"]
    assert made.jobs == (result.job,)


def test_a_page_that_was_reloaded_gets_the_clips(make, outputs, fox, beside, monkeypatch) -> None:
    """It asks for the version that it has missed; one that missed nothing gets no clip."""
    made, told = make(prompt="one", image=fox), []
    made._ipython_display_()
    made.generate().result(WAIT_S)
    made._results[0].settled.result(WAIT_S)
    beside.rest()
    place = made._saved_view._place
    monkeypatch.setattr(comm.hub(), "send", told.append)
    saved = outputs[1].bundle
    assert f'data-kling-version="{place.version}"' in saved["text/html"]
    for version in (place.version, 0):
        comm.hub()._handle_custom_msg({"do": "seen", "places": {place.id: version}}, [])
        beside.rest()
    current, behind = told
    assert "bundle" not in current
    assert behind["bundle"] == saved
    assert "display the panel again" in behind["missed"]


def test_older_clips_are_posters_where_there_are_many(
    make, outputs, fox, beside, monkeypatch
) -> None:
    """A panel that made a hundred clips does not make a notebook that nobody can mail."""
    made = make(prompt="one", image=fox)
    made._ipython_display_()
    for prompt in ("one", "two"):
        made.choose(made.model)
        press(made, prompt=prompt)
        beside.rest()
        made.jobs[0].result(WAIT_S)
        made._results[0].settled.result(WAIT_S)
    beside.rest()
    newest = made._saved_view._bundle(made.jobs[0], 15_000_000)
    monkeypatch.setattr(saved_view, "_MOST_CHARS", len(newest["text/html"]) + 1)
    made._saved_view.update(made.jobs)
    markup = outputs[1].bundle["text/html"]
    assert markup.count("<video") == 1
    assert markup.index("<video") < markup.index("one</")


def test_a_panel_shown_again_has_its_clips(make, outputs, fox, beside) -> None:
    """Displayed in another cell, the clips it has are kept there too."""
    made = make(prompt="one", image=fox)
    made.generate().result(WAIT_S)
    made._results[0].settled.result(WAIT_S)
    made._ipython_display_()
    beside.rest()
    assert "<video" in outputs[-1].bundle["text/html"]


def test_a_panel_that_is_not_displayed_keeps_nothing(make, fox, beside) -> None:
    """From Python alone there is no output to write to."""
    made = make(prompt="one", image=fox)
    made.generate().result(WAIT_S)
    made._results[0].settled.result(WAIT_S)
    beside.rest()
    assert made._saved_view._handle is None


def test_a_terminal_is_told_what_else_there_is(make, capsys, monkeypatch) -> None:
    """A panel needs a notebook; the sentence names the way without one."""
    monkeypatch.setattr(panel, "present_front_end", lambda: "terminal")
    make()._ipython_display_()
    said = capsys.readouterr().out
    assert "a panel needs a notebook" in said
    assert "%%kling" in said


def test_a_headless_run_has_no_widget(make, outputs, monkeypatch) -> None:
    """Nobody will ever use it there: the notice is all."""
    monkeypatch.setattr(comm, "present_front_end", lambda: "headless")
    monkeypatch.setattr(saved_view, "present_front_end", lambda: "headless")
    make()._ipython_display_()
    assert "data-kling-mount" not in outputs[0].bundle["text/html"]
    assert "Run this cell again" in outputs[0].bundle["text/html"]
    assert "data-kling-place" not in outputs[1].bundle["text/html"]
