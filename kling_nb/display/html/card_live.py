"""Render the live part of a card: progress, elapsed time and buttons, while the kernel runs.

The page draws it and never saves it, since a button needs a kernel. Each button shows its price.
CSS animates the bar, with times as delays, so a job needs one message per state change, not one
per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from kling_nb.core.formatting import format_bytes, to_one_line
from kling_nb.core.job_state import (
    Detached,
    Downloading,
    Expired,
    Failed,
    JobState,
    Saved,
    Unknown,
    Unresponsive,
    Uploading,
    Vanished,
    Waiting,
    has_ended,
)
from kling_nb.core.money import format_price
from kling_nb.display.html.card_failures import Wording
from kling_nb.storage.job_record import JobRecord

from .card_text import LATE, describe, format_usual, format_wait
from .markup import code, join, link, prose, tag
from .prices import about_prefix

_DETACH_HINT = "Stop polling in this kernel. The task continues; %kling resume resumes the job."


@dataclass(frozen=True, slots=True)
class CardStatus:
    """Status of a card besides its job: the clicks so far."""

    turn: int = 0
    """Number of processed clicks, so that none is processed twice."""
    pending: str = ""
    """What the last click started; until that ends, the other buttons are disabled."""
    error: str = ""
    """Error message of the last click."""
    path: str = ""
    """Path of the clip's file, if the user requested it."""
    href: str = ""
    """The same as a link relative to the notebook."""


def render_actions(
    record: JobRecord,
    state: JobState,
    *,
    now: datetime,
    status: CardStatus | None = None,
) -> str:
    """Return the actions below a card as HTML: progress, buttons, path and error.

    Args:
        record: The job.
        state: Its state.
        now: The current time; the page continues the progress bar from here.
        status: The clicks so far.
    """
    known = status or CardStatus()
    if not has_ended(state):
        follows = bool(getattr(state, "task_id", ""))
        detach = _Button("detach", "Detach", title=_DETACH_HINT, is_off=not follows)
        live = Markup(render_live(record, state, now=now))
        return str(join(live, row(record, known, [detach])))
    buttons = _ended_buttons(record, state, now)
    if record.cell:
        buttons.append(_Button("copy", "Copy cell"))
    if isinstance(state, Saved):
        buttons.append(_Button("file", "Hide file" if known.path else "Show file"))
    path = _file_path_line(record, state, known)
    return str(join(row(record, known, buttons), path, _error_line(known)))


@dataclass(frozen=True, slots=True)
class _Button:
    """A button: the action word that is sent, and its text."""

    word: str
    label: str
    title: str = ""
    text: str = ""
    """The text to copy; empty copies the cell."""
    is_off: bool = False


def _ended_buttons(record: JobRecord, state: JobState, now: datetime) -> list[_Button]:
    """Return the buttons for a job that has ended.

    No button pays again for a failure that was, or may have been, charged.
    """
    price = _format_take_price(record, now)
    match state:
        case Saved():
            hint = "Pays once for a new task: one more result of the same request."
            return [_Button("take", f"Another take · {price}", title=hint)]
        case Failed(credits=credits) if credits == 0 or record.emulated:
            return [_Button("take", f"Make a new task · {price}")]
        case Detached(task_id=task_id) if task_id:
            return [_Button("resume", "Resume · 0 credits")]
        case Vanished() | Expired():
            return [_Button("resume", "Check again · 0 credits")]
        case Unknown():
            entries = describe(record, state, now=now).entries
            return [_Button("copy", f"Copy {each.name}", text=each.name) for each in entries]
        case _:
            return []


def _format_take_price(record: JobRecord, now: datetime) -> str:
    """Format the price of one more task of the same request."""
    if record.emulated:
        return "free"
    if record.price_credits is None:
        return "price not known"
    price = format_price(record.price_credits)
    return f"{about_prefix(record.model, now)} {price}".lstrip()


def row(record: JobRecord, status: CardStatus, buttons: list[_Button]) -> Markup:
    """Return the buttons in a row; all are disabled while a click is being processed."""
    written = (button(record, status, each) for each in buttons)
    pending = tag("span", "doing", status.pending, role="status") if status.pending else ""
    return tag("div", "buttons", *written, pending, role="group", aria_label="Actions")


