"""Estimate from balances what a request cost, if the service does not report it.

Pure: numbers in, a verdict out. Reading the balance and displaying the verdict are up to the
caller. Other programs may use the same account, so a verdict is never certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from .formatting import format_balance, format_credits, format_duration

_WATCH_S = 60.0
"""If the balance has not changed for this time, most likely nothing was charged."""

SAMPLE_TIMES_S = (0.0, 15.0, 30.0, _WATCH_S, 120.0, 300.0)
"""Times of the balance samples after a lost request, from the first one; those after `_WATCH_S` are
for a service that was unreachable before."""

REFUND_SAMPLE_TIMES_S = (0.0, _WATCH_S, 120.0, 300.0)
"""The same for a failed task, which may be refunded late."""

ANSWER_LIMIT = 4_000
"""Maximum length of a stored raw answer, in characters."""

_LATE_S = 15.0
_SAME = 0.005


class Likelihood(StrEnum):
    """Whether a request was charged."""

    PAID = "the task exists and was paid, very probably"
    NOT_PAID = "very probably not"
    OPEN = "cannot tell"


class Reason(StrEnum):
    """The reason of a verdict."""

    UNSEEN = "the balance is not known"
    OTHERS = "other jobs moved the balance"
    FELL = "it fell by exactly the price"
    STILL = "it stood still for the whole watch"
    EARLY = "it stands still so far"
    RETURNED = "it fell, and is now what it was"
    ODD = "it moved by something else than the price"


_MEANING = {Reason.FELL: Likelihood.PAID, Reason.STILL: Likelihood.NOT_PAID}


@dataclass(frozen=True, slots=True)
class TimedBalance:
    """One sample of the balance."""

    after_s: float
    """Seconds since the first sample."""
    balance_credits: float


@dataclass(frozen=True, slots=True)
class BalanceHistory:
    """Samples of the balance after a request."""

    began_at: datetime
    looks: tuple[TimedBalance, ...] = ()
    others_moved: bool = False
    """Whether another job of the ledger may have changed the balance meanwhile."""

    @property
    def is_over(self) -> bool:
        """Return whether a sample exists from the end of the watch."""
        return self.lasted_s >= _WATCH_S

    @property
    def lasted_s(self) -> float:
        """Return the seconds between the first and the last sample."""
        return self.looks[-1].after_s if self.looks else 0.0

    def age_s(self, now: datetime) -> float:
        """Return the seconds since the first sample; at least `lasted_s`, by any clock."""
        return max(self.lasted_s, (now - self.began_at).total_seconds())

    def is_running(self, now: datetime) -> bool:
        """Return whether more samples follow, if the kernel is still running."""
        return not self.is_over and now < self.began_at + timedelta(seconds=_WATCH_S + _LATE_S)

    def add(
        self, after_s: float, balance_credits: float | None, *, others_moved: bool
    ) -> BalanceHistory:
        """Return the watch with another sample; None is an unknown balance."""
        sample = () if balance_credits is None else (TimedBalance(after_s, balance_credits),)
        others = self.others_moved or others_moved
        return replace(self, looks=(*self.looks, *sample), others_moved=others)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence whether a request was charged."""

    price_credits: float | None = None
    before_credits: float | None = None
    """The balance before the request."""
    watch: BalanceHistory | None = None
    answer: str = field(default="", repr=False)
    """The service's raw answer, cut to `ANSWER_LIMIT`; empty without an answer."""
    task_ids: tuple[str, ...] = ()
    """The task ids in the answer to a lost request."""


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion from the balance."""

    likelihood: Likelihood
    reason: Reason
    before_credits: float | None = None
    after_credits: float | None = None
    lasted_s: float = 0.0


def judge(evidence: Evidence) -> Verdict:
    """Return the conclusion from the balances before and after a request.

    A drop by exactly the price is evidence for a task at once. Evidence against one is an unchanged
    balance during the whole watch, because the service may charge late.
    """
    watch, before = evidence.watch, evidence.before_credits
    if watch is not None and watch.others_moved:
        return Verdict(Likelihood.OPEN, Reason.OTHERS, lasted_s=watch.lasted_s)
    if watch is None or not watch.looks or before is None:
        return Verdict(Likelihood.OPEN, Reason.UNSEEN, before)
    falls = [before - look.balance_credits for look in watch.looks]
    ground = _reason(falls, evidence.price_credits, is_over=watch.is_over)
    likelihood = _MEANING.get(ground, Likelihood.OPEN)
    return Verdict(likelihood, ground, before, watch.looks[-1].balance_credits, watch.lasted_s)


def _reason(falls: list[float], price_credits: float | None, *, is_over: bool) -> Reason:
    last = falls[-1]
    if price_credits and abs(last - price_credits) < _SAME:
        return Reason.FELL
    if abs(last) >= _SAME:
        return Reason.ODD
    if any(abs(fall) >= _SAME for fall in falls):
        return Reason.RETURNED
    return Reason.STILL if is_over else Reason.EARLY


def encode_watch(watch: BalanceHistory) -> dict[str, object]:
    """Return the watch in JSON types."""
    return {
        "began_at": watch.began_at.isoformat(),
        "looks": [[look.after_s, look.balance_credits] for look in watch.looks],
        "others_moved": watch.others_moved,
    }


def parse_watch(document: Mapping[str, Any]) -> BalanceHistory:
    """Return the watch from the result of `encode_watch`."""
    return BalanceHistory(
        began_at=datetime.fromisoformat(document["began_at"]),
        looks=tuple(TimedBalance(*look) for look in document["looks"]),
        others_moved=document["others_moved"],
    )


def format_verdict(verdict: Verdict) -> str:
    """Return the verdict as a sentence with the balances."""
    lasted = format_duration(verdict.lasted_s)
    after = format_balance(verdict.after_credits or 0.0)
    match verdict.reason:
        case Reason.FELL:
            words = (
                "The task very probably exists and was paid for: "
                f"{format_balance_change(verdict)}, exactly the price, and no other job of this "
                "folder changed it; other programs on the account could have."
            )
        case Reason.STILL:
            words = (
                f"Very probably not paid for: the balance is {after}, as before, and did not "
                f"change for {lasted}."
            )
        case Reason.EARLY:
            seen = f"after {lasted}" if verdict.lasted_s else "right after"
            words = f"Cannot tell yet: the balance was {after} {seen}, as before."
        case Reason.OTHERS:
            words = "Cannot tell: other jobs of this folder changed the balance in the meantime."
        case Reason.RETURNED:
            words = f"Cannot tell: the balance changed within {lasted}, and is {after}, as before."
        case Reason.ODD:
            change = format_balance_change(verdict)
            words = f"Cannot tell: {change}, which is not the price of this task."
        case Reason.UNSEEN:
            words = _unseen_words(verdict)
        case _:
            assert_never(verdict.reason)
    return words


def _unseen_words(verdict: Verdict) -> str:
    """Return a sentence that names the missing balance."""
    if verdict.before_credits is None:
        return "Cannot tell: the balance before the request is not known."
    before = format_balance(verdict.before_credits)
    return f"Cannot tell: the balance was {before} before the request; it is not known after it."


def format_balance_change(verdict: Verdict) -> str:
    """Return `the balance went from 5,916 to 5,861, 55 credits less`."""
    before, after = verdict.before_credits or 0.0, verdict.after_credits or 0.0
    way = "less" if before >= after else "more"
    change = format_credits(round(abs(before - after), 2))
    return (
        f"the balance went from {format_balance(before)} to {format_balance(after)}, {change} {way}"
    )
