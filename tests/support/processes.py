"""Python processes that tests start, signal and kill; they speak in lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kling_nb

__all__ = ["PACKAGE", "go_on", "python", "read_line"]

PACKAGE = {"PYTHONPATH": str(Path(kling_nb.__path__[0]).parent)}
"""Environment of a process that imports the package."""


@contextmanager
def python(
    script: str, *arguments: object, cwd: Path | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a process of its own, which is killed at the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | PACKAGE | environment,
        cwd=cwd,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    return process.stdout.readline().strip()  # type: ignore[union-attr]


def go_on(*processes: subprocess.Popen[str]) -> None:
    """Let processes that wait for a line go on."""
    for process in processes:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
