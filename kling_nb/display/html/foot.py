"""What stands at the foot of a record while its kernel lives: the bar, and the buttons.

It is drawn by the page and never saved, since a button without a kernel is a dead one. Each
button says what it costs. What a click does is the matter of whoever hears it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kling_nb.core.formatting import byte_words, one_line
from kling_nb.core.job_state import (
    Detached,
    Expired,
    Failed,
    JobFacts,
    JobState,
    Saved,
    Unknown,
    Vanished,
    has_ended,
)
from kling_nb.core.money import DOLLARS_PER_CREDIT, price_words

from .card_text import describe
from .live import render_live
from .markup import Markup, code, escape, joined, link, prose, tag
from .prices import age_word

__all__ = ["Aside", "render_foot"]

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
