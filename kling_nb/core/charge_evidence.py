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

from .formatting import balance_words, credit_words, time_words

__all__ = [
    "ANSWER_LIMIT",
    "LOOKS_S",
    "NO_EVIDENCE",
    "REFUND_LOOKS_S",
    "BalanceLook",
    "Evidence",
    "Likelihood",
    "Reason",
    "Verdict",
    "Watch",
    "encode_watch",
    "judge",
    "moved_words",
    "parse_watch",
    "verdict_words",
]

WATCH_S = 60.0
"""A balance that stands still for so long has most likely not been touched."""

LOOKS_S = (0.0, 15.0, 30.0, WATCH_S, 120.0, 300.0)
"""When a lost request has the balance looked at, from the first look on; what comes behind
`WATCH_S` is for a service that could not be reached until then."""

REFUND_LOOKS_S = (0.0, WATCH_S, 120.0, 300.0)
"""The same for a failed task, whose credits may come back late."""

ANSWER_LIMIT = 4_000
"""How many characters of a raw answer are kept."""

_LATE_S = 15.0
_SAME = 0.005


class Likelihood(StrEnum):
    """Whether the credits of a request are gone."""

    PAID = "the task exists and was paid, very probably"
    NOT_PAID = "very probably not"
    OPEN = "cannot tell"


class Reason(StrEnum):
    """What a verdict rests on."""

    UNSEEN = "the balance is not known"
    OTHERS = "other jobs moved the balance"
    FELL = "it fell by exactly the price"
    STILL = "it stood still for the whole watch"
    EARLY = "it stands still so far"
    RETURNED = "it fell, and is now what it was"
    ODD = "it moved by something else than the price"


_MEANING = {Reason.FELL: Likelihood.PAID, Reason.STILL: Likelihood.NOT_PAID}


@dataclass(frozen=True, slots=True)
class BalanceLook:
    """One look at the balance."""

    after_s: float
    """Seconds from the first look of the watch."""
    balance_credits: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What was seen of the balance after a request."""

    began_at: datetime
    looks: tuple[BalanceLook, ...] = ()
    others_moved: bool = False
    """Whether another job of the ledger may have moved the balance meanwhile."""

    @property
    def is_over(self) -> bool:
        """Whether the balance was seen at the end of the whole time."""
        return self.lasted_s >= WATCH_S

    @property
    def lasted_s(self) -> float:
        """Seconds from the first look to the last."""
        return self.looks[-1].after_s if self.looks else 0.0

    def age_s(self, now: datetime) -> float:
        """Seconds from the first look to now; never less than to the last, whatever clocks do."""
        return max(self.lasted_s, (now - self.began_at).total_seconds())

    def goes_on(self, now: datetime) -> bool:
        """Whether more is to be seen, if the kernel that watches is still there."""
        return not self.is_over and now < self.began_at + timedelta(seconds=WATCH_S + _LATE_S)

    def add(self, after_s: float, balance_credits: float | None, *, others_moved: bool) -> Watch:
        """The watch with one more look; None is a balance that could not be had."""
        seen = () if balance_credits is None else (BalanceLook(after_s, balance_credits),)
        others = self.others_moved or others_moved
        return replace(self, looks=(*self.looks, *seen), others_moved=others)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that speaks for or against a request having cost something."""

    price_credits: float | None = None
    before_credits: float | None = None
    """The balance when the request was intended."""
    watch: Watch | None = None
    answer: str = field(default="", repr=False)
    """The service's raw answer, cut to `ANSWER_LIMIT`; empty where none came."""
    task_ids: tuple[str, ...] = ()
    """The task ids in the answer to a lost request."""


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the balance tells."""

    likelihood: Likelihood
    ground: Reason
    before_credits: float | None = None
    after_credits: float | None = None
    lasted_s: float = 0.0


def judge(evidence: Evidence) -> Verdict:
    """Say what balances before and after a request tell.

    A fall of exactly the price speaks for a task at once; that there was none takes a balance
    that stood still for the whole watch, since credits may be taken late.
    """
    watch, before = evidence.watch, evidence.before_credits
    if watch is not None and watch.others_moved:
        return Verdict(Likelihood.OPEN, Reason.OTHERS, lasted_s=watch.lasted_s)
    if watch is None or not watch.looks or before is None:
        return Verdict(Likelihood.OPEN, Reason.UNSEEN, before)
    falls = [before - look.balance_credits for look in watch.looks]
    ground = _ground(falls, evidence.price_credits, is_over=watch.is_over)
    likelihood = _MEANING.get(ground, Likelihood.OPEN)
    return Verdict(likelihood, ground, before, watch.looks[-1].balance_credits, watch.lasted_s)


def _ground(falls: list[float], price_credits: float | None, *, is_over: bool) -> Reason:
    last = falls[-1]
    if price_credits and abs(last - price_credits) < _SAME:
        return Reason.FELL
    if abs(last) >= _SAME:
        return Reason.ODD
    if any(abs(fall) >= _SAME for fall in falls):
        return Reason.RETURNED
    return Reason.STILL if is_over else Reason.EARLY


def encode_watch(watch: Watch) -> dict[str, object]:
    """The watch in JSON's types."""
    return {
        "began_at": watch.began_at.isoformat(),
        "looks": [[look.after_s, look.balance_credits] for look in watch.looks],
        "others_moved": watch.others_moved,
    }


def parse_watch(document: Mapping[str, Any]) -> Watch:
    """The watch that `encode_watch` wrote."""
    return Watch(
        began_at=datetime.fromisoformat(document["began_at"]),
        looks=tuple(BalanceLook(*look) for look in document["looks"]),
        others_moved=document["others_moved"],
    )


def verdict_words(verdict: Verdict) -> str:
    """Say what the balance tells, with its numbers; never certain, since others may use it."""
    lasted = time_words(verdict.lasted_s)
    after = balance_words(verdict.after_credits or 0.0)
    match verdict.ground:
        case Reason.FELL:
            words = (
                f"The task exists and was paid, very probably: {moved_words(verdict)}, exactly "
                "the price, and no other job of this folder moved it; other programs on the "
                "account could have."
            )
        case Reason.STILL:
            words = (
                f"Very probably not paid: the balance is {after}, as before, and stood still for "
                f"{lasted}."
            )
        case Reason.EARLY:
            seen = f"after {lasted}" if verdict.lasted_s else "right after"
            words = f"Cannot tell: the balance was {after} {seen}, as before, which is too early."
        case Reason.OTHERS:
            words = "Cannot tell: other jobs of this folder moved the balance meanwhile."
        case Reason.RETURNED:
            words = f"Cannot tell: the balance moved within {lasted}, and is {after}, as before."
        case Reason.ODD:
            words = f"Cannot tell: {moved_words(verdict)}, which is not the price of this task."
        case Reason.UNSEEN:
            words = unseen_words(verdict)
        case _:
            assert_never(verdict.ground)
    return words


def unseen_words(verdict: Verdict) -> str:
    """Say which balance is missing."""
    if verdict.before_credits is None:
        return "Cannot tell: the balance before it is not known."
    before = balance_words(verdict.before_credits)
    return f"Cannot tell: the balance was {before} before it, and is not known after it."


def moved_words(verdict: Verdict) -> str:
    """Give `the balance went from 5,916 to 5,861, 55 credits`, with the fraction in the sum."""
    before, after = verdict.before_credits or 0.0, verdict.after_credits or 0.0
    way = "less" if before >= after else "more"
    change = credit_words(round(abs(before - after), 2))
    return (
        f"the balance went from {balance_words(before)} to {balance_words(after)}, {change} {way}"
    )
