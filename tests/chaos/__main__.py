"""The command: `python -m tests.chaos --runs 1000 --kills 200 --seed 7`.

Owns options and exit codes: 0 when nothing was found, 1 otherwise. With `--broken RULE` the
kernels break that rule on purpose, and 0 means that this was found.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.broken import RULES
from tests.chaos.judge import judge
from tests.chaos.plan import make_plan
from tests.chaos.storm import blow
from tests.chaos.table import write_table

__all__ = ["main"]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="requests (%(default)s)")
    parser.add_argument("--kills", type=int, default=12, help="killed kernels (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same plan (%(default)s)")
    parser.add_argument("--lanes", type=int, default=4, help="kernels at a time (%(default)s)")
    parser.add_argument("--broken", choices=RULES, default="", help="a rule to break on purpose")
    parser.add_argument("--folder", type=Path, help="keep everything here (default: nothing kept)")
    options = parser.parse_args(arguments)
    if options.folder and options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"--folder: {options.folder} is not empty; give a new one")
    return options


def main(arguments: list[str]) -> int:
    """Play, judge, print."""
    options = parse(arguments)
    print(f"seed {options.seed}: {options.runs} runs, {options.kills} kills", flush=True)
    plan = make_plan(options.seed, options.runs, options.kills, options.lanes)
    began = time.monotonic()
    with TemporaryDirectory() as aside:
        evidence = blow(plan, options.folder or Path(aside), broken=options.broken)
    verdict = judge(evidence)
    print(write_table(evidence, verdict))
    print(f"{len(evidence.paid)} tasks, {len(evidence.noted)} rows,", end=" ")
    print(f"{len(verdict.findings)} findings, {time.monotonic() - began:.0f} s")
    if options.broken:
        kind = RULES[options.broken].finding
        caught = verdict.count(kind)
        print(f"without the rule {options.broken!r}, {kind}: {caught or 'MISSED'}")
        return 0 if caught else 1
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
