"""Render the live part of a card: progress, elapsed time and buttons, while its kernel runs.

The page draws it and never saves it, since a button without a kernel does nothing. Each button
shows its price. The bar is animated by CSS with times as delays, so a job needs one message per
change of state, not one per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kling_nb.core.formatting import byte_words, one_line
from kling_nb.core.job_state import (
    Detached,
    Downloading,
    Expired,
    Failed,
    JobFacts,
    JobState,
    OutOfSight,
    Saved,
    Unknown,
    Uploading,
    Vanished,
    Waiting,
    has_ended,
)
from kling_nb.core.money import DOLLARS_PER_CREDIT, price_words

from .card_text import SLOWER, Wording, describe, usual_words, wait_words
from .markup import Markup, code, escape, joined, link, prose, tag
from .prices import age_word

__all__ = [
    "Aside",
    "render_foot",
    "render_live",
]

DETACH_HINT = "Stop following here. The task goes on; %kling resume takes it up again."


@dataclass(frozen=True, slots=True)
class Aside:
    """What a card knows besides its job: what a person has clicked so far."""

    turn: int = 0
    """Counts the clicks that were heard, so that none is heard twice."""
    doing: str = ""
    """What is under way because of the last one; until it is done nothing else can be clicked."""
    said: str = ""
    """Why it could not be done."""
    path: str = ""
    """The clip's file, where a person asked for it."""
    href: str = ""
    """The same relative to the notebook."""


def render_foot(
    facts: JobFacts,
    state: JobState,
    *,
    now: datetime,
    aside: Aside | None = None,
    dollars_per_credit: float = DOLLARS_PER_CREDIT,
) -> str:
    """Give the foot of a job's record as HTML.

    Args:
        facts: The job.
        state: Where it stands.
        now: The present; a bar goes on from here by itself.
        aside: What was clicked.
        dollars_per_credit: What a credit costs.
    """
    known = aside or Aside()
    if not has_ended(state):
        follows = bool(getattr(state, "task_id", ""))
        detach = Button("detach", "Detach", title=DETACH_HINT, is_off=not follows)
        live = Markup(render_live(facts, state, now=now))
        return joined(live, row(facts, known, [detach]))
    buttons = ways_on(facts, state, now, dollars_per_credit)
    if facts.cell:
        buttons.append(Button("copy", "Copy cell"))
    if isinstance(state, Saved):
        buttons.append(Button("file", "Hide file" if known.path else "Show file"))
    return joined(row(facts, known, buttons), whereabouts(facts, state, known), sorry(known))


@dataclass(frozen=True, slots=True)
class Button:
    """One button: the word that is sent, and what a person reads."""

    word: str
    label: str
    title: str = ""
    text: str = ""
    """What is copied; empty copies the cell."""
    is_off: bool = False


def ways_on(
    facts: JobFacts, state: JobState, now: datetime, dollars_per_credit: float
) -> list[Button]:
    """Give what can be done with a job that has ended; only what is true of its state.

    Nothing here pays again for a failure that was charged, or may have been.
    """
    price = another_words(facts, now, dollars_per_credit)
    match state:
        case Saved():
            hint = "Pays for one more result of the same request: a new task, once."
            return [Button("take", f"Another take · {price}", title=hint)]
        case Failed(credits=credits) if credits == 0 or facts.emulated:
            return [Button("take", f"Make a new task · {price}")]
        case Detached(task_id=task_id) if task_id:
            return [Button("resume", "Resume · 0 credits")]
        case Vanished() | Expired():
            return [Button("resume", "Ask once more · 0 credits")]
        case Unknown():
            entries = describe(facts, state, now=now).entries
            return [Button("copy", f"Copy {each.name}", text=each.name) for each in entries]
        case _:
            return []


def another_words(facts: JobFacts, now: datetime, dollars_per_credit: float) -> str:
    """Give what one more task of the same request costs."""
    if facts.emulated:
        return "emulated, free"
    if facts.price_credits is None:
        return "price not known"
    price = price_words(facts.price_credits, dollars_per_credit)
    return f"{age_word(facts.model, now)} {price}".lstrip()


def row(facts: JobFacts, aside: Aside, buttons: list[Button]) -> Markup:
    """Write the buttons beside one another; none can be clicked while something is under way."""
    written = (button(facts, aside, each) for each in buttons)
    doing = (tag("span", "doing", escape(aside.doing), role="status"),) if aside.doing else ()
    return tag("div", "buttons", *written, *doing, role="group", aria_label="What can be done")


