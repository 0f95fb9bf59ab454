"""Compare the plan with the service's account and the ledgers, and give a verdict.

Pure, so that it is tested with tables written by hand. A request is known by one hash on all
sides. Must not know kernels, files or how the hash is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tests.chaos.troubles import TROUBLES

__all__ = ["KINDS", "Evidence", "Finding", "Kind", "Noted", "Paid", "Played", "Verdict", "judge"]

Kind = Literal["unnoted", "double", "lost", "corrupt", "unexplained", "wrong end", "no end"]
"""What must not be: a paid task that no ledger knows; a request paid twice; a finished clip that
is neither saved nor resumable; a broken ledger; an `unknown` that somebody could have known; any
other end than in the account; a run that does not end."""

KINDS: tuple[Kind, ...] = get_args(Kind)

RESUMABLE = frozenset({"accepted", "succeeded", "vanished", "expired"})
"""Stages from which `%kling resume` brings the clip."""

FROM_BEFORE = "discarded"
"""The stage of a request that was certainly never sent; another row has its end."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run as it came about."""

    number: int
    request: str
    trouble: str
    struck: bool
    """Whether the trouble met anything of this run."""
    killed: bool = False
    died_in: str = ""
    """The stage on disk at the instant of the kill; empty where there was none."""
    error: str = ""
    """What went wrong in a forked child of the kernel."""
    has_ended: bool = True
    """Whether the run came to an end in good time."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A task in the service's account."""

    task_id: str
    request: str
    state: str
    credits: float
    """What it costs as things stand; a failed one costs nothing."""
    clip_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """A row in a ledger."""

    job_id: str
    request: str
    stage: str
    task_id: str = ""
    clip_sha256: str = ""
    """Of the file on disk; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is judged."""

    played: tuple[Played, ...]
    paid: tuple[Paid, ...]
    """Oldest first, as the rows are."""
    noted: tuple[Noted, ...]
    integrity: tuple[str, ...]
    """What SQLite says of each ledger: `ok`, or what is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be."""

    kind: Kind
    number: int | None
    """The run; None if it is not known."""
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found, and how each run ended."""

    findings: tuple[Finding, ...]
    ends: Mapping[int, str]
    """Run → the stage that it ended in; empty where nothing was noted."""

    def count(self, *kinds: Kind) -> int:
        """How many findings are of these kinds."""
        return sum(finding.kind in kinds for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Case:
    """One request: the run, its tasks and its rows."""

    run: Played
    tasks: tuple[Paid, ...]
    rows: tuple[Noted, ...]

    @property
    def charged(self) -> list[Paid]:
        """The tasks that cost something."""
        return [task for task in self.tasks if task.credits > 0]

    @property
    def doubtful(self) -> bool:
        """Whether the client cannot know if a task was made."""
        trouble = TROUBLES.get(self.run.trouble)
        if trouble is None or not self.run.struck:
            return self.run.died_in == "sending"
        if trouble.is_after_answer:
            return False
        return trouble.leaves == "doubt" or self.run.died_in == "sending"

    def may_end(self, leaves: str) -> bool:
        """Whether the run's trouble accounts for such an end."""
        trouble = TROUBLES.get(self.run.trouble)
        return trouble is not None and trouble.leaves == leaves and self.run.struck

    def row_of(self, task: Paid) -> Noted | None:
        """The row that names the task, else one that says it may exist."""
        named = [row for row in self.rows if row.task_id == task.task_id]
        return next(iter(named or [row for row in self.rows if row.stage == "unknown"]), None)


def judge(evidence: Evidence) -> Verdict:
    """Read the account against the ledgers."""
    cases = [
        Case(
            run,
            tuple(task for task in evidence.paid if task.request == run.request),
            tuple(row for row in evidence.noted if row.request == run.request),
        )
        for run in evidence.played
    ]
    findings = [finding for case in cases for finding in findings_of(case)]
    findings += strangers(evidence)
    findings += [Finding("corrupt", None, said) for said in evidence.integrity if said != "ok"]
    ends = {case.run.number: case.rows[-1].stage if case.rows else "" for case in cases}
    return Verdict(tuple(findings), ends)


def findings_of(case: Case) -> Iterator[Finding]:
    """What is wrong with one request."""
    number = case.run.number
    if case.run.error:
        yield Finding("wrong end", number, case.run.error)
    if not case.run.has_ended:
        yield Finding("no end", number, f"it was given up: {story(case)}")
    if len(case.charged) > 1:
        ids = ", ".join(task.task_id for task in case.charged)
        yield Finding("double", number, f"paid {len(case.charged)} times: {ids}")
    covered: set[str] = set()
    for task in case.charged:
        row = case.row_of(task)
        # An `unknown` row stands for one task only.
        if row is None or row.job_id in covered:
            yield Finding("unnoted", number, f"task {task.task_id} is paid and no row knows it")
            continue
        covered.add(row.job_id)
        if task.state == "success" and not is_kept(row, task):
            yield Finding("lost", number, f"the clip of task {task.task_id} is {row.stage}")
    yield from wrong_rows(case)


def is_kept(row: Noted, task: Paid) -> bool:
    """Whether the clip is here, or can still be had."""
    if row.stage == "saved":
        return row.clip_sha256 == task.clip_sha256 != ""
    return row.stage in RESUMABLE or row.stage == "unknown"


def wrong_rows(case: Case) -> Iterator[Finding]:
    """Rows that contradict the account, and requests without an end."""
    number = case.run.number
    if not case.rows or case.rows[-1].stage == FROM_BEFORE:
        yield Finding("wrong end", number, "nothing came of the request")
    for row in case.rows:
        if row.stage == "unknown":
            if not case.doubtful:
                yield Finding("unexplained", number, f"job {row.job_id}: {story(case)}")
        elif row.stage != FROM_BEFORE and not is_true(row, case):
            yield Finding("wrong end", number, f"job {row.job_id} is {row.stage}: {story(case)}")


def is_true(row: Noted, case: Case) -> bool:
    """Whether the account has the same end as the row."""
    states = {task.task_id: task.state for task in case.tasks}
    match row.stage:
        case "saved":
            return states.get(row.task_id) == "success"
        case "failed":
            return states.get(row.task_id) == "fail" and case.may_end("failure")
        case "refused":
            return case.may_end("refusal")
    return False


def strangers(evidence: Evidence) -> Iterable[Finding]:
    """Tasks and rows of requests that are not in the plan."""
    planned = {run.request for run in evidence.played}
    for task in evidence.paid:
        if task.request not in planned:
            yield Finding("unnoted", None, f"task {task.task_id} was never asked for")
    for row in evidence.noted:
        if row.request not in planned:
            yield Finding("wrong end", None, f"job {row.job_id} was never asked for")


def story(case: Case) -> str:
    """What happened to a run, for people."""
    run = case.run
    words = f"trouble {run.trouble}" + (" (struck)" if run.struck else "")
    if run.killed:
        words += f", killed while {run.died_in or 'nothing was noted'}"
    return f"{words}; tasks {[task.state for task in case.tasks]}"
