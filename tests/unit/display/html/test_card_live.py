"""What a living page draws below a record: buttons that say what they do and what they cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kling_nb.core.job_state import Deleted, Detached, Expired, Failed, JobState, Vanished
from kling_nb.display.html import CardStatus
from kling_nb.storage.job_record import JobRecord
from tests.support.html_outline import Outline, foot
from tests.support.html_states import (
    EMULATED,
    ENDED,
    EVERY,
    FACTS,
    NOW,
    RUNNING,
    SAVED,
    TASK,
    UNKNOWN,
    name_of,
)

DELETED = Deleted(TASK, NOW, NOW + timedelta(days=1))


def buttons(markup: str) -> list[dict[str, str | None]]:
    """The attributes of all buttons, in order."""
    return [attrs for tag, attrs in Outline(markup).elements if tag == "button"]


def words(markup: str) -> list[str | None]:
    """What clicks on the buttons say, in order."""
    return [each["data-kling-do"] for each in buttons(markup)]


def failed(credits: float | None) -> Failed:
    """A failure that was charged so."""
    return Failed(TASK, "500", "Internal Error", credits)


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_every_button_is_a_button_of_its_job(state: JobState) -> None:
    """Nothing submits a form, and each click says whose it is and which turn it belongs to."""
    for each in buttons(foot(state, status=CardStatus(turn=3))):
        assert each["type"] == "button"
        assert (each["data-kling-job"], each["data-kling-turn"]) == (FACTS.id, "3")


@pytest.mark.parametrize("state", RUNNING, ids=name_of)
def test_a_running_job_has_a_bar_and_can_be_left_once_it_is_accepted(state: JobState) -> None:
    """Before that there is nothing to stop: the button keeps its room and is off."""
    markup = foot(state)
    assert -1 < markup.index("progressbar") < markup.index("<button")
    assert words(markup) == ["detach"]
    assert ("disabled" in buttons(markup)[0]) != bool(getattr(state, "task_id", ""))


@pytest.mark.parametrize("state", ENDED, ids=name_of)
def test_nothing_moves_after_the_end(state: JobState) -> None:
    """An ended job has buttons and no bar; its cell can be copied."""
    assert "progressbar" not in foot(state)
    assert "copy" in words(foot(state))
    assert "detach" not in words(foot(state))


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        (FACTS, "Another take · 55 credits ($0.28)"),
        (EMULATED, "Another take · free"),
        (replace(FACTS, price_credits=None), "Another take · price not known"),
    ],
)
def test_another_take_says_its_price(facts: JobRecord, label: str) -> None:
    """Before the click."""
    assert label in Outline(foot(SAVED, facts)).text


@pytest.mark.parametrize(
    ("state", "cell", "expected"),
    [
        (SAVED, FACTS.cell, ["take", "copy", "file"]),
        (SAVED, "", ["take", "file"]),
        (Detached(""), FACTS.cell, ["copy"]),
    ],
    ids=["saved", "made without a cell", "never accepted"],
)
def test_the_buttons_in_their_order(state: JobState, cell: str, expected: list[str]) -> None:
    """Without a cell there is none to copy; without a task there is none to resume."""
    assert words(foot(state, replace(FACTS, cell=cell))) == expected


@pytest.mark.parametrize(
    "state", [*ENDED, failed(55.0), failed(None)], ids=lambda state: type(state).__name__
)
def test_only_what_was_not_charged_can_be_paid_again_with_a_click(state: JobState) -> None:
    """A lost answer, a lost task, a refusal: no button there makes a task.

    Where a failure cost nothing the button says what the next task costs.
    """
    markup = foot(state)
    is_free = isinstance(state, Failed) and state.credits == 0
    assert ("take" in words(markup)) == (state == SAVED or is_free)
    assert ("Make a new task · 55 credits ($0.28)" in Outline(markup).text) == is_free


@pytest.mark.parametrize(
    ("state", "label"),
    [
        (Detached(TASK), "Resume · 0 credits"),
        (Vanished(TASK, "recordInfo is null"), "Check again · 0 credits"),
        (Expired(TASK, "404"), "Check again · 0 credits"),
        (DELETED, "Download again · 0 credits"),
    ],
)
def test_what_can_be_taken_up_again_can_be_with_a_click(state: JobState, label: str) -> None:
    """For nothing, and it says so."""
    assert words(foot(state))[0] == "resume"
    assert label in Outline(foot(state)).text


def test_a_lost_answer_offers_its_ways_on_to_copy() -> None:
    """They are deliberate acts: typed, not clicked."""
    texts = [each.get("data-kling-text") for each in buttons(foot(UNKNOWN))]
    assert texts == ["%kling adopt TASK_ID", "%kling forget k7f2qd", None]


def test_while_a_click_is_answered_only_copying_is_possible() -> None:
    """And what is under way is said."""
    markup = foot(SAVED, status=CardStatus(turn=1, pending="Requesting another take…"))
    assert "Requesting another take…" in Outline(markup).text
    assert ["disabled" in each for each in buttons(markup)] == [True, False, True]


def test_the_file_is_shown_to_select_copy_and_open() -> None:
    """With its whole path, where it was asked for."""
    markup = foot(SAVED, status=CardStatus(path="/clips/fox.mp4", href="clips/fox.mp4"))
    outline = Outline(markup)
    assert "/clips/fox.mp4" in outline.text
    assert "Open the file (0.9 MB)" in outline.text
    assert outline.only("kling-link")["href"] == "clips/fox.mp4"
    assert [each.get("data-kling-text") for each in buttons(markup)][-1] == "/clips/fox.mp4"
    assert "Hide file" in outline.text


def test_a_file_with_a_title_is_downloaded_under_it() -> None:
    """The file keeps its name, since saved notebooks link it."""
    status = CardStatus(path="/clips/fox.mp4", href="clips/fox.mp4")
    outline = Outline(foot(SAVED, replace(FACTS, title='Fox: "take 2"/3.'), status=status))
    link = outline.only("kling-link")
    assert (link["href"], link["download"]) == ("clips/fox.mp4", "Fox- -take 2--3.mp4")
    assert "Download the file (0.9 MB)" in outline.text


def test_a_clip_that_the_service_has_deleted_too_can_be_taken_again() -> None:
    """With the price on the button."""
    state = replace(DELETED, kept_until=NOW)
    assert words(foot(state)) == ["take", "copy"]
    assert "Another take · 55 credits ($0.28)" in Outline(foot(state)).text


def test_why_a_click_came_to_nothing_is_an_alert() -> None:
    """Read at once by a screen reader."""
    alert = Outline(foot(SAVED, status=CardStatus(error="The picture is gone"))).only("kling-sorry")
    assert alert["role"] == "alert"