def button(facts: JobFacts, aside: Aside, given: Button) -> Markup:
    """Write one button; copying needs no kernel and is always possible."""
    is_off = given.is_off or (bool(aside.doing) and given.word != "copy")
    more = {"disabled": "disabled"} if is_off else {}
    return tag(
        "button",
        "button",
        escape(given.label),
        type="button",
        title=given.title,
        classes="kling-first" if given.word in {"take", "resume"} else "",
        data_kling_do=given.word,
        data_kling_job=one_line(facts.id),
        data_kling_turn=str(aside.turn),
        data_kling_text=given.text,
        **more,
    )


def whereabouts(facts: JobFacts, state: JobState, aside: Aside) -> Markup:
    """Write where the clip's file is, to select, to copy and to open."""
    if not (aside.path and isinstance(state, Saved)):
        return joined()
    copying = button(facts, aside, Button("copy", "Copy path", text=aside.path))
    opening = link(aside.href, f"Open the file ({byte_words(state.clip.size_bytes)})")
    return tag("div", "where", code(aside.path), copying, opening)


def sorry(aside: Aside) -> Markup:
    """Write why a click could not be answered."""
    if not aside.said:
        return joined()
    return tag("p", "sorry", prose(one_line(aside.said, 600)), role="alert")


LABEL = "Progress of the clip"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a task has run, and how long it usually takes."""

    passed_s: float
    expected_s: float


def render_live(facts: JobFacts, state: JobState, *, now: datetime) -> str:
    """Give the bar, the elapsed time and the words of a running job as HTML, without buttons.

    Its height is the same in all running states.

    Args:
        facts: The job.
        state: Where it stands.
        now: The present; the bar goes on from here by itself.
    """
    wording = describe(facts, state, now=now)
    timing = timing_of(state, now)
    words = clock(state, now) if isinstance(state, Waiting) else escape(wording.headline)
    note = " ".join(wording.lines)
    return tag(
        "div",
        "live",
        bar(state, timing, wording),
        tag("p", "words", words, title=wording.headline),
        tag("p", "note", escape(note), title=note),
        style=delays(timing),
        # A view that is made later, after a reload of the page, goes on from here.
        data_kling_at=f"{now.timestamp():.1f}",
    )


def timing_of(state: JobState, now: datetime) -> Timing | None:
    """Give the times of a task that the service works on; None in all other states."""
    if not isinstance(state, Waiting | OutOfSight):
        return None
    passed_s = max(0.0, (now - state.since).total_seconds())
    return Timing(passed_s, max(1.0, state.expected_s))


def delays(timing: Timing | None) -> str:
    """Hand the times to the style sheet: a negative delay starts an animation in its middle."""
    if timing is None:
        return ""
    left_s = timing.expected_s - timing.passed_s
    return (
        f"--kling-span:{timing.expected_s:.0f}s;--kling-passed:-{timing.passed_s:.1f}s;"
        f"--kling-left:{left_s:.1f}s"
    )


def clock(state: Waiting, now: datetime) -> Markup:
    """Write the waiting time; the style sheet makes it tick and says when it gets late."""
    elapsed, *others = wait_words(state, now)
    ticking = tag("span", "", escape(elapsed), classes="kling-clock")
    rest = escape("".join(f" · {words}" for words in others))
    soon = () if SLOWER in others else (tag("span", "", classes="kling-soon"),)
    return joined(escape("elapsed "), ticking, *soon, rest)


def bar(state: JobState, timing: Timing | None, wording: Wording) -> Markup:
    """Write the bar; its literal width is what is left where no style sheet lives."""
    share = share_of(state, timing)
    known = {} if share is None else {"aria_valuenow": f"{share * 100:.0f}"}
    if isinstance(state, Waiting):  # a page keeps the value and its words up to date from these
        known |= {"data_kling_usual": usual_words(state), "data_kling_late": SLOWER}
    motion = "kling-endless" if share is None else "kling-measured"
    if timing is not None:
        motion = "kling-timed kling-blind" if isinstance(state, OutOfSight) else "kling-timed"
    width = 100 if share is None else max(1, round(share * 100))
    return tag(
        "div",
        "bar",
        tag("div", "fill", style=f"width:{width}%"),
        classes=motion,
        role="progressbar",
        aria_label=LABEL,
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuetext=wording.headline,
        **known,
    )


def share_of(state: JobState, timing: Timing | None) -> float | None:
    """Give how much is done, 0 to 1; None if that is unknown."""
    match state:
        case Uploading(sent_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case Downloading(received_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case _:
            return None if timing is None else min(1.0, timing.passed_s / timing.expected_s)
