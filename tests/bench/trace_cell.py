"""Trace one `%%kling` cell and print the files of kling_nb that it enters.

    python -m tests.bench.trace_cell

The cell has an image and `--wait`; the emulator in this process makes its clip in one second. The
extension is loaded and the session exists before. All threads are traced. Definitions:

* call: the start of a named function outside the emulator. A coroutine or generator that is resumed
  is not counted again; code that runs because a module is imported is not counted.
* file entered: a file with at least one call.
* engine: the modules of `kling_nb/jobs` without the thread of the loop, the handle, its display,
  and the settings (`NOT_ENGINE`).
* hand-over: two consecutive calls within the engine, in the order of time, that are of different
  modules. `A → B → A` is two. The polls of a task count once, since their number depends on the
  machine.

At commit 0c85936 it gives 70 files and 40 hand-overs.
"""

from __future__ import annotations

import functools
import os
import tempfile
from itertools import groupby
from pathlib import Path

from PIL import Image

from tests.support.call_trace import CallTrace
from tests.support.emulator_service import EASY
from tests.support.shells import open_shell, wait_for_update

CELL = "%%kling --image fox.png --wait\nA red fox runs through snow"
NOT_ENGINE = {
    "background_loop", "connect", "job", "keys", "mimebundle", "run_coroutine", "settings"
}  # fmt: skip


def trace_cell(folder: Path) -> CallTrace:
    """Run the cell in a notebook's shell, in a folder that has nothing yet."""
    import kling_nb.emulator
    from kling_nb.jobs.default_session import default_session

    os.chdir(folder)
    Image.new("RGB", (640, 360), "firebrick").save("fox.png")
    kling_nb.emulator.Emulator = functools.partial(  # type: ignore[assignment,misc]
        kling_nb.emulator.Emulator, render="canned", limits=EASY
    )
    kling_nb.configure(mode="emulator", folder=folder / "clips", emulator_seconds=1)
    trace = CallTrace()
    trace.install()
    with open_shell("notebook") as shell:
        shell.run_line_magic("load_ext", "kling_nb")
        wait_for_update(shell)  # the status of the session, from another thread
        session = default_session()
        with trace.record():
            shell.run_cell(CELL).raise_error()
        session.close()
    return trace


def without_repeats(names: list[str]) -> list[str]:
    """Return the names without a name or a pair of names that repeats the one before."""
    found: list[str] = []
    for name, _ in groupby(names):
        found.append(name)
        if len(found) > 4 and found[-4:-2] == found[-2:]:
            del found[-2:]
    return found


def print_report(trace: CallTrace) -> None:
    """Print the files, the numbers and the hand-overs."""
    modules = trace.modules()
    files = list(dict.fromkeys(modules))
    print(f"{len(files)} files, in the order of their first calls:", *files, sep="\n  ")
    print(f"{len(set(trace.codes))} functions, {len(modules)} calls")
    inside = [name.removeprefix("jobs/") for name in modules if name.startswith("jobs/")]
    engine = without_repeats([name for name in inside if name not in NOT_ENGINE])
    print(f"{len(engine) - 1} hand-overs among {len(set(engine))} engine modules:")
    print(" → ".join(engine))


def main() -> None:
    """Trace a cell in a home without settings, keys or clips, and print what it enters."""
    for name in [name for name in os.environ if name.startswith(("KIE_", "KLING_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "XDG_DATA_HOME": home, "XDG_STATE_HOME": home}
        os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
        print_report(trace_cell(Path(home)))


if __name__ == "__main__":
    main()
