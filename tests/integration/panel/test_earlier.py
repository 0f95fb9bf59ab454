"""The panel of the next kernel: it shows the clips again, and follows the jobs that still run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kling_nb.core.job_state import Saved
from kling_nb.display.panel import results
from kling_nb.display.panel.panel import Panel, panel
from tests.support.panes import WAIT_S, find, text_of

NOTEBOOK = "film.ipynb"


@pytest.fixture
def begin(open_session, beside, fox, tmp_path):
    """Opens the panel of a notebook in a new kernel; the earlier kernel has ended."""
    sessions = []

    def begin(name: str = "shots", notebook: str = NOTEBOOK, **settings) -> Panel:
        for session in sessions:
            session.close()
        path = str(tmp_path / notebook)
        sessions.append(open_session(notebook=lambda: path, **settings))
        made = panel(name=name, session=sessions[-1], image=fox)
        beside.rest()
        return made

    yield begin
    beside.rest()


def make_clips(made: Panel, beside, *prompts: str) -> None:
    """Make clips in a panel, to their end."""
    for prompt in prompts:
        find(made, "Prompt").value = prompt
        made.generate().result(WAIT_S)
        made._results[0].settled.result(WAIT_S)
    beside.rest()


def prompts(made: Panel) -> list[str]:
    """The prompts of a panel's cards, from top to bottom."""
    return [job.record.prompt for job in made.jobs]


def test_the_next_kernel_shows_the_clips_again(begin, beside) -> None:
    """Newest first, each with its clip; no task is made and nothing is asked twice."""
    make_clips(begin(), beside, "one", "two")
    made = begin()
    tasks = made._session().emulator.account.count_tasks()
    assert prompts(made) == ["two", "one"]
    assert text_of(made).count("<video") == 2
    assert "more in" not in text_of(made)
    assert made._session().emulator.account.count_tasks() == tasks == 2


def test_they_are_saved_in_the_notebook_again(begin, beside) -> None:
    """Running the cell again replaces the output that had them."""
    make_clips(begin(), beside, "one")
    made = begin()
    shown = []
    made._saved_view.update = shown.append
    made._on_end()
    beside.rest()
    assert [[job.record.prompt for job in jobs] for jobs in shown] == [["one"]]


@pytest.mark.parametrize("other", [{"name": "cuts"}, {"notebook": "other.ipynb"}])
def test_another_panel_does_not_show_them(begin, beside, other) -> None:
    """Nor does the panel of another notebook."""
    make_clips(begin(), beside, "one")
    assert prompts(begin(**other)) == []


def test_a_running_job_is_followed(begin) -> None:
    """Its card becomes the clip."""
    first = begin(emulator_seconds=3)
    find(first, "Prompt").value = "slow"
    job = first.generate()
    assert not job.done()
    made = begin(emulator_seconds=3)
    (again,) = made.jobs
    assert again.id == job.id
    again.result(WAIT_S)
    made._results[0].settled.result(WAIT_S)
    assert isinstance(again.state, Saved)
    assert "<video" in text_of(made)


def test_only_the_newest_are_shown(begin, beside, monkeypatch) -> None:
    """A line says how many more there are, and where."""
    monkeypatch.setattr(results, "EARLIER_CLIPS", 1)
    make_clips(begin(), beside, "one", "two", "three")
    made = begin()
    assert prompts(made) == ["three"]
    assert "2 more in <code" in made._more.value
    assert "%kling gallery</code>" in made._more.value


def test_hidden_and_deleted_clips_stay_away(begin, beside) -> None:
    """No file is downloaded again for a panel."""
    first = begin()
    make_clips(first, beside, "kept", "hidden", "deleted")
    deleted, hidden, _ = first.jobs
    first._session().hide(hidden.id)
    Path(deleted.result().path).unlink()
    assert prompts(begin()) == ["kept"]
    assert not Path(deleted.result().path).exists()


def test_another_take_is_shown_again_too(begin, beside) -> None:
    """It belongs to the panel of the first take."""
    first = begin()
    make_clips(first, beside, "one")
    first.jobs[0].another_take().result(WAIT_S)
    assert [job.record.take for job in begin().jobs] == [2, 1]


def test_the_balance_is_queried_once_for_all(begin, beside, monkeypatch) -> None:
    """Not by each card that is already at its end."""
    make_clips(begin(), beside, "one", "two", "three")
    queries = []
    monkeypatch.setattr(Panel, "_update_balance", lambda _: queries.append("balance"))
    begin()
    assert len(queries) == 2  # of a new panel, and after its earlier clips


def test_a_clip_that_is_made_meanwhile_stays_on_top(begin, beside) -> None:
    """Earlier clips go below it, and none is shown twice."""
    made = begin()
    make_clips(made, beside, "one", "two")
    made._show_earlier(made.jobs[::-1])
    assert prompts(made) == ["two", "one"]


def test_an_earlier_card_that_fails_does_not_stop_the_updates(begin, beside, monkeypatch) -> None:
    """Jobs that end later are saved in the notebook, and update the balance."""

    def fail(*_, **__) -> None:
        raise ZeroDivisionError

    made = begin()
    monkeypatch.setattr("kling_nb.display.panel.panel.Result", fail)
    with pytest.raises(ZeroDivisionError):
        made._show_earlier([SimpleNamespace(id="other")])
    shown = []
    made._saved_view.update = shown.append
    made._on_end()
    beside.rest()
    assert shown == [()]
