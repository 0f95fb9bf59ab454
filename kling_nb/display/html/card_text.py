"""Text of cards in each state, and whole cards and tables as plain text.

HTML and plain text share the badge, the sentences, the service's message and the next steps. Plain
text is for terminals, Markdown exports and screen readers. Must not depend on HTML, and adds no
fact that the state does not contain.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import assert_never

from kling_nb.core.formatting import (
    format_about,
    format_bytes,
    format_credits,
    format_date,
    format_duration,
    to_one_line,
)
from kling_nb.core.job_state import (
    Deleted,
    Detached,
    Discarded,
    Downloading,
    Expired,
    Failed,
    JobState,
    Preparing,
    Refused,
    Saved,
    Sending,
    Unknown,
    Unresponsive,
    Uploading,
    Vanished,
    Waiting,
)
from kling_nb.storage.job_record import JobRecord

from .card_failures import Entry, Wording, describe_failed, describe_refused, describe_unknown
from .prices import cost_line, format_clip, format_take_price

_FREE = "You can keep working: other cells can run."
LATE = "longer than usual"


def describe(record: JobRecord, state: JobState, *, now: datetime) -> Wording:
    """Return the text for a state; `now` is in the reader's time zone."""
    match state:
        case Preparing() | Uploading() | Sending() | Downloading():
            wording = _describe_step(record, state)
        case Waiting():
            wording = _describe_waiting(state, now)
        case Unresponsive():
            wording = _describe_out_of_sight(state, now)
        case Saved():
            wording = _describe_saved(state)
        case Failed():
            wording = describe_failed(record, state, now)
        case Refused():
            wording = describe_refused(state)
        case Unknown():
            wording = describe_unknown(record, state, now)
        case Vanished() | Expired() | Deleted():
            wording = _describe_gone(record, state, now)
        case Detached():
            wording = _describe_detached(record, state)
        case Discarded():
            wording = _describe_discarded(state)
        case _:
            assert_never(state)
    return wording


def _describe_step(
    record: JobRecord, state: Preparing | Uploading | Sending | Downloading
) -> Wording:
    """Describe the short steps before and after the wait."""
    match state:
        case Preparing():
            return Wording(
                "Preparing",
                "run",
                "Validated and recorded on disk.",
                ("Nothing has been sent yet.",),
            )
        case Uploading(sent_bytes=done, total_bytes=total):
            words = f"Uploading the inputs: {_format_progress(done, total)}."
            return Wording("Uploading", "run", words, ("Uploading costs nothing.",))
        case Sending():
            price = record.price_credits
            task = "the task" if price is None else f"the task for {format_credits(price)}"
            line = "Recorded on disk: running the cell again costs nothing."
            return Wording("Sending", "run", f"Requesting {task}, once.", (line,))
        case Downloading(received_bytes=done, total_bytes=total):
            words = f"Downloading the clip: {_format_progress(done, total)}."
            if not done and total is None:  # other downloads come first
                words = "Waiting to download the clip."
            line = "The clip is ready. You can keep working."
            return Wording("Downloading", "run", words, (line,))
        case _:
            assert_never(state)


