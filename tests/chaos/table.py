"""The table of a verdict, for people. Pure: values in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.chaos.judge import KINDS, Evidence, Played, Verdict
from tests.chaos.troubles import CALM, TROUBLES

__all__ = ["write_table"]

ENDS = ("saved", "failed", "refused", "unknown")
HEAD = ("trouble", "runs", "killed", *ENDS, "other", *KINDS)
SHOWN = 30


def write_table(evidence: Evidence, verdict: Verdict) -> str:
    """Counts for each trouble, then what was found."""
    rows = [
        write_row(name, [run for run in evidence.played if run.trouble == name], verdict)
        for name in (CALM, *TROUBLES)
    ]
    rows.append(write_row("all", evidence.played, verdict))
    told = [
        f"{'no run' if found.number is None else f'run {found.number}'}: {found.kind}: {found.text}"
        for found in verdict.findings[:SHOWN]
    ]
    return "\n".join([align([HEAD, *rows]), write_deaths(evidence.played), *told])


def write_deaths(played: Iterable[Played]) -> str:
    """Count the stages of the killed runs."""
    deaths = Counter(run.died_in or "nothing noted" for run in played if run.killed)
    counts = ", ".join(f"{stage} {count}" for stage, count in deaths.most_common())
    return f"killed while {counts}" if counts else "no kernel was killed"


def write_row(name: str, played: Sequence[Played], verdict: Verdict) -> tuple[str, ...]:
    """The counts of some runs."""
    numbers = {run.number for run in played}
    ends = Counter(verdict.ends[run.number] for run in played)
    found = Counter(
        finding.kind for finding in verdict.findings if finding.number in numbers or name == "all"
    )
    counts = [
        len(played),
        sum(run.killed for run in played),
        *(ends[end] for end in ENDS),
        len(played) - sum(ends[end] for end in ENDS),
        *(found[kind] for kind in KINDS),
    ]
    return (name, *(str(count) for count in counts))


def align(rows: Iterable[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left and the others to the right."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
