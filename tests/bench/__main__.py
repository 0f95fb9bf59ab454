"""Measure the package and print a table: today's figures, what ran beside them, and the goals.

    python -m tests.bench [--only PART] [--small]

It takes less than ten minutes on two cores; leave the machine alone meanwhile. Only ratios mean
something on another machine. Linux only, with `pip install -e '.[test,bench]'`, and curl.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from . import (
    emulator,
    free_kernel,
    jobs_at_once,
    ledger_size,
    media_memory,
    polling,
    schedule,
    start_up,
    transfers,
)
from .figures import Figure, render_table

PARTS: dict[str, Callable[[bool], list[Figure]]] = {
    "jobs": jobs_at_once.measure_many,
    "jobs-with-clips": jobs_at_once.measure_many_with_clips,
    "cpu": jobs_at_once.measure_cpu,
    "polling": polling.measure_polling,
    "schedule": schedule.measure_schedule,
    "download": transfers.measure_download,
    "upload": transfers.measure_upload,
    "memory": media_memory.measure_memory,
    "ledger": ledger_size.measure_ledger,
    "start-up": start_up.measure_start_up,
    "kernel": free_kernel.measure_kernel,
    "emulator-clips": emulator.measure_clips,
    "emulator-answer": emulator.measure_answer,
}
"""By name: a measurement, which takes whether it is done with small numbers."""


def main() -> None:
    """Read the options, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--small", action="store_true", help="small numbers: does it run at all?")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.only or PARTS:
        begun = time.monotonic()
        figures += PARTS[name](options.small)
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(render_table(figures))


if __name__ == "__main__":
    main()
