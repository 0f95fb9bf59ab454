"""Measure the package and print a table: the figures, the figures of other programs, and the goals.

    python -m tests.bench [--only PART] [--small]

It takes less than ten minutes on two cores; run nothing else meanwhile. Only the ratios can be
compared between machines. Requires Linux, `pip install -e '.[test,bench]'`, and curl.
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
"""The measurements by name; each takes whether to use small numbers."""


def main() -> None:
    """Read the options, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this part; repeatable"
    )
    parser.add_argument("--small", action="store_true", help="small numbers, to test that it runs")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.only or PARTS:
        begun = time.monotonic()
        figures += PARTS[name](options.small)
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(render_table(figures))


if __name__ == "__main__":
    main()
