"""Measure the start-up of a notebook in a fresh process, compared with `import ipywidgets`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .figures import Figure, at_most
from .processes import run_fresh

IPYWIDGETS = "import ipywidgets"


def measure_start_up(small: bool) -> list[Figure]:
    """Measure `%load_ext`, the session and the first panel, in this order in one process.

    The session is timed after the status of `%load_ext` is complete; before, a thread may import.
    """
    repeats = 1 if small else 7
    rounds = [(run_fresh(start_package), run_fresh(import_ipywidgets)) for _ in range(repeats)]
    load_ms, status_ms, session_ms, panel_ms = (
        statistics.median(values) for values in zip(*(ours for ours, _ in rounds), strict=True)
    )
    beside = (IPYWIDGETS, statistics.median(theirs for _, theirs in rounds))
    return [
        Figure("`%load_ext`", load_ms, "ms", *beside, at_most(200)),
        Figure("`%load_ext`: until its status is complete", status_ms, "ms", *beside),
        Figure("Session", session_ms, "ms", *beside, at_most(60)),
        Figure("first panel", panel_ms, "ms", *beside, at_most(500)),
    ]


def start_package() -> tuple[float, float, float, float]:
    """Return the times of `%load_ext`, its status, a session and a panel, in milliseconds."""
    from tests.support.shells import open_shell, wait_for_update

    with open_shell("notebook") as shell:
        with measure_ms() as status_ms:
            with measure_ms() as load_ms:
                shell.run_line_magic("load_ext", "kling_nb")
            wait_for_update(shell)
        with measure_ms() as session_ms:
            from kling_nb import Session

            Session(mode="emulator", folder=Path("clips").absolute()).jobs()  # opens the ledger
        with measure_ms() as panel_ms:
            shell.run_cell("%kling panel").raise_error()
    return load_ms[0], status_ms[0], session_ms[0], panel_ms[0]


def import_ipywidgets() -> float:
    """Return the time of `import ipywidgets` in a notebook's shell, in milliseconds."""
    from tests.support.shells import open_shell

    with open_shell("notebook"), measure_ms() as import_ms:
        import ipywidgets  # noqa: F401
    return import_ms[0]


@contextmanager
def measure_ms() -> Iterator[list[float]]:
    """Measure the block; append its time in milliseconds to the yielded list."""
    begun, times = time.perf_counter(), list[float]()
    yield times
    times.append(1000 * (time.perf_counter() - begun))
