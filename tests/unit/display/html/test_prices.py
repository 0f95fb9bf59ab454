"""What a job costs, in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kling_nb.core.job_state import Failed, Preparing, Saved, Uploading
from kling_nb.core.money import Funds, format_price
from kling_nb.display.html import about_prefix, price_line
from kling_nb.display.html.prices import cost_line, format_clip, saved_hint
from kling_nb.models.catalog import CATALOGUE
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import ALREADY, CLIP, EMULATED, FACTS, NOW, RUNNING, SAVED, WAITING


def cost(facts: JobRecord, state: Saved) -> str:
    """Give the cost line of a saved clip."""
    return cost_line(facts, state, now=NOW)


def test_the_price_line_says_values_price_and_balance() -> None:
    """The line of the card, word for word."""
    line = price_line(("5 s", "no sound"), 55, funds=Funds(5916.25))
    assert line == "5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861"


def test_half_a_cent_counts_as_one() -> None:
    """27.5 cents are never shown as less than is paid, whatever binary fractions do."""
    assert format_price(55) == "55 credits ($0.28)"
    assert format_price(1) == "1 credit ($0.01)"
    assert format_price(220_000) == "220,000 credits ($1,100.00)"


def test_too_few_credits_are_counted() -> None:
    """A balance that is too small says how much is missing, not a negative balance."""
    assert price_line((), 55, funds=Funds(40)).endswith("balance 40: 15 too few")


def test_an_emulated_price_is_what_it_would_cost() -> None:
    """Nobody takes an emulated price for a real one."""
    line = price_line(("5 s",), 55, funds=Funds(1000), emulated=True)
    assert (
        line
        == "5 s · would cost 55 credits ($0.28) · emulated: no real credits, balance 1,000 → 945"
    )


def test_an_emulated_job_that_ended_would_have_cost_its_price() -> None:
    """In the same words as while it ran."""
    words = cost_line(EMULATED, Failed("t", "", "", 0), now=NOW)
    assert "would cost 55 credits ($0.28)" in words


def test_an_unknown_price_is_said_to_be_unknown() -> None:
    """No figure is made up."""
    assert price_line(("5 s",), None, funds=Funds(10)) == "5 s · price not known · balance 10"


def test_a_saved_clip_names_what_the_service_took() -> None:
    """The service's figure wins over ours."""
    assert cost(FACTS, replace(SAVED, credits=110.0)).startswith("110 credits ($0.55)")


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
    line = cost_line(FACTS, Failed("t", "", "", 0), now=NOW)
    assert line == "5 s · no sound · price 55 credits ($0.28)"


@pytest.mark.parametrize("state", RUNNING, ids=lambda state: type(state).__name__)
def test_a_notebook_saved_while_running_promises_the_clip_for_nothing(state: Saved) -> None:
    """Every running state tells the reader of a saved notebook what to do."""
    assert saved_hint(FACTS, state).startswith("Run this cell again to see the clip: 0 credits")


@pytest.mark.parametrize("state", [Preparing(), Uploading(1, 2)])
def test_nothing_is_promised_for_nothing_before_it_was_sent(state: Preparing | Uploading) -> None:
    """A kernel that died before sending leaves a request that still costs its price."""
    assert saved_hint(FACTS, state).endswith("0 credits if it was sent, 55 if not")
    assert saved_hint(FACTS, WAITING).endswith("0 credits")


def test_a_clip_is_described_as_measured() -> None:
    """Length, size, rate, codecs and bytes, with silence named."""
    assert format_clip(CLIP) == "5.0 s · 1280×720 · 24 fps · H.264 · silent · 0.9 MB"
    assert "AAC sound" in format_clip(replace(CLIP, audio_codec="aac"))


def test_what_a_budget_leaves_stands_behind_the_balance() -> None:
    """Before and after, as with the balance; also where nothing real is spent."""
    line = price_line((), 55, funds=Funds(5916.25, 390))
    assert line == "55 credits ($0.28) · balance 5,916 → 5,861 · budget left 390 → 335"
    assert price_line((), 55, funds=Funds(None, 35)).endswith("budget left 35: 20 too few")
    emulated = price_line((), 55, funds=Funds(None, 390), emulated=True)
    assert emulated.endswith("emulated: no real credits · budget left 390 → 335")


def test_a_card_shows_the_budget_until_the_job_has_ended() -> None:
    """As with the balance: afterwards it says nothing of now."""
    facts = replace(FACTS, budget_before=390.0)
    words = cost_line(facts, WAITING, now=NOW)
    assert words.endswith("balance 5,916 → 5,861 · budget left 390 → 335")
    ended = cost_line(facts, Failed("t", "", "", 0), now=NOW)
    assert "budget" not in ended


AS_OF = CATALOGUE[FACTS.model].prices.as_of
LAST_DAY = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 23, 59, tzinfo=UTC) + timedelta(days=60)


@pytest.mark.parametrize(("days", "word"), [(-60, ""), (0, ""), (1, "about"), (400, "about")])
def test_a_price_is_exact_for_sixty_days(days: int, word: str) -> None:
    """Prices move: on the day after, ours is a guess."""
    assert about_prefix(FACTS.model, LAST_DAY + timedelta(days=days)) == word


def test_a_model_without_a_list_has_no_old_price() -> None:
    """What is not in the catalogue is priced by nobody."""
    assert about_prefix("someone/else", LAST_DAY + timedelta(days=400)) == ""


def test_an_old_price_is_about_right() -> None:
    """In each state, emulated or not; what the service reports is exact."""
    old = replace(FACTS, created_at=LAST_DAY + timedelta(days=1))
    running = cost_line(old, WAITING, now=NOW)
    assert running.startswith("5 s · no sound · about 55 credits ($0.28) · balance")
    failed = cost_line(old, Failed("t", "", "", 0), now=NOW)
    assert failed.endswith("price about 55 credits ($0.28)")
    assert "would cost about 55" in cost(
        replace(old, service="emulator"), replace(SAVED, credits=None)
    )
    assert cost(old, replace(SAVED, credits=None)).startswith("about 55 credits ($0.28) expected")
    assert cost(old, SAVED) == "55 credits ($0.28)"


def test_another_charge_than_ours_is_told() -> None:
    """The service's figure, and what our list had; nothing where both agree."""
    words = "60 credits ($0.30), where our price list has 55"
    assert cost(FACTS, replace(SAVED, credits=60.0)) == words
    assert cost(FACTS, replace(ALREADY, credits=60.0)).endswith(
        "60 credits ($0.30) then, where our price list has 55"
    )
