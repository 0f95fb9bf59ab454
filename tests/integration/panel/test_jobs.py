"""What clicking promises: one task a click, several clips at once, and nothing lost or hidden."""

from __future__ import annotations

import re
import threading

import pytest

from kling_nb.core.job_state import Failed, Saved
from kling_nb.display.panel.panel import panel
from kling_nb.errors import AlreadyPaid, BadRequest, BudgetExceeded, InvalidInput
from kling_nb.jobs.job import Job
from kling_nb.models.catalog import TEXT_TO_VIDEO
from tests.support.panes import WAIT_S, find, press, text_of, until


def settle(made, at: int = 0) -> None:
    """Wait until a card has shown how its job ended."""
    made._results[at].settled.result(WAIT_S)


# --- the price ---------------------------------------------------------------------------------


def test_the_price_follows_each_change(make) -> None:
    """Every choice shows at once what it costs."""
    made = make()
    assert "55 credits ($0.28)" in made._actions.price
    find(made, "Sound").value = True
    assert "110 credits" in made._actions.price
    find(made, "Duration").value = "10"
    assert "220 credits" in made._actions.price
    made.choose(TEXT_TO_VIDEO.name)
    assert "16:9" in made._actions.price


def test_the_price_stands_while_other_fields_are_wrong(make) -> None:
    """A prompt that is too long does not hide what the clip would cost."""
    made = make()
    find(made, "Prompt").value = "x" * 2000
    assert made.problems
    assert "55 credits" in made._actions.price


def test_invented_prices_count(make, invented) -> None:
    """The price line derives from the spec's own table."""
    made = make(invented)
    assert "7 credits" in made._actions.price
    find(made, "Duration").value = "4"
    assert "9 credits" in made._actions.price


def test_the_balance_follows_a_job(make, fox, beside) -> None:
    """Once a clip is paid the line starts from what is left."""
    made = make(prompt="go", image=fox)
    before = made._actions.price
    made.generate().result(WAIT_S)
    settle(made)
    beside.rest()
    assert made._actions.price != before


def test_credits_that_come_back_are_seen(make, fox) -> None:
    """A failed task is paid back at its end, and the line tells so by itself."""
    made = make(prompt="go", image=fox)
    before = made._actions.price
    made._session().emulator.account.inject("fail-generation")
    made.generate().exception(WAIT_S)
    until(lambda: made._actions.price == before)


# --- a click -----------------------------------------------------------------------------------


def test_a_click_makes_a_clip(make, fox, beside) -> None:
    """The card is in the panel from the start and ends as the clip."""
    made = make(prompt="A red fox", image=fox)
    press(made)
    beside.rest()
    (job,) = made.jobs
    job.result(WAIT_S)
    settle(made)
    assert isinstance(job.state, Saved)
    assert 'data-kling-state="saved"' in text_of(made)
    assert "<video" in text_of(made)
    assert job.record.cell.startswith("%%kling --image ")


def test_a_click_shows_all_problems_and_sends_nothing(make, beside) -> None:
    """What is missing shows beside each field; no job is made, and the first field is next."""
    made, told = make(), []
    made._actions.send = told.append
    press(made)
    beside.rest()
    assert [problem.field for problem in made.problems] == ["image", "prompt"]
    assert find(made, "Prompt").problem.startswith("Prompt is missing")
    assert made._actions.hint == "Fix Image, Prompt above."
    assert made.jobs == ()
    assert made._session().jobs() == []
    assert not made._actions.busy
    assert told == [{"focus": "image"}]


def test_generate_raises_what_is_wrong(make) -> None:
    """From Python the same problems are an exception."""
    made = make()
    with pytest.raises(InvalidInput) as caught:
        made.generate()
    assert {problem.field for problem in caught.value.problems} == {"prompt", "image"}
    assert len(made.problems) == 2


def test_several_clips_run_at_once_newest_first(make, fox, beside) -> None:
    """The second clip is requested while the first is made."""
    made = make(prompt="one", image=fox)
    first = made.generate()
    press(made, prompt="two")
    beside.rest()
    assert [job.record.prompt for job in made.jobs] == ["two", "one"]
    assert made.jobs[1] is first
    for job in made.jobs:
        job.result(WAIT_S)


def test_the_same_request_again_costs_nothing_and_has_one_card(make, fox) -> None:
    """Generate pressed twice shows the clip that is there."""
    made = make(prompt="go", image=fox)
    first = made.generate()
    first.result(WAIT_S)
    again = made.generate()
    assert again.id == first.id
    assert made.jobs == (again,)
    assert "0 credits now" in text_of(made)


