"""What moves at the foot of a record while its job runs: the bar and a few words.

It moves by itself where style sheets live: the times are handed to CSS as delays, so that a job
needs a message for each change of state and none for each second. Its look comes with the
record around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kling_nb.core.job_state import Downloading, JobFacts, JobState, OutOfSight, Uploading, Waiting

from .card_text import SLOWER, Wording, describe, usual_words, wait_words
from .markup import Markup, escape, joined, tag

__all__ = ["render_live"]

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
    """Give how much is done, 0 to 1; None where nobody knows."""
    match state:
        case Uploading(sent_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case Downloading(received_bytes=done, total_bytes=total) if total:
            return min(1.0, done / total)
        case _:
            return None if timing is None else min(1.0, timing.passed_s / timing.expected_s)
