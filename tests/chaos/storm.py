"""A storm: a plan played in several lanes at once, and judged.

Puts the parts together and does nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.judge import Evidence
from tests.chaos.lane import Lane
from tests.chaos.plan import Run
from tests.support.service import serve

__all__ = ["blow"]


def blow(plan: Sequence[Run], folder: Path, *, broken: str = "") -> Evidence:
    """Play a plan; everything that it leaves is below `folder`."""
    lanes = sorted({run.lane for run in plan})

    def play(number: int) -> Evidence:
        home = folder / f"lane {number}"
        with serve(home / "service") as served:
            return Lane(home, served, broken).play(run for run in plan if run.lane == number)

    with ThreadPoolExecutor(len(lanes)) as pool:
        parts = list(pool.map(play, lanes))
    return Evidence(
        tuple(run for part in parts for run in part.played),
        tuple(task for part in parts for task in part.paid),
        tuple(row for part in parts for row in part.noted),
        tuple(said for part in parts for said in part.integrity),
    )