def _format_progress(done_bytes: int, total_bytes: int | None) -> str:
    """Format `0.5 MB of 1.2 MB (41 %)`, or only the bytes done if the total is unknown."""
    if not total_bytes:
        return format_bytes(done_bytes)
    share = min(100, 100 * done_bytes // total_bytes)
    return f"{format_bytes(done_bytes)} of {format_bytes(total_bytes)} ({share} %)"


def _describe_waiting(state: Waiting, now: datetime) -> Wording:
    """Describe a task in progress: elapsed and usual time."""
    badges = {"waiting": "Waiting", "queuing": "Queued", "generating": "Generating"}
    headline = "elapsed " + " · ".join(format_wait(state, now))
    new_word = (
        "" if state.word in badges else f"The service reports “{to_one_line(state.word, 40)}”. "
    )
    return Wording(badges.get(state.word, "Working"), "run", headline, (new_word + _FREE,))


def format_wait(state: Waiting | Unresponsive, now: datetime) -> tuple[str, ...]:
    """Format the elapsed time, a remark if the task is late, and the usual time if known."""
    passed_s = (now - state.since).total_seconds()
    late = LATE if 0 < state.late_s < passed_s else ""
    # A narrow page cuts off the end, so the remark comes before the usual time.
    return tuple(filter(None, (format_duration(passed_s), late, format_usual(state))))


def format_usual(state: Waiting | Unresponsive) -> str:
    """Format the usual duration, e.g. `usually 2, rarely over 3 min`; empty if unknown.

    The first time is the median, the second the 90th percentile.
    """
    if not state.expected_s:
        return ""
    usual, most = format_about(state.expected_s), format_about(state.late_s)
    if usual == most:
        return f"usually {usual}"
    unit = most.rpartition(" ")[2]
    return f"usually {usual.removesuffix(f' {unit}')}, rarely over {most}"


def _describe_out_of_sight(state: Unresponsive, now: datetime) -> Wording:
    """Describe a service that does not answer, while the job goes on."""
    silence = format_duration((now - state.failing_since).total_seconds())
    headline = f"No answer for {silence}; the job continues."
    reason = to_one_line(state.reason).rstrip(".")
    return Wording("No answer", "away", headline, (f"Polling continues: {reason}.",))


def _describe_saved(state: Saved) -> Wording:
    """Describe a saved clip, with its file name."""
    name = to_one_line(PurePath(state.clip.path).name)
    lead = "The clip already exists" if state.already else "The clip is saved"
    return Wording("Saved", "good", f"{lead}: {name}")


def _describe_gone(
    record: JobRecord, state: Vanished | Expired | Deleted, now: datetime
) -> Wording:
    """Describe a task or clip that is no longer available."""
    if isinstance(state, Deleted):
        return _describe_deleted(record, state, now)
    job_id = to_one_line(record.id)
    forget = Entry(f"%kling forget {job_id}", "allows this cell to submit, and pay, again")
    resume = Entry(f"%kling resume {job_id}", "checks with the service again, for 0 credits")
    lines = ("Running this cell again sends nothing.",)
    if isinstance(state, Expired):
        headline = "The clip is not on this disk and could not be downloaded."
        return Wording("Expired", "warn", headline, lines, state.message, (resume, forget))
    headline = "The service no longer knows this task."
    return Wording("Vanished", "warn", headline, lines, state.message, (resume, forget))


def _describe_deleted(record: JobRecord, state: Deleted, now: datetime) -> Wording:
    """Describe a clip that the user has deleted: how to get it back, or another one."""
    job_id = to_one_line(record.id)
    lines = ["Running this cell again sends nothing."]
    if now < state.kept_until:
        until = format_date(state.kept_until, now)
        text = f"downloads it again, for 0 credits; the service keeps it until about {until}"
        entry = Entry(f"%kling resume {job_id}", text)
    else:
        lines.append("The service has probably deleted it, too.")
        text = f"in this cell requests another clip: {format_take_price(record, now)}"
        entry = Entry(f"--take {record.take + 1}", text)
    headline = f"You deleted this clip on {format_date(state.at, now)}."
    return Wording("Deleted", "calm", headline, tuple(lines), entries=(entry,))


def _describe_discarded(state: Discarded) -> Wording:
    """Describe a job that ended before it could cost anything."""
    lines = (to_one_line(state.message),) if state.message.strip() else ()
    headline = "Ended before a task was created; nothing was charged."
    return Wording("Discarded", "calm", headline, lines)


def _describe_detached(record: JobRecord, state: Detached) -> Wording:
    """Describe a job that is not polled in this kernel."""
    why = (to_one_line(state.reason),) if state.reason.strip() else ()
    return Wording(
        "Detached",
        "calm",
        "This kernel no longer polls the job; the task continues.",
        (*why, "Resume it within 14 days; after that, the service deletes the result."),
        entries=(
            Entry(f"%kling resume {to_one_line(record.id)}", "resumes the job, for 0 credits"),
        ),
    )


def task_of(state: JobState) -> str:
    """Return the service's task id; empty if there is none or it is unknown."""
    return getattr(state, "task_id", "")


MODE_BADGE = "Emulated"
WARNING_BADGE = "Warning"
_PROMPT_LIMIT = 100


def render_text(record: JobRecord, state: JobState, *, now: datetime) -> str:
    """Return the card as at most four lines of plain text, and one more for each warning."""
    wording = describe(record, state, now=now)
    task_id = task_of(state)
    head = (
        wording.badge,
        MODE_BADGE.upper() if record.emulated else "",
        to_one_line(record.model),
        f"job {to_one_line(record.id)}",
        f"take {record.take}" if record.take != 1 else "",
        f"task {to_one_line(task_id)}" if task_id else "",
    )
    money = cost_line(record, state, now=now)
    if isinstance(state, Saved):
        more = (PurePath(path).name for path in state.others)
        money = " · ".join(
            (format_clip(state.clip), money, *map(to_one_line, (*more, *state.other_urls)))
        )
    lines = (
        " · ".join(filter(None, head)),
        titled(record.title, to_one_line(record.prompt, _PROMPT_LIMIT)),
        money,
        *map(warning_text, shown_warnings(record, state)),
        _wording_text(wording),
    )
    return "\n".join(line for line in lines if line)


def titled(title: str, prompt: str) -> str:
    """Return a prompt with the title of its clip before it, if there is one."""
    return " · ".join(filter(None, (to_one_line(title), prompt)))


def shown_warnings(record: JobRecord, state: JobState) -> tuple[str, ...]:
    """Return the warnings of a request; none after the clip is saved."""
    return () if isinstance(state, Saved) else record.warnings


def warning_text(warning: str) -> str:
    """Return a warning as a line of plain text."""
    return f"{WARNING_BADGE}: {to_one_line(warning)}"


def _wording_text(wording: Wording) -> str:
    """Return the text of a card as one line."""
    quote = f"“{to_one_line(wording.quote)}”" if wording.quote.strip() else ""
    entries = (f"{entry.name}: {entry.text}" for entry in wording.entries)
    parts = (wording.headline, wording.cost, quote, *wording.lines, *entries)
    return " ".join(part if part[-1] in ".!?”" else f"{part}." for part in parts if part)
