"""Text of cards in each state: badge, sentences, the service's own words, and next steps.

HTML and plain text share this text, so that both say the same. Must not depend on HTML, and adds
no fact that the state does not contain.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import assert_never

from kling_nb.core.formatting import byte_words, credit_words, one_line, time_words
from kling_nb.core.job_state import (
    Detached,
    Discarded,
    Downloading,
    Expired,
    Failed,
    JobFacts,
    JobState,
    OutOfSight,
    Preparing,
    Refused,
    Saved,
    Sending,
    Unknown,
    Uploading,
    Vanished,
    Waiting,
)
from kling_nb.core.money import DOLLARS_PER_CREDIT

from .card_failures import Entry, Tone, Wording, describe_failed, describe_refused, describe_unknown

__all__ = ["SLOWER", "Entry", "Tone", "Wording", "describe", "task_of", "usual_words", "wait_words"]

FREE = "The kernel is free: other cells can run."
SLOWER = "slower than usual"


def describe(
    facts: JobFacts,
    state: JobState,
    *,
    now: datetime,
    dollars_per_credit: float = DOLLARS_PER_CREDIT,
) -> Wording:
    """Say what a state means for the person who pays.

    Args:
        facts: The job.
        state: Where it stands.
        now: The present, in the reader's time zone; dates follow its calendar.
        dollars_per_credit: What a credit costs.
    """
    match state:
        case Preparing() | Uploading() | Sending() | Downloading():
            wording = describe_step(facts, state)
        case Waiting():
            wording = describe_waiting(state, now)
        case OutOfSight():
            wording = describe_out_of_sight(state, now)
        case Saved():
            wording = describe_saved(state)
        case Failed():
            wording = describe_failed(facts, state, now, dollars_per_credit)
        case Refused():
            wording = describe_refused(state)
        case Unknown():
            wording = describe_unknown(facts, state, now)
        case Vanished() | Expired():
            wording = describe_gone(facts, state)
        case Detached():
            wording = describe_detached(facts, state)
        case Discarded():
            wording = describe_discarded(state)
        case _:
            assert_never(state)
    return wording


def describe_step(facts: JobFacts, state: Preparing | Uploading | Sending | Downloading) -> Wording:
    """Say what the short steps before and after the wait do."""
    match state:
        case Preparing():
            return Wording(
                "Preparing", "run", "Checked, and noted on disk.", ("Nothing is sent yet.",)
            )
        case Uploading(sent_bytes=done, total_bytes=total):
            words = f"Sending the picture: {progress_words(done, total)}."
            return Wording("Uploading", "run", words, ("Uploading costs nothing.",))
        case Sending():
            price = facts.price_credits
            task = "the task" if price is None else f"the task for {credit_words(price)}"
            line = "Noted on disk: running the cell again pays nothing."
            return Wording("Sending", "run", f"Asking for {task}, once.", (line,))
        case Downloading(received_bytes=done, total_bytes=total):
            words = f"Fetching the clip: {progress_words(done, total)}."
            line = "The clip is done. The kernel is free."
            return Wording("Downloading", "run", words, (line,))
        case _:
            assert_never(state)


def progress_words(done_bytes: int, total_bytes: int | None) -> str:
    """Give `0.5 MB of 1.2 MB (41 %)`, or only what is done where the whole is not known."""
    if not total_bytes:
        return byte_words(done_bytes)
    share = min(100, 100 * done_bytes // total_bytes)
    return f"{byte_words(done_bytes)} of {byte_words(total_bytes)} ({share} %)"


def describe_waiting(state: Waiting, now: datetime) -> Wording:
    """Say that the service works, how long already and how long usually."""
    badges = {"waiting": "Waiting", "queuing": "Queued", "generating": "Generating"}
    headline = "elapsed " + " · ".join(wait_words(state, now))
    new_word = (
        "" if state.word in badges else f"The service calls it “{one_line(state.word, 40)}”. "
    )
    return Wording(badges.get(state.word, "Working"), "run", headline, (new_word + FREE,))


def wait_words(state: Waiting | OutOfSight, now: datetime) -> tuple[str, ...]:
    """Give the elapsed time, the usual time, and a remark once it takes longer."""
    passed_s = (now - state.since).total_seconds()
    usual = usual_words(state)
    late = (SLOWER,) if passed_s > state.expected_s else ()
    # Where there is little room the end is cut off: what is new comes first.
    return (time_words(passed_s), *late, usual)


def usual_words(state: Waiting | OutOfSight) -> str:
    """Give how long such a task usually takes."""
    return f"usually {time_words(state.expected_s)}"


def describe_out_of_sight(state: OutOfSight, now: datetime) -> Wording:
    """Say that nobody answers, and that this does not touch the job."""
    silence = time_words((now - state.failing_since).total_seconds())
    headline = f"No answer for {silence}; the job goes on."
    reason = one_line(state.reason).rstrip(".")
    return Wording("Out of sight", "away", headline, (f"We keep asking: {reason}.",))


def describe_saved(state: Saved) -> Wording:
    """Say that the clip is on disk, and under which name."""
    name = one_line(PurePath(state.clip.path).name)
    lead = "The clip was there already" if state.already else "The clip is saved"
    return Wording("Saved", "good", f"{lead}: {name}")


def describe_gone(facts: JobFacts, state: Vanished | Expired) -> Wording:
    """Say that a task or its clip cannot be had any more."""
    job_id = one_line(facts.id)
    forget = Entry(f"%kling forget {job_id}", "lets this cell submit, and pay, again")
    resume = Entry(f"%kling resume {job_id}", "asks the service once more, for 0 credits")
    lines = ("Running this cell again sends nothing.",)
    if isinstance(state, Expired):
        headline = "The clip is not on this disk, and it could not be fetched."
        return Wording("Expired", "warn", headline, lines, state.message, (resume, forget))
    headline = "The service cannot tell what became of this task."
    return Wording("Vanished", "warn", headline, lines, state.message, (resume, forget))


def describe_discarded(state: Discarded) -> Wording:
    """Say that the job ended before it could cost anything."""
    lines = (one_line(state.message),) if state.message.strip() else ()
    headline = "Ended early; nothing was sent that costs anything."
    return Wording("Discarded", "calm", headline, lines)


def describe_detached(facts: JobFacts, state: Detached) -> Wording:
    """Say that the job goes on without us."""
    why = (one_line(state.reason),) if state.reason.strip() else ()
    return Wording(
        "Detached",
        "calm",
        "Nobody follows this job here; the service goes on with it.",
        (*why, "Take it up within a day: results do not stay at the service for ever."),
        entries=(Entry(f"%kling resume {one_line(facts.id)}", "takes it up again, for 0 credits"),),
    )


def task_of(state: JobState) -> str:
    """Give the service's id of the task, empty where it has none or we do not know it."""
    return getattr(state, "task_id", "")
