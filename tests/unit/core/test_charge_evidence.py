"""Test `charge_evidence`: what balances say about a charge, and what they do not."""

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
    """Return a history of these samples: seconds, balance."""
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
def test_what_balances_mean(
    looks: list[tuple[float, float]], likelihood: Likelihood, ground: Reason
) -> None:
    """1,000 credits before, price 55: only the exact price or a complete watch is evidence."""
    verdict = judge(Evidence(55, 1000, watch(*looks)))
    assert (verdict.likelihood, verdict.reason) == (likelihood, ground)


@pytest.mark.parametrize("looks", [[(0, 945)], [(0, 1000), (60, 1000)], []])
def test_other_jobs_make_balances_useless(looks: list[tuple[float, float]]) -> None:
    """Another job of this ledger may have changed the balance."""
    verdict = judge(Evidence(55, 1000, watch(*looks, others=True)))
    assert (verdict.likelihood, verdict.reason) == (OPEN, Reason.OTHERS)


@pytest.mark.parametrize("price", [None, 0])
def test_without_a_price_no_fall_is_evidence(price: float | None) -> None:
    """A change cannot be recognised; an unchanged balance can."""
    assert judge(Evidence(price, 1000, watch((0, 945)))).reason is Reason.ODD
    assert judge(Evidence(price, 1000, watch((60, 1000)))).reason is Reason.STILL


def test_without_balances_nothing_is_known() -> None:
    """The balance before, after, or both are missing."""
    assert judge(NO_EVIDENCE).reason is Reason.UNSEEN
    assert judge(Evidence(55, 1000)).before_credits == 1000
    assert judge(Evidence(55, None, watch((0, 945)))).reason is Reason.UNSEEN


def test_the_verdict_has_its_numbers() -> None:
    """Before, the last balance, and how long it was watched."""
    verdict = judge(Evidence(55, 1000, watch((0, 1000), (15, 945))))
    assert (verdict.before_credits, verdict.after_credits, verdict.lasted_s) == (1000, 945, 15)


def test_a_watch_adds_up() -> None:
    """A failed sample is not added; a change by other jobs is kept."""
    seen = BalanceHistory(AT).add(0, 1000, others_moved=True).add(15, None, others_moved=False)
    assert seen == BalanceHistory(AT, (TimedBalance(0, 1000),), others_moved=True)
    assert not seen.is_over
    assert seen.add(60, 1000, others_moved=False).is_over


def test_an_interrupted_watch_ends() -> None:
    """The kernel may be dead: shortly after its planned end a watch no longer runs."""
    seen = watch((0, 1000))
    assert seen.is_running(AT + timedelta(seconds=60))
    assert not seen.is_running(AT + timedelta(seconds=76))
    assert not watch((0, 1000), (60, 1000)).is_running(AT)


@pytest.mark.parametrize("looks", [SAMPLE_TIMES_S, REFUND_SAMPLE_TIMES_S])
def test_the_times_of_samples(looks: tuple[float, ...]) -> None:
    """At once and after a minute; later ones replace a failed sample."""
    assert looks[0] == 0
    assert 60.0 in looks
    assert list(looks) == sorted(looks)


def test_a_watch_is_read_back_from_json() -> None:
    """Unchanged."""
    seen = watch((0, 1000), (15, 945.25), others=True)
    assert parse_watch(json.loads(json.dumps(encode_watch(seen)))) == seen
