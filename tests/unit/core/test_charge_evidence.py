"""What `evidence` concludes from balances, and what it never does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from kling_nb.core.charge_evidence import (
    NO_EVIDENCE,
    REFUND_SAMPLE_TIMES_S,
    SAMPLE_TIMES_S,
    BalanceHistory,
    Evidence,
    Likelihood,
    Reason,
    TimedBalance,
    encode_watch,
    judge,
    parse_watch,
)

AT = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)

PAID, NOT_PAID, OPEN = Likelihood.PAID, Likelihood.NOT_PAID, Likelihood.OPEN


def watch(*looks: tuple[float, float], others: bool = False) -> BalanceHistory:
    """A watch with these looks: seconds, balance."""
    return BalanceHistory(AT, tuple(TimedBalance(*look) for look in looks), others)


@pytest.mark.parametrize(
    ("looks", "likelihood", "ground"),
    [
        ([(0, 945)], PAID, Reason.FELL),
        ([(0, 945), (60, 945)], PAID, Reason.FELL),
        ([(0, 1000), (15, 945)], PAID, Reason.FELL),
        ([(0, 945.004)], PAID, Reason.FELL),
        ([(0, 1000)], OPEN, Reason.EARLY),
        ([(0, 1000), (15, 1000), (30, 1000)], OPEN, Reason.EARLY),
        ([(0, 1000), (15, 1000), (30, 1000), (60, 1000)], NOT_PAID, Reason.STILL),
        ([(120, 1000)], NOT_PAID, Reason.STILL),
        ([(0, 945), (60, 1000)], OPEN, Reason.RETURNED),
        ([(0, 1010), (60, 1000)], OPEN, Reason.RETURNED),
        ([(0, 945), (60, 890)], OPEN, Reason.ODD),
        ([(0, 944.9)], OPEN, Reason.ODD),
        ([(0, 1055)], OPEN, Reason.ODD),
        ([], OPEN, Reason.UNSEEN),
    ],
)
def test_what_a_balance_tells(
    looks: list[tuple[float, float]], likelihood: Likelihood, ground: Reason
) -> None:
    """1,000 credits before, 55 the price; only the whole price or a whole watch says anything."""
    verdict = judge(Evidence(55, 1000, watch(*looks)))
    assert (verdict.likelihood, verdict.reason) == (likelihood, ground)


@pytest.mark.parametrize("looks", [[(0, 945)], [(0, 1000), (60, 1000)], []])
def test_other_jobs_spoil_everything(looks: list[tuple[float, float]]) -> None:
    """Whatever the numbers are: another job of this ledger may have made them."""
    verdict = judge(Evidence(55, 1000, watch(*looks, others=True)))
    assert (verdict.likelihood, verdict.reason) == (OPEN, Reason.OTHERS)


@pytest.mark.parametrize("price", [None, 0])
def test_without_a_price_no_fall_is_evidence(price: float | None) -> None:
    """It cannot be recognised; standing still can."""
    assert judge(Evidence(price, 1000, watch((0, 945)))).reason is Reason.ODD
    assert judge(Evidence(price, 1000, watch((60, 1000)))).reason is Reason.STILL


def test_without_balances_nothing_is_known() -> None:
    """Before, after, or both are missing."""
    assert judge(NO_EVIDENCE).reason is Reason.UNSEEN
    assert judge(Evidence(55, 1000)).before_credits == 1000
    assert judge(Evidence(55, None, watch((0, 945)))).reason is Reason.UNSEEN


def test_the_verdict_has_its_numbers() -> None:
    """Before, the last balance, and how long it was watched."""
    verdict = judge(Evidence(55, 1000, watch((0, 1000), (15, 945))))
    assert (verdict.before_credits, verdict.after_credits, verdict.lasted_s) == (1000, 945, 15)


def test_a_watch_adds_up() -> None:
    """A look that failed is none, and what others did is not forgotten."""
    seen = BalanceHistory(AT).add(0, 1000, others_moved=True).add(15, None, others_moved=False)
    assert seen == BalanceHistory(AT, (TimedBalance(0, 1000),), others_moved=True)
    assert not seen.is_over
    assert seen.add(60, 1000, others_moved=False).is_over


def test_a_watch_that_broke_off_does_not_go_on_for_ever() -> None:
    """The kernel that watched may be dead: a while after its time nobody expects more."""
    seen = watch((0, 1000))
    assert seen.is_running(AT + timedelta(seconds=60))
    assert not seen.is_running(AT + timedelta(seconds=76))
    assert not watch((0, 1000), (60, 1000)).is_running(AT)


@pytest.mark.parametrize("looks", [SAMPLE_TIMES_S, REFUND_SAMPLE_TIMES_S])
def test_the_plan_of_looks(looks: tuple[float, ...]) -> None:
    """At once, and at the end of the minute; later only where that look failed."""
    assert looks[0] == 0
    assert 60.0 in looks
    assert list(looks) == sorted(looks)


def test_the_watch_survives_json() -> None:
    """What is written is what is read."""
    seen = watch((0, 1000), (15, 945.25), others=True)
    assert parse_watch(json.loads(json.dumps(encode_watch(seen)))) == seen
