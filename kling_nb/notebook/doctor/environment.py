"""Check this machine: Python, packages, folder, disk and notebook file.

Each check returns one finding, raises nothing and changes nothing.
"""

from __future__ import annotations

import errno
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kling_nb.core.errors import ConfigurationError, InvalidInput
from kling_nb.display.html import Finding
from kling_nb.kie.network import Network
from kling_nb.notebook.archive.notebook_file import NotebookFile

__all__ = [
    "check_disk",
    "check_folder",
    "check_interrupts",
    "check_links",
    "check_network",
    "check_notebook",
    "check_packages",
    "check_python",
]

PACKAGES = {
    "ipython": ("8.18", "%%kling cells"),
    "ipykernel": ("7.4", "a click is handled while a cell waits, and not only after it"),
    "ipywidgets": ("8.1.4", "the panel"),
    "anywidget": ("0.9.20", "buttons, the panel and the gallery"),
    "httpx": ("0.28", "the way to the service"),
    "av": ("18.1", "reading and making clips"),
    "pillow": ("11.3", "reading pictures"),
}
"""The packages that matter: the lowest version, as `pyproject.toml` has it, and what it is for."""

LITTLE_BYTES = 1_000_000_000
TOO_LITTLE_BYTES = 50_000_000
"""A clip is 1 to 20 MB and is written beside itself before it takes its place."""
FULL = (errno.ENOSPC, errno.EDQUOT)
OTHER_FOLDER = "choose another folder: argument `folder` or KLING_NB_FOLDER"


def check_python() -> Finding:
    """Which Python runs, and where."""
    said = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", "ok", said)


def check_interrupts() -> list[Finding]:
    """Warn if SIGINT, the signal of *Interrupt* and Ctrl+C, has no effect; else return nothing.

    A process that is started in the background (`&`, `nohup`) inherits SIGINT as ignored, and some
    service managers block it. Call this in the cell's thread: masks belong to a thread.
    """
    block = getattr(signal, "pthread_sigmask", None)  # not on Windows
    blocked = block(signal.SIG_BLOCK, ()) if block else ()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        state = "ignored"
        act = "`import signal; signal.signal(signal.SIGINT, signal.default_int_handler)`"
    elif signal.SIGINT in blocked:
        state = "blocked"
        act = "`import signal; signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})`"
    else:
        return []
    said = f"*Interrupt* cannot reach this kernel: SIGINT is {state}"
    fix = (
        "The kernel inherited this from a program that runs in the background (`&`, `nohup`). "
        f"Start that program in the foreground and restart the kernel. Until then run {act}."
    )
    return [Finding("Interrupt", "warn", said, fix)]


def check_packages(version_of: Callable[[str], str] = importlib.metadata.version) -> Finding:
    """Which versions are installed, and which are too old for something.

    Args:
        version_of: Gives the installed version of a package.
    """
    found, wanting = [], []
    for name, (least, purpose) in PACKAGES.items():
        try:
            version = version_of(name)
        except importlib.metadata.PackageNotFoundError:
            wanting.append(f"{name} is missing ({purpose})")
            continue
        found.append(f"{name} {version}")
        if numbers(version) < numbers(least):
            wanting.append(f"{name} {version} is older than {least} ({purpose})")
    if not wanting:
        return Finding("Packages", "ok", " · ".join(found))
    names = [words.partition(" ")[0] for words in wanting]
    fix = f"`%pip install -U {' '.join(names)}`, then restart the kernel."
    return Finding("Packages", "warn", "; ".join(wanting), fix)


def check_network() -> Finding:
    """Return whether the proxies and certificates of the environment can be used."""
    network = Network()
    try:
        network.check()
    except ConfigurationError as error:
        fix = "Correct this setting for live mode; the emulator works without it."
        return Finding("Network", "warn", str(error), fix)
    proxies = sorted({str(proxy) for proxy in network.proxies.values()})
    return Finding("Network", "ok", f"through {', '.join(proxies)}" if proxies else "no proxy")


