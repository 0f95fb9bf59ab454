"""What a job costs and what its clip is, in one line each.

Owns the price line that cards, plain text and the panel share. Knows no HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from ..models import DOLLARS_PER_CREDIT
from ..states import ClipFacts, JobFacts, JobState, Preparing, Saved, Uploading, has_ended
from .units import balance_words, byte_words, credit_words, date_words, number_words, one_line

__all__ = [
    "DOLLARS_PER_CREDIT",
    "clip_words",
    "cost_line",
    "price_line",
    "price_words",
    "saved_only",
]

NO_CREDITS = "emulated: no real credits"

CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "av1": "AV1",
    "vp9": "VP9",
    "aac": "AAC",
    "mp3": "MP3",
    "opus": "Opus",
}


def price_words(credits: float, dollars_per_credit: float = DOLLARS_PER_CREDIT) -> str:
    """Give `55 credits ($0.28)`; half a cent counts as one."""
    dollars = Decimal(str(credits)) * Decimal(str(dollars_per_credit))
    cents = dollars.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{credit_words(credits)} (${cents:,})"


def price_line(
    inputs: Iterable[str],
    price_credits: float | None,
    *,
    balance_credits: float | None = None,
    emulated: bool = False,
    label: str = "",
    dollars_per_credit: float = DOLLARS_PER_CREDIT,
) -> str:
    """Give `5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861`.

    Args:
        inputs: The chosen values as a person reads them.
        price_credits: What the job costs; None where no price is known.
        balance_credits: The balance before the job; None leaves the balance out.
        emulated: No real credits are spent, and the line says so.
        label: A word before the price, where the line stands beside what was charged.
        dollars_per_credit: What a credit costs.
    """
    parts = [one_line(value, 60) for value in inputs if value.strip()]
    if price_credits is None:
        parts.append("price not known")
    else:
        price = price_words(price_credits, dollars_per_credit)
        parts.append(f"would cost {price}" if emulated else f"{label} {price}".lstrip())
    balance = () if balance_credits is None else (after_words(balance_credits, price_credits),)
    if emulated:
        parts.append(", ".join((NO_CREDITS, *balance)))
    else:
        parts += balance
    return " · ".join(parts)


def after_words(balance_credits: float, price_credits: float | None) -> str:
    """Give `balance 5,916 → 5,861`, or how many credits are missing."""
    start = f"balance {balance_words(balance_credits)}"
    if price_credits is None:
        return start
    left = balance_credits - price_credits
    after = f" → {balance_words(left)}" if left >= 0 else f": {number_words(-left)} too few"
    return start + after


def saved_only(facts: JobFacts, state: JobState) -> str:
    """Say what a notebook that was saved while the job ran should tell its reader."""
    promise = "Run this cell again to see the clip: 0 credits"
    price = facts.price_credits
    if facts.emulated or price is None or not isinstance(state, Preparing | Uploading):
        return promise
    return f"{promise} if it was sent, {number_words(price)} if not"


def cost_line(facts: JobFacts, state: JobState, *, now: datetime, dollars_per_credit: float) -> str:
    """Say what the job costs, or cost, in the words that fit its state."""
    if isinstance(state, Saved):
        return paid_words(facts, state, now, dollars_per_credit)
    ended = has_ended(state)
    return price_line(
        facts.inputs.values(),
        facts.price_credits,
        balance_credits=None if ended else facts.balance_credits,
        emulated=facts.emulated,
        label="price" if ended else "",
        dollars_per_credit=dollars_per_credit,
    )


def paid_words(facts: JobFacts, state: Saved, now: datetime, dollars_per_credit: float) -> str:
    """Say what a clip cost: the service's figure first, ours as an expectation."""
    told = state.credits if state.credits is not None else facts.price_credits
    once = f"made on {date_words(state.finished_at, now)} · 0 credits now · "
    if facts.emulated:
        return (
            f"{once}{NO_CREDITS}"
            if state.already
            else price_line((), told, emulated=True, dollars_per_credit=dollars_per_credit)
        )
    if told is None:
        return f"{once}price not known" if state.already else "price not known"
    price = price_words(told, dollars_per_credit)
    if state.already:
        return f"{once}{price} then"
    return price if state.credits is not None else f"{price} expected; the service did not say"


def clip_words(clip: ClipFacts) -> str:
    """Give `5.0 s · 1280×720 · 24 fps · H.264 · AAC sound · 0.9 MB`, as measured in the file."""
    codec = CODECS.get(clip.video_codec, one_line(clip.video_codec, 20))
    sound = CODECS.get(clip.audio_codec, one_line(clip.audio_codec, 20))
    parts = (
        f"{clip.duration_s:.1f} s",
        f"{clip.width_px}×{clip.height_px}",
        f"{number_words(clip.fps)} fps",
        codec,
        f"{sound} sound" if sound else "silent",
        byte_words(clip.size_bytes),
    )
    return " · ".join(part for part in parts if part)
