"""What a job costs, in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kling_nb.html import price_line
from kling_nb.html.prices import clip_words, cost_line, price_words, saved_only
from kling_nb.states import Failed, JobFacts, Preparing, Saved, Uploading
from tests.html_states import ALREADY, CLIP, EMULATED, FACTS, NOW, RUNNING, SAVED, WAITING


def cost(facts: JobFacts, state: Saved) -> str:
    """Give the cost line of a saved clip."""
    return cost_line(facts, state, now=NOW, dollars_per_credit=0.005)


def test_the_price_line_says_values_price_and_balance() -> None:
    """The line of the card, word for word."""
    line = price_line(("5 s", "no sound"), 55, balance_credits=5916.25)
    assert line == "5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861"


def test_half_a_cent_counts_as_one() -> None:
    """27.5 cents are never shown as less than is paid, whatever binary fractions do."""
    assert price_words(55) == "55 credits ($0.28)"
    assert price_words(1) == "1 credit ($0.01)"
    assert price_words(220_000) == "220,000 credits ($1,100.00)"


def test_too_few_credits_are_counted() -> None:
    """A balance that is too small says how much is missing, not a negative balance."""
    assert price_line((), 55, balance_credits=40).endswith("balance 40: 15 too few")


def test_an_emulated_price_is_what_it_would_cost() -> None:
    """Nobody takes an emulated price for a real one."""
    line = price_line(("5 s",), 55, balance_credits=1000, emulated=True)
    assert (
        line
        == "5 s · would cost 55 credits ($0.28) · emulated: no real credits, balance 1,000 → 945"
    )


def test_an_unknown_price_is_said_to_be_unknown() -> None:
    """No figure is made up."""
    assert price_line(("5 s",), None, balance_credits=10) == "5 s · price not known · balance 10"


def test_a_saved_clip_names_what_the_service_took() -> None:
    """The service's figure wins over ours."""
    assert cost(FACTS, replace(SAVED, credits=110.0)) == "110 credits ($0.55)"


def test_a_saved_clip_without_a_figure_says_that_ours_is_an_expectation() -> None:
    """Our price is not passed off as the service's."""
    words = cost(FACTS, replace(SAVED, credits=None))
    assert words == "55 credits ($0.28) expected; the service did not say"


def test_a_clip_that_was_there_costs_nothing_now() -> None:
    """The second run says when it was made and that this run is free."""
    assert cost(FACTS, ALREADY) == "made on 20 November · 0 credits now · 55 credits ($0.28) then"
    assert (
        cost(EMULATED, ALREADY) == "made on 20 November · 0 credits now · emulated: no real credits"
    )


def test_the_price_beside_a_failure_is_called_a_price() -> None:
    """What it would cost is not taken for what it cost."""
    line = cost_line(FACTS, Failed("t", "", "", 0), now=NOW, dollars_per_credit=0.005)
    assert line == "5 s · no sound · price 55 credits ($0.28)"


@pytest.mark.parametrize("state", RUNNING, ids=lambda state: type(state).__name__)
def test_a_notebook_saved_while_running_promises_the_clip_for_nothing(state: Saved) -> None:
    """Every running state tells the reader of a saved notebook what to do."""
    assert saved_only(FACTS, state).startswith("Run this cell again to see the clip: 0 credits")


@pytest.mark.parametrize("state", [Preparing(), Uploading(1, 2)])
def test_nothing_is_promised_for_nothing_before_it_was_sent(state: Preparing | Uploading) -> None:
    """A kernel that died before sending leaves a request that still costs its price."""
    assert saved_only(FACTS, state).endswith("0 credits if it was sent, 55 if not")
    assert saved_only(FACTS, WAITING).endswith("0 credits")


def test_a_clip_is_described_as_measured() -> None:
    """Length, size, rate, codecs and bytes, with silence named."""
    assert clip_words(CLIP) == "5.0 s · 1280×720 · 24 fps · H.264 · silent · 0.9 MB"
    assert "AAC sound" in clip_words(replace(CLIP, audio_codec="aac"))
