"""What a card says where money may be gone: the verdict with its numbers, and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kling_nb.core.charge_evidence import (
    BalanceHistory,
    Evidence,
    TimedBalance,
)
from kling_nb.core.job_state import Failed, JobState, Refused, Unknown
from kling_nb.display.html import render_record, render_text
from kling_nb.display.html.card_text import describe
from tests.support.html_states import FACTS, NOW, TASK, UNKNOWN

LONG_AGO = NOW - timedelta(minutes=10)


def evidence(
    *looks: tuple[float, float],
    before: float | None = 5916.25,
    others: bool = False,
    price: float | None = 55.0,
) -> Evidence:
    """Balances around a request of 55 credits."""
    return Evidence(
        price,
        before,
        BalanceHistory(LONG_AGO, tuple(TimedBalance(*look) for look in looks), others),
    )


def said(state: JobState) -> str:
    """Give everything a state says as one text."""
    wording = describe(FACTS, state, now=NOW)
    return " ".join((wording.headline, wording.cost, wording.quote, *wording.lines))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            evidence((0, 5861.25)),
            "The task very probably exists and was paid for: the balance went from 5,916 to "
            "5,861, 55 credits less, exactly the price, and no other job of this folder changed "
            "it; other programs on the account could have.",
        ),
        (
            evidence((0, 5916.25), (60, 5916.25)),
            "Very probably not paid for: the balance is 5,916, as before, and did not change for",
        ),
        (evidence((0, 5916.25)), "Cannot tell yet: the balance was 5,916 right after, as before"),
        (
            evidence((0, 5916.25), (30, 5916.25)),
            "Cannot tell yet: the balance was 5,916 after 30 s",
        ),
        (evidence((0, 5806.25)), "Cannot tell: the balance went from 5,916 to 5,806, 110 credits"),
        (evidence((0, 5861.25), price=None), "which is not the price of this task"),
        (evidence((0, 5861.0)), "from 5,916 to 5,861, 55.25 credits less"),
        (evidence((0, 6916.25)), "to 6,916, 1,000 credits more, which is not the price"),
        (evidence((0, 5861.25), (60, 5916.25)), "changed within 1 min, and is 5,916, as before"),
        (evidence((0, 5861.25), others=True), "Cannot tell: other jobs of this folder changed"),
        (
            evidence((0, 5861.25), before=None),
            "Cannot tell: the balance before the request is not known.",
        ),
        (
            evidence(),
            "Cannot tell: the balance was 5,916 before the request; it is not known after",
        ),
    ],
)
def test_the_verdict_on_a_lost_answer(seen: Evidence, words: str) -> None:
    """With the numbers it rests on, on the card and in the text; certain of nothing."""
    state = replace(UNKNOWN, evidence=seen)
    assert words in said(state)
    assert words in render_text(FACTS, state, now=NOW)


def test_a_lost_answer_that_is_watched_says_so() -> None:
    """For its minute and no longer: nobody takes the watch up after a kill."""
    watch = BalanceHistory(NOW - timedelta(seconds=20), (TimedBalance(0.0, 5916.25),))
    state = Unknown(NOW, "lost", Evidence(55.0, 5916.25, watch))
    assert "The balance is checked for a minute." in said(state)
    late = describe(FACTS, state, now=NOW + timedelta(minutes=2))
    assert not any("watched" in line for line in late.lines)


def failed(seen: Evidence, credits: float | None = None) -> Failed:
    """A failure of the service's own."""
    return Failed(TASK, "500", "Internal server error", credits, seen)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            evidence((0, 5916.25), (60, 5916.25)),
            "very probably cost nothing: the balance is still 5,916",
        ),
        (
            evidence((0, 5861.25), (60, 5861.25)),
            "It was very probably charged: the balance went from 5,916 to 5,861, 55 credits less, "
            "exactly the price, with no refund in 1 min.",
        ),
        (evidence((0, 5861.25)), "and nothing later shows a refund"),
        (evidence((0, 5916.25), others=True), "other jobs of this folder changed the balance"),
        (evidence((0, 5906.25), (60, 5906.25)), "not the price of this task"),
    ],
)
def test_the_balance_stands_in_where_the_service_does_not_say(seen: Evidence, words: str) -> None:
    """What a failure cost, by the balance before and a minute after it."""
    assert words in said(failed(seen))
    assert "The service did not report the cost" in said(failed(seen))


def test_the_services_own_figure_comes_first() -> None:
    """Balances that say something else are not told then."""
    seen = evidence((0, 5861.25), (60, 5861.25))
    assert "The service reports a cost of 0 credits." in said(failed(seen, 0.0))
    assert "very probably" not in said(failed(seen, 0.0))


@pytest.mark.parametrize("credits", [None, 55.0])
@pytest.mark.parametrize("looks", [(), ((0, 5861.25), (60, 5861.25))])
def test_nothing_is_tried_again_that_may_cost(
    credits: float | None, looks: tuple[tuple[float, float], ...]
) -> None:
    """Only a failure that cost nothing names the price of a new task."""
    seen = evidence(*looks)
    assert "again" not in said(failed(seen, credits))
    free = said(failed(seen, 0.0))
    assert "Running this cell again makes a new task: 55 credits ($0.28)." in free


def test_a_failure_that_is_still_watched_says_when_more_is_known() -> None:
    """Credits may come back within the minute."""
    watch = BalanceHistory(NOW, (TimedBalance(0.0, 5861.25),))
    assert "a minute later" in said(failed(Evidence(55.0, 5916.25, watch)))


def test_a_refusal_says_what_it_means() -> None:
    """The service's words, ours, and what to change."""
    words = said(Refused("Credits insufficient", code="402"))
    assert "Credits insufficient (code 402)" in words
    assert "The account has fewer credits than the task costs." in words
    assert "Add credits at kie.ai" in words


def test_a_request_that_did_not_reach_the_service_is_not_called_refused() -> None:
    """The card has our sentence, and no message of the service."""
    reason = "api.kie.ai could not be reached (no route). The request was not sent; check it."
    words = said(Refused(reason))
    assert "Not sent; no task was created and nothing was charged." in words
    assert reason in words
    assert "Refused" not in words
    assert f"“{reason}" not in words


@pytest.mark.parametrize(
    "state",
    [
        Failed(TASK, "500", "broke", 0.0, Evidence(answer='{"failMsg": "<script>"}')),
        Refused("no", code="422", evidence=Evidence(answer='{"failMsg": "<script>"}')),
        Unknown(NOW, "lost", Evidence(answer='{"failMsg": "<script>"}')),
    ],
)
def test_the_raw_answer_is_behind_a_fold(state: JobState) -> None:
    """As it came, escaped, and closed; plain text leaves it out, and so does a lost connection."""
    card = render_record(FACTS, state, now=NOW)
    assert "Answer of the service</summary>" in card
    assert "{&#34;failMsg&#34;: &#34;&lt;script&gt;&#34;}</pre></details>" in card
    assert "<script>" not in card
    assert "failMsg" not in render_text(FACTS, state, now=NOW)
    assert "Answer of the service" not in render_record(FACTS, UNKNOWN, now=NOW)
