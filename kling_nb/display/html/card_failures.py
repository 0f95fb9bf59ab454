"""Text of cards for refused, failed and unknown jobs: what happened, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kling_nb.core.charge_evidence import (
    Reason,
    Verdict,
    format_balance_change,
    format_verdict,
    judge,
)
from kling_nb.core.formatting import format_balance, format_date, format_duration, to_one_line
from kling_nb.core.job_state import Failed, Refused, Unknown
from kling_nb.core.money import format_price
from kling_nb.kie.failures import find_cause
from kling_nb.storage.job_record import JobRecord

Tone = Literal["run", "away", "good", "bad", "warn", "calm"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row below the text: a command, or a refused field."""

    name: str
    """A command, or the name of the field."""
    text: str


@dataclass(frozen=True, slots=True)
class Wording:
    """The text of a card for a state, as plain text."""

    badge: str
    tone: Tone
    headline: str
    lines: tuple[str, ...] = ()
    quote: str = ""
    """The service's message."""
    entries: tuple[Entry, ...] = ()
    answer: str = ""
    """The service's raw answer; cards show it folded."""
    cost: str = ""
    """What was paid, if it is known here; shown before the reasons."""


_COST_NOT_REPORTED = "The service did not report the cost"
_ACCOUNT_LOGS = "the logs page of your account at kie.ai"


def describe_failed(record: JobRecord, state: Failed, now: datetime) -> Wording:
    """Describe why there is no clip, its cost, and what to change."""
    cause = find_cause(state.code, state.message)
    lines = [cause.meaning, cause.change]
    if state.credits == 0 and record.price_credits is not None:
        again = format_price(record.price_credits)
        lines.append(f"Running this cell again makes a new task: {again}.")
    quote = _format_quote(state.message, state.code)
    headline = "The service could not make this clip."
    return Wording(
        "Failed",
        "bad",
        headline,
        tuple(lines),
        quote,
        answer=state.evidence.answer.strip(),
        cost=_describe_cost(record, state, now),
    )


def _format_quote(message: str, code: str) -> str:
    """Return the service's message with its code."""
    number = f" (code {to_one_line(code, 40)})" if code.strip() else ""
    return f"{to_one_line(message) or 'no message'}{number}"


def _describe_cost(record: JobRecord, state: Failed, now: datetime) -> str:
    """Describe the cost of a failed task: the service's figure, else the balance evidence."""
    if record.emulated:
        return "It cost nothing."
    if state.credits == 0:
        return "The service reports a cost of 0 credits."
    if state.credits is not None:
        price = format_price(state.credits)
        return f"The service reports a cost of {price}; `%kling balance` shows any refund."
    watch = state.evidence.watch
    if watch is None:
        return f"{_COST_NOT_REPORTED}; `%kling balance` shows what is left."
    if watch.is_running(now):
        return f"{_COST_NOT_REPORTED}; the balance is checked again a minute later."
    return f"{_COST_NOT_REPORTED}. {_describe_refund(judge(state.evidence), is_over=watch.is_over)}"


def _describe_refund(verdict: Verdict, *, is_over: bool) -> str:
    """Describe what the balance shows about the credits of a failed task."""
    if verdict.reason is Reason.STILL:
        balance = format_balance(verdict.after_credits or 0.0)
        return f"It very probably cost nothing: the balance is still {balance}."
    if verdict.reason is Reason.FELL and is_over:
        return (
            f"It was very probably charged: {format_balance_change(verdict)}, exactly the price, "
            f"with no refund in {format_duration(verdict.lasted_s)}."
        )
    if verdict.reason is Reason.FELL:
        return f"Cannot tell: {format_balance_change(verdict)}, and nothing later shows a refund."
    return format_verdict(verdict)


def describe_refused(state: Refused) -> Wording:
    """Describe which fields were refused and why, else what the refusal means."""
    is_repeated = state.problems and all(
        str(problem) in state.message for problem in state.problems
    )
    if not state.code.strip() and not state.problems:  # it did not reach the service
        headline = "Not sent; no task was created and nothing was charged."
        return Wording("Not sent", "bad", headline, tuple(filter(None, (state.message,))))
    lines: tuple[str, ...] = ()
    if state.code.strip():
        cause = find_cause(state.code, state.message)
        lines = (cause.meaning, cause.change)
    quote = _format_quote(state.message, state.code) if state.code.strip() else state.message
    return Wording(
        "Refused",
        "bad",
        "Not accepted; no task was created and nothing was charged.",
        lines,
        quote="" if is_repeated else quote,
        entries=tuple(
            Entry(
                to_one_line(problem.field),
                f"{to_one_line(problem.given)}; {to_one_line(problem.allowed)}",
            )
            for problem in state.problems
        ),
        answer=state.evidence.answer.strip(),
    )


def describe_unknown(record: JobRecord, state: Unknown, now: datetime) -> Wording:
    """Describe a lost or unclear answer: the evidence, and the commands to resolve it."""
    local = state.at.astimezone(now.tzinfo)
    when = f"{local:%H:%M} on {format_date(state.at, now)}"
    watch = state.evidence.watch
    watching = ("The balance is checked for a minute.",) if watch and watch.is_running(now) else ()
    look = f"In live mode, {_ACCOUNT_LOGS} would show it."
    if not record.emulated:
        look = f"Look for it on {_ACCOUNT_LOGS}."
    ids = state.evidence.task_ids
    title, headline = "Answer lost", "The answer was lost. The task may exist and may be paid for."
    if ids:
        title = "Answer unclear"
        headline = "The answer is unclear and names a task. The task may be paid for."
    elif state.evidence.answer.strip():
        title = "Answer unclear"
        headline = "The answer is unclear. The task may exist and may be paid for."
    return Wording(
        title,
        "warn",
        headline,
        (
            f"At {when}: {to_one_line(state.reason).rstrip('.')}.",
            format_verdict(judge(state.evidence)),
            *watching,
            f"{look} Running this cell again sends nothing.",
        ),
        entries=(
            *(_adopt_entry(record, each) for each in ids or ("TASK_ID",)),
            Entry(
                f"%kling forget {to_one_line(record.id)}",
                "if it does not exist; this cell can then submit, and pay, again",
            ),
        ),
        answer=state.evidence.answer.strip(),
    )


def _adopt_entry(record: JobRecord, task_id: str) -> Entry:
    """Return the command that adopts a task, with the job's id if the task's id is known."""
    job_id = "" if task_id == "TASK_ID" else f" {to_one_line(record.id)}"
    command = f"%kling adopt {to_one_line(task_id)}{job_id}"
    return Entry(command, "if the task exists; this also downloads its clip")