def button(record: JobRecord, status: CardStatus, spec: _Button) -> Markup:
    """Return one button; copying needs no kernel and is always enabled."""
    is_off = spec.is_off or (bool(status.pending) and spec.word != "copy")
    return tag(
        "button",
        "button",
        spec.label,
        type="button",
        title=spec.title,
        classes="kling-first" if spec.word in {"take", "resume"} else "",
        data_kling_do=spec.word,
        data_kling_job=to_one_line(record.id),
        data_kling_turn=str(status.turn),
        data_kling_text=spec.text,
        disabled="disabled" if is_off else "",
    )


def _file_path_line(record: JobRecord, state: JobState, status: CardStatus) -> Markup:
    """Return the path of the clip's file, to select, copy and open."""
    if not (status.path and isinstance(state, Saved)):
        return join()
    copying = button(record, status, _Button("copy", "Copy path", text=status.path))
    opening = link(status.href, f"Open the file ({format_bytes(state.clip.size_bytes)})")
    return tag("div", "where", code(status.path), copying, opening)


def _error_line(status: CardStatus) -> Markup:
    """Return the error of the last click."""
    if not status.error:
        return join()
    return tag("p", "sorry", prose(to_one_line(status.error, 600)), role="alert")


_LABEL = "Progress of the clip"


@dataclass(frozen=True, slots=True)
class _Timing:
    """Elapsed time and longest likely time of a task; the bar is full at the latter."""

    passed_s: float
    likely_s: float


def render_live(record: JobRecord, state: JobState, *, now: datetime) -> str:
    """Return bar, elapsed time and text of a running job as HTML, without buttons.

    Its height is the same in all running states.
    """
    wording = describe(record, state, now=now)
    timing = _timing_of(state, now)
    words = clock(state, now) if isinstance(state, Waiting) else wording.headline
    note = " ".join(wording.lines)
    return str(
        tag(
            "div",
            "live",
            _bar(state, timing, wording),
            tag("p", "words", words, title=wording.headline),
            tag("p", "note", note, title=note),
            style=_delays(timing),
            # A page that is reloaded later continues from here.
            data_kling_at=f"{now.timestamp():.1f}",
        )
    )


def _timing_of(state: JobState, now: datetime) -> _Timing | None:
    """Return the times of a task that the service works on, else None."""
    if not isinstance(state, Waiting | Unresponsive):
        return None
    passed_s = max(0.0, (now - state.since).total_seconds())
    return _Timing(passed_s, max(1.0, state.late_s))


def _delays(timing: _Timing | None) -> str:
    """Return the times as CSS variables; a negative delay starts an animation in its middle."""
    if timing is None:
        return ""
    left_s = timing.likely_s - timing.passed_s
    return (
        f"--kling-span:{timing.likely_s:.0f}s;--kling-passed:-{timing.passed_s:.1f}s;"
        f"--kling-left:{left_s:.1f}s"
    )


def clock(state: Waiting, now: datetime) -> Markup:
    """Return the elapsed time; the style sheet animates it and shows when it is late."""
    elapsed, *others = format_wait(state, now)
    ticking = tag("span", "", elapsed, classes="kling-clock")
    rest = "".join(f" · {words}" for words in others)
    soon = () if LATE in others else (tag("span", "", classes="kling-soon"),)
    return join("elapsed ", ticking, *soon, rest)


def _bar(state: JobState, timing: _Timing | None, wording: Wording) -> Markup:
    """Return the progress bar; its inline width is used where there is no style sheet."""
    share = _share_of(state, timing)
    known = {} if share is None else {"aria_valuenow": f"{share * 100:.0f}"}
    if isinstance(state, Waiting):  # the page updates the value and its text from these
        known |= {"data_kling_usual": format_usual(state), "data_kling_late": LATE}
    motion = "kling-endless" if share is None else "kling-measured"
    if timing is not None:
        motion = "kling-timed kling-blind" if isinstance(state, Unresponsive) else "kling-timed"
    width = 100 if share is None else max(1, round(share * 100))
    return tag(
        "div",
        "bar",
        tag("div", "fill", style=f"width:{width}%"),
        classes=motion,
        role="progressbar",
        aria_label=_LABEL,
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuetext=wording.headline,
        **known,
    )


def _share_of(state: JobState, timing: _Timing | None) -> float | None:
    """Return the progress from 0 to 1, or None if it is unknown."""
    match state:
        case Uploading(sent_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case Downloading(received_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case _:
            return None if timing is None else min(1.0, timing.passed_s / timing.likely_s)
