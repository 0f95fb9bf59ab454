"""Format the price of a job and the facts of its clip, one line each.

Cards, plain text and the panel share the price line. Must not depend on HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from kling_nb.core.formatting import (
    format_balance,
    format_bytes,
    format_date,
    format_number,
    to_one_line,
)
from kling_nb.core.job_state import (
    ClipFacts,
    Encoding,
    JobState,
    Preparing,
    Saved,
    Uploading,
    has_ended,
)
from kling_nb.core.money import Funds, format_price
from kling_nb.models.catalog import CATALOGUE
from kling_nb.storage.job_record import JobRecord

_OLD_AFTER = timedelta(days=60)
"""Age after which a price from the service's page may have changed."""

NO_CREDITS = "emulated: no real credits"
"""The remark for a price that has no badge beside it."""

_CODECS = {
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


_CONTAINERS = {"webm": "WebM", "quicktime": "MOV", "matroska": "Matroska"}


_NO_FUNDS = Funds()


def about_prefix(model: str, at: datetime) -> str:
    """Return `about` if our prices of a model are too old to be exact at that time."""
    spec = CATALOGUE.get(model)
    return "about" if spec and at.date() - spec.prices.as_of > _OLD_AFTER else ""


def price_line(
    inputs: Iterable[str],
    price_credits: float | None,
    *,
    funds: Funds = _NO_FUNDS,
    emulated: bool = False,
    label: str = "",
    remark: str = "",
) -> str:
    """Format `5 s · no sound · 55 credits ($0.28) · balance 5,916 → 5,861`.

    Args:
        inputs: The values as display text.
        price_credits: The price of the job; None if it is unknown.
        funds: Balance and budget.
        emulated: Whether no real credits are spent.
        label: Text before the price, e.g. `about`.
        remark: Text after the price, e.g. `NO_CREDITS` where no badge says so.
    """
    parts = [to_one_line(value, 60) for value in inputs if value.strip()]
    if price_credits is None:
        parts.append("price not known")
    else:
        price = f"{label} {format_price(price_credits)}".lstrip()
        parts.append(f"would cost {price}" if emulated else price)
    before = funds.balance_credits
    balance = "" if before is None else _format_change("balance", before, price_credits)
    if remark or balance:
        parts.append(", ".join(filter(None, (remark, balance))))
    if funds.budget_credits is not None:
        parts.append(_format_change("budget left", funds.budget_credits, price_credits))
    return " · ".join(parts)


def _format_change(name: str, before_credits: float, price_credits: float | None) -> str:
    """Format `balance 5,916 → 5,861`, or how many credits are missing."""
    start = f"{name} {format_balance(before_credits)}"
    if price_credits is None:
        return start
    left = before_credits - price_credits
    after = f" → {format_balance(left)}" if left >= 0 else f": short by {format_number(-left)}"
    return start + after


def saved_hint(record: JobRecord, state: JobState) -> str:
    """Return the hint for readers of a notebook that was saved while the job ran."""
    hint = "Run this cell again to see the clip: 0 credits"
    price = record.price_credits
    if record.emulated or price is None or not isinstance(state, Preparing | Uploading):
        return hint
    return f"{hint} if the request was sent, {format_number(price)} if not"


def cost_line(record: JobRecord, state: JobState, *, now: datetime) -> str:
    """Format the price of a job, before and after its end."""
    if isinstance(state, Saved):
        return _format_paid(record, state, now)
    ended = has_ended(state)
    # For an emulated job, `price_line` writes "would cost" in each state.
    words = (
        "price" if ended and not record.emulated else "",
        about_prefix(record.model, record.created_at),
    )
    funds = _NO_FUNDS if ended else Funds(record.balance_before, record.budget_before)
    return price_line(
        record.inputs.values(),
        record.price_credits,
        funds=funds,
        emulated=record.emulated,
        label=" ".join(filter(None, words)),
    )


def _format_paid(record: JobRecord, state: Saved, now: datetime) -> str:
    """Format the price of a saved clip: the service's figure, else the listed price as expected."""
    charged = state.credits if state.credits is not None else record.price_credits
    once = f"made on {format_date(state.finished_at, now)} · 0 credits now"
    age = about_prefix(record.model, record.created_at) if state.credits is None else ""
    if record.emulated:
        return once if state.already else price_line((), charged, emulated=True, label=age)
    if charged is None:
        return f"{once} · price not known" if state.already else "price not known"
    price = f"{age} {format_price(charged)}".lstrip()
    other = _format_difference(record.price_credits, state.credits)
    if state.already:
        return f"{once} · {price} then{other}"
    if state.credits is None:
        return f"{price} expected; the service did not report the cost"
    return price + other


def _format_difference(price_credits: float | None, credits: float | None) -> str:
    """Format the listed price if the service charged a different one."""
    if credits is None or price_credits is None or abs(credits - price_credits) < 0.005:
        return ""
    return f"; the price list has {format_number(price_credits)}"


def format_take_price(record: JobRecord, now: datetime) -> str:
    """Format the price of one more task of the same request."""
    if record.emulated:
        return "free"
    if record.price_credits is None:
        return "price not known"
    price = format_price(record.price_credits)
    return f"{about_prefix(record.model, now)} {price}".lstrip()


def format_clip(clip: ClipFacts) -> str:
    """Format `5.0 s · 1280×720 · 24 fps · H.264 · AAC audio · 0.9 MB`, as measured."""
    video, audio = _format_codec(clip.video_codec), _format_codec(clip.audio_codec)
    parts = (
        f"{clip.duration_s:.1f} s",
        f"{clip.width_px}×{clip.height_px}",
        f"{format_number(clip.fps)} fps",
        video,
        f"{audio} audio" if audio else "silent",
        format_bytes(clip.size_bytes),
    )
    return " · ".join(part for part in parts if part)


def format_encoding(encoding: Encoding) -> str:
    """Format `H.264 (High 10, yuv420p10le) with AC-3 audio in WebM`; usual parts are omitted."""
    details = ", ".join(filter(None, (encoding.profile, encoding.pixel_format)))
    words = _format_codec(encoding.video_codec) + (
        f" ({to_one_line(details, 60)})" if details else ""
    )
    if encoding.audio_codec not in {"", "aac"}:
        words += f" with {_format_codec(encoding.audio_codec)} audio"
    container = encoding.mime_type.rpartition("/")[2].removeprefix("x-")
    if container != "mp4":
        words += f" in {_CONTAINERS.get(container, container)}"
    return words


def _format_codec(name: str) -> str:
    """Return the common name of a codec."""
    return _CODECS.get(name, to_one_line(name, 20))
