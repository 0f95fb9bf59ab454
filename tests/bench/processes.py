"""Run functions in fresh processes, and measure their CPU time and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.processes import PACKAGE

__all__ = ["Usage", "measure_usage", "peak_mb", "run_fresh", "wait_until_done"]

OWN_SETTINGS = ("KIE_", "KLING_", "XDG_")

SCRIPT = """
import importlib, json, os, sys
module, function, arguments = json.loads(sys.argv[1])
found = getattr(importlib.import_module(module), function)(*arguments)
with open("result.json", "w") as file:
    json.dump(found, file)
os._exit(0)  # what still runs is not waited for
"""


def run_fresh(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function of a module in a fresh interpreter, and return its result.

    The process has its own home and working directory, and no settings of this machine.

    Args:
        function: The function; it must return JSON types.
        arguments: Its arguments, JSON types.
    """
    call = json.dumps((function.__module__, function.__name__, arguments))
    kept = {name: text for name, text in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    # The caller's folders come after the package; one may contain the OpenAI SDK.
    path = os.pathsep.join([PACKAGE["PYTHONPATH"], kept.get("PYTHONPATH", "")])
    with TemporaryDirectory() as home:
        own = {
            "HOME": home,
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state",
            "PYTHONPATH": path,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        command = [sys.executable, "-c", SCRIPT, call]
        quiet = subprocess.DEVNULL  # a shell prints the results of its cells
        subprocess.run(command, cwd=home, env=kept | own, check=True, stdout=quiet)
        return json.loads(Path(home, "result.json").read_text())


@dataclass(slots=True)
class Usage:
    """Time and CPU use of a block."""

    began_at: float
    """Start of the block, in epoch seconds."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """CPU time of all threads of this process, user and system."""


@contextmanager
def measure_usage() -> Iterator[Usage]:
    """Measure the block."""
    usage, began_s, cpu_s = Usage(time.time()), time.perf_counter(), own_cpu_s()
    yield usage
    usage.wall_s = time.perf_counter() - began_s
    usage.cpu_s = own_cpu_s() - cpu_s


def own_cpu_s() -> float:
    """Return the CPU time of this process in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB.

    Reads /proc, because `ru_maxrss` of a new process starts at the value of its parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) / 1000


def wait_until_done(job_count: int, ended: threading.Semaphore, patience_s: float) -> int:
    """Wait for one release of a semaphore per job; return the number of releases in time."""
    deadline, done = time.monotonic() + patience_s, 0
    while done < job_count and ended.acquire(timeout=max(deadline - time.monotonic(), 0)):
        done += 1
    return done
