"""What a card says of each state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kling_nb.core.job_state import (
    Deleted,
    Detached,
    Discarded,
    Downloading,
    Expired,
    Failed,
    JobState,
    Refused,
    Unknown,
    Unresponsive,
    Uploading,
    Vanished,
)
from kling_nb.display.html.card_failures import Wording
from kling_nb.display.html.card_text import describe
from kling_nb.errors import Problem
from kling_nb.kie.failures import find_cause
from kling_nb.storage.job_record import JobRecord
from tests.support.html_outline import Outline, record, text
from tests.support.html_states import (
    ALREADY,
    EMULATED,
    EVERY,
    FACTS,
    NOW,
    SAVED,
    TASK,
    UNKNOWN,
    WAITING,
    ago,
    name_of,
)

MEDIA = find_cause("422", "Your media file is unavailable")
DELETED = Deleted(TASK, ago(24 * 3600), NOW + timedelta(days=13))
LONG_DELETED = replace(DELETED, kept_until=ago(1))


def wording(state: JobState, facts: JobRecord = FACTS) -> Wording:
    """Describe a state at the fixed moment."""
    return describe(facts, state, now=NOW)


def all_of(state: JobState, facts: JobRecord = FACTS) -> str:
    """Give everything a state says as one text."""
    said = wording(state, facts)
    entries = [f"{entry.name} {entry.text}" for entry in said.entries]
    return " ".join((said.headline, said.cost, said.quote, *said.lines, *entries))


@pytest.mark.parametrize("state", EVERY, ids=name_of)
def test_every_state_has_a_word_and_a_sentence(state: JobState) -> None:
    """Colour is never the only carrier of meaning."""
    said = wording(state)
    assert said.badge
    assert said.headline


def test_a_lost_answer_is_said_plainly() -> None:
    """The sentence of the money rules, word for word; when it happened; and the ways on."""
    said = wording(UNKNOWN)
    assert said.headline == "The answer was lost. The task may exist and may be paid for."
    assert said.lines[0] == "At 14:00 on 22 November: the connection was closed."
    assert [entry.name for entry in said.entries] == [
        "%kling adopt TASK_ID",
        "%kling forget k7f2qd",
    ]
    assert "the logs page of your account at kie.ai" in all_of(UNKNOWN)


def test_a_failure_quotes_the_service_and_says_what_to_change() -> None:
    """The service's own words, ours, and the way to a clip."""
    said = wording(Failed(TASK, "422", "Your media file is unavailable", 0.0))
    assert said.quote == "Your media file is unavailable (code 422)"
    assert MEDIA.meaning in said.lines
    assert MEDIA.change in said.lines


@pytest.mark.parametrize(
    ("credits", "words"),
    [
        (0.0, "The service reports a cost of 0 credits."),
        (55.0, "The service reports a cost of 55 credits ($0.28)"),
        (None, "The service did not report the cost"),
    ],
)
def test_a_failure_says_what_it_cost_and_no_more_than_is_known(
    credits: float | None, words: str
) -> None:
    """Failed tasks consume 0 by documentation; a card only says what the answer says."""
    assert words in all_of(Failed(TASK, "500", "Generation failed", credits))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Failed(TASK, "500", "", 55.0), "It cost nothing."),
        (Unknown(NOW, "lost"), "In live mode, the logs page"),
    ],
    ids=name_of,
)
def test_an_emulated_task_is_in_no_account(state: JobState, words: str) -> None:
    """The emulator's figure is not presented as money; the real logs page has no such task."""
    assert words in all_of(state, EMULATED)


def test_what_a_failure_cost_comes_before_its_reasons() -> None:
    """On the card and in the text: who has paid wants to know that first."""
    state = Failed(TASK, "500", "Generation failed", 0.0)
    for shown in (Outline(record(state)).text, text(state)):
        assert shown.index("a cost of 0 credits") < shown.index("Generation failed")


def test_a_refusal_names_field_given_and_allowed() -> None:
    """Every problem in a row of its own; a message that only repeats the problems is left out."""
    problem = Problem("duration", "'7'", "allowed: 5, 10")
    said = wording(Refused("", (problem,)))
    assert "nothing was charged" in said.headline
    assert (said.entries[0].name, said.entries[0].text) == ("duration", "'7'; allowed: 5, 10")
    assert wording(Refused(str(problem), (problem,))).quote == ""
    assert wording(Refused("other words", (problem,))).quote == "other words"