def test_a_second_click_under_way_is_one_request(make, fox, beside, monkeypatch) -> None:
    """A double click asks once."""
    made = make(prompt="go", image=fox)
    asked: list[object] = []
    monkeypatch.setattr(made, "_on_generate", asked.append)
    press(made)
    press(made)
    beside.rest()
    assert len(asked) == 1


def test_another_take_is_a_card_of_its_own(make, fox, beside) -> None:
    """A take that is asked for on a card comes on top."""
    made = make(prompt="go", image=fox)
    first = made.generate()
    first.result(WAIT_S)
    made.show(first.another_take())
    beside.rest()
    assert [job.record.take for job in made.jobs] == [2, 1]
    made.jobs[0].result(WAIT_S)


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AlreadyPaid("Paid for on <1 November> elsewhere."), "for on &lt;1 November&gt; elsewhere"),
        (RuntimeError("the <b>bug</b>"), "RuntimeError: the &lt;b&gt;bug"),
    ],
)
def test_an_error_is_a_notice(make, fox, beside, monkeypatch, error: Exception, words: str) -> None:
    """What stops a request before there is a job, a bug of our own too, stands above the cards."""
    made = make(prompt="go", image=fox)

    def stop(_: object) -> Job:
        raise error

    monkeypatch.setattr(made._session(), "submitting", stop)
    press(made)
    beside.rest()
    assert words in text_of(made)
    assert made.jobs == ()
    assert not made._actions.busy


def test_a_refusal_is_told_by_its_card(make, fox, beside) -> None:
    """The service's no is the job's own card, and an exception from Python."""
    made = make(prompt="go", image=fox)
    made._session().emulator.account.inject("refuse")
    with pytest.raises(BadRequest):
        made.generate()
    settle(made)
    # What the service answered is there as it came as well, folded.
    words = re.sub("<details.*?</details>", "", text_of(made), flags=re.DOTALL)
    assert words.count("task id is blank") == 1
    assert 'data-kling-state="refused"' in text_of(made)


def test_failed_jobs_keep_their_card(make, fox) -> None:
    """A failure is shown as such; the panel goes on."""
    made = make(prompt="go", image=fox)
    made._session().emulator.account.inject("fail-generation")
    job = made.generate()
    assert job.exception(WAIT_S) is not None
    settle(made)
    assert isinstance(job.state, Failed)
    assert 'data-kling-state="failed"' in text_of(made)


# --- the cell ----------------------------------------------------------------------------------


def test_the_cell_asks_for_the_same(make, fox) -> None:
    """Copy cell gives a cell that is read back as the form's values, and shows it."""
    made, told = make(prompt="A fox", image=fox, duration=10), []
    made._actions.send = told.append
    assert made._actions.cell == ""
    press(made, "copy", sound=True)
    cell = f"%%kling --image {fox} --duration 10 --sound\nA fox"
    assert made._actions.cell == cell
    assert told == [{"copy": cell}]


def test_the_cell_that_is_shown_follows_the_form(make, fox) -> None:
    """It never asks for anything but what stands above it."""
    made = make(prompt="A fox", image=fox)
    press(made, "copy")
    find(made, "Sound").value = True
    assert "--sound" in made._actions.cell


def test_the_default_session_is_asked_anew(monkeypatch, open_session, beside) -> None:
    """After `configure` the panel works with the session that is the default then."""
    monkeypatch.setattr("kling_nb.display.panel.panel.default_session", open_session)
    made = panel()
    beside.rest()
    assert made._session() is not made._session()


def test_clicks_never_wait_on_the_kernels_thread(make, fox, beside, monkeypatch) -> None:
    """A click is answered elsewhere: what asks the session runs in the panel's own threads."""
    made = make(prompt="go", image=fox)
    threads: list[str] = []

    def prepare(_: object) -> Job:
        threads.append(threading.current_thread().name)
        raise AlreadyPaid("enough")

    monkeypatch.setattr(made._session(), "submitting", prepare)
    press(made)
    beside.rest()
    assert threads
    assert "MainThread" not in threads


def test_what_a_budget_leaves_is_shown(make, fox, beside) -> None:
    """Beside the balance, and it follows a job."""
    made = make()
    made._session().budget(390)
    made._update_balance()
    assert "budget left 390 → 335" in made._actions.price
    other = make(image=fox, prompt="A red fox")
    other.generate()
    beside.rest()
    assert "budget left 335 → 280" in other._actions.price


def test_what_passes_the_budget_is_told(make, fox, beside) -> None:
    """One notice with the figures; no card, and nothing was sent."""
    made = make(image=fox, prompt="A red fox")
    made._session().budget(10)
    with pytest.raises(BudgetExceeded):
        made.generate()
    beside.rest()
    assert "more than the budget has left" in made._notice.value
    assert made.jobs == ()
