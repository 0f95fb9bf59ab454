"""Format the price of a job and the facts of its clip, one line each.

Cards, plain text and the panel share the price line. Must not depend on HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from kling_nb.core.formatting import (
    balance_words,
    byte_words,
    date_words,
    number_words,
    one_line,
)
from kling_nb.core.job_state import (
    ClipFacts,
    Encoding,
    JobFacts,
    JobState,
    Preparing,
    Saved,
    Uploading,
    has_ended,
)
from kling_nb.core.money import DOLLARS_PER_CREDIT, Funds, price_words
from kling_nb.models.catalog import CATALOGUE

__all__ = [
    "age_word",
    "clip_words",
    "cost_line",
    "encoding_words",
    "price_line",
    "saved_only",
]

OLD_AFTER = timedelta(days=60)
"""After this a price that was read from the service's page may have moved."""

NO_CREDITS = "emulated: no real credits"

CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4 Part 2",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "aac": "AAC",
    "ac3": "AC-3",
    "mp3": "MP3",
    "opus": "Opus",
}


CONTAINERS = {"webm": "WebM", "quicktime": "MOV", "matroska": "Matroska"}


NO_FUNDS = Funds()


def age_word(model: str, at: datetime) -> str:
    """Give `about` where our prices of a model are too old to be exact at that time."""
    spec = CATALOGUE.get(model)
    return "about" if spec and at.date() - spec.prices.as_of > OLD_AFTER else ""


def price_line(
    inputs: Iterable[str],
    price_credits: float | None,
    *,
    funds: Funds = NO_FUNDS,
    emulated: bool = False,
    label: str = "",
    dollars_per_credit: float = DOLLARS_PER_CREDIT,
) -> str:
    """Give `5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861`.

    Args:
        inputs: The chosen values as a person reads them.
        price_credits: What the job costs; None where no price is known.
        funds: What it would be paid from.
        emulated: No real credits are spent, and the line says so.
        label: Words before the price: how sure it is, or what else stands beside it.
        dollars_per_credit: What a credit costs.
    """
    parts = [one_line(value, 60) for value in inputs if value.strip()]
    if price_credits is None:
        parts.append("price not known")
    else:
        price = f"{label} {price_words(price_credits, dollars_per_credit)}".lstrip()
        parts.append(f"would cost {price}" if emulated else price)
    before = funds.balance_credits
    balance = () if before is None else (after_words("balance", before, price_credits),)
    if emulated:
        parts.append(", ".join((NO_CREDITS, *balance)))
    else:
        parts += balance
    if funds.budget_credits is not None:
        parts.append(after_words("budget left", funds.budget_credits, price_credits))
    return " · ".join(parts)


def after_words(name: str, before_credits: float, price_credits: float | None) -> str:
    """Give `balance 5,916 → 5,861`, or how many credits are missing."""
    start = f"{name} {balance_words(before_credits)}"
    if price_credits is None:
        return start
    left = before_credits - price_credits
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
    # An emulated one "would cost" its price, in each state.
    words = (
        "price" if ended and not facts.emulated else "",
        age_word(facts.model, facts.created_at),
    )
    funds = NO_FUNDS if ended else Funds(facts.balance_credits, facts.budget_credits)
    return price_line(
        facts.inputs.values(),
        facts.price_credits,
        funds=funds,
        emulated=facts.emulated,
        label=" ".join(filter(None, words)),
        dollars_per_credit=dollars_per_credit,
    )


def paid_words(facts: JobFacts, state: Saved, now: datetime, dollars_per_credit: float) -> str:
    """Say what a clip cost: the service's figure first, ours as an expectation."""
    told = state.credits if state.credits is not None else facts.price_credits
    once = f"made on {date_words(state.finished_at, now)} · 0 credits now · "
    age = age_word(facts.model, facts.created_at) if state.credits is None else ""
    if facts.emulated:
        return (
            f"{once}{NO_CREDITS}"
            if state.already
            else price_line(
                (), told, emulated=True, label=age, dollars_per_credit=dollars_per_credit
            )
        )
    if told is None:
        return f"{once}price not known" if state.already else "price not known"
    price = f"{age} {price_words(told, dollars_per_credit)}".lstrip()
    other = difference_words(facts.price_credits, state.credits)
    if state.already:
        return f"{once}{price} then{other}"
    if state.credits is None:
        return f"{price} expected; the service did not say"
    return price + other


def difference_words(price_credits: float | None, credits: float | None) -> str:
    """Say what was expected where the service took something else."""
    if credits is None or price_credits is None or abs(credits - price_credits) < 0.005:
        return ""
    return f", where our price list has {number_words(price_credits)}"


def clip_words(clip: ClipFacts) -> str:
    """Give `5.0 s · 1280×720 · 24 fps · H.264 · AAC sound · 0.9 MB`, as measured in the file."""
    codec, sound = codec_words(clip.video_codec), codec_words(clip.audio_codec)
    parts = (
        f"{clip.duration_s:.1f} s",
        f"{clip.width_px}×{clip.height_px}",
        f"{number_words(clip.fps)} fps",
        codec,
        f"{sound} sound" if sound else "silent",
        byte_words(clip.size_bytes),
    )
    return " · ".join(part for part in parts if part)


def encoding_words(encoding: Encoding) -> str:
    """Return `H.264 (High 10, yuv420p10le) with AC-3 sound in WebM`; usual parts are omitted."""
    details = ", ".join(filter(None, (encoding.profile, encoding.pixel_format)))
    words = codec_words(encoding.video_codec) + (f" ({one_line(details, 60)})" if details else "")
    if encoding.audio_codec not in {"", "aac"}:
        words += f" with {codec_words(encoding.audio_codec)} sound"
    container = encoding.mime_type.rpartition("/")[2].removeprefix("x-")
    if container != "mp4":
        words += f" in {CONTAINERS.get(container, container)}"
    return words


def codec_words(name: str) -> str:
    """Return the common name of a codec."""
    return CODECS.get(name, one_line(name, 20))
