"""What a job costs, in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kling_nb.core.job_state import Failed, JobState, Preparing, Saved, Uploading
from kling_nb.core.money import Funds, format_price
from kling_nb.display.html import NO_CREDITS, about_prefix, price_line
from kling_nb.display.html.prices import cost_line, format_clip, saved_hint
from kling_nb.models.catalog import CATALOGUE
from kling_nb.storage.job_record import JobRecord
from tests.support.html_states import ALREADY, CLIP, EMULATED, FACTS, NOW, RUNNING, SAVED, WAITING

FAILED = Failed("t", "", "", 0)


def cost(facts: JobRecord, state: Saved) -> str:
    """Give the cost line of a saved clip."""
    return cost_line(facts, state, now=NOW)


@pytest.mark.parametrize(
    ("words", "price", "funds", "line"),
    [
        (("5 s", "no sound"), 55, Funds(5916.25),
         "5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861"),
        ((), 55, Funds(40), "55 credits ($0.28) · balance 40: short by 15"),
        (("5 s",), None, Funds(10), "5 s · price not known · balance 10"),
        ((), 55, Funds(5916.25, 390),
         "55 credits ($0.28) · balance 5,916 → 5,861 · budget left 390 → 335"),
        ((), 55, Funds(None, 35), "55 credits ($0.28) · budget left 35: short by 20"),
    ],
    ids=["balance", "too few credits", "unknown price", "budget", "too small a budget"],
)  # fmt: skip
def test_the_price_line(
    words: tuple[str, ...], price: float | None, funds: Funds, line: str
) -> None:
    """Values, price, balance and budget, before and after; no price is made up."""
    assert price_line(words, price, funds=funds) == line


@pytest.mark.parametrize(
    ("funds", "line"),
    [
        (Funds(1000), "5 s · would cost 55 credits ($0.28) · emulated: no real credits, "
         "balance 1,000 → 945"),
        (Funds(None, 390), "5 s · would cost 55 credits ($0.28) · emulated: no real credits · "
         "budget left 390 → 335"),
    ],
)  # fmt: skip
def test_an_emulated_price_is_what_it_would_cost(funds: Funds, line: str) -> None:
    """It cannot be taken for a real one; a badge beside it makes the remark needless."""
    given = price_line(("5 s",), 55, funds=funds, emulated=True, remark=NO_CREDITS)
    assert given == line
    brief = price_line(("5 s",), 55, funds=funds, emulated=True)
    assert brief == line.replace(f"{NO_CREDITS}, ", "").replace(f"{NO_CREDITS} · ", "")


def test_half_a_cent_counts_as_one() -> None:
    """27.5 cents are never shown as less than is paid, whatever binary fractions do."""
    assert format_price(55) == "55 credits ($0.28)"
    assert format_price(1) == "1 credit ($0.01)"
    assert format_price(220_000) == "220,000 credits ($1,100.00)"


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        (FACTS, replace(SAVED, credits=110.0),
         "110 credits ($0.55); the price list has 55"),
        (FACTS, replace(SAVED, credits=None),
         "55 credits ($0.28) expected; the service did not report the cost"),
        (FACTS, ALREADY, "made on 20 November · 0 credits now · 55 credits ($0.28) then"),
        (FACTS, replace(ALREADY, credits=60.0), "made on 20 November · 0 credits now · "
         "60 credits ($0.30) then; the price list has 55"),
        (EMULATED, ALREADY, "made on 20 November · 0 credits now"),
    ],
)  # fmt: skip
def test_a_saved_clip_names_what_the_service_took(
    facts: JobRecord, state: Saved, words: str
) -> None:
    """The service's figure wins over ours; a second run says when it was made and is free."""
    assert cost(facts, state) == words


def test_the_price_beside_a_failure_is_called_a_price() -> None:
    """What it would cost is not taken for what it cost; emulated, in the words of its price."""
    line = cost_line(FACTS, FAILED, now=NOW)
    assert line == "5 s · no sound · price 55 credits ($0.28)"
    assert "would cost 55 credits ($0.28)" in cost_line(EMULATED, FAILED, now=NOW)


@pytest.mark.parametrize("state", RUNNING, ids=lambda state: type(state).__name__)
def test_a_notebook_saved_while_running_promises_the_clip_for_nothing(state: JobState) -> None:
    """If the kernel died before sending, the request still costs its price."""
    hint = "Run this cell again to see the clip: 0 credits"
    unsent = (
        " if the request was sent, 55 if not" if isinstance(state, Preparing | Uploading) else ""
    )
    assert saved_hint(FACTS, state) == hint + unsent


def test_a_clip_is_described_as_measured() -> None:
    """Length, size, rate, codecs and bytes, with silence named."""
    assert format_clip(CLIP) == "5.0 s · 1280×720 · 24 fps · H.264 · silent · 0.9 MB"
    assert "AAC audio" in format_clip(replace(CLIP, audio_codec="aac"))


def test_a_card_shows_the_budget_until_the_job_has_ended() -> None:
    """As with the balance: afterwards it says nothing of now."""
    facts = replace(FACTS, budget_before=390.0)
    words = cost_line(facts, WAITING, now=NOW)
    assert words.endswith("balance 5,916 → 5,861 · budget left 390 → 335")
    assert "budget" not in cost_line(facts, FAILED, now=NOW)


AS_OF = CATALOGUE[FACTS.model].prices.as_of
LAST_DAY = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 23, 59, tzinfo=UTC) + timedelta(days=60)


@pytest.mark.parametrize(("days", "word"), [(-60, ""), (0, ""), (1, "about"), (400, "about")])
def test_a_price_is_exact_for_sixty_days(days: int, word: str) -> None:
    """On the day after, ours is a guess; a model outside of the catalogue has no price to age."""
    assert about_prefix(FACTS.model, LAST_DAY + timedelta(days=days)) == word
    assert about_prefix("someone/else", LAST_DAY + timedelta(days=days)) == ""


def test_an_old_price_is_about_right() -> None:
    """In each state, emulated or not; what the service reports is exact."""
    old = replace(FACTS, created_at=LAST_DAY + timedelta(days=1))
    running = cost_line(old, WAITING, now=NOW)
    assert running.startswith("5 s · no sound · about 55 credits ($0.28) · balance")
    assert cost_line(old, FAILED, now=NOW).endswith("price about 55 credits ($0.28)")
    unreported = replace(SAVED, credits=None)
    assert "would cost about 55" in cost(replace(old, service="emulator"), unreported)
    assert cost(old, unreported).startswith("about 55 credits ($0.28) expected")
    assert cost(old, SAVED) == "55 credits ($0.28)"
