"""Measure how fast a real kernel runs cells while jobs run, compared with no jobs."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kernel.kernels import Kernel, environment, open_kernel
from tests.support.stand_in import serve_stand_in

from .figures import Figure, at_most
from .samples import live_settings, spread, write_clip, write_history

SETUP = "import kling_nb as kling; jobs = []"
START = """
for n in range({first}, {last}):
    jobs.append(kling.text_to_video(f"Scene {{n}}"))
    display(jobs[-1])
"""
A_CELL = 10


@dataclass(frozen=True, slots=True)
class Load:
    """Number of jobs, durations of their tasks, and how long cells are timed, in seconds."""

    jobs: int = 100
    ends_s: tuple[float, float] = (20.0, 30.0)
    alone_s: float = 5.0
    busy_s: float = 25.0


SMALL = Load(10, (1.0, 2.0), 0.5, 1.0)


def measure_kernel(small: bool) -> list[Figure]:
    """Measure a trivial cell while 100 jobs run, end and show their clips."""
    load = SMALL if small else Load()
    with TemporaryDirectory() as home:
        folder = Path(home, "work")
        folder.mkdir()
        write_history(folder / "clips", spread(*load.ends_s))
        clip = write_clip(folder / "clip.mp4", 300_000)
        with serve_stand_in("--ends", *load.ends_s, "--clip", clip) as service:
            settings = live_settings(service.url, folder / "clips")
            names = {f"KLING_NB_{name.upper()}": value for name, value in settings.items()}
            names["KIE_API_KEY"] = names.pop("KLING_NB_API_KEY")
            with open_kernel(folder, environment(Path(home), **names)) as kernel:
                alone_s = time_cells(kernel, load.alone_s)
                kernel.run(SETUP)
                for first in range(0, load.jobs, A_CELL):
                    kernel.run(START.format(first=first, last=min(first + A_CELL, load.jobs)))
                busy_s = time_cells(kernel, load.busy_s)
    name = f"trivial cell while {load.jobs} jobs run"
    figures = zip(("p50", "p99", "max"), quantiles_ms(busy_s), quantiles_ms(alone_s), strict=True)
    return [
        Figure(
            f"{name}: {which}",
            busy_ms,
            "ms",
            "without jobs",
            alone_ms,
            at_most(40) if which == "p99" else None,
        )
        for which, busy_ms, alone_ms in figures
    ]


def time_cells(kernel: Kernel, for_s: float) -> list[float]:
    """Run trivial cells one after the other, and return their times in seconds."""
    answer_s(kernel)
    deadline, times_s = time.monotonic() + for_s, list[float]()
    while len(times_s) < 2 or time.monotonic() < deadline:
        times_s.append(answer_s(kernel))
    return times_s


def answer_s(kernel: Kernel) -> float:
    """Return the time from the request to the reply of a trivial cell, in seconds."""
    begun = time.perf_counter()
    request = kernel.client.execute("1", silent=True)
    while True:
        reply = kernel.client.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == request:
            return time.perf_counter() - begun


def quantiles_ms(times_s: list[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and maximum in milliseconds."""
    p99_s = statistics.quantiles(times_s, n=100, method="inclusive")[98]
    return 1000 * statistics.median(times_s), 1000 * p99_s, 1000 * max(times_s)