def check_folder(folder: Path) -> Finding:
    """Whether clips can be written where they are to be."""
    place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    try:
        # A trial and not a look at permissions, which say nothing of a disk that is full or may
        # only be read.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"a clip could be here")
    except OSError as error:
        why = error.strerror or str(error)
        said = f"{folder} cannot be written: {why}"
        if place != folder:
            said = f"{folder} does not exist, and nothing can be made in {place}: {why}"
        act = "Make room" if error.errno in FULL else "Allow writing there"
        return Finding("Folder", "bad", said, f"{act}, or {OTHER_FOLDER}.")
    is_there = place == folder
    said = f"{folder} can be written" if is_there else f"{folder}: made with the first clip"
    return Finding("Folder", "ok", said)


def check_disk(
    folder: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Finding:
    """Whether there is room for clips.

    Args:
        folder: Where clips go.
        free_bytes: Gives what is free where a path lies.
    """
    place = next((each for each in (folder, *folder.parents) if each.exists()), Path.cwd())
    try:
        free = free_bytes(place)
    except OSError as error:
        said = f"what is free cannot be told: {error.strerror or error}"
        return Finding("Disk", "warn", said, f"Check the disk, or {OTHER_FOLDER}.")
    said = f"{free / 1e9:,.1f} GB free"
    fix = f"Make room, or {OTHER_FOLDER}. Clips of 5 s are about 5 MB."
    if free < TOO_LITTLE_BYTES:
        return Finding("Disk", "bad", f"{free / 1e6:,.0f} MB free: a clip may not fit", fix)
    return (
        Finding("Disk", "warn", said, fix) if free < LITTLE_BYTES else Finding("Disk", "ok", said)
    )


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


LARGEST_BYTES = 100_000_000
"""A larger one is not read: that would take seconds."""


def check_notebook(told: Sequence[str], cwd: Path) -> Finding:
    """Which file the notebook is, and whether what it shows is trusted.

    Args:
        told: What the front end tells of its path, the surest first.
        cwd: Where the kernel works.
    """
    path = next((Path(name) for name in told if os.path.isfile(name)), None)
    if path is None:
        said = f"{told[0]} is not there: renamed, perhaps" if told else "not told by this front end"
        fix = "Name it where a command asks for it, e.g. `%kling pack NOTEBOOK.ipynb`."
        return Finding("Notebook", "warn" if told else "ok", said, fix)
    home = path.absolute().parent
    if home.resolve() != cwd.resolve():
        said = f"{path.name} lies in {home}, and this kernel works in {cwd}: links to clips fail"
        fix = f"`import os; os.chdir({str(home)!r})`, then run the cells again: 0 credits."
        return Finding("Notebook", "warn", said, fix)
    try:
        is_plain = shows_plain(path)
    except (InvalidInput, OSError) as error:
        return Finding("Notebook", "warn", str(error), "Save it once more.")
    if is_plain:
        said = f"{path.name}: not trusted as it was saved, so that older cards show plain"
        fix = (
            "Run its cells again, for 0 credits, and save it. Or, if you know where it comes from, "
            f"`jupyter trust {path.name}` in a terminal, and reload the page."
        )
        return Finding("Notebook", "warn", said, fix)
    return Finding("Notebook", "ok", path.name)


def check_links(folder: Path, root: Path | None) -> list[Finding]:
    """Check whether a page can open files of the folder; nothing if it can or that is unknown.

    Args:
        folder: Where clips go.
        root: What the Jupyter server shows.
    """
    if root is None:
        return []
    try:
        parts = folder.resolve().relative_to(root.expanduser().resolve()).parts
    except ValueError:
        why = f"{folder} is not within {root}, which is what Jupyter shows"
    else:
        hidden = [part for part in parts if part.startswith(".")]
        if not hidden:
            return []
        why = f"Jupyter shows nothing of what is hidden: {hidden[0]}"
    fix = "Choose a folder that the file browser shows: argument `folder` or KLING_NB_FOLDER."
    said = f"clips play in their cards, and the links to their files do not open: {why}"
    return [Finding("Links", "warn", said, fix)]


def shows_plain(path: Path) -> bool:
    """Whether there are outputs that a page cleans before it shows them."""
    if path.stat().st_size > LARGEST_BYTES:
        return False
    book = NotebookFile.read(path)
    return not book.is_trusted and any("text/html" in bundle for bundle in book.bundles())