@pytest.mark.parametrize(
    ("elapsed_s", "headline"),
    [
        (72, "elapsed 1 min 12 s · usually 2.5, rarely over 4 min"),
        (200, "elapsed 3 min 20 s · usually 2.5, rarely over 4 min"),
        (
            230,
            "elapsed 3 min 50 s · longer than usual · usually 2.5, rarely over 4 min",
        ),
    ],
)
def test_waiting_says_how_long_and_that_the_kernel_is_free(elapsed_s: float, headline: str) -> None:
    """Elapsed, usual, and what a person may do meanwhile; half of all tasks pass the median."""
    said = wording(replace(WAITING, since=ago(elapsed_s)))
    assert said.headline == headline
    assert said.lines == ("You can keep working: other cells can run.",)


def test_without_a_session_no_duration_is_invented() -> None:
    """A view of a record alone knows no schedule."""
    said = wording(replace(WAITING, since=ago(72), expected_s=0.0, late_s=0.0))
    assert said.headline == "elapsed 1 min 12 s"


def test_durations_that_look_equal_are_shown_once() -> None:
    """An emulated clip always takes the same time."""
    said = wording(replace(WAITING, since=ago(3), expected_s=8.0, late_s=8.4))
    assert said.headline == "elapsed 3 s · usually 8 s"


@pytest.mark.parametrize(
    ("word", "badge"),
    [("waiting", "Waiting"), ("queuing", "Queued"), ("generating", "Generating"),
     ("paused", "Working")],
)  # fmt: skip
def test_the_services_words_become_badges(word: str, badge: str) -> None:
    """A word that is new to us is shown as the service's own."""
    said = wording(replace(WAITING, word=word))
    assert said.badge == badge
    assert ("“paused”" in said.lines[0]) == (badge == "Working")


def test_out_of_sight_says_since_when_and_that_we_go_on() -> None:
    """The sentence of the card, with the reason below."""
    said = wording(Unresponsive(TASK, ago(100), 164, 226, ago(40), "no route"))
    assert said.headline == "No answer for 40 s; the job continues."
    assert said.lines == ("Polling continues: no route.",)


def test_transfers_say_bytes_and_percent() -> None:
    """Both where the whole is known, bytes alone where it is not."""
    assert "0.5 MB of 1.2 MB (41 %)" in all_of(Uploading(512_000, 1_240_000))
    assert "(100 %)" in all_of(Downloading(TASK, 20, 10))
    assert all_of(Downloading(TASK, 400_000, None)).startswith("Downloading the clip: 0.4 MB.")
    assert all_of(Downloading(TASK, 0, 10)).startswith("Downloading the clip: 0")


def test_a_clip_that_waits_for_its_download() -> None:
    """Others are downloaded first: the card says what comes next."""
    assert wording(Downloading(TASK, 0, None)).headline == "Waiting to download the clip."


def test_saved_names_the_file() -> None:
    """The name to look for on disk; the second run says that nothing was made."""
    assert wording(SAVED).headline == "The clip is saved: 2026-11-22_fox_k7f2qd.mp4"
    assert "already exists" in wording(ALREADY).headline


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Detached(TASK), "%kling resume k7f2qd"),
        (Vanished(TASK, "x"), "%kling forget k7f2qd"),
        (Expired(TASK, "x"), "%kling forget k7f2qd"),
        (Vanished(TASK, ""), "Running this cell again sends nothing."),
        (Expired(TASK, ""), "Running this cell again sends nothing."),
        (DELETED, "You deleted this clip on 21 November."),
        (DELETED, "%kling resume k7f2qd downloads it again, for 0 credits"),
        (DELETED, "the service keeps it until about 5 December"),
        (LONG_DELETED, "The service has probably deleted it, too."),
        (LONG_DELETED, "--take 2 in this cell requests another clip: 55 credits ($0.28)"),
        (UNKNOWN, "Running this cell again sends nothing."),
        (Discarded("why"), "nothing was charged"),
        (Discarded("why"), "why"),
    ],
)
def test_a_state_without_a_clip_names_what_to_do(state: JobState, words: str) -> None:
    """The command that goes on, whether the cell sends again, and that nothing was paid."""
    assert words in all_of(state)
