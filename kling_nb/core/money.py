"""Credits and dollars: the price of a credit, the source of payment, and formatted prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from .formatting import format_credits

DOLLARS_PER_CREDIT = 0.005
"""Source: published price pages, 2026-03 to 2026-10."""


@dataclass(frozen=True, slots=True)
class Funds:
    """The balance and the budget before a job; None if unknown."""

    balance_credits: float | None = None
    """Of the account."""
    budget_credits: float | None = None
    """The least that a budget has left."""


def format_dollars(credits: float, dollars_per_credit: float = DOLLARS_PER_CREDIT) -> str:
    """Return `$0.28`; half a cent is rounded up."""
    dollars = Decimal(str(credits)) * Decimal(str(dollars_per_credit))
    return f"${dollars.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def format_price(credits: float, dollars_per_credit: float = DOLLARS_PER_CREDIT) -> str:
    """Return `55 credits ($0.28)`."""
    return f"{format_credits(credits)} ({format_dollars(credits, dollars_per_credit)})"
