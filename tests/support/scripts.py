"""A coroutine to wait for, and code to run in an interpreter of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

__all__ = ["answer", "run_script"]


async def answer(value: int = 42) -> int:
    """A coroutine that really waits once."""
    await asyncio.sleep(0)
    return value


def run_script(text: str, *, code: int = 0, start: str = "") -> str:
    """What a fresh interpreter prints that takes every warning as an error.

    Args:
        text: The code.
        code: The exit code that it must have.
        start: Code that runs in the process before that interpreter takes its place.
    """
    command = [
        sys.executable,
        "-c",
        f"import os, sys; {start}; os.execv(sys.argv[1], sys.argv[1:])",
    ]
    done = subprocess.run(
        [
            *(command if start else []),
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-c",
            textwrap.dedent(text),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    # On a busy machine asyncio's debug mode reports slow steps; that is no warning.
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    return done.stdout
